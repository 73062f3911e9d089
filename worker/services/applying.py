"""Applying: the rows of one transaction become cases, events, deadlines and reminders.

The desk checks what a row means for its case and reports what cannot stand; it never commits.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from pathlib import PurePath
from typing import Literal, NamedTuple

from worker.domain.calendar import in_china, midnight
from worker.domain.cases import Event, refusals
from worker.domain.contacts import event_word
from worker.domain.errors import Fault, QidaError, Text
from worker.domain.rules import NEEDS_EARLIER, Procedure, Rule
from worker.rosters import RosterRow, by_row, row_at, row_of
from worker.services.casework import event_of, rework_all
from worker.services.context import Context
from worker.services.refusing import first_filled, left_with, sift, wrong_centre
from worker.services.team import wrong_hands
from worker.store.audit import Entry, append_audit
from worker.store.cases import CaseFile, case_files, case_ids, contact, lock_cases
from worker.store.database import Session, insert_rows, new_id
from worker.store.tables import CaseEventRow, CaseRow

MOST_LISTED = 20_000
_CASE_MEND = Text("请更正后重新登记；其余案件不受影响", "mend it and enrol again; others are done")

CaseKey = tuple[str, str]
"""Centre and reference: what a case is known by."""


Outcome = Literal["new", "changed", "unchanged"]
"""What became of a case; the first of them counts where its rows say several."""


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
        more = "1 more row is" if self.unlisted == 1 else f"{self.unlisted} more rows are"
        return Text(
            f"另有 {self.unlisted} 行有误，未一一列出；请改好以上各行后重新登记",
            f"{more} wrong and not listed; mend these and enrol again",
        )

    def blame(self, faults: Iterable[Fault]) -> None:
        """Report faults; beyond MOST_LISTED they are only counted, for they are kept in memory."""
        for fault in faults:
            if len(self.faults) < MOST_LISTED:
                self.faults.append(fault)
            else:
                self.unlisted += 1

    def in_order(self) -> None:
        """Put faults and notes into the order of the file's rows."""
        self.faults.sort(key=row_of)
        self.notes = dict(sorted(self.notes.items(), key=lambda said: row_at(said[1].place)))

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
    team_only: bool = False
    report: Enrolment = field(default_factory=Enrolment)
    deferred: list[RosterRow] = field(default_factory=list)
    touched: list[tuple[CaseFile, str]] = field(default_factory=list)
    outcomes: dict[CaseKey, Outcome] = field(default_factory=dict)
    idle: dict[CaseKey, tuple[Text, Note]] = field(default_factory=dict)
    fresh: list[CaseRow | CaseEventRow] = field(default_factory=list)

    def enrol(self, session: Session, rows: Sequence[RosterRow]) -> None:
        """Apply rows, case by case. Raises QidaError where a case cannot be worked out."""
        known = []
        for row in rows:
            if fault := wrong_centre(self.context, row, key_of(self.context, row)[0]):
                self.report.faults.append(fault)
            else:
                known.append(row)
        groups = by_case(self.context, known)
        files = self._stored(session, groups)
        for key, of_case in groups.items():
            file = files.get(key)
            if file and file.case.team_only != self.team_only:
                is_trial = file.case.team_only
                self.report.faults += [wrong_hands(row, is_trial=is_trial) for row in of_case]
                continue
            sifted = sift(self.context, key[0], of_case, file.case.procedure if file else "")
            self.report.faults += sifted.faults
            if sifted.taken and (procedure := sifted.procedure):
                opened = file or self._opened(key, sifted.taken, procedure)
                self._case(session, opened, procedure, sifted.taken, is_new=file is None)
        self._rework(session)

    def refuse(self, rows: Sequence[RosterRow], error: QidaError) -> None:
        """Report rows that cannot be applied."""
        self.report.faults += [Fault(row.place, error.text, _CASE_MEND) for row in rows]

    def _stored(self, session: Session, groups: Iterable[CaseKey]) -> dict[CaseKey, CaseFile]:
        by_centre: dict[str, list[str]] = {}
        for centre_id, reference in groups:
            by_centre.setdefault(centre_id, []).append(reference)
        found: dict[CaseKey, CaseFile] = {}
        for centre_id, references in by_centre.items():
            ids = case_ids(session, centre_id, references)
            if not ids:  # all of them new, as most are: there is nothing to lock or to read
                continue
            lock_cases(session, list(ids.values()))
            for file in case_files(session, list(ids.values())).values():
                found[centre_id, file.case.reference] = file
        return found

    def _case(
        self,
        session: Session,
        file: CaseFile,
        procedure: Procedure,
        rows: Sequence[RosterRow],
        *,
        is_new: bool,
    ) -> None:
        reported = len(self.report.faults)
        changed = self._write_contact(session, file.case, rows, is_new=is_new)
        added, waiting = self._new_events(file, procedure, rows)
        if is_new and not added and any(row.event for row in rows):
            self._leave_out(rows, reported, waits=bool(waiting))
            return
        self.deferred += [event_alone(row) for row in waiting]
        if is_new:
            self.fresh.append(file.case)
            if procedure.warning is not None:
                self.report.note(procedure.warning, Note(rows[0].place))
        self.fresh += added
        file.events += added
        if is_new or changed or added:
            self.touched.append((file, rows[0].place))
        self.report.events += len(added)
        outcome: Outcome = "new" if is_new else "changed" if changed or added else "unchanged"
        self.outcomes[key_of(self.context, rows[0])] = outcome

    def _leave_out(self, rows: Sequence[RosterRow], reported: int, *, waits: bool) -> None:
        """No event of a new case stands: do not leave an empty case behind."""
        if waits:  # all its rows come again, with what is wrong with them
            self.deferred += rows
            del self.report.faults[reported:]
            return
        of_no_event = [row for row in rows if not row.event]
        self.report.faults += left_with(of_no_event, self.report.faults[reported].place)

    def _rework(self, session: Session) -> None:
        files = [file for file, _ in self.touched]
        works = rework_all(session, self.context, files, now=self.now, cause="event recorded")
        insert_rows(session, self.fresh)
        for (file, place), done in zip(self.touched, works, strict=True):
            self.report.planned += done.planned
            self.report.moved += done.moved
            for rule_id in done.lapsed:
                self.report.note(_lapsed_note(self.context.rule(rule_id)), Note(place))
            if not file.deadlines:
                note = _idle_note(self.context.procedure(file.case.procedure))
                self.idle[file.case.centre_id, file.case.reference] = note, Note(place)

    def _opened(self, key: CaseKey, rows: Sequence[RosterRow], procedure: Procedure) -> CaseFile:
        """A new case from its rows."""
        return CaseFile(
            CaseRow(
                id=new_id(self.now),
                centre_id=key[0],
                reference=key[1],
                procedure=procedure.id,
                language=first_filled(rows, "language") or "zh",
                card_last4=first_filled(rows, "card_last4"),
                bank=first_filled(rows, "bank"),
                team_only=self.team_only,
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
        recorded = [event_of(row) for row in file.events]
        events = [(event, row) for row in rows if (event := event_in(row))]
        known = {(event.name, event.occurred_at) for event in recorded}
        of_bare = {_day_of(event) for event in recorded if event.date_only}
        of_timed = {_day_of(event) for event in [*recorded, *(event for event, _ in events)]
                    if not event.date_only}  # fmt: skip
        fresh: dict[Event, RosterRow] = {}
        for event, row in events:
            told = _day_of(event) in (of_timed if event.date_only else of_bare)
            if not told and (event.name, event.occurred_at) not in known:
                known.add((event.name, event.occurred_at))
                fresh[event] = row
        waiting = self._drop_refused(file, procedure, fresh)
        return [self._event_row(file.case, event, row) for event, row in fresh.items()], waiting

    def _drop_refused(
        self, file: CaseFile, procedure: Procedure, fresh: dict[Event, RosterRow]
    ) -> list[RosterRow]:
        """Take what cannot stand out of `fresh`; returns what may stand once the file is read."""
        case = file.case
        stored = [event_of(row) for row in file.events]
        waiting: list[RosterRow] = []
        while True:
            refused = refusals(
                procedure,
                [*stored, *fresh],
                lambda rule: self.context.terms(rule, case.centre_id, case.bank),
                self.now,
            )
            mine = [(event, why) for event, why in refused if event in fresh]
            if not mine:
                return waiting
            for event, why in mine:
                row = fresh.pop(event)
                if self.may_defer and event.name in NEEDS_EARLIER.keys() & procedure.events:
                    waiting.append(row)
                else:
                    at = row.at(why.about)
                    self.report.faults.append(Fault(at, why.message, why.mend, code=why.code))

    def _event_row(self, case: CaseRow, event: Event, row: RosterRow) -> CaseEventRow:
        return CaseEventRow(
            id=new_id(self.now),
            centre_id=case.centre_id,
            case_id=case.id,
            event=event.name,
            occurred_at=event.occurred_at,
            recorded_at=self.now,
            source=discreet(row.place),
            date_only=event.date_only,
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


def event_alone(row: RosterRow) -> RosterRow:
    """The row without the contact, which was written: a later row may have changed it since."""
    return RosterRow(
        row.place,
        row.reference,
        row.centre,
        event=row.event,
        occurred_at=row.occurred_at,
        occurred_on=row.occurred_on,
        columns=row.columns,
        number=row.number,
    )


def event_in(row: RosterRow) -> Event | None:
    """The row's event."""
    if row.event is None:
        return None
    if row.occurred_at is not None:
        return Event(row.event, row.occurred_at)
    if row.occurred_on is not None:
        return Event(row.event, midnight(row.occurred_on), date_only=True)
    return None


def _day_of(event: Event) -> tuple[str, date]:
    """With and without its hour it is the same event, whichever of them is told first."""
    return event.name, in_china(event.occurred_at).date()


def discreet(place: str) -> str:
    """A place without the file's name, which may hold a person's: a short hash stands for it."""
    found = _PLACE.fullmatch(place)
    return discreet_name(found[1]) + found[2] if found else place


def discreet_name(name: str) -> str:
    """A short hash of a file's name, and its suffix."""
    digest = sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return digest[:8] + PurePath(name).suffix


_PLACE = re.compile(r"(.*?)(?:, sheet .*)?(, row \d+|:\d+(?::\d+)?)", re.DOTALL)


def _last(rows: Sequence[RosterRow], name: str) -> str:
    return first_filled(reversed(rows), name)


def _lapsed_note(rule: Rule) -> Text:
    return Text(
        f"「{rule.act.zh}」的期限（{rule.id}）在登记前已过，不再发送提醒",
        f"{rule.id} had lapsed before enrolment: no reminder is sent",
    )


def _idle_note(procedure: Procedure) -> Text:
    starts = sorted({name for rule in procedure.rules for name in rule.starts_on})
    words = "、".join(f"「{event_word(name)}」" for name in starts)
    return Text(
        f"没有事项开始任何期限，该案件不会有提醒；业务「{procedure.title.zh}」的期限从这些事项开始：{words}",
        f"no event of this case starts a period, so no reminder will come; {procedure.id} starts "
        f"with {', '.join(starts)}",
    )
