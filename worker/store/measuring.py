"""Figures for operators, counted by the database: no row leaves it, and nothing of a person."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, extract, select, text
from sqlmodel import col, func, literal_column

from worker.domain.delivery import AttemptState, DeadlineState, ReminderState
from worker.store.database import Session
from worker.store.job_runs import JobRunRow
from worker.store.tables import AttemptRow, CallTaskRow, DeadlineRow, ReminderRow

Counted = Sequence[tuple[Any, ...]]
"""Rows of labels, and their figures last."""

_STILL_GOING = ("planned", "submitting", "accepted", "sent", "uncertain")


def runs_of_duties(session: Session) -> Counted:
    """Duty, state, runs, and when the last of them ended."""
    return _all(
        session,
        select(
            col(JobRunRow.duty),
            col(JobRunRow.state),
            func.sum(JobRunRow.runs),
            func.max(JobRunRow.finished_at),
        ).group_by(col(JobRunRow.duty), col(JobRunRow.state)),
    )


def seconds_of_duties(session: Session, bounds: Sequence[float]) -> Counted:
    """Duty, runs that worked within each bound, all of them, and their seconds together."""
    took = _seconds(session, col(JobRunRow.started_at), col(JobRunRow.finished_at))
    worked = select(col(JobRunRow.duty), *_histogram(took, bounds))
    return _all(session, worked.where(col(JobRunRow.counts) != "{}").group_by(col(JobRunRow.duty)))


def reminders_ended(session: Session) -> Counted:
    """Channel, priority, state and number of the reminders that came to an end."""
    of = (col(ReminderRow.channel), col(ReminderRow.priority), col(ReminderRow.state))
    ended = select(*of, func.count()).where(col(ReminderRow.state).not_in(_STILL_GOING))
    return _all(session, ended.group_by(*of))


def reminders_due(session: Session, now: datetime) -> Counted:
    """Priority, number and first due instant of what should have left by now."""
    due = select(col(ReminderRow.priority), func.count(), func.min(ReminderRow.due_at)).where(
        col(ReminderRow.state) == literal_column(f"'{ReminderState.PLANNED}'"),
        col(ReminderRow.due_at) <= now,
        col(ReminderRow.useless_after_at) > now,
    )
    return _all(session, due.group_by(col(ReminderRow.priority)))


def lateness(session: Session, bounds: Sequence[float]) -> Counted:
    """Priority, first attempts that began within each bound after they were due, all of them, and
    their seconds together."""
    late = _seconds(session, col(ReminderRow.due_at), col(AttemptRow.started_at))
    tried = (
        select(col(ReminderRow.priority), *_histogram(late, bounds))
        .join(AttemptRow, col(AttemptRow.reminder_id) == col(ReminderRow.id))
        .where(col(AttemptRow.number) == 1)
    )
    return _all(session, tried.group_by(col(ReminderRow.priority)))


def provider_answers(session: Session) -> Counted:
    """Provider, attempt's state, code, and number."""
    of = (col(AttemptRow.channel_name), col(AttemptRow.state), col(AttemptRow.code))
    return _all(session, select(*of, func.count()).group_by(*of))


def receipts_missing(session: Session, since: datetime) -> Counted:
    """Channel, and number of messages taken before `since` of which nothing final was heard."""
    open_ones = select(col(AttemptRow.kind), func.count()).where(
        text("next_check_at IS NOT NULL"),  # as the partial index has it
        col(AttemptRow.state).in_((AttemptState.ACCEPTED, AttemptState.SENT)),
        col(AttemptRow.started_at) < since,
    )
    return _all(session, open_ones.group_by(col(AttemptRow.kind)))


def lapses_nobody_knows(session: Session, now: datetime, until: datetime) -> int:
    """Open lapses that end between the two instants, of which neither a message was delivered nor
    a person was done with a call."""
    told = select(col(ReminderRow.id)).where(
        col(ReminderRow.deadline_id) == col(DeadlineRow.id),
        col(ReminderRow.plan_version) == col(DeadlineRow.plan_version),
        col(ReminderRow.state) == ReminderState.DELIVERED,
    )
    called = select(col(CallTaskRow.id)).where(
        col(CallTaskRow.deadline_id) == col(DeadlineRow.id),
        col(CallTaskRow.state) == "done",
        col(CallTaskRow.done_by) != "qida",
    )
    ending = (
        select(func.count())
        .select_from(DeadlineRow)
        .where(
            col(DeadlineRow.state) == DeadlineState.OPEN,
            col(DeadlineRow.kind) == "lapse",
            col(DeadlineRow.latest_at) > now,
            col(DeadlineRow.latest_at) <= until,
            ~told.exists(),
            ~called.exists(),
        )
    )
    return int(session.execute(ending).scalar_one())


def calls_open(session: Session) -> Counted:
    """Centre, and number of its open call tasks."""
    is_open = text("state = 'open'")  # as the partial index has it
    tasks = select(col(CallTaskRow.centre_id), func.count()).where(is_open)
    return _all(session, tasks.group_by(col(CallTaskRow.centre_id)))


def _all(session: Session, statement: Any) -> Counted:  # noqa: ANN401  # any select of columns
    return [tuple(row) for row in session.execute(statement)]


def _histogram(seconds: ColumnElement[Any], bounds: Sequence[float]) -> list[Any]:
    within = [func.sum(case((seconds <= bound, 1), else_=0)) for bound in bounds]
    return [*within, func.count(), func.sum(seconds)]


def _seconds(session: Session, since: Any, until: Any) -> ColumnElement[Any]:  # noqa: ANN401
    """The seconds between two columns; each engine has its own word for it."""
    if session.connection().dialect.name == "sqlite":
        return (func.julianday(until) - func.julianday(since)) * 86_400.0
    return extract("epoch", until - since)
