"""The workers of one installation: they wake when something is due, die, and are started again."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from urllib.parse import urlencode

from proofs.simulation.stage import PUBLIC_URL
from proofs.simulation.world import Died, World
from worker.channels.twilio_hook import Forged, read_callback
from worker.domain.calendar import in_china
from worker.domain.delivery import Receipt
from worker.domain.reminders import Hours, hours_at, later
from worker.engines.duties import Duties
from worker.fake_twilio import ACCOUNT, TOKEN
from worker.runtime import Runtime, open_runtime
from worker.services.context import Context
from worker.services.receipts import Source, take_receipt
from worker.settings import Settings

_OUTSIDE_TRANSACTIONS = ("after_claim", "before_record", "after_record", "after_find")
"""Where a worker may be paused: no lock is held. Not between the look at the lease and the wire:
a pause there is the residue that decision 0003 states."""

_AUDITS_APART = timedelta(hours=3)
"""Seldom, beside the three minutes of a real worker; when a call must be asked for is an alarm of
its own (`audit_call`)."""

_OF_MESSAGES = ("send", "settle", "rescue", "poll", "recalculate")
"""The duties after which someone may be at risk that was not before."""

_IDLE_AGAIN = (60.0, 180.0)
_IDLE_AT_NIGHT = 3000.0
"""A duty that found nothing to do though something seemed due is tried again after these."""


@dataclass(slots=True)
class Worker:
    """One process. Its memory goes with it; the database stays."""

    runtime: Runtime
    duties: Duties
    belongings: ExitStack
    is_dead: bool = False
    busy: set[str] = field(default_factory=set)

    @property
    def context(self) -> Context:
        """What is in force."""
        return self.duties.context


@dataclass(frozen=True, slots=True)
class Accidents:
    """How often a worker dies or is paused at a point, how many there are, and when none is up."""

    death: float = 0.0
    pause: float = 0.0
    workers: int = 1
    closed: tuple[tuple[datetime, datetime], ...] = ()


@dataclass(slots=True)
class Office:
    """The installation over time."""

    world: World
    settings: Settings
    accidents: Accidents
    rng: Random
    workers: list[Worker] = field(default_factory=list)
    deaths: int = 0
    pauses: int = 0
    _wake_at: datetime | None = None
    _idle: dict[str, int] = field(default_factory=dict)
    _not_before: dict[str, datetime] = field(default_factory=dict)
    _audits: list[datetime] = field(default_factory=list)
    _audited_at: datetime | None = None
    _books: sqlite3.Connection = field(init=False)

    def __post_init__(self) -> None:
        path = self.settings.database.removeprefix("sqlite:///")
        self._books = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        self._books.row_factory = sqlite3.Row

    def open(self) -> None:
        """Start every worker; those that are closed for hours are started when they open."""
        for since, until in self.accidents.closed:
            self.world.at(since, self._close_all)
            self.world.at(until, self._start_all)
        self._start_all()
        self._each_day()

    def close(self) -> None:
        """The end of it all."""
        self._close_all()
        self._books.close()

    def _each_day(self) -> None:
        """At 03:00 yesterday is compared with the provider's list, at 09:00 staff get a digest:
        on days on which there is something to compare, or to tell."""
        midnight = in_china(self.world.now).replace(hour=0, minute=0, second=0, microsecond=0)
        for hour, duty in ((3, "sweep"), (9, "staff")):
            self.world.at(midnight + timedelta(days=1, hours=hour, minutes=1), self._doing(duty))
        self.world.at(midnight + timedelta(days=1, seconds=1), self._each_day)

    def _doing(self, duty: str) -> Callable[[], None]:
        def run() -> None:
            since = _text(self.world.now - timedelta(days=2))
            (is_wanted,) = self._books.execute(_WANTED[duty], {"since": since}).fetchone()
            worker = self._free(duty) if is_wanted else None
            if worker is not None:
                self._run(worker, duty)

        return run

    def someone(self) -> Worker | None:
        """A worker that is up, or nobody."""
        return self.rng.choice(self.workers) if self.workers else None

    def do(self, act: Callable[[Worker], None], worker: Worker | None = None) -> bool:
        """Have a worker do something from the outside; False if nobody is up, or it died of it."""
        worker = worker or self.someone()
        if worker is None:
            return False
        try:
            with self.world.life_of(worker):
                act(worker)
        except Died:
            return False
        finally:
            self.wake_soon()
        return True

    def at_point(self, name: str) -> None:
        """A worker passes a crash point: it may end here, or be paused. Raises Died."""
        worker = self.world.process
        if not isinstance(worker, Worker):
            return
        self.world.die_if_dead()
        if self.world.chance(self.accidents.death):
            self._kill(worker)
            raise Died
        if name in _OUTSIDE_TRANSACTIONS and self.world.chance(self.accidents.pause):
            self.pauses += 1
            self.world.wait(self.rng.choice((2, 20, 100, 150, 600, 4000)))

    def hear(self, path: str, headers: Mapping[str, str], form: Mapping[str, str]) -> bool:
        """A callback arrives: what the edge does with it (worker/api/app.py), without HTTP."""

        def take(worker: Worker) -> None:
            try:
                receipt = read_callback(
                    public_url=PUBLIC_URL, path=path, query="", headers=headers,
                    body=urlencode(form).encode(), tokens=(TOKEN,), account_sid=ACCOUNT,
                )  # fmt: skip
            except Forged:
                return
            self._take(worker, receipt, "callback", "twilio")

        return self.do(take)

    def read_report(self, receipt: Receipt) -> None:
        """A delivery report lies in the mailbox: it is read as soon as somebody is up."""
        if not self.do(lambda worker: self._take(worker, receipt, "bounce", "smtp")):
            self.world.after(600, lambda: self.read_report(receipt))

    def _take(self, worker: Worker, receipt: Receipt, source: Source, channel: str) -> None:
        now = self.world.now
        take_receipt(worker.context, receipt, source=source, channel_name=channel, now=now)

    def wake_soon(self) -> None:
        """Something happened: look soon what is due."""
        self._wake(self.world.now + timedelta(seconds=self.rng.uniform(0.5, 6)))

    def _wake(self, at: datetime) -> None:
        if self._wake_at is None or at < self._wake_at or self._wake_at <= self.world.now:
            self._wake_at = at
            self.world.at(at, lambda: self._woken(at))

    def _woken(self, at: datetime) -> None:
        """Do what is due, else sleep until something is. One alarm is set at any time."""
        if at != self._wake_at:
            return
        self._wake_at = None
        if not self.workers:
            return  # who starts looks by itself
        due = self._due()
        now = self.world.now
        ready = [name for name, when in due.items() if when <= now]
        if not ready:
            self._wake(min([*due.values(), now + timedelta(days=1)]))
            return
        self._wake(now + timedelta(seconds=self.rng.uniform(5, 40)))
        for name in ready:
            worker = self._free(name)
            if worker is not None:
                self._run(worker, name)

    def _free(self, duty: str) -> Worker | None:
        """One instance of a duty at a time in each process, as the engine has it."""
        free = [one for one in self.workers if duty not in one.busy]
        return self.rng.choice(free) if free else None

    def _run(self, worker: Worker, name: str) -> None:
        worker.busy.add(name)
        try:
            with self.world.life_of(worker):
                counts = worker.duties.all()[name][0]()
                self.world.die_if_dead()
        except Died:
            return
        finally:
            worker.busy.discard(name)
        self._note_work(name, did=bool(+counts))

    def _note_work(self, name: str, *, did: bool) -> None:
        now = self.world.now
        if name == "audit":
            self._audited_at = now
            self._audits = [at for at in self._audits if at > now]
        if did:
            self._idle.pop(name, None)
            self._not_before.pop(name, None)
            if name in _OF_MESSAGES:
                self._audit_after(now)
            return
        idle = self._idle[name] = self._idle.get(name, -1) + 1
        pause = _IDLE_AGAIN[min(idle, len(_IDLE_AGAIN) - 1)]
        if name == "send" and hours_at(now) is not Hours.ALLOWED:
            pause = _IDLE_AT_NIGHT
        self._not_before[name] = now + timedelta(seconds=pause)

    def _audit_after(self, now: datetime) -> None:
        """An audit finds what was silent for half an hour; one serves all of some hours."""
        if not self._audits:
            last = self._audited_at or now
            self._audits.append(max(now + timedelta(minutes=31), last + _AUDITS_APART))

    def _due(self) -> dict[str, datetime]:
        """When each duty has something to do next, from the tables themselves."""
        now = self.world.now
        row = self._books.execute(_NEXT, {"before": _text(self._audited_at or _EPOCH)}).fetchone()
        found = {name: _instant(row[name]) for name in row.keys() if row[name]}  # noqa: SIM118
        instants: dict[str, list[datetime]] = {}
        for name, at in found.items():
            duty, _, why = name.partition("_")
            instants.setdefault(duty, []).append(_REFINED.get(why, _as_it_is)(at, now))
        if self._audits:
            instants.setdefault("audit", []).append(min(self._audits))
        due = {duty: min(ats) for duty, ats in instants.items()}
        return {duty: max(at, self._not_before.get(duty, at)) for duty, at in due.items()}

    def _start_all(self) -> None:
        for _ in range(self.accidents.workers):
            self._start()

    def _start(self) -> None:
        if len(self.workers) >= self.accidents.workers or self._is_closed():
            return
        belongings = ExitStack()
        runtime = belongings.enter_context(open_runtime(self.settings, self.world.clock))
        self.workers.append(Worker(runtime, Duties(runtime), belongings))
        self.wake_soon()

    def _is_closed(self) -> bool:
        now = self.world.now
        return any(since <= now < until for since, until in self.accidents.closed)

    def _close_all(self) -> None:
        for worker in list(self.workers):
            self._end(worker)

    def _kill(self, worker: Worker) -> None:
        self.deaths += 1
        self._end(worker)
        self.world.after(self.rng.choice((1, 10, 60, 130, 900, 5000)), self._start)

    def _end(self, worker: Worker) -> None:
        worker.is_dead = True
        self.workers.remove(worker)
        self.world.at(self.world.now, worker.belongings.close)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_NEXT = """
