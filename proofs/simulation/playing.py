"""Playing one seed from its first deed to three quiet days after the last, and having it judged."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

from proofs.simulation import judge
from proofs.simulation.callbacks import Postman
from proofs.simulation.office import Office, Worker
from proofs.simulation.relay import Relay
from proofs.simulation.stage import Cast, Stage
from proofs.simulation.story import Deed, Story, drawn
from proofs.simulation.wire import Journal, Provider
from proofs.simulation.world import World
from worker.clock import FixedClock
from worker.fake_twilio import TOKEN, FakeTwilio
from worker.rosters import RosterRow
from worker.services.enrolment import enrol_rows, void_event
from worker.services.opt_outs import opt_out_at_counter
from worker.store.cases import case_files, case_id_of

QUIET = timedelta(hours=80)
"""After the last fault: the last poll is due 72 hours after a message (DESIGN §5.7)."""


@dataclass(slots=True)
class Play:
    """One seed on the stage."""

    home: Path
    world: World
    office: Office
    provider: Provider
    journal: Journal
    story: Story
    refused: list[str] = field(default_factory=list)

    def perform(self) -> datetime:
        """Everything that happens; returns when it was over."""
        for deed in self.story.deeds:
            self.world.at(deed.at, self._doing(deed))
        for since, until in self.story.accidents.closed:
            self.journal.note("closed", since=since.isoformat(), until=until.isoformat())
        self.office.open()
        self.world.run_until(self.story.calm_from)
        self.world.is_calm = True
        self.world.run_until(self.story.calm_from + QUIET)
        return self.world.now

    def _doing(self, deed: Deed) -> Callable[[], None]:
        return lambda: self._do(deed)

    def _do(self, deed: Deed) -> None:
        """Have it done, again if nobody was up to do it or the worker died of it."""
        if deed.does == "stop":
            self.provider.stopped.add(str(deed.row.phone))
            return
        acts = {"enrol": self._enrol, "void": self._void, "refuse": self._refuse}
        row = deed.row
        if not self.office.do(lambda worker: acts[deed.does](worker, row)):
            self.world.after(600, lambda: self._do(deed))

    def _enrol(self, worker: Worker, row: RosterRow) -> None:
        report = enrol_rows(worker.context, [row], now=self.world.now)
        if report.faults:
            self.refused.append(str(report.faults[0].message))
            return
        happened = row.occurred_at.isoformat() if row.occurred_at else ""
        self._acknowledge("enrolled", reference=row.reference, event=row.event, happened=happened)

    def _void(self, worker: Worker, row: RosterRow) -> None:
        case_id, events = self._events(worker, row)
        for event_id in events[:1]:
            now = self.world.now
            void_event(worker.context, event_id, "登记有误", case_id=case_id, actor="t", now=now)
            happened = row.occurred_at.isoformat() if row.occurred_at else ""
            self._acknowledge("voided", reference=row.reference, event=row.event, happened=happened)

    def _events(self, worker: Worker, row: RosterRow) -> tuple[str, list[str]]:
        """The case, and the one event a row told of, if it is on file."""
        with worker.context.db.reading() as session:
            ids = case_id_of(session, row.reference)
            events = case_files(session, ids)[ids[0]].events if ids else []
            told = [one.id for one in events if one.event == row.event and len(events) == 1]
            return (ids[0] if ids else ""), told

    def _refuse(self, worker: Worker, row: RosterRow) -> None:
        with worker.context.db.reading() as session:
            ids = case_id_of(session, row.reference)
        for case_id in ids:
            now = self.world.now
            opt_out_at_counter(worker.context, case_id, "sms", undo=False, actor="t", now=now)
            self._acknowledge("refused", to=row.phone)

    def _acknowledge(self, what: str, **said: object) -> None:
        line = {"what": what, "at": self.world.now.isoformat(), **said}
        with (self.home / "acknowledged.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a seed."""

    seed: int
    report: judge.Report
    counts: dict[str, int]
    seconds: float
    history: str


def play(stage: Stage, seed: int, keep: Path | None = None) -> Outcome:
    """Play a seed; its books are kept in `keep`, or thrown away."""
    begun = time.monotonic()
    home = keep or Path(tempfile.mkdtemp(prefix="qida-sim-", dir=_room()))
    try:
        report, counts = _played(stage, seed, home)
        history = _history(home)
    finally:
        stage.cast.pop()
        if keep is None:
            shutil.rmtree(home)
    return Outcome(seed, report, counts, time.monotonic() - begun, history)


def _history(home: Path) -> str:
    """A hash of all that happened outside the product: the same for every replay of a seed."""
    written = [(home / f"{name}.jsonl").read_bytes() for name in ("ledger", "journal")]
    return sha256(b"".join(written)).hexdigest()[:16]


def _played(stage: Stage, seed: int, home: Path) -> tuple[judge.Report, dict[str, int]]:
    story = drawn(seed)
    play = _set(stage, story, Random(f"{seed} way"), home)
    (home / "acknowledged.jsonl").touch()
    try:
        ended_at = play.perform()
    finally:
        play.office.close()
        play.world.run_until(play.world.now)
        play.journal.close()
        play.provider.fake.ledger.close()
    report = judge.check(judge.read(home, ended_at))
    counts = {
        "events": play.world.events,
        "deaths": play.office.deaths,
        "pauses": play.office.pauses,
        "refused rows": len(play.refused),
        "days": (ended_at - story.begins_at).days,
    }
    return report, counts


def _set(stage: Stage, story: Story, rng: Random, home: Path) -> Play:
    """The installation and the outside world, about to begin."""
    settings = stage.new_home(home)
    world = World(FixedClock(story.begins_at), rng)
    journal = Journal(home / "journal.jsonl", lambda: world.now)
    fake = FakeTwilio(
        ledger=home / "ledger.jsonl", fsync=False, plan=story.plan, now=lambda: world.now
    )
    fake.ledger.open()
    office = Office(world, settings, story.accidents, rng)
    postman = Postman(world, journal, story.whims, office.hear)
    postman.token = TOKEN
    fake.callbacks = postman
    provider = Provider(world, fake, journal, story.mishaps)
    relay = Relay(world, journal, story.mail_odds, office.read_report)
    stage.cast.append(Cast(world, provider, relay, office.at_point, Random(rng.random())))
    return Play(home, world, office, provider, journal, story)


def _room() -> str | None:
    """In memory where the system has such a folder: nothing of a seed need outlive it."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # mkdtemp makes it ours
