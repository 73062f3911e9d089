"""Working a case out: events -> deadlines -> reminders, stored; doing it again changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from worker.domain.cases import CaseDeadline, Event, deadlines_of
from worker.domain.delivery import DeadlineState, ReminderState
from worker.domain.reminders import Plan, PlannedReminder, plan
from worker.services.context import Context
from worker.services.ladder import (
    CLIMBED,
    DELIVERED,
    OVERTAKEN,
    WAITING,
    close_call_tasks,
    open_call_task,
)
from worker.services.messages import deadline_of
from worker.store.audit import Entry, append_audit
from worker.store.cases import CaseFile
from worker.store.database import Session, insert_rows, new_id
from worker.store.reminders import insert_reminders
from worker.store.tables import CaseEventRow, DeadlineRow, ReminderRow

_HANDED_OVER = (
    ReminderState.SUBMITTING,
    ReminderState.UNCERTAIN,
    ReminderState.ACCEPTED,
    ReminderState.SENT,
)
_HEARD = (*_HANDED_OVER, ReminderState.DELIVERED, ReminderState.UNCONFIRMED)
_WHY = {
    DeadlineState.OPEN: "no_longer_planned",
    DeadlineState.SETTLED: "settled",
    DeadlineState.LAPSED: "lapsed",
    DeadlineState.CANCELLED: "ended",
    DeadlineState.SUPERSEDED: "started_again",
}
"""Why a reminder is cancelled, by what became of its deadline."""
_STILL_TRUE = ("no_longer_planned", "date_moved", "lapsed")
"""Reasons for which what was handed over is not marked as overtaken."""


def event_of(row: CaseEventRow) -> Event:
    """An event on record, as the rules see it."""
    return Event(row.event, row.occurred_at, row.date_only)


@dataclass(slots=True)
class Reworked:
    """What working a case out did, for the row's result and the job log."""

    planned: int = 0
    moved: int = 0
    cancelled: int = 0
    lapsed: list[str] = field(default_factory=list)


def rework(
    session: Session, context: Context, file: CaseFile, *, now: datetime, cause: str
) -> Reworked:
    """Bring the stored deadlines and reminders of one case in line with its events.

    Needs the case's rows locked and loaded in `session`; never commits. `cause` goes into the
    audit trail when a date that people were told moves.
    """
    return rework_all(session, context, [file], now=now, cause=cause)[0]


def rework_all(
    session: Session, context: Context, files: Sequence[CaseFile], *, now: datetime, cause: str
) -> list[Reworked]:
    """The same for several cases; their reminders are written together, which is far quicker."""
    works = [_Work(session, context, file, now, cause) for file in files]
    for work in works:
        work.deadlines()
        work.close_case()
    insert_rows(session, [row for work in works for row in work.begun])
    for row, reason in (call for work in works for call in work.calls):
        open_call_task(session, row, reason=reason, now=now)
    insert_reminders(session, [row for work in works for row in work.planned])
    return [work.done for work in works]


