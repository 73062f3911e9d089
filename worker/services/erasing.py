"""Erasing one person's case at once, and handing out all that is held of it.

The citizen may ask for either (PIPL art. 45 and 47). What was handed to a provider is its own copy:
the provider is asked to forget texts by the duty `redact`.
"""

import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from worker.crashpoints import crash_point
from worker.services.context import Context
from worker.services.operations import case_report, iso
from worker.store.answers import drop_answers_of
from worker.store.attempts import attempts_of
from worker.store.audit import Entry, append_audit, entries_about
from worker.store.cases import case_files, contact, lock_cases
from worker.store.database import Session
from worker.store.retention import end_case, forget_contact, forget_indexes
from worker.store.tables import AttemptRow, CaseRow

_ENCODINGS = ("utf-8", "gb18030", "utf-16-le", "utf-16-be")
"""What rosters are written in; a name may stand in a file in any of them."""

_LARGEST = 64 * 2**20
"""Bytes of one part of a workbook that are looked through; rosters are smaller."""

_CONTACTS = (("citizen", "name"), ("citizen", "sms"), ("citizen", "email"),
             ("second_contact", "sms"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did. `left` are files people put there themselves and must mend."""

    cancelled: int
    files: int
    left: tuple[Path, ...]
    scrubbed: bool


def erase_case(context: Context, case_id: str, *, actor: str, now: datetime) -> Erased:
    """End a case and erase everything personal of it; doing it again changes nothing.

    Copies of rosters under var/done and lists under var/errors that name the person go first:
    once the contact is gone nobody could find them. Opt-outs stay, as keyed hashes. Audited.
    """
    with context.db.reading() as session:
        wanted = _said_of(context, case_files(session, [case_id])[case_id].case)
    files = _erase_files(context.home / "var", wanted)
    crash_point("in_erase")
    cancelled = _erase_rows(context, case_id, actor, now, len(files))
    crash_point("in_erase")
    own = (context.home / "var" / "inbox", context.home / "config" / "cases")
    left = tuple(path for folder in own for path in _naming(folder, wanted))
    return Erased(cancelled, len(files), left, context.db.scrub())


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


def _erase_files(var: Path, wanted: Iterable[str]) -> list[Path]:
    named = [path for name in ("done", "errors") for path in _naming(var / name, wanted)]
    for path in named:
        path.unlink(missing_ok=True)
    return named


def _naming(folder: Path, wanted: Iterable[str]) -> Iterator[Path]:
    """Files of a folder, or with a name, that hold something of a person."""
    wanted = list(wanted)
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if wanted else []
    for path in files:
        if any(one in text for text in _texts(path) for one in wanted):
            yield path


def _texts(path: Path) -> Iterator[str]:
    """A file's name and content in every reading of it, without the blanks people put in
    numbers. What cannot be read any more was taken away."""
    yield _plain(path.name)
    try:
        parts = _parts(path)
    except OSError:
        return
    for part in parts:
        for encoding in _ENCODINGS:
            yield _plain(part.decode(encoding, "ignore"))


def _parts(path: Path) -> list[bytes]:
    """The bytes of a file; of a workbook, which is an archive, those of its parts too."""
    content = path.read_bytes()
    if not zipfile.is_zipfile(path):
        return [content]
    try:
        with zipfile.ZipFile(path) as archive:
            return [archive.open(one).read(_LARGEST) for one in archive.infolist()]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):  # broken, or with a password
        return [content]


def _plain(text: str) -> str:
    """Half-width, lower case, without blanks and dashes."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return "".join(one for one in folded if not one.isspace() and one != "-")


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
