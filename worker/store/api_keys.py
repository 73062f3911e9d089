"""API keys as they are kept: a prefix to find them by and the hash of their secret."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, bindparam
from sqlalchemy import select as select_columns  # SQLModel's has types for four at most
from sqlmodel import col, select

from worker.store.database import Session
from worker.store.installation import STAMP
from worker.store.tables import ApiKeyRow

_NOTED_AGAIN = timedelta(minutes=1)


class PresentedKey(NamedTuple):
    """What a request must know of its key, and what the database is for."""

    id: str
    kind: str
    centre_id: str | None
    scopes: str
    secret_sha256: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    stamp: str | None


def presented_key(connection: Connection, prefix: str) -> PresentedKey | None:
    """The key of a prefix, whatever became of it, by the one look-up every request begins with."""
    found = connection.execute(_PRESENTED, {"prefix": prefix}).first()
    return PresentedKey._make(found) if found else None


_KEYS = ApiKeyRow.metadata.tables["api_key"]
_PRESENTED = select_columns(
    *(_KEYS.c[name] for name in PresentedKey._fields[:-1]), STAMP.scalar_subquery()
).where(_KEYS.c.prefix == bindparam("prefix"))


def find_key(session: Session, prefix: str) -> ApiKeyRow | None:
    """The key of a prefix, whatever became of it."""
    return session.exec(select(ApiKeyRow).where(ApiKeyRow.prefix == prefix)).first()


def list_keys(session: Session, centre_id: str | None = None) -> Sequence[ApiKeyRow]:
    """Keys, oldest first."""
    found = select(ApiKeyRow).order_by(col(ApiKeyRow.created_at), col(ApiKeyRow.id))
    if centre_id is not None:
        found = found.where(ApiKeyRow.centre_id == centre_id)
    return session.exec(found).all()


def is_use_worth_noting(key: PresentedKey, now: datetime) -> bool:
    """Whether the last use on record is a minute old: not every request is worth a write."""
    return key.last_used_at is None or now - key.last_used_at >= _NOTED_AGAIN


def note_use(session: Session, key_id: str, now: datetime) -> None:
    """Record that a key was used."""
    session.get_one(ApiKeyRow, key_id).last_used_at = now
