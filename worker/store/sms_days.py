"""How many SMS parts each centre has sent on each day: the counter behind its cap.

Drawn in the transaction that claims, given back where a message certainly never left; so it counts
what left or may have, across workers, restarts and crashes.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime

from sqlmodel import Field, col, select, update

from worker.store.database import Session, insert_new
from worker.store.tables import Row


class SmsDayRow(Row, table=True):
    """A centre's calendar day in China, by `centre:date`."""

    __tablename__ = "sms_day"

    id: str = Field(primary_key=True)
    parts: int
    updated_at: datetime


def parts_of_day(session: Session, centre_ids: Collection[str], on: date) -> dict[str, int]:
    """What some centres have sent on a day so far."""
    ids = {_id(centre_id, on): centre_id for centre_id in centre_ids}
    found = session.exec(
        select(SmsDayRow.id, SmsDayRow.parts).where(col(SmsDayRow.id).in_(list(ids)))
    )
    return dict.fromkeys(centre_ids, 0) | {ids[day]: parts for day, parts in found}


def add_parts(session: Session, parts: Mapping[str, int], on: date, *, now: datetime) -> None:
    """Count parts of a day by centre, or take them back where they are negative."""
    for centre_id, more in sorted(parts.items()):  # always in one order, as rows are locked
        row = {"id": _id(centre_id, on), "parts": 0, "updated_at": now}
        insert_new(session, SmsDayRow, [row], unique=("id",))
        session.execute(
            update(SmsDayRow)
            .where(col(SmsDayRow.id) == row["id"])
            .values(parts=col(SmsDayRow.parts) + more, updated_at=now)
            .execution_options(synchronize_session=False)
        )


def _id(centre_id: str, on: date) -> str:
    return f"{centre_id}:{on.isoformat()}"
