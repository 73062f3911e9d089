"""Enrolling: a roster's rows, chunk by chunk, become cases with deadlines and reminders.

A bad row is reported with its place and stops nobody else's. A dry run does exactly the same and
takes it back chunk by chunk, so that both give the same answer and no worker waits long. Single
events of a case are recorded here too.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from worker.crashpoints import crash_point
from worker.domain.calendar import in_china
from worker.domain.cases import Event, Objection, refusals
from worker.domain.contacts import event_word
from worker.domain.errors import BadData, Fault, QidaError, Text, Unavailable
from worker.rosters import EVENT_WORDS, RosterRow, read_roster
from worker.services.applying import (
    CaseKey,
    Desk,
    Enrolment,
    Note,
    Outcome,
    by_case,
    discreet,
    event_alone,
    key_of,
)
from worker.services.casework import event_of, rework
from worker.services.context import Context
from worker.services.refusing import any_centres_phones
from worker.store.audit import Entry, append_audit
from worker.store.cases import CaseFile, case_files, lock_cases
from worker.store.database import Session
from worker.store.tables import CaseEventRow

log = logging.getLogger(__name__)

CHUNK = 500
_MOST_WAITING = 20_000
"""How many rows may wait for an earlier event further down the file: they are kept in memory."""
_MOST_REPEATED = 50_000
"""How many rows a dry run keeps to repeat, where a case goes on in a later chunk."""
_MOST_COUNTED = 50_000
"""How many cases are known again when the file comes back to them, so that they count once."""


def enrol_file(
    context: Context,
    path: Path,
    *,
    now: datetime,
    dry_run: bool = False,
    all_or_nothing: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Enrolment:
    """Enrol every good row of a roster file; with `all_or_nothing` only if none is bad.

    Raises BadData where the file as a whole cannot be read.
    """
    words = event_words(context)

    def enrol(*, dry_run: bool) -> Enrolment:
        rows = read_roster(path, phones=any_centres_phones(context), now=now, events=words)
        return enrol_rows(context, rows, now=now, dry_run=dry_run, progress=progress)

    if not all_or_nothing:
        return enrol(dry_run=dry_run)
    tried = enrol(dry_run=True)
    if tried.faults:
        tried.new = tried.changed = tried.events = tried.planned = tried.moved = 0
    return tried if tried.faults or dry_run else enrol(dry_run=False)


@dataclass(slots=True)
class Bookmark:
    """How far a file was taken, for who goes on after a stop or crash: no row twice, none lost.

    `number` is that of the last row applied; `waiting` are rows before it that need one further
    down, True where only the event is left to record. `save` is called within the transaction of
    each chunk, and what it raises takes the chunk back. `is_done` tells that the end was reached.
    """

    report: Enrolment
    save: Callable[[Session], None]
    keep_going: Callable[[], bool]
    number: int = 0
    waiting: dict[int, bool] = field(default_factory=dict)
    is_done: bool = False


def enrol_rows(
    context: Context,
    rows: Iterable[RosterRow | Fault],
    *,
    now: datetime,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda _: None,
    bookmark: Bookmark | None = None,
) -> Enrolment:
    """Enrol rows already read, from the bookmark on if there is one; see `enrol_file`."""
    report = bookmark.report if bookmark else Enrolment()
    queue = _Queue(context, dry_run, now, report, bookmark)
    for chunk in _chunks(queue.unread(rows), report):
        queue.take(chunk)
        progress(report.rows)
        if bookmark and not bookmark.keep_going():
            return report
    queue.finish()
    if bookmark:
        bookmark.is_done = True
    report.in_order()
    return report


def _chunks(rows: Iterable[RosterRow | Fault], report: Enrolment) -> Iterator[list[RosterRow]]:
    chunk: list[RosterRow] = []
    for row in rows:
        if isinstance(row, Fault):
            report.blame([row])
            continue
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
    dry_run: bool
    now: datetime
    report: Enrolment
    bookmark: Bookmark | None
    waiting: dict[CaseKey, list[RosterRow]] = field(default_factory=dict)
    earlier: dict[CaseKey, list[RosterRow]] = field(default_factory=dict)
    repeated: int = 0
    counted: dict[int, Outcome] = field(default_factory=dict)
    idle: dict[CaseKey, tuple[Text, Note]] = field(default_factory=dict)

    def unread(self, rows: Iterable[RosterRow | Fault]) -> Iterator[RosterRow | Fault]:
        """The rows beyond the bookmark; those before it wait if they did, and count no more."""
        for row in rows:
            if self.bookmark is None or isinstance(row, Fault) or row.number > self.bookmark.number:
                yield row
            elif (is_event := self.bookmark.waiting.get(row.number)) is not None:
                self._wait(event_alone(row) if is_event else row)
            elif len(self.counted) < _MOST_COUNTED:
                self.counted[hash(key_of(self.context, row))] = "new"

    def _wait(self, row: RosterRow) -> None:
        self.waiting.setdefault(key_of(self.context, row), []).append(row)

    def take(self, chunk: Sequence[RosterRow]) -> None:
        """Apply a chunk, after what waited of its cases."""
        self.report.rows += len(chunk)
        if self.bookmark is not None:
            self.bookmark.number = chunk[-1].number
        keys = dict.fromkeys(key_of(self.context, row) for row in chunk)
        waited = [row for key in keys for row in self.waiting.pop(key, ())]
        count = sum(map(len, self.waiting.values()))
        self._apply([*waited, *chunk], may_defer=count < _MOST_WAITING)

    def finish(self) -> None:
        """Apply what still waits: now it stands or is refused."""
        left = [row for rows in self.waiting.values() for row in rows]
        for chunk in _chunks(left, Enrolment()):
            for row in chunk:
                self.waiting.pop(key_of(self.context, row), None)
            self._apply(chunk, may_defer=False)
        self._say_idle()

    def _apply(self, rows: Sequence[RosterRow], *, may_defer: bool) -> None:
        """Apply rows in a transaction of their own, and note what they led to within it."""
        desk = Desk(self.context, self.now, may_defer)
        with self.context.db.transaction() as session:
            if self.dry_run:
                self._try(desk, session, rows)
            else:
                _take(desk, session, rows)
            for row in desk.deferred:
                self._wait(row)
            _add(self.report, desk.report)
            self._count(desk)
            self._mark(session)
            if not self.dry_run:
                crash_point("in_enrol")
        if not self.dry_run:
            crash_point("after_enrol")

    def _mark(self, session: Session) -> None:
        if self.bookmark is not None:
            waiting = (row for rows in self.waiting.values() for row in rows)
            self.bookmark.waiting = {row.number: row == event_alone(row) for row in waiting}
            self.bookmark.save(session)

    def _count(self, desk: Desk) -> None:
        """Count every case once, however often the file comes back to it."""
        for key, outcome in desk.outcomes.items():
            known = self.counted.get(hash(key))
            if outcome != "unchanged":
                self.idle.pop(key, None)
            if known in (outcome, "new") or (outcome == "unchanged" and known):
                continue
            if known:
                self.report.unchanged -= 1
            setattr(self.report, outcome, getattr(self.report, outcome) + 1)
            if len(self.counted) < _MOST_COUNTED:
                self.counted[hash(key)] = outcome
        self.idle |= desk.idle
        if len(self.idle) > _MOST_WAITING:
            self._say_idle()

    def _say_idle(self) -> None:
        """What the rest of the file did not change: these cases have nothing to remind of."""
        for text, where in self.idle.values():
            self.report.note(text, where)
        self.idle.clear()

    def _try(self, desk: Desk, session: Session, rows: Sequence[RosterRow]) -> None:
        """Apply rows and take them back; what this file said of their cases is repeated first."""
        groups = by_case(self.context, rows)
        before = [row for key in groups for row in self.earlier.get(key, ())]
        savepoint = session.begin_nested()
        if before:
            _take(Desk(self.context, self.now, may_defer=True), session, before)
            session.flush()
            session.expunge_all()
        _take(desk, session, rows)
        session.flush()
        savepoint.rollback()
        waits = set(map(id, desk.deferred))
        for key, of_case in groups.items():
            if self.repeated < _MOST_REPEATED:
                kept = [row for row in of_case if id(row) not in waits]
                self.earlier.setdefault(key, []).extend(kept)
                self.repeated += len(kept)


def _take(desk: Desk, session: Session, rows: Sequence[RosterRow]) -> None:
    """All rows at once; where a case cannot be worked out, case by case, so that only it fails."""
    attempt = Desk(desk.context, desk.now, desk.may_defer)
    try:
        with session.begin_nested():
            attempt.enrol(session, rows)
    except Exception as error:
        if _is_of_the_database(error):
            raise
        cases = list(by_case(desk.context, rows).values())
        if len(cases) > 1:
            for of_case in cases:
                _take(desk, session, of_case)
            return
        attempt = Desk(desk.context, desk.now, desk.may_defer)
        attempt.refuse(rows, _of_the_case(error, rows))
    _add(desk.report, attempt.report)
    desk.deferred += attempt.deferred
    desk.outcomes |= attempt.outcomes
    desk.idle |= attempt.idle


_OF_THE_DATABASE = frozenset(
    {"OperationalError", "InterfaceError", "InternalError", "TimeoutError"}
)
"""By name, as PEP 249 has them: the library that raises them is the store's affair."""


