"""The life of one worker that is about to be killed: forked, opened, put to work."""

import gc
import logging
import os
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NoReturn

from alembic import command

import worker.runtime
from proofs.plants import PLANTS, replace
from proofs.roster import acknowledgement
from worker.clock import FixedClock
from worker.engines.duties import Duties
from worker.rosters import RosterRow
from worker.runtime import Knowledge, Runtime, open_runtime, require_knowledge
from worker.services.enrolment import enrol_rows
from worker.settings import Settings
from worker.store import database

BATCH = 5
"""Reminders a claim takes: few, so that a point is met with others done and others to come."""

ON_THE_WAY = ("rescue", "settle", "poll", "send")
"""The duties in which the crash points lie: all that a worker does that is to die at one."""

OPENED = b"o"
STEP = b"s"
_ = command  # imported before the fork: making a database needs it


@dataclass(frozen=True, slots=True)
class Site:
    """Where one proof takes place."""

    settings: Settings
    knowledge: Knowledge

    @property
    def acknowledged(self) -> Path:
        """The list of acknowledgements: synced line by line, as an honest caller would keep it."""
        return self.settings.home / "acknowledged.jsonl"

    @property
    def ledger(self) -> Path:
        """The sandbox's own file."""
        return self.settings.var / "sandbox.jsonl"


@dataclass(frozen=True, slots=True)
class Step:
    """At an instant: enrol some rows, one by one, then make one pass of every duty."""

    at: datetime
    rows: Sequence[RosterRow] = ()
    has_tick: bool = True


@dataclass(frozen=True, slots=True)
class Life:
    """What a child is to do, and what will end it."""

    steps: Sequence[Step]
    crash_at: str = ""
    plant: str = ""


def site(home: Path, database_url: str = "") -> Site:
    """A scratch home; reads the configuration, opens neither database nor socket."""
    settings = Settings(
        home=home, database_url=database_url, sms="sandbox", email="sandbox", send_batch=BATCH
    )
    return Site(settings, require_knowledge(home))


def keep_engines() -> None:
    """Let a closed database leave behind, in this process, the statements compiled for it."""
    for engines in ("_sqlite", "_postgresql"):
        replace(database, engines, cache(getattr(database, engines)))


def rehearse(place: Site, steps: Sequence[Step]) -> None:
    """One life in this very process, so that forked ones need not compile each statement again.

    Raises RuntimeError if anything stays open: that must not be forked.
    """
    _prepare(place)
    with Path(os.devnull).open("wb") as nobody:
        _work(place, Life(steps), nobody.fileno())
    links = [file.readlink() for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    left = [str(file) for file in links if file.is_relative_to(place.settings.var)]
    if left or threading.active_count() > 1:
        raise RuntimeError(f"not fit to be forked: {left}, {threading.enumerate()}")
    gc.collect()
    gc.freeze()  # as the engine does it; else a child's first collection copies every page
    gc.set_threshold(20_000)


def live(place: Site, life: Life, tell: int) -> NoReturn:
    """Work until the end or until killed; progress goes to the file descriptor `tell`."""
    code = 1
    try:
        _prepare(place)
        os.environ["QIDA_CRASH_AT"] = life.crash_at
        if life.plant:
            PLANTS[life.plant]()
        _work(place, life, tell)
        code = 0
    except BaseException:  # noqa: BLE001  # a forked child must never run the parent's code
        traceback.print_exc()
    os._exit(code)


def _prepare(place: Site) -> None:
    log = place.settings.home / "child.log"
    logging.basicConfig(filename=log, level=logging.ERROR, force=True)
    replace(worker.runtime, "require_knowledge", lambda _home: place.knowledge)


def _work(place: Site, life: Life, tell: int) -> None:
    clock = FixedClock(life.steps[0].at)
    with open_runtime(place.settings, clock) as runtime:
        os.write(tell, OPENED)
        duties, again_at = Duties(runtime).all(), dict[str, datetime]()
        if life.crash_at:
            duties = {name: duties[name] for name in ON_THE_WAY}
        for step in life.steps:
            clock.advance(step.at - clock.now())
            os.write(tell, STEP)
            for row in step.rows:
                _enrol(place, runtime, row, step.at)
            if step.has_tick:
                _pass(duties, step.at, again_at)


def _pass(
    duties: Mapping[str, tuple[Callable[[], object], timedelta]],
    now: datetime,
    again_at: dict[str, datetime],
) -> None:
    """Every duty whose interval is over, in order: at first all of them, as the engine starts."""
    for name, (duty, every) in duties.items():
        if now >= again_at.get(name, now):
            duty()
            again_at[name] = now + every


def _enrol(place: Site, runtime: Runtime, row: RosterRow, now: datetime) -> None:
    report = enrol_rows(runtime.context, [row], now=now)
    if report.faults:
        raise ValueError(report.faults)
    acknowledge(place.acknowledged, [row])


def acknowledge(path: Path, rows: Sequence[RosterRow]) -> None:
    """Write down, for good, that these rows are the worker's responsibility from now on."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, acknowledgement(rows).encode())
    os.fsync(file)
    os.close(file)
