"""Applying: the rows of one transaction become cases, events, deadlines and reminders.

The desk checks what a row means for its case and reports what cannot stand; it never commits.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import PurePath
from typing import NamedTuple

from worker.domain.calendar import in_china, midnight
from worker.domain.cases import Event, refusals
from worker.domain.errors import BadData, Fault, QidaError, Text
from worker.domain.rules import NEEDS_EARLIER, Procedure
from worker.rosters import RosterRow, by_row
from worker.services.casework import rework_all
from worker.services.context import Context
from worker.store.audit import Entry, append_audit
from worker.store.cases import CaseFile, case_files, case_ids, contact, lock_cases
from worker.store.database import Session, new_id
from worker.store.tables import CaseEventRow, CaseRow

MOST_LISTED = 20_000
_CASE_MEND = Text("请更正该行后重新导入；其余行不受影响", "mend this row and enrol the file again")

CaseKey = tuple[str, str]
"""Centre and reference: what a case is known by."""


class Note(NamedTuple):
    """Where something was to be said: the first place, and how many rows."""

    place: str
    rows: int = 1


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
    unlisted: int = 0
    notes: dict[Text, Note] = field(default_factory=dict)

    @property
    def bad(self) -> int:
        """How many rows have a fault."""
        return len(by_row(self.faults)) + self.unlisted

    def rest(self) -> Text | None:
        """What to say of faults that are not listed, if there are any."""
        if not self.unlisted:
            return None
        return Text(
            f"另有 {self.unlisted} 行有误，未一一列出；请改好以上各行后重新导入",
            f"{self.unlisted} more rows are wrong and not listed; mend these and enrol again",
        )

    def blame(self, faults: Iterable[Fault]) -> None:
        """Report faults; beyond MOST_LISTED they are only counted, for they are kept in memory."""
        for fault in faults:
            if len(self.faults) < MOST_LISTED:
                self.faults.append(fault)
            else:
                self.unlisted += 1

    def note(self, text: Text, where: Note) -> None:
        """Say something about a row that is no fault."""
        place, rows = self.notes.get(text, Note(where.place, 0))
        self.notes[text] = Note(place, rows + where.rows)


@dataclass(slots=True)
class Desk:
    """One transaction's worth of rows."""

    context: Context
    now: datetime
    may_defer: bool
    report: Enrolment = field(default_factory=Enrolment)
    deferred: list[RosterRow] = field(default_factory=list)
    touched: list[tuple[CaseFile, str]] = field(default_factory=list)

    def enrol(self, session: Session, rows: Sequence[RosterRow]) -> None:
        """Apply rows, case by case. Raises QidaError where a case cannot be worked out."""
        known = []
        for row in rows:
            if fault := self._centre_fault(row):
                self.report.faults.append(fault)
            else:
                known.append(row)
        groups = by_case(self.context, known)
        files = self._stored(session, groups)
        for key, of_case in groups.items():
            file = files.get(key)
            if file is not None:
                self._case(session, file, of_case, is_new=False)
            elif opened := self._opened(key[0], of_case):
                self._case(session, opened, of_case, is_new=True)
        self._rework(session)

    def refuse(self, rows: Sequence[RosterRow], error: QidaError) -> None:
        """Report rows that cannot be applied."""
        self.report.faults += [Fault(row.place, error.text, _CASE_MEND) for row in rows]

    def _centre_fault(self, row: RosterRow) -> Fault | None:
        centre_id, _ = key_of(self.context, row)
        if centre_id in self.context.centres:
            return None
        known = sorted(self.context.centres)
        said = Text("没有写明网点，而网点不止一个", "which centre? there are several")
        if centre_id:
            said = Text(f"没有网点「{centre_id}」", f"no centre {centre_id!r}")
        listed = Text(f"网点列可填：{'、'.join(known)}", f"centre is one of: {', '.join(known)}")
        return Fault(row.place, said, listed)

    def _stored(self, session: Session, groups: Iterable[CaseKey]) -> dict[CaseKey, CaseFile]:
        by_centre: dict[str, list[str]] = {}
        for centre_id, reference in groups:
            by_centre.setdefault(centre_id, []).append(reference)
        found: dict[CaseKey, CaseFile] = {}
        for centre_id, references in by_centre.items():
            ids = case_ids(session, centre_id, references)
            lock_cases(session, list(ids.values()))
            for file in case_files(session, list(ids.values())).values():
                found[centre_id, file.case.reference] = file
        return found

    def _case(
        self, session: Session, file: CaseFile, rows: Sequence[RosterRow], *, is_new: bool
    ) -> None:
        procedure, reported = self.context.procedure(file.case.procedure), len(self.report.faults)
        changed = self._write_contact(session, file.case, rows, is_new=is_new)
        added, waiting = self._new_events(file, procedure, rows)
        if is_new and not added and any(row.event for row in rows):
            if waiting:  # all its rows come again, with what is wrong with them
                self.deferred += rows
                del self.report.faults[reported:]
            return  # no event stands: do not leave an empty case behind
        self.deferred += [_event_alone(row) for row in waiting]
        if is_new:
            session.add(file.case)
            if procedure.warning is not None:
                self.report.note(procedure.warning, Note(rows[0].place))
        session.add_all(added)
        file.events += added
        if is_new or changed or added:
            self.touched.append((file, rows[0].place))
        self.report.events += len(added)
        outcome = "new" if is_new else "changed" if changed or added else "unchanged"
        setattr(self.report, outcome, getattr(self.report, outcome) + 1)

    def _rework(self, session: Session) -> None:
        files = [file for file, _ in self.touched]
        works = rework_all(session, self.context, files, now=self.now, cause="event recorded")
        for (_, place), done in zip(self.touched, works, strict=True):
            self.report.planned += done.planned
            self.report.moved += done.moved
            for rule_id in done.lapsed:
                self.report.note(_lapsed_note(rule_id), Note(place))

    def _opened(self, centre_id: str, rows: Sequence[RosterRow]) -> CaseFile | None:
        """A new case from its rows, or None with the reasons reported."""
        named = _first(rows, "procedure")
        bank = _first(rows, "bank")
        if fault := _missing(rows, named):
            self.report.faults.append(fault)
            return None
        try:
            procedure = self._offered(centre_id, named)
            for rule in procedure.rules:
                self.context.terms(rule, centre_id, bank)  # refuses one without its bank's period
        except BadData as error:
            self.refuse(rows, error)
            return None
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

    def _offered(self, centre_id: str, procedure_id: str) -> Procedure:
        """A procedure the centre offers. Raises BadData."""
        centre = self.context.centre(centre_id)
        procedure = self.context.procedure(procedure_id)
        if procedure.id not in centre.procedures:
            offered = centre.procedures
            raise BadData(
                f"网点 {centre_id} 不办理业务 {procedure.id}；可办：{'、'.join(offered)}",
                f"centre {centre_id} has no {procedure.id}; it offers: {', '.join(offered)}",
            )
        return procedure

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
    ) -> tuple[list[CaseEventRow], list[RosterRow]]:
        """The rows' events that are new and may stand, and the rows that must wait for another.

        The others are reported.
        """
        known = {(row.event, row.occurred_at) for row in file.events}
        timed = [(row.event, in_china(row.occurred_at)) for row in file.events]
        timed += [(row.event, row.occurred_at) for row in rows if row.event and row.occurred_at]
        fresh: dict[Event, RosterRow] = {}
        for row in rows:
            event = _event_of(row, timed)
            if event is not None and (event.name, event.occurred_at) not in known:
                known.add((event.name, event.occurred_at))
                fresh[event] = row
        waiting = self._drop_refused(file, procedure, fresh)
        return [self._event_row(file.case, event, row) for event, row in fresh.items()], waiting

    def _drop_refused(
        self, file: CaseFile, procedure: Procedure, fresh: dict[Event, RosterRow]
    ) -> list[RosterRow]:
        """Take what cannot stand out of `fresh`; returns what may stand once the file is read."""
        case = file.case
        stored = [Event(row.event, row.occurred_at) for row in file.events]
        waiting: list[RosterRow] = []
        while True:
            refused = refusals(
                procedure,
                [*stored, *fresh],
                lambda rule: self.context.terms(rule, case.centre_id, case.bank),
                self.now,
            )
            mine = [(event, reason) for event, reason in refused if event in fresh]
            if not mine:
                return waiting
            for event, reason in mine:
                row = fresh.pop(event)
                if self.may_defer and event.name in NEEDS_EARLIER.keys() & procedure.events:
                    waiting.append(row)
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
            source=discreet(row.place),
        )


