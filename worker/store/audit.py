"""The audit trail: append-only, each entry chained to the one before by its hash."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

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
