"""The audit trail: append-only, each entry chained to the one before by its hash."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from sqlmodel import col, select, text

from worker.store.database import Session, new_id
from worker.store.tables import AuditEntryRow

_CHAIN_LOCK = 7_001  # any constant: one writer at a time extends the chain


@dataclass(frozen=True, slots=True)
class Entry:
    """Who did what to what. `detail` names ids, words and dates, never a person."""

    centre_id: str | None
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, object]


def append_audit(session: Session, done: Entry) -> str:
    """Add an entry to the end of the chain; returns its id."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(
            text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CHAIN_LOCK}
        )
    last = session.exec(
        select(AuditEntryRow).order_by(col(AuditEntryRow.seq).desc()).limit(1)
    ).first()
    written = json.dumps(dict(done.detail), ensure_ascii=False, sort_keys=True)
    entry = AuditEntryRow(
        id=new_id(done.at),
        seq=last.seq + 1 if last else 1,
        centre_id=done.centre_id,
        at=done.at,
        actor=done.actor,
        action=done.action,
        subject=done.subject,
        detail=written,
        previous_hash=last.hash if last else "",
        hash="",
    )
    entry.hash = entry_hash(entry)
    session.add(entry)
    session.flush()
    return entry.id


Broken = Literal["missing", "relinked", "changed"]
"""What is wrong at a link: entries before it are gone or doubled, it names another entry as the
one before, or its own content is not what was written."""


@dataclass(frozen=True, slots=True)
class Trail:
    """How far the chain holds, and the first link where it does not.

    `head_hash` is that of the last entry that holds; kept elsewhere, it shows a removed tail.
    """

    entries: int = 0
    head_seq: int = 0
    head_hash: str = ""
    head_at: datetime | None = None
    broken_seq: int | None = None
    broken: Broken | None = None


def verify_trail(session: Session) -> Trail:
    """Walk the whole chain, and stop at the first link that is broken.

    A removed tail leaves a shorter chain that holds: only a hash kept elsewhere shows that.
    """
    held = Trail()
    links = select(AuditEntryRow).order_by(col(AuditEntryRow.seq)).execution_options(yield_per=1000)
    with closing(session.exec(links)) as entries:  # it may be left before its end
        for entry in entries:
            if broken := _broken(entry, held):
                return replace(held, broken_seq=entry.seq, broken=broken)
            held = Trail(held.entries + 1, entry.seq, entry.hash, entry.at)
    return held


def _broken(entry: AuditEntryRow, before: Trail) -> Broken | None:
    if entry.seq != before.head_seq + 1:
        return "missing"
    if entry.previous_hash != before.head_hash:
        return "relinked"
    return "changed" if entry.hash != entry_hash(entry) else None


def head(session: Session) -> tuple[int, str]:
    """Place and hash of the last entry; 0 and nothing before the first."""
    newest = select(AuditEntryRow.seq, AuditEntryRow.hash).order_by(col(AuditEntryRow.seq).desc())
    return session.exec(newest.limit(1)).first() or (0, "")


def hash_at(session: Session, seq: int) -> str | None:
    """The hash of an entry by its place in the chain; None where the chain does not reach it."""
    return session.exec(select(AuditEntryRow.hash).where(AuditEntryRow.seq == seq)).first()


def entries_about(session: Session, subject: str) -> Sequence[AuditEntryRow]:
    """What was done to one thing, oldest first."""
    found = select(AuditEntryRow).where(AuditEntryRow.subject == subject)
    return session.exec(found.order_by(col(AuditEntryRow.seq))).all()


def is_audited(session: Session, entry_id: str) -> bool:
    """Whether the trail holds this entry: not in another database, nor in an earlier backup."""
    return session.get(AuditEntryRow, entry_id) is not None


def entry_hash(entry: AuditEntryRow) -> str:
    """What an entry's hash must be, over its content and the hash before it."""
    content = [
        entry.previous_hash,
        entry.seq,
        entry.centre_id,
        entry.at.astimezone(UTC).isoformat(),
        entry.actor,
        entry.action,
        entry.subject,
        entry.detail,
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()
