"""Starting `qida` and looking at what it leaves behind."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from worker.cli import main

ROOT = Path(__file__).parents[2]
NOW = ("--now", "2026-11-23T10:00:00+08:00")
HEADING = "编号,业务,事项,发生时间,姓名,手机"
REPORTED = "A-1,national,电话挂失,2026-11-20 16:20,张三,10000000001"
GOOD = "A-2,national,电话挂失,2026-11-20 16:20,李四,10000000007"

OK, FAILURE, USAGE, BAD_DATA, UNAVAILABLE, CONFIGURATION = 0, 1, 2, 65, 69, 78


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> Any:  # whatever a listing holds
        """The JSON array on stdout."""
        rows = json.loads(self.out)
        assert isinstance(rows, list)
        return rows

    @property
    def is_clear(self) -> bool:
        """An error told in both languages, without a traceback."""
        chinese = any("\u4e00" <= character <= "\u9fff" for character in self.err)
        return chinese and "Traceback" not in self.err and len(self.err.splitlines()) >= 2


@dataclass(frozen=True)
class Qida:
    """The command in one environment."""

    home: Path
    environment: dict[str, str]
    before: tuple[str, ...] = ()

    def __call__(self, *arguments: str | Path, given: str | bytes = b"") -> Done:
        """Run it to its end, in a process forked from one that has imported the worker already.

        `given` is its stdin.
        """
        words = ["qida", *map(str, arguments)]
        with tempfile.TemporaryDirectory() as scratch:
            room = Path(scratch)
            (room / "in").write_bytes(given.encode() if isinstance(given, str) else given)
            process = _FORKS.Process(target=_child, args=(words, self.environment, room))
            process.start()
            process.join()
            out, err = ((room / name).read_text("utf-8") for name in ("out", "err"))
        return Done(process.exitcode or 0, out, err)

    def really(self, *arguments: str | Path) -> Done:
        """Run it to its end just as a shell would."""
        command = [*self.before, *COMMAND, *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, env=self.environment, cwd=ROOT, check=False
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def started(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start it and leave it running."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=ROOT,
        )

    def where(self, **settings: str) -> "Qida":
        """The same with other settings; an empty one is not set."""
        return replace(self, environment=self.environment | settings)

    def behind(self, *before: str) -> "Qida":
        """The same, started by another command."""
        return replace(self, before=before)

    def roster(self, *lines: str, heading: str = HEADING, name: str = "cases.csv") -> Path:
        """A roster file in the home."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([heading, *lines, ""]), "utf-8")
        return path

    def own_config(self) -> Path:
        """A copy of the shipped configuration in the home."""
        for name in ("rules", "centres"):
            shutil.copytree(ROOT / "config" / name, self.home / "config" / name)
        return self.home / "config"


COMMAND: Sequence[str] = (sys.executable, "-m", "worker")


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["worker.cli", "worker.runtime", "worker.engines.duties"])


def _child(words: list[str], environment: dict[str, str], room: Path) -> None:
    """What a forked process does: be the command, between files."""
    os.environ.clear()
    os.environ.update(environment)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(room / name, os.O_WRONLY | os.O_CREAT), number)
    sys.stdin = (room / "in").open()
    sys.argv = words
    main()


def namespaces_work() -> bool:
    """Whether this machine lets us mount something that only one process sees."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    tried = subprocess.run(
        [unshare, "-rm", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        check=False,
        env=os.environ,
    )
    return tried.returncode == 0


def lying_still(path: Path) -> Path:
    """The file as if nobody had written to it for a while."""
    at = path.stat().st_mtime - 6
    os.utime(path, (at, at))
    return path
