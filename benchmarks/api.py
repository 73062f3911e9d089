"""Cases a second over HTTP, one after the other, beside the least that FastAPI and SQLite can do.

Each side is a server of its own process behind uvicorn on loopback; a client in this process posts
the same JSON over a kept connection. They take turns for several rounds; ratios are taken within
a round and their median counts. The bare side checks the JSON's shape with the same schema and
inserts it as one row. Both are durable before they answer (SQLite, WAL, synchronous=FULL).
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
from statistics import median
from time import perf_counter
from typing import NamedTuple

from benchmarks import Row
from worker.domain.calendar import CHINA

ROUNDS = 9
CASES = 150
NOW = datetime(2026, 11, 20, 16, 30, tzinfo=CHINA)
BAR = 0.4


def run() -> list[Row]:
    """Measure and compare. Raises RuntimeError where a case was not taken."""
    with (
        tempfile.TemporaryDirectory(prefix="qida-bench-") as folder,
        serving("qida", folder) as qida,
        serving("bare", folder) as bare,
    ):
        posting, inserting = Poster(*qida), Poster(*bare)
        posting.round(), inserting.round()  # to warm up
        rounds = [(posting.round(), inserting.round()) for _ in range(ROUNDS)]
    return [
        compared("POST /v1/cases", [(ours.rate, theirs.rate) for ours, theirs in rounds], BAR),
        compared("POST /v1/cases, by processor",
                 [(ours.cpu_rate, theirs.cpu_rate) for ours, theirs in rounds], None),
    ]  # fmt: skip


def compared(name: str, rounds: list[tuple[float, float]], bar: float | None) -> Row:
    """The medians of both sides, and that of their ratios."""
    ratio = median(ours / theirs for ours, theirs in rounds)
    ours, theirs = (median(rates) for rates in zip(*rounds, strict=True))
    said = f"bare FastAPI + SQLite insert {theirs:,.0f}/s"
    return Row(name, f"{ours:,.0f}/s", said, ratio, bar)


class Round(NamedTuple):
    """Cases a second by the clock, and a second of the server's processor time."""

    rate: float
    cpu_rate: float


@contextmanager
def serving(name: str, folder: str) -> Iterator[tuple[int, int, str]]:
    """A server in its own process: its process id, its port, and the key it takes."""
    command = [sys.executable, "-m", "benchmarks.api", name, folder]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as server:  # fmt: skip
        assert server.stdout is not None  # noqa: S101  # asked for above
        port, key = server.stdout.readline().split()
        try:
            yield server.pid, int(port), key
        finally:
            server.communicate("stop\n")


class Poster:
    """A client with a connection of its own; each case it posts is another."""

    def __init__(self, pid: int, port: int, key: str) -> None:
        self._pid, self._port = pid, port
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._posted = 0

    def round(self) -> Round:
        """Post some cases over one connection. Raises RuntimeError."""
        connection = HTTPConnection("127.0.0.1", self._port)
        self._post(connection)  # the server lets a connection go that was silent for seconds
        began, cpu = perf_counter(), cpu_seconds(self._pid)
        for _ in range(CASES):
            self._post(connection)
        seconds, cpu = perf_counter() - began, cpu_seconds(self._pid) - cpu
        connection.close()
        return Round(CASES / seconds, CASES / cpu)

    def _post(self, connection: HTTPConnection) -> None:
        connection.request("POST", "/v1/cases", self._case(), self._headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 201:
            raise RuntimeError(f"{answer.status}: {said!r}")

    def _case(self) -> bytes:
        self._posted += 1
        return json.dumps({
            "reference": f"A-{self._posted}",
            "procedure": "national",
            "contact": {"name": "张三", "phone": f"100000000{self._posted % 90 + 10}"},
            "card_last4": f"{self._posted % 10_000:04d}",
            "events": [{"event": "reported_by_phone", "occurred_at": "2026-11-20T16:20:00+08:00"}],
        }).encode()  # fmt: skip


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, in user and system mode (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# What follows runs in a server's own process, and imports only what it needs.


def qida(folder: str) -> None:
    """The API as `qida serve` has it; without duties beside it."""
    from worker.api.app import create_app
    from worker.api.server import served
    from worker.clock import FixedClock
    from worker.runtime import open_runtime
    from worker.services.api_keys import create_key
    from worker.settings import Settings

    settings = Settings(home=Path(folder) / "qida", sms="sandbox", email="sandbox")
    with open_runtime(settings, FixedClock(NOW)) as runtime:
        key = create_key(runtime.context, centre_id="demo", kind="test", now=NOW)
        app = create_app(lambda: runtime.context, runtime.clock)
        with served(app, "127.0.0.1", 0) as port:
            say_and_wait(port, key)


def bare(folder: str) -> None:
    """One route, one table, one insert a request."""
    import sqlite3

    from fastapi import FastAPI
    from fastapi.responses import JSONResponse

    from worker.api.schemas import CaseIn
    from worker.api.server import served

    connection = sqlite3.connect(
        Path(folder) / "bare.db", isolation_level=None, check_same_thread=False
    )
    for setting in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute("CREATE TABLE cases (id INTEGER PRIMARY KEY, reference TEXT, body TEXT)")
    app = FastAPI()

    @app.post("/v1/cases")
    def enrol_case(case: CaseIn) -> JSONResponse:
        said = case.model_dump_json()
        connection.execute(
            "INSERT INTO cases (reference, body) VALUES (?, ?)", (case.reference, said)
        )
        return JSONResponse({"reference": case.reference}, 201)

    with served(app, "127.0.0.1", 0) as port:
        say_and_wait(port, "none")


def say_and_wait(port: int, key: str) -> None:
    """Tell the one who measures where we are, until it has seen enough."""
    print(port, key, flush=True)
    sys.stdin.readline()


SERVERS: dict[str, Callable[[str], None]] = {"qida": qida, "bare": bare}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](sys.argv[2])
