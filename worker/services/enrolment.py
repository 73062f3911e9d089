"""Enrolling: rows of a roster become cases, events, deadlines and planned reminders.

Check, then apply, in chunks: a bad row is reported with its place and stops nobody else's. A dry
run does exactly the same and takes it back, so that both give the same answer.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from worker.crashpoints import crash_point
from worker.domain.calendar import in_china, midnight
from worker.domain.cases import Event, refusals
from worker.domain.contacts import PhonePolicy
from worker.domain.errors import BadData, Fault, QidaError, Text
from worker.domain.rules import NEEDS_EARLIER, Procedure
from worker.rosters import RosterRow, read_roster
from worker.services.casework import rework
from worker.services.context import Context
from worker.store.audit import Entry, append_audit
from worker.store.cases import CaseFile, case_files, case_ids, contact, lock_cases
from worker.store.database import Session, new_id
from worker.store.tables import CaseEventRow, CaseRow

CHUNK = 500
_DEFERRED = 20_000
_CASE_MEND = Text("请更正该行后重新导入；其余行不受影响", "mend this row and enrol the file again")


@dataclass(slots=True)
class Enrolment:
    """What a roster did, or would do: cases by what happened to them, and every bad row."""

    rows: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    events: int = 0
    planned: int = 0
    moved: int = 0
    faults: list[Fault] = field(default_factory=list)
    notes: list[tuple[str, Text]] = field(default_factory=list)


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
    deferred: list[RosterRow] = []
    with _outer(context, together) as outer:
        savepoint = outer.begin_nested() if outer is not None else None
        for chunk in _chunks(rows, report):
            deferred += _apply(context, outer, chunk, report, now, may_defer=True)
            progress(report.rows)
        for again in _chunks(deferred, Enrolment()):
            _apply(context, outer, again, report, now, may_defer=False)
        if savepoint is not None and (dry_run or report.faults):
            savepoint.rollback()
            if not dry_run:
                report.new = report.changed = report.events = report.planned = 0
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
            report.faults.append(row)
            continue
        report.rows += 1
        chunk.append(row)
        if len(chunk) >= CHUNK and row.reference != chunk[-2].reference:
            yield chunk[:-1]
            chunk = chunk[-1:]
    if chunk:
        yield chunk


class _CaseRefused(Exception):
    """A case of a chunk cannot be worked out; the chunk is taken again without it."""

    def __init__(self, key: tuple[str, str], error: QidaError) -> None:
        super().__init__(key)
        self.key = key
        self.error = error


def _apply(
    context: Context,
    outer: Session | None,
    chunk: Sequence[RosterRow],
    report: Enrolment,
    now: datetime,
    *,
    may_defer: bool,
) -> list[RosterRow]:
    """Apply a chunk in a transaction of its own; returns the rows to try again at the end."""
    rows = list(chunk)
    while True:
        desk = _Desk(context, now, may_defer=may_defer and len(report.faults) < _DEFERRED)
        try:
            if outer is not None:
                with outer.begin_nested():
                    desk.enrol(outer, rows)
            else:
                with context.db.transaction() as session:
                    desk.enrol(session, rows)
                    crash_point("in_enrol")
                crash_point("after_enrol")
        except _CaseRefused as refused:
            taken = [row for row in rows if desk.key_of(row) == refused.key]
            rows = [row for row in rows if desk.key_of(row) != refused.key]
            report.faults += [Fault(row.place, refused.error.text, _CASE_MEND) for row in taken]
            continue
        _add(report, desk.report)
        return desk.deferred


def _add(report: Enrolment, part: Enrolment) -> None:
    for name in ("new", "changed", "unchanged", "events", "planned", "moved"):
        setattr(report, name, getattr(report, name) + getattr(part, name))
    report.faults += part.faults
    report.notes += part.notes


@dataclass(slots=True)
class _Desk:
    """One transaction's worth of rows."""

    context: Context
    now: datetime
    may_defer: bool
    report: Enrolment = field(default_factory=Enrolment)
    deferred: list[RosterRow] = field(default_factory=list)

    def key_of(self, row: RosterRow) -> tuple[str, str]:
        """Centre and reference: what a case is known by."""
        only = next(iter(self.context.centres)) if len(self.context.centres) == 1 else ""
        return row.centre or only, row.reference

    def enrol(self, session: Session, rows: Sequence[RosterRow]) -> None:
        """Apply rows, case by case. Raises _CaseRefused."""
        groups: dict[tuple[str, str], list[RosterRow]] = {}
        for row in rows:
            if fault := self._centre_fault(row):
                self.report.faults.append(fault)
            else:
                groups.setdefault(self.key_of(row), []).append(row)
        files = self._stored(session, groups)
        for key, of_case in groups.items():
            try:
                self._case(session, files.get(key), key[0], of_case)
            except QidaError as error:
                raise _CaseRefused(key, error) from error

    def _centre_fault(self, row: RosterRow) -> Fault | None:
        centre_id, _ = self.key_of(row)
        if centre_id in self.context.centres:
            return None
        known = "、".join(sorted(self.context.centres))
        said = Text("没有写明网点，而网点不止一个", "which centre? there are several")
        if centre_id:
            said = Text(f"没有网点「{centre_id}」", f"no centre {centre_id!r}")
        return Fault(row.place, said, Text(f"网点列可填：{known}", f"centre is one of: {known}"))

    def _stored(
        self, session: Session, groups: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], CaseFile]:
        by_centre: dict[str, list[str]] = {}
        for centre_id, reference in groups:
            by_centre.setdefault(centre_id, []).append(reference)
        found: dict[tuple[str, str], CaseFile] = {}
        for centre_id, references in by_centre.items():
            ids = case_ids(session, centre_id, references)
            lock_cases(session, list(ids.values()))
            for file in case_files(session, list(ids.values())).values():
                found[centre_id, file.case.reference] = file
        return found

    def _case(
        self, session: Session, file: CaseFile | None, centre_id: str, rows: Sequence[RosterRow]
    ) -> None:
        is_new = file is None
        if file is None:
            file = self._opened(centre_id, rows)
            if file is None:
                return
        procedure = self.context.procedure(file.case.procedure)
        changed = self._write_contact(session, file.case, rows, is_new=is_new)
        added = self._new_events(file, procedure, rows)
        if is_new and not added and any(row.event for row in rows):
            return  # every event was refused: do not leave an empty case behind
        if is_new:
            session.add(file.case)
            session.flush()
        session.add_all(added)
        file.events += added
        if is_new or changed or added:
            self._rework(session, file, rows)
        self.report.events += len(added)
        outcome = "new" if is_new else "changed" if changed or added else "unchanged"
        setattr(self.report, outcome, getattr(self.report, outcome) + 1)

    def _rework(self, session: Session, file: CaseFile, rows: Sequence[RosterRow]) -> None:
        done = rework(session, self.context, file, now=self.now, cause="event recorded")
        self.report.planned += done.planned
        self.report.moved += done.moved
        self.report.notes += [(rows[0].place, _lapsed_note(rule_id)) for rule_id in done.lapsed]

    def _opened(self, centre_id: str, rows: Sequence[RosterRow]) -> CaseFile | None:
        """A new case from its rows, or None with the reasons reported."""
        centre = self.context.centre(centre_id)
        named = _first(rows, "procedure")
        if fault := _missing(rows, named):
            self.report.faults.append(fault)
            return None
        procedure = self.context.procedure(named)
        if procedure.id not in centre.procedures:
            offered = "、".join(centre.procedures)
            raise BadData(
                f"网点 {centre_id} 不办理业务 {procedure.id}；可办：{offered}",
                f"centre {centre_id} does not offer {procedure.id}; it offers: {offered}",
            )
        bank = _first(rows, "bank")
        for rule in procedure.rules:
            self.context.terms(rule, centre_id, bank)  # refuses a case without its bank's period
        if procedure.warning is not None:
            self.report.notes.append((rows[0].place, procedure.warning))
        return CaseFile(
            CaseRow(
                id=new_id(self.now),
                centre_id=centre_id,
                reference=rows[0].reference,
                procedure=procedure.id,
                language=_first(rows, "language") or "zh",
                card_last4=_first(rows, "card_last4"),
                bank=bank,
                state="open",
                version=1,
                created_at=self.now,
                updated_at=self.now,
            )
        )

    def _write_contact(
        self, session: Session, case: CaseRow, rows: Sequence[RosterRow], *, is_new: bool
    ) -> bool:
        """Write every filled cell that says something new; the audit tells which, never what."""
        changed = [name for name in ("language", "card_last4", "bank")
                   if (value := _last(rows, name)) and value != getattr(case, name)]  # fmt: skip
        for name in changed:
            setattr(case, name, _last(rows, name))
        procedure = _last(rows, "procedure")
        if procedure and procedure != case.procedure:
            raise BadData(
                f"案件已按业务 {case.procedure} 登记，不能改为 {procedure}；请另立编号",
                f"the case is under {case.procedure}; enrol {procedure} with its own reference",
            )
        for name in ("name", "phone", "email", "second_phone"):
            value = _last(rows, name)
            if value and value != self._known(case, name):
                self._seal(case, name, value)
                changed.append(name)
        if changed and not is_new:
            case.version += 1
            entry = Entry(case.centre_id, self.now, "enrolment", "case.changed", case.id,
                          {"fields": sorted(changed)})  # fmt: skip
            append_audit(session, entry)
        return bool(changed) and not is_new

    def _known(self, case: CaseRow, name: str) -> str:
        recipient = "second_contact" if name == "second_phone" else "citizen"
        what = {"phone": "sms", "second_phone": "sms"}.get(name, name)
        return contact(self.context.keys, case, recipient, what)

    def _seal(self, case: CaseRow, name: str, value: str) -> None:
        keys, column = self.context.keys, f"{name}_sealed"
        sealed = keys.seal(
            value, table="case", column=column, row_id=case.id, centre_id=case.centre_id
        )
        setattr(case, column, sealed)
        if name != "name":
            setattr(case, f"{name}_index", keys.index(value, centre_id=case.centre_id))

    def _new_events(
        self, file: CaseFile, procedure: Procedure, rows: Sequence[RosterRow]
    ) -> list[CaseEventRow]:
        """The rows' events that are not on record yet and may stand; the others are reported."""
        known = {(row.event, row.occurred_at) for row in file.events}
        fresh: dict[Event, RosterRow] = {}
        for row in rows:
            event = _event_of(row)
            if event is not None and (event.name, event.occurred_at) not in known:
                known.add((event.name, event.occurred_at))
                fresh[event] = row
        self._drop_refused(file, procedure, fresh)
        return [self._event_row(file.case, event, row) for event, row in fresh.items()]

    def _drop_refused(
        self, file: CaseFile, procedure: Procedure, fresh: dict[Event, RosterRow]
    ) -> None:
        case = file.case
        stored = [Event(row.event, row.occurred_at) for row in file.events]
        while True:
            refused = refusals(
                procedure,
                [*stored, *fresh],
                lambda rule: self.context.terms(rule, case.centre_id, case.bank),
                self.now,
            )
            mine = [(event, reason) for event, reason in refused if event in fresh]
            if not mine:
                return
            for event, reason in mine:
                row = fresh.pop(event)
                if (
                    self.may_defer
                    and event.name in NEEDS_EARLIER
                    and event.name in procedure.events
                ):
                    self.deferred.append(row)
                else:
                    self.report.faults.append(Fault(row.place, reason, _CASE_MEND))

    def _event_row(self, case: CaseRow, event: Event, row: RosterRow) -> CaseEventRow:
        return CaseEventRow(
            id=new_id(self.now),
            centre_id=case.centre_id,
            case_id=case.id,
            event=event.name,
            occurred_at=event.occurred_at,
            recorded_at=self.now,
            source=row.place,
        )


