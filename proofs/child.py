"""The life of one worker that is about to be killed: forked, opened, put to work."""

import logging
import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import worker.runtime
from proofs.plants import PLANTS, replace
from proofs.roster import acknowledgement
from worker.clock import FixedClock
from worker.engines.duties import Duties
from worker.rosters import RosterRow
from worker.runtime import Knowledge, Runtime, open_runtime, require_knowledge
from worker.services.enrolment import enrol_rows
from worker.settings import Settings
from worker.store import migrations

BATCH = 5
"""Reminders a claim takes: few, so that a point is met with others done and others to come."""

OPENED = b"o"
STEP = b"s"
_ = migrations  # imported before the fork: opening a database needs it


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


def live(place: Site, life: Life, tell: int) -> NoReturn:
    """Work until the end or until killed; progress goes to the file descriptor `tell`."""
    code = 1
    try:
        logging.basicConfig(filename=place.settings.home / "child.log", level=logging.ERROR)
        os.environ["QIDA_CRASH_AT"] = life.crash_at
        replace(worker.runtime, "require_knowledge", lambda _home: place.knowledge)
        if life.plant:
            PLANTS[life.plant]()
        _work(place, life.steps, tell)
        code = 0
    except BaseException:  # noqa: BLE001  # a forked child must never run the parent's code
        traceback.print_exc()
    os._exit(code)


def _work(place: Site, steps: Sequence[Step], tell: int) -> None:
    clock = FixedClock(steps[0].at)
    with open_runtime(place.settings, clock) as runtime:
        os.write(tell, OPENED)
        duties = Duties(runtime)
        for step in steps:
            clock.advance(step.at - clock.now())
            os.write(tell, STEP)
            for row in step.rows:
                _enrol(place, runtime, row, step.at)
            if step.has_tick:
                duties.tick()


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
