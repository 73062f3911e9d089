"""Erasing one person's case at once, and handing out all that is held of it.

The citizen may ask for either (PIPL art. 45 and 47). What was handed to a provider is its own copy:
the provider is asked to forget texts by the duty `redact`.
"""

import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, BinaryIO

from worker.crashpoints import crash_point
from worker.rosters import Source
from worker.services.context import Context
from worker.services.operations import case_report, iso
from worker.services.uploads import CutShort, UploadedFile, erase_file
from worker.store.answers import drop_answers_of
from worker.store.attempts import attempts_of
from worker.store.audit import Entry, append_audit, entries_about
from worker.store.cases import case_files, contact, lock_cases
from worker.store.database import Session
from worker.store.imports import with_parts
from worker.store.retention import end_case, forget_contact, forget_indexes
from worker.store.tables import AttemptRow, CaseRow

_ENCODINGS = ("utf-8", "gb18030", "utf-16-le", "utf-16-be")
"""What rosters are written in; a name may stand in a file in any of them."""

_BLOCK, _OVERLAP = 1 << 20, 4096
"""Bytes looked through at once, and how many of them again: many times what a cell may hold."""

_MOST_BLOCKS = 400
"""Of one part: an archive may claim to hold any number."""

_CONTACTS = (("citizen", "name"), ("citizen", "sms"), ("citizen", "email"),
             ("second_contact", "sms"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did. `left` are files people put there themselves and must mend, `imports`
    those still to be applied that name the person."""

    cancelled: int
    files: int
    left: tuple[Path, ...]
    imports: tuple[str, ...]
    scrubbed: bool


def erase_case(context: Context, case_id: str, *, actor: str, now: datetime) -> Erased:
    """End a case and erase everything personal of it; doing it again changes nothing.

    Copies of rosters under var/done, lists under var/errors and the kept files of imports that
    name the person go first: once the contact is gone nobody could find them. Opt-outs stay, as
    keyed hashes. Audited.
    """
    with context.db.reading() as session:
        case = case_files(session, [case_id])[case_id].case
        wanted = _said_of(context, case)
    files = _erase_files(context.home / "var", wanted)
    erased, pending = _erase_imports(context, case.centre_id, wanted)
    files += erased
    crash_point("in_erase")
    cancelled = _erase_rows(context, case_id, actor, now, files)
    crash_point("in_erase")
    own = (context.home / "var" / "inbox", context.home / "config" / "cases")
    left = tuple(path for folder in own for path in _naming(folder, wanted))
    return Erased(cancelled, files, left, pending, context.db.scrub())


def _erase_rows(context: Context, case_id: str, actor: str, now: datetime, files: int) -> int:
    with context.db.transaction() as session:
        lock_cases(session, [case_id])
        case = session.get_one(CaseRow, case_id)
        cancelled = end_case(session, case, source="erased", now=now)
        forget_contact(session, case_id)
        forget_indexes(session, case_id)
        drop_answers_of(session, case_id)
        done = {"why": "request", "reminders_cancelled": cancelled, "files": files}
        append_audit(session, Entry(case.centre_id, now, actor, "case.erased", case_id, done))
    return cancelled


def _said_of(context: Context, case: CaseRow) -> list[str]:
    """What a file must hold to name this person; a name of one character proves nothing."""
    said = (contact(context.keys, case, *place) for place in _CONTACTS)
    return [plain for one in said if len(plain := _plain(one)) > 1]


def _erase_files(var: Path, wanted: Sequence[str]) -> int:
    named = [path for name in ("done", "errors") for path in _naming(var / name, wanted)]
    for path in named:
        path.unlink(missing_ok=True)
    return len(named)


def _erase_imports(
    context: Context, centre_id: str, wanted: Sequence[str]
) -> tuple[int, tuple[str, ...]]:
    """How many kept files of imports that ended went, and which imports are still to be applied:
    those hold other people's rows too."""
    with context.db.reading() as session:
        kept = with_parts(session, centre_id=centre_id)
    named = [row for row in kept if _names(UploadedFile(context, row), wanted)]
    over = [row for row in named if row.finished_at is not None]
    for row in over:
        erase_file(context, row.id)
    return len(over), tuple(row.id for row in named if row.finished_at is None)


def _naming(folder: Path, wanted: Sequence[str]) -> Iterator[Path]:
    """Files of a folder, or with a name, that hold something of a person."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if _names(path, wanted):
            yield path


def _names(file: Source, wanted: Sequence[str]) -> bool:
    return bool(wanted) and any(one in text for text in _texts(file) for one in wanted)


def _texts(file: Source) -> Iterator[str]:
    """A file's name and content in every reading of it, without the blanks people put in
    numbers. What cannot be read any more was taken away."""
    yield _plain(file.name)
    with suppress(OSError, CutShort), file.open("rb") as handle:
        for block in _blocks(handle):
            for encoding in _ENCODINGS:
                yield _plain(block.decode(encoding, "ignore"))


def _blocks(handle: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file; of a workbook, which is an archive, those of its parts."""
    if zipfile.is_zipfile(handle):
        with suppress(*_UNREADABLE), zipfile.ZipFile(handle) as archive:
            for one in archive.infolist():
                yield from _overlapping(archive.open(one))
            return
    handle.seek(0)
    yield from _overlapping(handle)


_UNREADABLE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)
"""What a broken archive raises, or one with a password."""


def _overlapping(handle: IO[bytes]) -> Iterator[bytes]:
    """Blocks of which each begins with the end of the one before: no name is cut in two."""
    tail = b""
    for block in islice(iter(lambda: handle.read(_BLOCK), b""), _MOST_BLOCKS):
        yield tail + block
        tail = block[-_OVERLAP:]


def _plain(text: str) -> str:
    """Half-width, lower case, without blanks and dashes."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return "".join(folded.split()).replace("-", "")


def export_case(context: Context, case_id: str, *, actor: str, now: datetime) -> dict[str, object]:
    """All that is held of a case, in the clear; that it was handed out is in the audit trail."""
    report = case_report(context, case_id)
    with context.db.transaction() as session:
        file = case_files(session, [case_id])[case_id]
        case = file.case
        append_audit(session, Entry(case.centre_id, now, actor, "case.exported", case_id, {}))
        return report | {
            "contact": _contact(context, case),
            "card_last4": case.card_last4,
            "bank": case.bank,
            "messages": _messages(session, context, [row.id for row in file.reminders]),
            "audit": [
                {"at": iso(one.at), "actor": one.actor, "action": one.action, "detail": one.detail}
                for one in entries_about(session, case_id)
            ],
        }


def _contact(context: Context, case: CaseRow) -> dict[str, str]:
    names = ("name", "phone", "email", "second_phone")
    opened = (contact(context.keys, case, *place) for place in _CONTACTS)
    return dict(zip(names, opened, strict=True)) | {"language": case.language}


def _messages(session: Session, context: Context, reminders: list[str]) -> list[dict[str, object]]:
    return [
        {
            "attempt": one.id,
            "to": open_of(context, one, "address_sealed"),
            "text": open_of(context, one, "body_sealed"),
            "template": one.template,
        }
        for one in attempts_of(session, reminders)
    ]


def open_of(context: Context, attempt: AttemptRow, column: str) -> str:
    """Address or text of an attempt; empty once it is erased. Raises CannotOpen."""
    sealed = getattr(attempt, column)
    return "" if not sealed else context.keys.open(
        sealed, table="attempt", column=column, row_id=attempt.id, centre_id=attempt.centre_id
    )  # fmt: skip
