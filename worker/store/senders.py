"""What each SMS sender still has room for: one row a sender, drawn from by every worker.

Read and written by whoever holds the claim (`hold_the_claim`; SQLite's one writer), so that workers
together keep the pace, and a new process does not begin with a full bucket.
"""

from datetime import datetime

from sqlmodel import Field

from worker.domain.pace import Bucket
from worker.store.database import Session
from worker.store.tables import Row


class SenderRow(Row, table=True):
    """A sender by the name of its channel: how many parts its bucket held, and when."""

    __tablename__ = "sender"

    id: str = Field(primary_key=True)
    level: float
    level_at: datetime


def bucket_of(session: Session, sender: str, rate: float, now: datetime) -> Bucket:
    """The sender's bucket at `now`, filling at `rate` parts a second; without a rate none is
    kept."""
    row = session.get(SenderRow, sender) if rate else None
    bucket = Bucket.full(rate, now) if row is None else Bucket(rate, row.level, row.level_at)
    return bucket.refilled(now)


def keep_bucket(session: Session, sender: str, bucket: Bucket) -> None:
    """Write down what is left, for whoever claims next."""
    if bucket.rate:
        session.merge(SenderRow(id=sender, level=bucket.level, level_at=bucket.at))
