"""Answers kept for requests that may come again (Idempotency-Key), sealed, for a day.

The row stands while the first request is worked on, too: until its lease ends nobody else begins.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlmodel import Field, col, delete, select

from worker.store.database import Session, insert_new
from worker.store.tables import Row


class AnswerRow(Row, table=True):
    """One request by its key; `status` is 0 until it is answered. `id` and `fingerprint` are keyed
    digests: neither the caller's key nor the request can be read from them."""

    __tablename__ = "answer"
    __table_args__ = (Index(None, "expires_at"), Index(None, "case_id"))

    id: str = Field(primary_key=True)
    centre_id: str = Field(
        sa_column_args=[ForeignKey("centre.id", deferrable=True, initially="DEFERRED")]
    )
    case_id: str | None = None
    fingerprint: str
    status: int = 0
    etag: str = ""
    body_sealed: bytes | None = None
    lease_until_at: datetime
    expires_at: datetime


def begin_answer(session: Session, row: Mapping[str, object], *, now: datetime) -> AnswerRow | None:
    """Take the place of a request; None where it was free, else the row that holds it, locked.

    What has expired is deleted first.
    """
    session.exec(delete(AnswerRow).where(col(AnswerRow.expires_at) <= now))
    if insert_new(session, AnswerRow, [row], unique=("id",)):
        return None
    return session.exec(
        select(AnswerRow).where(AnswerRow.id == row["id"]).with_for_update()
    ).first()


def drop_answer(session: Session, answer_id: str) -> None:
    """Forget a request: it led to nothing that must be said again."""
    session.exec(delete(AnswerRow).where(col(AnswerRow.id) == answer_id))


def drop_answers_of(session: Session, case_id: str) -> None:
    """Forget every answer about a case."""
    session.exec(delete(AnswerRow).where(col(AnswerRow.case_id) == case_id))