@dataclass(slots=True)
class _Work:
    session: Session
    context: Context
    file: CaseFile
    now: datetime
    cause: str
    done: Reworked = field(default_factory=Reworked)
    planned: list[dict[str, object]] = field(default_factory=list)
    begun: list[DeadlineRow] = field(default_factory=list)
    calls: list[tuple[DeadlineRow, str]] = field(default_factory=list)

    def deadlines(self) -> None:
        stored = {(row.rule_id, row.started_at, row.occurrence): row for row in self.file.deadlines}
        for wanted in self._wanted():
            row = stored.pop(wanted.key, None)
            row = self._inserted(wanted) if row is None else self._updated(row, wanted)
            self._reminders(row, wanted)
        for row in stored.values():
            is_told_of = row.state == DeadlineState.LAPSED and not row.occurrence
            if row.state == DeadlineState.OPEN or is_told_of:
                self._drop(row)

    def _drop(self, row: DeadlineRow) -> None:
        """No event leads to it any more: its start was voided, or its month is long past."""
        over = bool(row.occurrence) and row.ends_at is not None and row.ends_at <= self.now
        row.state = DeadlineState.LAPSED if over else DeadlineState.CANCELLED
        row.settled_at = row.ends_at if over else self.now
        self._plan(row, Plan(), "too_late" if over else "event_voided")
        close_call_tasks(self.session, row, now=self.now, note=row.state)

    def close_case(self) -> None:
        """A case is closed from its last `cancelled` on, until something starts a rule again."""
        rules = self.context.procedure(self.file.case.procedure).rules
        starts = {name for rule in rules for name in rule.starts_on}
        events = [event_of(row) for row in self.file.events]
        ended_at = max((one.latest_at for one in events if one.name == "cancelled"), default=None)
        started_at = max((one.occurred_at for one in events if one.name in starts), default=None)
        cancelled = ended_at is not None and (started_at is None or started_at <= ended_at)
        self.file.case.state = "closed" if cancelled else "open"
        self.file.case.closed_at = self.now if cancelled else None
        self.file.case.updated_at = self.now

    def _wanted(self) -> list[CaseDeadline]:
        case = self.file.case
        return deadlines_of(
            self.context.procedure(case.procedure),
            [event_of(row) for row in self.file.events],
            lambda rule: self.context.terms(rule, case.centre_id, case.bank),
            self.context.calendar(case.centre_id),
            self.context.office(case.centre_id),
            self.now,
        )

    def _inserted(self, wanted: CaseDeadline) -> DeadlineRow:
        case, due = self.file.case, wanted.deadline
        row = DeadlineRow(
            id=new_id(self.now),
            centre_id=case.centre_id,
            case_id=case.id,
            rule_id=wanted.rule.id,
            rule_version=wanted.rule.version,
            calendar_version=self.context.calendar(case.centre_id).version,
            centre_version=self.context.centre(case.centre_id).version,
            kind=wanted.rule.kind,
            started_at=due.started_at,
            occurrence=wanted.occurrence,
            state=wanted.state,
            firm=due.firm,
            created_at=self.now,
            planned_at=self.now,
            updated_at=self.now,
        )
        self._write(row, wanted)
        self.begun.append(row)
        self.file.deadlines.append(row)
        if wanted.state is DeadlineState.LAPSED and not wanted.occurrence:
            self.done.lapsed.append(wanted.rule.id)
        return row

    def _updated(self, row: DeadlineRow, wanted: CaseDeadline) -> DeadlineRow:
        before = deadline_of(row).told if row.state == DeadlineState.OPEN else row.told
        is_open = wanted.state is DeadlineState.OPEN
        moved = row.told and before != wanted.deadline.told and is_open
        if moved and not self._was_heard(row):
            row.told = ""  # what announced it never left: there is no news, only the date
        elif moved:
            self._audit_move(row, before, wanted)
            row.plan_version += 1
            row.planned_at = self.now
            self.done.moved += 1
        self._write(row, wanted)
        return row

    def _write(self, row: DeadlineRow, wanted: CaseDeadline) -> None:
        due = wanted.deadline
        row.rule_version = wanted.rule.version
        row.calendar_version = self.context.calendar(row.centre_id).version
        row.centre_version = self.context.centre(row.centre_id).version
        row.state = wanted.state
        row.settled_at = wanted.settled_at
        row.ends_at, row.last_date = due.ends_at, due.last_date
        row.earliest_at, row.latest_at = due.earliest_at, due.latest_at
        row.firm = due.firm
        row.consulted_to = due.consulted_to
        row.act_by_at, row.ready_on = due.act_by, due.ready_on
        row.updated_at = self.now

    def _audit_move(self, row: DeadlineRow, before: str, wanted: CaseDeadline) -> None:
        moved = {"from": before, "to": wanted.deadline.told, "cause": self.cause}
        entry = Entry(row.centre_id, self.now, "qida", "deadline.moved", row.id, moved)
        append_audit(self.session, entry)

    def _reminders(self, row: DeadlineRow, wanted: CaseDeadline) -> None:
        case = self.file.case
        made = plan(
            wanted,
            self.context.steps(wanted.rule, case.centre_id, case.bank),
            self.context.calendar(case.centre_id),
            self.context.office(case.centre_id),
            planned_at=row.planned_at,
            moved=row.plan_version > 1,
        )
        if self._is_as_announced(row, wanted):
            kept = tuple(one for one in made.reminders if one.step != "moved")
            made = Plan(kept, made.call)
        self._plan(row, made, _WHY[wanted.state])
        is_over = wanted.state is not DeadlineState.OPEN and not made.call
        if is_over and self.file.has_called(row.id):
            close_call_tasks(self.session, row, now=self.now, note=str(wanted.state))
        if made.call and not self.file.has_called(row.id):
            self.calls.append((row, made.call))

    def _was_heard(self, row: DeadlineRow) -> bool:
        return any(one.deadline_id == row.id and one.state in _HEARD for one in self.file.reminders)

    def _is_as_announced(self, row: DeadlineRow, wanted: CaseDeadline) -> bool:
        """The date moved and moved back before anyone heard of it: there is no news to tell."""
        mine = [one for one in self.file.reminders if one.deadline_id == row.id]
        is_news = any(one.step == "moved" and one.plan_version == row.plan_version for one in mine)
        return self._was_heard(row) and not is_news and row.told == wanted.deadline.told

    def _plan(self, row: DeadlineRow, made: Plan, why: str) -> None:
        """Insert what is missing, move what is planned, cancel what is no longer wanted."""
        existing = [one for one in self.file.reminders if one.deadline_id == row.id]
        kept: set[str] = set()
        for wanted in made.reminders:
            same = [one for one in existing if one.step == wanted.step
                    and one.plan_version == row.plan_version]  # fmt: skip
            kept.update(one.id for one in same)
            if not any(one.recipient == "citizen" for one in same):
                self._insert(row, wanted)
            for one in same:
                self._replan(one, wanted)
        for one in existing:
            climbed = one.reason.startswith(CLIMBED) and made.reminders
            if one.id not in kept and not climbed:
                is_old = why == "no_longer_planned" and one.plan_version < row.plan_version
                self._cancel(one, "date_moved" if is_old else why)

    def _insert(self, row: DeadlineRow, wanted: PlannedReminder) -> None:
        self.planned.append(
            {
                "id": new_id(self.now),
                "centre_id": row.centre_id,
                "case_id": row.case_id,
                "deadline_id": row.id,
                "step": wanted.step,
                "recipient": "citizen",
                "channel": "sms" if self.file.case.phone_sealed else "email",
                "plan_version": row.plan_version,
                "due_at": wanted.due_at,
                "useless_after_at": wanted.useless_after_at,
                "state": ReminderState.PLANNED,
                "priority": wanted.priority,
                "attempts": 0,
                "reason": wanted.reason,
                "created_at": self.now,
                "updated_at": self.now,
            }
        )
        self.done.planned += 1

    def _replan(self, reminder: ReminderRow, wanted: PlannedReminder) -> None:
        """Move what is planned and was never tried, and revive what was cancelled: the event that
        ended it was taken back. A retry or a waiting one keeps its time; who was told by another
        message stays told."""
        told = reminder.reason in (DELIVERED, OVERTAKEN)
        revived = reminder.state == ReminderState.CANCELLED and not told
        untouched = reminder.state == ReminderState.PLANNED and reminder.attempts == 0
        if revived:
            reminder.state, reminder.reason = ReminderState.PLANNED, wanted.reason
            self.done.planned += 1
        elif not untouched or reminder.reason.startswith((CLIMBED, *WAITING)):
            return
        times = wanted.due_at, wanted.useless_after_at
        if revived or (reminder.due_at, reminder.useless_after_at) != times:
            reminder.due_at, reminder.useless_after_at = times
            reminder.updated_at = self.now

    def _cancel(self, reminder: ReminderRow, why: str) -> None:
        """What is planned will not be sent; what was handed over cannot be recalled."""
        if reminder.state == ReminderState.PLANNED:
            reminder.state = ReminderState.CANCELLED
            reminder.reason = why
            reminder.updated_at = self.now
            self.done.cancelled += 1
        elif reminder.state in _HANDED_OVER and why not in _STILL_TRUE:
            reminder.reason = "cannot_be_recalled"
