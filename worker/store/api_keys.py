"""API keys as they are kept: a prefix to find them by and the hash of their secret."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam
from sqlmodel import col, select

from worker.store.database import Session
from worker.store.tables import ApiKeyRow

_NOTED_AGAIN = timedelta(minutes=1)


def find_key(session: Session, prefix: str) -> ApiKeyRow | None:
    """The key of a prefix, whatever became of it."""
    return session.exec(_OF_PREFIX, params={"prefix": prefix}).first()


_OF_PREFIX = select(ApiKeyRow).where(ApiKeyRow.prefix == bindparam("prefix"))
"""Made once: it is asked at every request."""


def list_keys(session: Session, centre_id: str | None = None) -> Sequence[ApiKeyRow]:
    """Keys, oldest first."""
    found = select(ApiKeyRow).order_by(col(ApiKeyRow.created_at), col(ApiKeyRow.id))
    if centre_id is not None:
        found = found.where(ApiKeyRow.centre_id == centre_id)
    return session.exec(found).all()


def is_use_worth_noting(key: ApiKeyRow, now: datetime) -> bool:
    """Whether the last use on record is a minute old: not every request is worth a write."""
    return key.last_used_at is None or now - key.last_used_at >= _NOTED_AGAIN


def note_use(session: Session, key_id: str, now: datetime) -> None:
    """Record that a key was used."""
    session.get_one(ApiKeyRow, key_id).last_used_at = now
