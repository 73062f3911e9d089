"""A service desk for tests: everything real but the clock and, where a test says so, a provider."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlmodel import col, select

from worker.channels.sandbox import Sandbox
from worker.clock import FixedClock
from worker.domain.calendar import CHINA
from worker.domain.delivery import (
    Accepted,
    AttemptState,
    Caps,
    Channel,
    ChannelKind,
    Found,
    Outcome,
    Prepared,
    Receipt,
    SendRequest,
)
from worker.rosters import RosterRow
from worker.runtime import Knowledge, know_centres
from worker.services.auditing import audit
from worker.services.context import Context
from worker.services.enrolment import Enrolment, enrol_rows
from worker.services.recalculating import recalculate
from worker.services.receipts import Source, poll, take_receipt
from worker.services.sending import send_due
from worker.services.settling import rescue, settle_uncertain
from worker.store.database import Database
from worker.store.keys import KeyRing
from worker.store.tables import (
    AttemptEventRow,
    AttemptRow,
    AuditEntryRow,
    CallTaskRow,
    CaseRow,
    DeadlineRow,
    OptOutRow,
    ReminderRow,
)

both_engines = pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
"""For the facts that rest on how a database locks and compares."""

DELIVERED, UNDELIVERED, REJECTED, NO_RECEIPT, ANSWER_LOST = (
    f"100000000{number:02}" for number in range(1, 6)
)
SECOND = "10000000022"

REPORTED = (("reported_by_phone", "2026-11-20T16:20"),)
"""A Friday: three working days end on Wednesday the 25th, the counter closes at 17:00."""

APPLIED = (("replacement_applied", "2026-11-20T16:20"),)
"""A ready date (11 December is the 15th working day, so 14 December) and a step without one."""

Events = Sequence[tuple[str, str]]


def beijing(at: str) -> datetime:
    """`2026-11-20T16:20` as an instant."""
    return datetime.fromisoformat(at).replace(tzinfo=CHINA)


@dataclass
class Desk:
    """One installation at one moment. Times are told in Beijing's."""

    context: Context
    clock: FixedClock

    def enrol(self, reference: str = "A-1", events: Events = REPORTED, **cells: Any) -> Enrolment:
        """Enrol a case as a roster would; with neither phone nor e-mail it gets a good number."""
        if not {"phone", "email"} & cells.keys():
            cells["phone"] = DELIVERED
        cells = {"procedure": "national", "name": "张三"} | cells
        rows = [
            RosterRow("cases.csv, row 2", reference, event=event, occurred_at=beijing(at), **cells)
            for event, at in events
        ]
        return enrol_rows(self.context, rows, now=self.now)

    def correct(self, reference: str = "A-1", **cells: Any) -> Enrolment:
        """A later row says something else about a case, and nothing happened."""
        row = RosterRow("cases.csv, row 4", reference, **cells)
        return enrol_rows(self.context, [row], now=self.now)

    def record(self, event: str, reference: str = "A-1") -> Enrolment:
        """Something happens to a case, now."""
        row = RosterRow("cases.csv, row 3", reference, event=event, occurred_at=self.now)
        return enrol_rows(self.context, [row], now=self.now)

    @property
    def now(self) -> datetime:
        """What the clock says."""
        return self.clock.now()

    def at(self, time: str) -> "Desk":
        """Move the clock on."""
        self.clock.advance(beijing(time) - self.now)
        return self

    def after(self, **span: float) -> "Desk":
        """Move the clock on by a span, and a moment more."""
        self.clock.advance(timedelta(**span) + timedelta(seconds=10))
        return self

    def send(self, keep_going: Callable[[], bool] = lambda: True) -> Counter[str]:
        """Send what is due; it takes a moment, so that what follows is later."""
        counts = send_due(self.context, now=self.now, keep_going=keep_going)
        self.clock.advance(timedelta(seconds=5))
        return counts

    def settle(self) -> Counter[str]:
        return settle_uncertain(self.context, now=self.now)

    def poll(self) -> Counter[str]:
        return poll(self.context, now=self.now)

    def receive(
        self, state: AttemptState | None, *, source: Source = "callback", **said: Any
    ) -> str:
        """A receipt comes by itself, by the ref of the last attempt unless told otherwise."""
        attempt = self.attempts()[-1]
        told = {"provider_id": "P1", "status": str(state), "ref": attempt.ref} | said
        return take_receipt(
            self.context,
            Receipt(state=state, **told),
            source=source,
            channel_name=attempt.channel_name,
            now=self.now,
        )

    def rescue(self) -> Counter[str]:
        return rescue(self.context, now=self.now)

    def audit(self) -> Counter[str]:
        return audit(self.context, now=self.now)

    def recalculate(self) -> Counter[str]:
        return recalculate(self.context, now=self.now)

    def through(self, *channels: Channel) -> None:
        """Send through these channels and no other."""
        self.context = replace(
            self.context, channels={channel.kind: channel for channel in channels}
        )

    def sandbox(self, kind: ChannelKind = "sms") -> Sandbox:
        """The sandbox's channel."""
        channel = self.context.channels[kind]
        assert isinstance(channel, Sandbox)
        return channel

    def reminder(
        self, step: str = "at_once", channel: str = "sms", reference: str = "A-1",
        recipient: str = "citizen", kind: str = "",
    ) -> ReminderRow:  # fmt: skip
        """The one reminder that is meant; the latest plan's where a date moved."""
        found = [
            row for row in self.reminders(reference)
            if (row.step, row.channel, row.recipient) == (step, channel, recipient)
            and (not kind or self.deadline(row.deadline_id).kind == kind)
        ]  # fmt: skip
        return max(found, key=lambda row: row.plan_version)

    def reminders(self, reference: str = "A-1") -> Sequence[ReminderRow]:
        """Every reminder of a case, by due instant."""
        with self.context.db.reading() as session:
            return session.exec(
                select(ReminderRow)
                .join(CaseRow, col(CaseRow.id) == col(ReminderRow.case_id))
                .where(CaseRow.reference == reference)
                .order_by(col(ReminderRow.due_at))
            ).all()

    def states(self, reference: str = "A-1") -> dict[str, str]:
        """`step channel` -> state, of the citizen's reminders."""
        return {
            f"{row.step} {row.channel}": row.state
            for row in self.reminders(reference)
            if row.recipient == "citizen"
        }

    def deadline(self, deadline_id: str) -> DeadlineRow:
        with self.context.db.reading() as session:
            return session.get_one(DeadlineRow, deadline_id)

    def deadlines(self, reference: str = "A-1") -> dict[str, DeadlineRow]:
        """By kind of rule."""
        with self.context.db.reading() as session:
            rows = session.exec(
                select(DeadlineRow)
                .join(CaseRow, col(CaseRow.id) == col(DeadlineRow.case_id))
                .where(CaseRow.reference == reference)
            )
            return {row.kind: row for row in rows}

    def attempts(self) -> Sequence[AttemptRow]:
        """Every attempt, oldest first."""
        with self.context.db.reading() as session:
            order = (col(AttemptRow.started_at), col(AttemptRow.id))
            return session.exec(select(AttemptRow).order_by(*order)).all()

    @property
    def attempt(self) -> AttemptRow:
        """The only attempt there is."""
        (one,) = self.attempts()
        return one

    def seen(self) -> list[tuple[str, str]]:
        """Source and status of everything seen of attempts."""
        with self.context.db.reading() as session:
            rows = session.exec(select(AttemptEventRow).order_by(col(AttemptEventRow.id)))
            return [(row.source, row.status) for row in rows]

    def calls(self) -> Sequence[CallTaskRow]:
        """Every call task there ever was."""
        with self.context.db.reading() as session:
            return session.exec(select(CallTaskRow).order_by(col(CallTaskRow.opened_at))).all()

    def reasons(self) -> list[str]:
        """Why people are to be called, of the open tasks."""
        return [task.reason for task in self.calls() if task.state == "open"]

    def audited(self, action: str) -> list[dict[str, str]]:
        """The details of the audit entries for an action."""
        with self.context.db.reading() as session:
            rows = session.exec(select(AuditEntryRow).where(AuditEntryRow.action == action))
            return [json.loads(row.detail) for row in rows]

    def texts(self) -> list[str]:
        """What was handed to a provider, in the order it was."""
        return [self._opened(attempt) for attempt in self.attempts()]

    def _opened(self, attempt: AttemptRow) -> str:
        assert attempt.body_sealed is not None
        return self.context.keys.open(
            attempt.body_sealed, table="attempt", column="body_sealed", row_id=attempt.id,
            centre_id=attempt.centre_id,
        )  # fmt: skip

    def refuse(self, address: str, centre_id: str | None = None) -> None:
        """Someone wants no more messages, from one centre or from all."""
        index = self.context.keys.index(address, centre_id="")
        row = OptOutRow(id=f"o{index[:8]}", centre_id=centre_id, address_index=index,
                        source="test", created_at=self.now)  # fmt: skip
        with self.context.db.transaction() as session:
            session.add(row)