SELECT
 (SELECT min(due_at) FROM reminder WHERE state = 'planned' AND reason NOT LIKE 'outside_hours%')
   AS send_hours,
 (SELECT min(due_at) FROM reminder WHERE state = 'planned' AND reason LIKE 'outside_hours%')
   AS send_urgent,
 (SELECT min(next_check_at) FROM attempt WHERE state = 'uncertain') AS settle,
 (SELECT min(next_check_at) FROM attempt WHERE state IN ('accepted', 'sent')) AS poll,
 (SELECT min(lease_until_at) FROM attempt WHERE state = 'submitting') AS rescue_lease,
 (SELECT min(redact_at) FROM attempt) AS redact_batch,
 (SELECT min(latest_at) FROM deadline
   WHERE state = 'open' AND kind IN ('lapse', 'expiry', 'recurring')) AS recalculate,
 (SELECT min(opened_at) FROM call_task WHERE state = 'open' AND mailed_at IS NULL) AS staff_bundle,
 (SELECT min(act_by_at) FROM deadline WHERE state = 'open' AND kind = 'lapse'
   AND datetime(act_by_at, '-148 minutes') > datetime(:before)) AS audit_call
"""

_WANTED = {
    "sweep": "SELECT EXISTS (SELECT 1 FROM attempt WHERE started_at > :since)",
    "staff": "SELECT EXISTS (SELECT 1 FROM call_task WHERE state = 'open')",
}


def _as_it_is(at: datetime, now: datetime) -> datetime:
    del now
    return at


def _in_hours(at: datetime, now: datetime) -> datetime:
    """What is due waits for the morning; now and then somebody looks all the same."""
    return at if at <= now else later(at).astimezone(UTC)


def _awake(at: datetime, now: datetime) -> datetime:
    at = max(at, now)
    return at if hours_at(at) is not Hours.NIGHT else later(at).astimezone(UTC)


_REFINED: Mapping[str, Callable[[datetime, datetime], datetime]] = {
    "hours": _in_hours,
    "urgent": _awake,
    "lease": lambda at, _: at + timedelta(seconds=1),
    "bundle": lambda at, _: at + timedelta(minutes=10, seconds=1),
    "batch": lambda at, _: at + timedelta(hours=20),  # several at once: it is never urgent
    "call": lambda at, _: at - timedelta(minutes=148),  # when `CALL_HELPS` has begun
}


def _text(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ")


def _instant(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=UTC)