def _is_of_the_database(error: Exception) -> bool:
    """Not of the data: out of reach, full or busy. It holds for all cases and ends the file."""
    return isinstance(error, Unavailable) or type(error).__name__ in _OF_THE_DATABASE


def _of_the_case(error: Exception, rows: Sequence[RosterRow]) -> QidaError:
    if isinstance(error, QidaError):
        return error
    kind = type(error).__name__  # without its text: that may repeat what the cells hold
    log.error("case.not_enrolled", extra={"place": discreet(rows[0].place), "reason": kind})
    said = Text(f"意外错误 {kind}，该案件未登记", f"unforeseen {kind}: the case was not enrolled")
    return BadData(said.zh, said.en)


def _add(report: Enrolment, part: Enrolment) -> None:
    for name in ("events", "planned", "moved"):
        setattr(report, name, getattr(report, name) + getattr(part, name))
    report.blame(part.faults)
    for text, where in part.notes.items():
        report.note(text, where)


def record_event(
    context: Context, case_id: str, event: str, at: datetime, *, now: datetime
) -> Enrolment:
    """Record one event of a case on file; the event's name or a word for it, as in rosters.

    Raises BadData where it cannot stand.
    """
    with context.db.reading() as session:
        case = case_files(session, [case_id])[case_id].case
    row = RosterRow(
        place="command",
        reference=case.reference,
        centre=case.centre_id,
        event=event_words(context).get(event, event),
        occurred_at=in_china(at),
    )
    report = enrol_rows(context, [row], now=now)
    if report.faults:
        first = report.faults[0]
        raise BadData(
            f"{first.message.zh}；{first.mend.zh}", f"{first.message.en}; {first.mend.en}"
        )
    return report