class Provider:
    """A provider that answers as a test wants, in order; the last answer is repeated.

    `during` runs while a message is handed over.
    """

    name = "provider"

    def __init__(
        self,
        *outcomes: Outcome,
        kind: ChannelKind = "sms",
        found: Sequence[Found] = (),
        receipts: Sequence[Receipt | None] = (),
        during: Callable[["Provider"], object] = lambda _: None,
    ) -> None:
        self.kind = kind
        self.caps = Caps(
            echoes_ref=False,
            lookup_by_address=True,
            delivery_receipts=True,
            needs_registered_text=False,
        )
        self._outcomes, self._found, self._receipts = [*outcomes], [*found], [*receipts]
        self._during = during
        self.handed: list[SendRequest] = []
        self.polled = 0

    def prepare(self, request: SendRequest) -> Prepared:
        return Prepared(request)

    def submit(self, prepared: Prepared, ref: str, **_: datetime) -> Outcome:
        self.handed.append(prepared.request)
        self._during(self)
        if not self._outcomes:
            return Accepted(f"P{len(self.handed)}-{ref}")
        return _next(self._outcomes)

    def poll(self, provider_id: str, **_: datetime) -> Receipt | None:
        self.polled += 1
        answer = _next(self._receipts) if self._receipts else None
        return replace(answer, provider_id=provider_id) if answer else None

    def find(self, *_: object, **__: object) -> Found:
        return _next(self._found)

    def redact(self, provider_id: str) -> bool:
        return bool(provider_id)

    def listed(self, *_: object) -> Found:
        return _next(self._found)

    def interrupt(self) -> None:
        """Nothing to break off."""

    def close(self) -> None:
        """Nothing to close."""


