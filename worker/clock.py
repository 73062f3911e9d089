"""The one place that reads the wall clock; everything below the edges is told `now`."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Something that tells the time, aware and in UTC."""

    def now(self) -> datetime:
        """The present instant."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant by the machine."""
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands still until it is moved: for tests, `--now` and the demo."""

    def __init__(self, now: datetime) -> None:
        self._now = now.astimezone(UTC)

    def now(self) -> datetime:
        """The instant it was set to."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move it forward."""
        self._now += by


def monotonic() -> float:
    """Seconds that never jump, for measuring spans (leases, job runs).

    Time a sleeping machine spends counts where the system can tell (Linux: CLOCK_BOOTTIME): a
    lease runs out during it.
    """
    return time.clock_gettime(_NEVER_JUMPS)


_NEVER_JUMPS = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def pause(seconds: float) -> None:
    """Wait in real time: the demo lets people read along."""
    time.sleep(seconds)


def seconds_since(timestamp: float) -> float:
    """How long ago a file was touched: `st_mtime` against the machine's clock."""
    return time.time() - timestamp
