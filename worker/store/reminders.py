"""Reminders on their way: picking what is due, and moving it from state to state.

Every change of a claimed row compares the state it expects; the row count tells who won.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam
from sqlmodel import col, func, insert, literal_column, or_, select, update

from worker.domain.delivery import OPEN_ATTEMPTS, ReminderState
from worker.domain.reminders import FRESH, Hours
from worker.store.database import Session
from worker.store.tables import AttemptRow, CaseRow, DeadlineRow, ReminderRow

# A literal lets both engines use the partial index of planned reminders.
_PLANNED = col(ReminderRow.state) == literal_column("'planned'")

_TABLE = ReminderRow.metadata.tables["reminder"]
_STILL_OPEN = update(_TABLE).where(
    or_(_TABLE.c.id == bindparam("of"), _TABLE.c.carried_by == bindparam("of")),
    *(_TABLE.c.state != closed for closed in ("cancelled", "expired", "delivered")),
)


@dataclass(frozen=True, slots=True)
class Due:
    """A reminder that is due, with the rows that decide whether it is still wanted."""

    reminder: ReminderRow
    case: CaseRow
    deadline: DeadlineRow


def insert_reminders(session: Session, rows: Sequence[Mapping[str, object]]) -> None:
    """Write planned reminders. Not through the session's objects: most of a roster's rows are
    reminders, and this takes a sixth of the time."""
    if rows:
        session.connection().execute(insert(_TABLE), [dict(row) for row in rows])


def hold_the_claim(session: Session) -> None:
    """Let one worker claim at a time, until its transaction ends: caps and the one message a case
    rest on seeing what the others claimed. SQLite writes one at a time anyway."""
    if session.connection().dialect.name == "postgresql":
        session.connection().execute(select(func.pg_advisory_xact_lock(_CLAIM)))


_CLAIM = 0x71696461  # "qida": a name for the lock that nobody else uses


def pick_due(
    session: Session, now: datetime, limit: int, hours: Hours, channels: Sequence[str]
) -> list[Due]:
    """The next reminders due, earliest useless-after first, locked; with every other reminder of
    the same cases that is due too, so that one case gets one message.

    Outside the allowed hours only those planned for it: the urgent ones, and fresh ones of the
    last half hour, since what was fresh in the evening is not at 07:00.
    """
    # One whose earlier attempt may still arrive waits for it: two may not be open at a time.
    still_open = select(AttemptRow.id).where(
        col(AttemptRow.reminder_id) == col(ReminderRow.id),
        col(AttemptRow.state).in_(list(OPEN_ATTEMPTS)),
    )
    due = select(ReminderRow).where(
        _PLANNED,
        col(ReminderRow.due_at) <= now,
        col(ReminderRow.channel).in_(channels),
        ~still_open.exists(),
    )
    if hours is Hours.URGENT:
        reason = col(ReminderRow.reason)
        fresh = reason.startswith("outside_hours_fresh") & (col(ReminderRow.due_at) > now - FRESH)
        due = due.where(reason.startswith("outside_hours_urgent") | fresh)
    first = session.exec(
        due.order_by(col(ReminderRow.useless_after_at), col(ReminderRow.due_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if not first:
        return []
    ids = {row.case_id for row in first}
    same_cases = session.exec(
        due.where(
            col(ReminderRow.case_id).in_(ids), col(ReminderRow.id).not_in([row.id for row in first])
        ).with_for_update(skip_locked=True)
    ).all()
    rows = [*first, *same_cases]
    cases = {row.id: row for row in session.exec(select(CaseRow).where(col(CaseRow.id).in_(ids)))}
    deadline_ids = {row.deadline_id for row in rows}
    deadlines = {
        row.id: row
        for row in session.exec(select(DeadlineRow).where(col(DeadlineRow.id).in_(deadline_ids)))
    }
    return [Due(row, cases[row.case_id], deadlines[row.deadline_id]) for row in rows]


def claim(
    session: Session, claims: Mapping[str, str | None], *, owner: str, lease_until: datetime,
    now: datetime,
) -> set[str]:  # fmt: skip
    """Take planned reminders for `owner`; `claims` maps each to the one it is carried by.

    Returns the ids won: a row someone else took in between is not among them.
    """
    won: set[str] = set()
    for carried_by in set(claims.values()):
        ids = [one for one, by in claims.items() if by == carried_by]
        statement = (
            update(ReminderRow)
            .where(col(ReminderRow.id).in_(ids), _PLANNED)
            .values(
                state=ReminderState.SUBMITTING,
                owner=owner,
                lease_until_at=lease_until,
                carried_by=carried_by,
                attempts=ReminderRow.attempts + 1,
                updated_at=now,
            )
            .returning(col(ReminderRow.id))
            .execution_options(synchronize_session=False)
        )
        won.update(session.execute(statement).scalars())
    return won


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
    rows = [{"of": reminder_id, **values} for reminder_id in reminder_ids]
    if rows:
        session.flush()
        session.connection().execute(_STILL_OPEN, rows)


def bring_back(
    session: Session, leader_id: str, carried: Sequence[str], state: ReminderState, *, now: datetime
) -> None:
    """Take back that these are planned again: the message that carried them is on its way, or
    has arrived, after all."""
    session.execute(
        update(ReminderRow)
        .where(col(ReminderRow.id).in_(carried), _PLANNED)
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
            _PLANNED, col(ReminderRow.due_at) <= until
        )
    ).one()  # fmt: skip


def planned_sms(session: Session, *, until: datetime) -> Sequence[ReminderRow]:
    """The planned SMS due until an instant."""
    return session.exec(
        select(ReminderRow).where(
            _PLANNED, ReminderRow.channel == "sms", col(ReminderRow.due_at) <= until
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
