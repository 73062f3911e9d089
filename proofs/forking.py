"""Lives of workers: forked from this process, or started as processes of their own.

This process has imported everything and opened nothing: no database, no socket, no thread.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proofs.child import BATCH, OPENED, STEP, Life, Site, live

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Moment:
    """So many seconds after the worker was forked, or after it had opened its runtime."""

    seconds: float
    once_opened: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """How a life ended: its exit code, or the negative signal, and how many steps it began."""

    by: int
    steps: int = 0

    @property
    def is_killed(self) -> bool:
        """Whether it was SIGKILL."""
        return self.by == -signal.SIGKILL

    @property
    def is_failed(self) -> bool:
        """Whether it ended by itself, and badly."""
        return not self.is_killed and self.by != 0


def forked(site: Site, life: Life, kill_at: Moment | None = None) -> Ended:
    """Fork a worker and wait for its end; kill it at a moment if one is given."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        live(site, life, tell)
    os.close(tell)
    if kill_at is not None:
        if kill_at.once_opened:
            os.read(told, len(OPENED))
        time.sleep(kill_at.seconds)
        os.kill(pid, signal.SIGKILL)  # at worst a zombie's: it is ours until waited for
    heard = b"".join(iter(lambda: os.read(told, 4096), b""))
    os.close(told)
    _, status = os.waitpid(pid, 0)
    return Ended(os.waitstatus_to_exitcode(status), heard.count(STEP))


def fresh(site: Site, arguments: Sequence[str], crash_at: str) -> Ended:
    """Run `python -m worker` with these arguments in a process started from nothing."""
    settings = site.settings
    environment = {name: value for name, value in os.environ.items() if name[:5] != "QIDA_"} | {
        "QIDA_HOME": str(settings.home),
        "QIDA_DATABASE_URL": settings.database,
        "QIDA_SMS": "sandbox",
        "QIDA_EMAIL": "sandbox",
        "QIDA_SEND_BATCH": str(BATCH),
        "QIDA_CRASH_AT": crash_at,
    }
    with (settings.home / "fresh.log").open("ab") as log:
        done = subprocess.run(
            [sys.executable, "-m", "worker", *arguments],
            env=environment,
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
        )
    return Ended(done.returncode)
