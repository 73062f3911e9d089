"""What a centre's staff was told by mail."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, update

from worker.store.database import Session
from worker.store.tables import CallTaskRow, CentreRow


def digest_sent(session: Session, centre_id: str) -> datetime | None:
    """When the centre last got the list of all its open tasks."""
    centre = session.get(CentreRow, centre_id)
    return centre.digest_at if centre else None


def note_digest(session: Session, centre_id: str, now: datetime) -> None:
    """The centre got the list of all its open tasks."""
    session.get_one(CentreRow, centre_id).digest_at = now


def mark_mailed(session: Session, task_ids: Sequence[str], now: datetime) -> None:
    """These tasks were in a mail; the first one counts."""
    for start in range(0, len(task_ids), 500):
        session.execute(
            update(CallTaskRow)
            .where(
                col(CallTaskRow.id).in_(task_ids[start : start + 500]),
                col(CallTaskRow.mailed_at).is_(None),
            )
            .values(mailed_at=now)
            .execution_options(synchronize_session=False)
        )
