"""Claiming, as the store does it: who may, what is due, and taking it by compare-and-set.

Everything here is asked for whole batches, and takes plain copies of rows rather than objects of
the session, which take four times as long to load and to read.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Select, Table, bindparam
from sqlalchemy import select as select_columns  # SQLModel's has types for four at most
from sqlmodel import SQLModel, col, func, select, update

from worker.domain.delivery import OPEN_ATTEMPTS, ReminderState
from worker.domain.reminders import FRESH, Hours
from worker.store.database import Session
from worker.store.reminders import PLANNED
from worker.store.tables import AttemptRow, CaseRow, DeadlineRow, ReminderRow

_TABLE = ReminderRow.metadata.tables["reminder"]
_DEADLINES = DeadlineRow.metadata.tables["deadline"]
_TOLD = (
    update(_DEADLINES).where(_DEADLINES.c.id == bindparam("of")).values(told=bindparam("announced"))
)


_CLAIM = 0x71696461  # "qida": a name for the lock that nobody else uses


class PickedReminder(NamedTuple):
    """What claiming must know of a reminder."""

    id: str
    centre_id: str
    case_id: str
    deadline_id: str
    step: str
    recipient: str
    channel: str
    plan_version: int
    due_at: datetime
    useless_after_at: datetime
    priority: int
    attempts: int
    reason: str


class PickedCase(NamedTuple):
    """What claiming must know of a case."""

    id: str
    centre_id: str
    state: str
    procedure: str
    language: str
    bank: str
    card_last4: str
    team_only: bool
    name_sealed: bytes | None
    phone_sealed: bytes | None
    email_sealed: bytes | None
    second_phone_sealed: bytes | None


class PickedDeadline(NamedTuple):
    """What claiming must know of a deadline."""

    id: str
    rule_id: str
    kind: str
    state: str
    started_at: datetime
    ends_at: datetime | None
    last_date: date | None
    earliest_at: datetime | None
    latest_at: datetime | None
    firm: bool
    consulted_to: date | None
    act_by_at: datetime | None
    ready_on: date | None
    told: str
    plan_version: int


class Picked(NamedTuple):
    """A reminder that is due, with what decides whether it is still wanted."""

    reminder: PickedReminder
    case: PickedCase
    deadline: PickedDeadline


def hold_the_claim(session: Session) -> None:
    """Let one worker claim at a time, until its transaction ends: caps and the one message a case
    rest on seeing what the others claimed. SQLite writes one at a time anyway."""
    if session.connection().dialect.name == "postgresql":
        session.connection().execute(select(func.pg_advisory_xact_lock(_CLAIM)))


def pick_due(
    session: Session, now: datetime, limit: int, hours: Hours, channels: Sequence[str]
) -> list[Picked]:
    """The next reminders due, earliest useless-after first, locked; with every other reminder of
    the same cases that is due too, so that one case gets one message.

    Outside the allowed hours only those planned for it: the urgent ones, and fresh ones of the
    last half hour, since what was fresh in the evening is not at 07:00. Cases and deadlines are
    read once the reminders are held, or they might be older than what is held.
    """
    # One whose earlier attempt may still arrive waits for it: two may not be open at a time.
    still_open = select(AttemptRow.id).where(
        col(AttemptRow.reminder_id) == _TABLE.c.id,
        col(AttemptRow.state).in_(list(OPEN_ATTEMPTS)),
    )
    due = _columns_of(_TABLE, PickedReminder).where(
        PLANNED, _TABLE.c.due_at <= now, _TABLE.c.channel.in_(channels), ~still_open.exists()
    )
    if hours is Hours.URGENT:
        reason = _TABLE.c.reason
        fresh = reason.startswith("outside_hours_fresh") & (_TABLE.c.due_at > now - FRESH)
        due = due.where(reason.startswith("outside_hours_urgent") | fresh)
    due = due.with_for_update(skip_locked=True)
    connection = session.connection()
    first = due.order_by(_TABLE.c.useless_after_at, _TABLE.c.due_at).limit(limit)
    found = {row.id: row for row in _rows(connection, first, PickedReminder)}
    if not found:
        return []
    case_ids = {row.case_id for row in found.values()}
    same_cases = due.where(_TABLE.c.case_id.in_(case_ids))
    found |= {row.id: row for row in _rows(connection, same_cases, PickedReminder)}
    deadline_ids = {row.deadline_id for row in found.values()}
    cases = _by_id(connection, CaseRow, PickedCase, case_ids)
    deadlines = _by_id(connection, DeadlineRow, PickedDeadline, deadline_ids)
    return [Picked(row, cases[row.case_id], deadlines[row.deadline_id]) for row in found.values()]


_T = TypeVar("_T", PickedReminder, PickedCase, PickedDeadline)


def _by_id(
    connection: Connection, table: type[SQLModel], picked: type[_T], ids: Iterable[str]
) -> dict[str, _T]:
    source = table.metadata.tables[str(table.__tablename__)]
    wanted = _columns_of(source, picked).where(source.c.id.in_(ids))
    return {row.id: row for row in _rows(connection, wanted, picked)}


def _columns_of(table: Table, picked: type[_T]) -> Select[Any]:
    return select_columns(*(table.c[name] for name in picked._fields))


def _rows(connection: Connection, wanted: Select[Any], picked: type[_T]) -> list[_T]:
    return [picked._make(row) for row in connection.execute(wanted)]


def claim(
    session: Session, claims: Mapping[str, str | None], *, owner: str, lease_until: datetime,
    now: datetime,
) -> set[str]:  # fmt: skip
    """Take planned reminders for `owner`; `claims` maps each to the one it is carried by.

    Returns the ids won: a row someone else took in between is not among them.
    """
    won: set[str] = set()
    # Leaders first: who rides with one that was lost must not be taken
    for carried_by in sorted(set(claims.values()), key=lambda leader: leader or ""):
        if carried_by is not None and carried_by not in won:
            continue
        ids = [one for one, by in claims.items() if by == carried_by]
        statement = (
            update(ReminderRow)
            .where(col(ReminderRow.id).in_(ids), PLANNED)
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


def note_told(session: Session, told: Mapping[str, str]) -> None:
    """Remember which date each deadline announces."""
    if told:  # in one order for all, as rows are locked
        rows = [{"of": deadline_id, "announced": told[deadline_id]} for deadline_id in sorted(told)]
        session.connection().execute(_TOLD, rows)


def end(
    session: Session, reminder_id: str, state: ReminderState, reason: str, *, now: datetime
) -> None:
    """Name what became of a planned reminder that does not leave."""
    session.connection().execute(
        update(_TABLE)
        .where(_TABLE.c.id == reminder_id, PLANNED)
        .values(state=state, reason=reason, updated_at=now)
    )


def postpone(session: Session, reminder_id: str, due_at: datetime, reason: str) -> None:
    """Let a planned reminder wait, and say for what."""
    session.execute(
        update(ReminderRow)
        .where(col(ReminderRow.id) == reminder_id, PLANNED)
        .values(due_at=due_at, reason=reason)
        .execution_options(synchronize_session=False)
    )


def stop_waiting(session: Session, reminder_ids: Sequence[str]) -> None:
    """Forget for what reminders waited that now leave."""
    if reminder_ids:
        session.execute(
            update(ReminderRow)
            .where(col(ReminderRow.id).in_(reminder_ids))
            .values(reason="")
            .execution_options(synchronize_session=False)
        )
