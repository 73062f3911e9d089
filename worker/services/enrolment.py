"""Enrolling: a roster's rows, chunk by chunk, become cases with deadlines and reminders.

A bad row is reported with its place and stops nobody else's. A dry run does exactly the same and
takes it back, so that both give the same answer. Single events of a case are recorded here too.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from worker.crashpoints import crash_point
from worker.domain.calendar import in_china
from worker.domain.cases import Event, refusals
from worker.domain.contacts import PhonePolicy
from worker.domain.errors import BadData, Fault, QidaError
from worker.rosters import RosterRow, read_roster
from worker.services.applying import CaseKey, Desk, Enrolment, by_case, key_of
from worker.services.casework import rework
from worker.services.context import Context
from worker.store.audit import Entry, append_audit
from worker.store.cases import CaseFile, case_files, lock_cases
from worker.store.database import Session
from worker.store.tables import CaseEventRow

CHUNK = 500
_MOST_WAITING = 20_000
"""How many rows may wait for an earlier event further down the file: they are kept in memory."""


def enrol_file(
    context: Context,
    path: Path,
    *,
    now: datetime,
    dry_run: bool = False,
    all_or_nothing: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Enrolment:
    """Enrol every good row of a roster file; with `all_or_nothing` only if all are good.

    Raises BadData where the file as a whole cannot be read.
    """
    abroad = any(centre.abroad_numbers for centre in context.centres.values())
    policy = PhonePolicy(sandbox=context.simulated, abroad=abroad)
    rows = read_roster(path, phones=policy, now=now)
    return enrol_rows(
        context, rows, now=now, dry_run=dry_run, all_or_nothing=all_or_nothing, progress=progress
    )


def enrol_rows(
    context: Context,
    rows: Iterable[RosterRow | Fault],
    *,
    now: datetime,
    dry_run: bool = False,
    all_or_nothing: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Enrolment:
    """Enrol rows already read; see `enrol_file`."""
    report = Enrolment()
    together = dry_run or all_or_nothing
    with _outer(context, together) as outer:
        savepoint = outer.begin_nested() if outer is not None else None
        queue = _Queue(context, outer, now, report)
        for chunk in _chunks(rows, report):
            queue.take(chunk)
            progress(report.rows)
        queue.finish()
        if savepoint is not None and (dry_run or report.faults):
            savepoint.rollback()
    if all_or_nothing and report.faults:
        report.new = report.changed = report.events = report.planned = report.moved = 0
    return report


@contextmanager
def _outer(context: Context, together: bool) -> Iterator[Session | None]:
    """One transaction around the whole file, or none: each chunk then has its own."""
    if not together:
        yield None
        return
    with context.db.transaction() as session:
        yield session


def _chunks(rows: Iterable[RosterRow | Fault], report: Enrolment) -> Iterator[list[RosterRow]]:
    chunk: list[RosterRow] = []
    for row in rows:
        if isinstance(row, Fault):
            report.blame([row])
            continue
        report.rows += 1
        chunk.append(row)
        if len(chunk) >= CHUNK and row.reference != chunk[-2].reference:
            yield chunk[:-1]
            chunk = chunk[-1:]
    if chunk:
        yield chunk


@dataclass(slots=True)
class _Queue:
    """Rows chunk by chunk; a row that needs an earlier event waits until the file has shown it."""

    context: Context
    outer: Session | None
    now: datetime
    report: Enrolment
    waiting: dict[CaseKey, list[RosterRow]] = field(default_factory=dict)

    def take(self, chunk: Sequence[RosterRow]) -> None:
        """Apply a chunk, after what waited of its cases."""
        keys = dict.fromkeys(key_of(self.context, row) for row in chunk)
        waited = [row for key in keys for row in self.waiting.pop(key, ())]
        count = sum(map(len, self.waiting.values()))
        deferred = self._apply([*waited, *chunk], may_defer=count < _MOST_WAITING)
        for row in deferred:
            self.waiting.setdefault(key_of(self.context, row), []).append(row)

    def finish(self) -> None:
        """Apply what still waits: now it stands or is refused."""
        left = [row for rows in self.waiting.values() for row in rows]
        for chunk in _chunks(left, Enrolment()):
            self._apply(chunk, may_defer=False)

    def _apply(self, rows: Sequence[RosterRow], *, may_defer: bool) -> list[RosterRow]:
        """Apply rows in a transaction, of their own or the file's; returns those that must wait."""
        desk = Desk(self.context, self.now, may_defer)
        if self.outer is not None:
            _take(desk, self.outer, rows)
            self.outer.flush()
            self.outer.expunge_all()
        else:
            with self.context.db.transaction() as session:
                _take(desk, session, rows)
                crash_point("in_enrol")
            crash_point("after_enrol")
        _add(self.report, desk.report)
        return desk.deferred