def _event_of(row: RosterRow) -> Event | None:
    if row.event is None:
        return None
    if row.occurred_at is not None:
        return Event(row.event, row.occurred_at)
    if row.occurred_on is not None:
        return Event(row.event, midnight(row.occurred_on), date_only=True)
    return None


def _missing(rows: Sequence[RosterRow], procedure: str) -> Fault | None:
    """A case's first row names its procedure and a way to reach the person."""
    if not procedure:
        return Fault(
            rows[0].place,
            Text("新案件没有写明业务", "a new case names no procedure"),
            Text("请在该案件的第一行填写「业务」列", "fill in procedure on the case's first row"),
        )
    if not any(row.phone or row.email for row in rows):
        return Fault(
            rows[0].place,
            Text("新案件没有手机也没有邮箱", "a new case has neither phone nor e-mail"),
            Text("请至少填写手机或邮箱", "give a phone number or an e-mail address"),
        )
    return None


def _first(rows: Sequence[RosterRow], name: str) -> str:
    return next((value for row in rows if (value := getattr(row, name))), "")


def _last(rows: Sequence[RosterRow], name: str) -> str:
    return _first(list(reversed(rows)), name)


def _lapsed_note(rule_id: str) -> Text:
    return Text(
        f"{rule_id} 的期限在登记前已过，不再发送提醒",
        f"{rule_id} had lapsed before enrolment: no reminder is sent",
    )


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
