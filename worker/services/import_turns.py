"""One import in one worker's hands, for a while: what it found, and how far it came, durably."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from worker.clock import monotonic
from worker.crashpoints import crash_point
from worker.domain.errors import Fault, Text
from worker.rosters import RosterRow, read_roster, row_at, row_of
from worker.services.applying import Enrolment, Note
from worker.services.context import Context
from worker.services.enrolment import event_words
from worker.services.refusing import phones_of
from worker.services.uploads import UploadedFile, add_faults, faults_of
from worker.store.audit import Entry, append_audit
from worker.store.database import Session
from worker.store.imports import ImportRow, drop_faults, find_import, is_another_waiting

LEASE = timedelta(minutes=5)
"""Many times what a chunk takes; after a crash another worker goes on then."""

_LONG, _SHORT = timedelta(minutes=10), timedelta(minutes=1)
"""After a turn the file is taken up anew: under the configuration and the instant of then, or after
another import's turn if one waits."""

_COUNTED = ("rows", "new", "changed", "unchanged", "events", "planned", "moved", "unlisted")


class Lost(Exception):
    """The import is ours no longer: somebody cancelled it, or our lease ran out."""


@dataclass(slots=True)
class Turn:
    """An import we hold the lease of. `refused` counts rows that cannot be read."""

    context: Context
    row: ImportRow
    begun_at: datetime
    keep_going: Callable[[], bool]
    report: Enrolment = field(default_factory=Enrolment)
    refused: int = 0
    _written: int = 0
    _lists: int = 0
    _bad: int = 0
    _begun: float = field(default_factory=monotonic)

    @property
    def now(self) -> datetime:
        """The instant, counted on from where the duty began."""
        return self.begun_at + timedelta(seconds=monotonic() - self._begun)

    def goes_on(self) -> bool:
        """Whether there is time for another chunk."""
        taken = self.now - self.begun_at
        if not self.keep_going() or taken > _LONG:
            return False
        if taken < _SHORT:
            return True
        with self.context.db.reading() as session:
            return not is_another_waiting(session, self.row.id, now=self.now)

    def entries(self) -> Iterator[RosterRow | Fault]:
        """Every row of the file, its centre that of the key."""
        context, centre_id = self.context, self.row.centre_id
        phones, words = phones_of(context, centre_id), event_words(context)
        file = UploadedFile(context, self.row)
        last = 0
        for entry in read_roster(file, phones=phones, now=self.now, events=words):
            checked = entry if isinstance(entry, Fault) else _own(entry, centre_id)
            if isinstance(checked, Fault) and (row := row_of(checked)) != last:
                self.refused, last = self.refused + 1, row
            yield checked

    def begin_anew(self) -> None:
        """Forget what an earlier reading found: it is found again."""
        with self.context.db.transaction() as session:
            drop_faults(session, self.row.id)
            self.note(session, self.row.state, rows_done=0)

    def take_up(self) -> None:
        """Go on with what was found and counted before."""
        said = json.loads(self.row.counts)
        self.report = Enrolment(**{name: said[name] for name in _COUNTED})
        self.report.faults, self._lists = faults_of(self.context, self.row.id)
        self._written, self._bad = len(self.report.faults), said["bad"]
        for note in json.loads(self.row.notes):
            place = Note(f"import, row {note['row']}", note["rows"])
            self.report.notes[Text(note["zh"], note["en"])] = place

    def note(self, session: Session, state: str, **more: Any) -> ImportRow:  # noqa: ANN401
        """Write down what was found and how far it came (`more`), and renew the lease.

        Raises Lost.
        """
        row = self._held(session)
        fresh = self.report.faults[self._written :]
        if fresh:
            add_faults(self.context, session, row, self._lists, fresh)
            self._lists, self._written = self._lists + 1, len(self.report.faults)
        if fresh or self.report.unlisted:
            self._bad = self.report.bad
        counts = {name: getattr(self.report, name) for name in _COUNTED} | {"bad": self._bad}
        row.counts, row.notes = json.dumps(counts), json.dumps(_notes(self.report))
        now = self.now
        row.state, row.updated_at, row.lease_until_at = state, now, now + LEASE
        for name, value in more.items():
            setattr(row, name, value)
        session.flush()
        crash_point("in_import")
        return row

    def _held(self, session: Session) -> ImportRow:
        row = find_import(session, self.row.id, lock=True)
        if row is None or (row.owner, row.state) != (self.row.owner, self.row.state):
            raise Lost
        return row

    def go_over(self, state: str, **more: Any) -> None:  # noqa: ANN401
        """Keep the import, in another state. Raises Lost."""
        with self.context.db.transaction() as session:
            self.row = self.note(session, state, **more)

    def end(self, state: str, **more: Any) -> None:  # noqa: ANN401
        """Leave the import in another state, for whoever is next; audited. Raises Lost."""
        with self.context.db.transaction() as session:
            row = self.note(session, state, **more)
            row.owner = row.lease_until_at = None
            if state in ("done", "refused"):
                row.finished_at = row.updated_at
            append_audit(session, _entry(row))
        crash_point("after_import")

    def let_go(self) -> None:
        """Leave the import as it is, for whoever is next."""
        with self.context.db.transaction() as session:
            row = find_import(session, self.row.id, lock=True)
            if row is not None and row.owner == self.row.owner:
                row.owner = row.lease_until_at = None


def _own(row: RosterRow, centre_id: str) -> RosterRow | Fault:
    if row.centre in (None, centre_id):
        return replace(row, centre=centre_id)
    return Fault(row.at("centre"), _OTHER_CENTRE, _LEAVE_OUT, code="centre.other")


_OTHER_CENTRE = Text("这不是本密钥的网点", "this is not the centre of the key")
_LEAVE_OUT = Text("请清空这一格，网点由密钥决定", "clear the cell: the key says which centre it is")


def _notes(report: Enrolment) -> list[dict[str, object]]:
    """Without the name of a sheet: that may be a person's."""
    return [
        {"row": row_at(where.place), "rows": where.rows, "zh": text.zh, "en": text.en}
        for text, where in report.notes.items()
    ]


def _entry(row: ImportRow) -> Entry:
    found = {name: count for name, count in json.loads(row.counts).items() if count}
    done = {**found, "dry_run": row.dry_run}
    return Entry(row.centre_id, row.updated_at, "qida", f"import.{row.state}", row.id, done)