def _take(desk: Desk, session: Session, rows: Sequence[RosterRow]) -> None:
    """All rows at once; where a case cannot be worked out, case by case, so that only it fails."""
    attempt = Desk(desk.context, desk.now, desk.may_defer)
    try:
        with session.begin_nested():
            attempt.enrol(session, rows)
    except QidaError as error:
        cases = list(by_case(desk.context, rows).values())
        if len(cases) > 1:
            for of_case in cases:
                _take(desk, session, of_case)
            return
        attempt = Desk(desk.context, desk.now, desk.may_defer)
        attempt.refuse(rows, error)
    _add(desk.report, attempt.report)
    desk.deferred += attempt.deferred


def _add(report: Enrolment, part: Enrolment) -> None:
    for name in ("new", "changed", "unchanged", "events", "planned", "moved"):
        setattr(report, name, getattr(report, name) + getattr(part, name))
    report.blame(part.faults)
    for text, where in part.notes.items():
        report.note(text, where)


def record_event(
    context: Context, case_id: str, event: str, at: datetime, *, now: datetime
) -> Enrolment:
    """Record one event of a case on file. Raises BadData where it cannot stand."""
    with context.db.reading() as session:
        case = case_files(session, [case_id])[case_id].case
    row = RosterRow(
        place=f"{case.reference} {event}",
        reference=case.reference,
        centre=case.centre_id,
        event=event,
        occurred_at=in_china(at),
    )
    report = enrol_rows(context, [row], now=now)
    if report.faults:
        first = report.faults[0].message
        raise BadData(first.zh, first.en)
    return report


def void_event(
    context: Context, event_id: str, reason: str, *, case_id: str, actor: str, now: datetime
) -> None:
    """Take an event of a case back, with a reason; everything is worked out anew.

    Raises BadData for an unknown event, or where another event needs this one.
    """
    if not reason.strip():
        raise BadData("作废事项须写明理由 --reason", "voiding an event needs a reason: --reason")
    with context.db.transaction() as session:
        row = session.get(CaseEventRow, event_id)
        if row is None or row.voided_at is not None or row.case_id != case_id:
            raise BadData(f"没有有效的事项 {event_id}", f"no event {event_id} in force")
        lock_cases(session, [row.case_id])
        file = case_files(session, [row.case_id])[row.case_id]
        file.events = [event for event in file.events if event.id != event_id]
        _refuse_broken_order(context, file, now)
        row.voided_at, row.void_reason = now, reason
        voided = {"event": row.event}
        append_audit(session, Entry(row.centre_id, now, actor, "event.voided", row.id, voided))
        rework(session, context, file, now=now, cause="event voided")


def _refuse_broken_order(context: Context, file: CaseFile, now: datetime) -> None:
    case = file.case
    left = [Event(row.event, row.occurred_at) for row in file.events]
    refused = refusals(
        context.procedure(case.procedure),
        left,
        lambda rule: context.terms(rule, case.centre_id, case.bank),
        now,
    )
    if refused:
        event, reason = refused[0]
        raise BadData(
            f"作废后 {event.name} 无法成立：{reason.zh}",
            f"without it {event.name} cannot stand: {reason.en}",
        )


__all__ = ["Enrolment", "enrol_file", "enrol_rows", "record_event", "void_event"]