_Answer = TypeVar("_Answer")


def _next(answers: list[_Answer]) -> _Answer:
    return answers.pop(0) if len(answers) > 1 else answers[0]


@dataclass
class Office:
    """What several desks of one test share: the place, and what the files said."""

    home: Path
    keys: KeyRing
    knowledge: Knowledge
    channels: list[Channel] = field(default_factory=list)

    def desk(self, db: Database, clock: FixedClock) -> Desk:
        """A desk over a database; several over one are several workers."""
        ledger = self.home / "sandbox.jsonl"
        kinds: tuple[ChannelKind, ...] = ("sms", "email")
        channels: dict[ChannelKind, Channel] = {kind: Sandbox(kind, ledger) for kind in kinds}
        self.channels += channels.values()
        know_centres(db, self.knowledge.centres, clock.now())
        context = Context(
            db=db,
            keys=self.keys,
            rulebook=self.knowledge.rulebook,
            centres=self.knowledge.centres,
            calendars=self.knowledge.calendars,
            templates=self.knowledge.templates,
            channels=channels,
            home=self.home,
            simulated=True,
            send_threads=4,
        )
        return Desk(context, clock)

    def ledger(self) -> list[dict[str, str]]:
        """What the sandbox took."""
        lines = (self.home / "sandbox.jsonl").read_text("utf-8").splitlines()
        return [entry for line in lines if "kind" in (entry := json.loads(line))]

    def close(self) -> None:
        for channel in self.channels:
            channel.close()
