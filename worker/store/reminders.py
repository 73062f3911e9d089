"""Reminders on their way from state to state.

Every change of a claimed row compares the state it expects; the row count tells who won.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BindParameter, bindparam
from sqlmodel import col, func, literal_column, or_, select, update

from worker.domain.delivery import ReminderState
from worker.store.database import Session, insert_values
from worker.store.tables import CaseRow, DeadlineRow, ReminderRow

PLANNED = col(ReminderRow.state) == literal_column("'planned'")
"""A literal lets both engines use the partial index of planned reminders."""

_TABLE = ReminderRow.metadata.tables["reminder"]
_IN_A_STATEMENT = 500
_IDS: BindParameter[Sequence[str]] = bindparam("of", expanding=True)
_THOSE = or_(_TABLE.c.id.in_(_IDS), _TABLE.c.carried_by.in_(_IDS))
_STILL_OPEN = update(_TABLE).where(
    _THOSE, *(_TABLE.c.state != closed for closed in ("cancelled", "expired", "delivered"))
)
_LOCKED = select(_TABLE.c.id).where(_THOSE).order_by(_TABLE.c.id).with_for_update(key_share=True)
"""As `lock_cases` takes them: one order for all, or PostgreSQL ends one of two in a deadlock."""


@dataclass(frozen=True, slots=True)
class Due:
    """A reminder with its case and deadline, to be changed."""

    reminder: ReminderRow
    case: CaseRow
    deadline: DeadlineRow


def insert_reminders(session: Session, rows: Sequence[Mapping[str, object]]) -> None:
    """Write planned reminders. Not through the session's objects: most of a roster's rows are
    reminders, and this takes a sixth of the time."""
    insert_values(session, _TABLE, rows)


def set_state(
    session: Session,
    reminder_ids: Iterable[str],
    state: ReminderState,
    *,
    now: datetime,
    reason: str | None = None,
    due_at: datetime | None = None,
) -> None:
    """Move reminders, and those they carry, to `state`; a closed or delivered one stays so,
    whatever comes of another attempt."""
    values: dict[str, object] = {"state": state, "updated_at": now}
    if reason is not None:
        values["reason"] = reason
    if due_at is not None:
        values["due_at"] = due_at
    if state is ReminderState.PLANNED:
        values |= {"owner": None, "lease_until_at": None, "carried_by": None}
    ids = list(reminder_ids)
    if ids:
        session.flush()
    connection = session.connection()
    for first in range(0, len(ids), _IN_A_STATEMENT):
        some = {"of": ids[first : first + _IN_A_STATEMENT]}
        if connection.dialect.name == "postgresql":
            connection.execute(_LOCKED, some)
        connection.execute(_STILL_OPEN.values(values), some)


def bring_back(
    session: Session, leader_id: str, carried: Sequence[str], state: ReminderState, *, now: datetime
) -> None:
    """Take back that these are planned again: the message that carried them is on its way, or
    has arrived, after all."""
    session.execute(
        update(ReminderRow)
        .where(col(ReminderRow.id).in_(carried), PLANNED)
        .values(state=state, carried_by=leader_id, updated_at=now)
        .execution_options(synchronize_session=False)
    )


def reminders_by_id(session: Session, ids: Iterable[str]) -> dict[str, Due]:
    """Reminders with their cases and deadlines, by id."""
    statement = (
        select(ReminderRow, CaseRow, DeadlineRow)
        .where(col(ReminderRow.id).in_(list(ids)))
        .join(CaseRow, col(CaseRow.id) == col(ReminderRow.case_id))
        .join(DeadlineRow, col(DeadlineRow.id) == col(ReminderRow.deadline_id))
    )
    return {row.id: Due(row, case, deadline) for row, case, deadline in session.exec(statement)}


def carried_with(session: Session, reminder_id: str) -> Sequence[ReminderRow]:
    """The reminders sent inside another one's message."""
    return session.exec(select(ReminderRow).where(ReminderRow.carried_by == reminder_id)).all()


def count_planned(session: Session, until: datetime) -> int:
    """How many reminders are planned for `until` or earlier."""
    return session.exec(
        select(func.count()).select_from(ReminderRow).where(
            PLANNED, col(ReminderRow.due_at) <= until
        )
    ).one()  # fmt: skip


def planned_sms(session: Session, *, until: datetime) -> Sequence[ReminderRow]:
    """The planned SMS due until an instant."""
    return session.exec(
        select(ReminderRow).where(
            PLANNED, ReminderRow.channel == "sms", col(ReminderRow.due_at) <= until
        )
    ).all()


def list_reminders(
    session: Session,
    *,
    centre_id: str | None = None,
    state: str | None = None,
    reference: str | None = None,
) -> list[Due]:
    """Reminders with their cases and deadlines, by due instant."""
    statement = (
        select(ReminderRow, CaseRow, DeadlineRow)
        .join(CaseRow, col(CaseRow.id) == col(ReminderRow.case_id))
        .join(DeadlineRow, col(DeadlineRow.id) == col(ReminderRow.deadline_id))
        .order_by(col(ReminderRow.due_at), col(ReminderRow.id))
    )
    if centre_id is not None:
        statement = statement.where(ReminderRow.centre_id == centre_id)
    if state is not None:
        statement = statement.where(ReminderRow.state == state)
    if reference is not None:
        statement = statement.where(CaseRow.reference == reference)
    return [Due(row, case, deadline) for row, case, deadline in session.exec(statement)]