def event_words(context: Context) -> dict[str, str]:
    """Every word for an event, with the event it means."""
    return {**EVENT_WORDS, **context.rulebook.event_words}


def void_event(  # noqa: PLR0913  # who asks, why, and what they last saw of the case
    context: Context,
    event_id: str,
    reason: str,
    *,
    case_id: str,
    actor: str,
    now: datetime,
    expected: Callable[[CaseFile], None] = lambda _: None,
) -> None:
    """Take an event of a case back, with a reason; everything is worked out anew.

    `expected` sees the case before anything is done and may raise. Raises BadData for an unknown
    event, or where another event needs this one.
    """
    if not reason.strip():
        raise BadData("作废事项须写明理由 --reason", "voiding an event needs a reason: --reason")
    with context.db.transaction() as session:
        lock_cases(session, [case_id])  # before reading: of two who void at once one comes second
        file = case_files(session, [case_id])[case_id]
        expected(file)
        row = next((event for event in file.events if event.id == event_id), None)
        if row is None:
            raise BadData(f"没有有效的事项 {event_id}", f"no event {event_id} in force")
        _refuse_broken_order(context, file, row, now)
        file.events = [event for event in file.events if event is not row]
        row.voided_at, row.void_reason = now, reason
        # The trail is for ever: free text stays with the event, where it can be erased
        voided = {"event": row.event, "reason_digest": context.keys.digest(reason)}
        append_audit(session, Entry(row.centre_id, now, actor, "event.voided", row.id, voided))
        rework(session, context, file, now=now, cause="event voided")


def _refuse_broken_order(
    context: Context, file: CaseFile, without: CaseEventRow, now: datetime
) -> None:
    """Refuse to void what another event needs; what could not stand before is no reason."""
    before = {event for event, _ in _refused(context, file, file.events, now)}
    left = [row for row in file.events if row is not without]
    broken = [one for one in _refused(context, file, left, now) if one[0] not in before]
    if broken:
        event, why = broken[0]
        raise BadData(
            f"作废后「{event_word(event.name)}」无法成立：{why.message.zh}；请先作废它",
            f"without it {event.name} cannot stand: {why.message.en}; void that one first",
        )


def _refused(
    context: Context, file: CaseFile, rows: Sequence[CaseEventRow], now: datetime
) -> list[tuple[Event, Objection]]:
    case = file.case
    return refusals(
        context.procedure(case.procedure),
        [event_of(row) for row in rows],
        lambda rule: context.terms(rule, case.centre_id, case.bank),
        now,
    )


__all__ = [
    "Bookmark",
    "Enrolment",
    "enrol_file",
    "enrol_rows",
    "event_words",
    "record_event",
    "void_event",
]
