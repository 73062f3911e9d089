"""The ticking engine: what is late is done all the same."""

import gc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from threading import Event, Timer

import apscheduler.executors.base
import pytest

from worker.clock import SystemClock
from worker.engines.embedded import run_until

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


class AnHourLater(datetime):
    """What the clock says when a tick's turn comes at last."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "AnHourLater":
        return cls.fromtimestamp(SystemClock().now().timestamp() + 3600, tz)


@pytest.fixture
def garbage() -> Iterator[None]:
    """The engine sets collecting for its whole process, which here is everybody's."""
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("garbage")
def test_a_tick_that_comes_an_hour_late_is_not_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apscheduler.executors.base, "datetime", AnHourLater)
    stop, ran = Event(), Event()
    given_up = Timer(10, stop.set)  # for an engine that drops it
    given_up.start()

    def duty() -> None:
        ran.set()
        stop.set()

    run_until(stop, {"send": (duty, timedelta(seconds=0.1))}, first_run=MONDAY)
    given_up.cancel()

    assert ran.is_set()