def key_of(context: Context, row: RosterRow) -> CaseKey:
    """The case a row belongs to."""
    only = next(iter(context.centres)) if len(context.centres) == 1 else ""
    return row.centre or only, row.reference


def by_case(context: Context, rows: Iterable[RosterRow]) -> dict[CaseKey, list[RosterRow]]:
    """Rows by case, in the order they came."""
    groups: dict[CaseKey, list[RosterRow]] = {}
    for row in rows:
        groups.setdefault(key_of(context, row), []).append(row)
    return groups


def _event_alone(row: RosterRow) -> RosterRow:
    """The row without the contact, which was written: a later row may have changed it since."""
    return RosterRow(
        row.place,
        row.reference,
        row.centre,
        event=row.event,
        occurred_at=row.occurred_at,
        occurred_on=row.occurred_on,
    )


def _event_of(row: RosterRow, timed: Sequence[tuple[str, datetime]]) -> Event | None:
    """The row's event. A bare date stands at the latest other event of its case on that day: who
    writes no hour means "that day", not "before all else that happened on it"."""
    if row.event is None:
        return None
    if row.occurred_at is not None:
        return Event(row.event, row.occurred_at)
    if row.occurred_on is not None:
        start = midnight(row.occurred_on)
        of_day = [(name, at) for name, at in timed if at.date() == row.occurred_on]
        same = [at for name, at in of_day if name == row.event]  # it is on record: nothing new
        others = [at for _, at in of_day]
        return Event(row.event, max(same or others, default=start), date_only=True)
    return None


def discreet(place: str) -> str:
    """A place without the file's name, which may hold a person's: a short hash stands for it."""
    found = _PLACE.fullmatch(place)
    return discreet_name(found[1]) + found[2] if found else place


def discreet_name(name: str) -> str:
    """A short hash of a file's name, and its suffix."""
    digest = sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return digest[:8] + PurePath(name).suffix


_PLACE = re.compile(r"(.*?)(?:, sheet .*)?(, row \d+|:\d+(?::\d+)?)", re.DOTALL)


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
