"""A roster over HTTP: rows a second checked and staged, new cases a second applied, and the memory.

`QIDA_BENCH_ROWS` sets how many rows (20,000; a million is the size that is promised). The server,
as `qida run` has it, is a process of its own behind uvicorn on loopback; a client in this process
hands the file in and approves it. Every row is a new case: planned (five reminders each), sealed
and durable. What counts is processor time of the server in all its threads, so that a machine
shared with others slows the run, not the figures (much); the clock's figure stands beside it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter
from typing import IO, Any

from benchmarks import Row
from benchmarks.api import cpu_seconds
from worker.domain.calendar import CHINA

ROWS = int(os.environ.get("QIDA_BENCH_ROWS", "20000"))
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=CHINA)
STAGED, APPLIED, MOST_MB = 5_000, 1_000, 150
"""Rows checked and staged a second, cases applied a second, and megabytes: as promised."""


def run() -> list[Row]:
    """Measure. Raises RuntimeError where not every row became a case."""
    with tempfile.TemporaryDirectory(prefix="qida-bench-") as folder:
        roster = written(Path(folder) / "cases.csv")
        with serving(folder) as server:
            staged = server.measured(lambda: server.hand_in(roster), "check")
            server.approve()
            applied = server.measured(lambda: None, "apply")
            report = server.report()
            peak = server.peak_mb()
    if (report["state"], report["new"]) != ("done", ROWS):
        raise RuntimeError(f"{report['state']}: {report['new']} of {ROWS} rows became cases")
    of = f"{ROWS:,} rows"
    return [
        row(f"import: checked and staged, {of}", staged, STAGED),
        row(f"import: applied, {of}", applied, APPLIED),
        Row("import: peak memory", f"{peak:.0f} MB", f"at most {MOST_MB} MB", MOST_MB / peak, 1),
    ]


def row(name: str, seconds: tuple[float, float], required: int) -> Row:
    """A rate by processor time, with that by the clock."""
    cpu, clock = seconds
    figure = f"{ROWS / cpu:,.0f}/s (by the clock {ROWS / clock:,.0f})"
    return Row(name, figure, f"required {required:,}/s", ROWS / cpu / required, 1)


def written(path: Path) -> Path:
    """A roster of so many cases."""
    with path.open("w", encoding="utf-8") as file:
        file.write("编号,业务,事项,发生时间,姓名,手机\n")
        for one in range(ROWS):
            number = f"100000000{10 + one % 90}"
            file.write(f"A-{one},national,电话挂失,2026-11-20 16:20,张三,{number}\n")
    return path


class Server:
    """The server's process, and the keys it takes."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("no pipes")
        self._said, self._told, self._pid = process.stdout, process.stdin, process.pid
        port, self._key, self._operator = self._said.readline().split()
        self._port = int(port)
        self._id = ""

    def measured(self, first: Callable[[], None], duty: str) -> tuple[float, float]:
        """Seconds of its processor, and of the clock, for a request and the worker's turn."""
        began, cpu = perf_counter(), cpu_seconds(self._pid)
        first()
        self._told.write(f"{duty}\n")
        self._told.flush()
        self._said.readline()
        return cpu_seconds(self._pid) - cpu, perf_counter() - began

    def hand_in(self, roster: Path) -> None:
        """Post the file."""
        with roster.open("rb") as file:
            self._id = self._asked("POST", "", file, size=roster.stat().st_size)["id"]

    def approve(self) -> None:
        """A file of that size is held."""
        self._asked("POST", f"/{self._id}/approve", None, key=self._operator)

    def report(self) -> Any:  # noqa: ANN401  # as JSON has it
        """What became of it."""
        return self._asked("GET", f"/{self._id}", None)

    def _asked(
        self, method: str, path: str, body: IO[bytes] | None, *, size: int = 0, key: str = ""
    ) -> Any:  # noqa: ANN401  # as JSON has it
        connection = HTTPConnection("127.0.0.1", self._port)
        headers = {"Authorization": f"Bearer {key or self._key}", "Content-Length": str(size)}
        connection.request(method, f"/v1/imports{path}", body, headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{answer.status}: {said}")
        return said

    def peak_mb(self) -> float:
        """The most memory it ever held (VmHWM, proc(5))."""
        lines = Path(f"/proc/{self._pid}/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


@contextmanager
def serving(folder: str) -> Iterator[Server]:
    """The server, until it has been measured."""
    command = [sys.executable, "-m", "benchmarks.importing", folder]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        try:
            yield Server(process)
        finally:
            process.communicate("stop\n")


def main(folder: str) -> None:
    """The server's own process: HTTP, and the worker's turn whenever it is told."""
    from worker.api.app import create_app
    from worker.api.server import served
    from worker.clock import FixedClock
    from worker.runtime import open_runtime
    from worker.services.api_keys import create_key
    from worker.services.importing import take_imports
    from worker.settings import Settings

    settings = Settings(home=Path(folder) / "home", sms="sandbox", email="sandbox")
    with open_runtime(settings, FixedClock(NOW)) as runtime:
        context = runtime.context
        key = create_key(context, centre_id="demo", kind="test", now=NOW)
        operator = create_key(context, centre_id=None, kind="test", now=NOW)
        with served(create_app(lambda: context, runtime.clock), "127.0.0.1", 0) as port:
            print(port, key, operator, flush=True)
            while sys.stdin.readline() != "stop\n":
                while take_imports(context, now=NOW).keys() & {"new", "checked"}:
                    pass  # a turn ends after ten minutes, and the next one goes on
                print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
