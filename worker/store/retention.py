"""Forgetting: what is personal leaves the tables, what proves a reminder stays until its own end.

Whoever calls these decides when; nothing here reads the clock or commits.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import col, delete, exists, func, or_, select, update

from worker.domain.delivery import OPEN_ATTEMPTS, DeadlineState, ReminderState
from worker.store.database import Session, new_id
from worker.store.tables import (
    AttemptEventRow,
    AttemptRow,
    CallTaskRow,
    CaseEventRow,
    CaseRow,
    DeadlineRow,
    ReminderRow,
)

ERASED = b""
"""What stands in a sealed column that may not be null, once its content is gone."""

_IN_FLIGHT = (
    ReminderState.SUBMITTING,
    ReminderState.UNCERTAIN,
    ReminderState.ACCEPTED,
    ReminderState.SENT,
)
_ON_ITS_WAY = (ReminderState.PLANNED, ReminderState.SUBMITTING, ReminderState.UNCERTAIN)
_CONTACT: dict[str, object] = {
    "name_sealed": None,
    "phone_sealed": None,
    "email_sealed": None,
    "second_phone_sealed": None,
    "phone_index": None,
    "email_index": None,
    "second_phone_index": None,
    "card_last4": "",
    "bank": "",
}


def forget_messages(session: Session, limit: int) -> int:
    """Erase address and text of attempts that are final and whose provider forgot the text, or
    never had to. Returns how many there were."""
    holds = col(AttemptRow.body_sealed).is_not(None) | (func.length(AttemptRow.address_sealed) > 0)
    done = (
        select(AttemptRow.id)
        .where(
            holds,
            col(AttemptRow.state).not_in(list(OPEN_ATTEMPTS)),
            col(AttemptRow.redact_at).is_(None),
        )
        .limit(limit)
    )
    ids = session.exec(done).all()
    _erase_messages(session, col(AttemptRow.id).in_(ids))
    return len(ids)


def _erase_messages(session: Session, which: ColumnElement[bool]) -> None:
    session.execute(
        update(AttemptRow)
        .where(which)
        .values(address_sealed=ERASED, body_sealed=None)
        .execution_options(synchronize_session=False)
    )


def quiet_cases(
    session: Session, centre_id: str, since: datetime, limit: int, *, with_contact: bool
) -> Sequence[tuple[str, str]]:
    """Ids and centres of cases that ended before `since`: nothing of them is to come, and nothing
    happened after. With `with_contact` only those that still hold something of a person."""
    of = col(CaseRow.id)
    deadline = exists().where(
        col(DeadlineRow.case_id) == of,
        ((col(DeadlineRow.state) == DeadlineState.OPEN) & (col(DeadlineRow.latest_at) > since))
        | (col(DeadlineRow.settled_at) > since),
    )
    reminder = exists().where(
        col(ReminderRow.case_id) == of,
        col(ReminderRow.state).in_(_ON_ITS_WAY) | (col(ReminderRow.updated_at) > since),
    )
    call = exists().where(
        col(CallTaskRow.case_id) == of,
        (col(CallTaskRow.state) == "open") | (col(CallTaskRow.done_at) > since),
    )
    event = exists().where(col(CaseEventRow.case_id) == of, col(CaseEventRow.recorded_at) > since)
    wanted = [
        col(CaseRow.centre_id) == centre_id,
        col(CaseRow.created_at) <= since,
        or_(col(CaseRow.closed_at).is_(None), col(CaseRow.closed_at) <= since),
        ~deadline, ~reminder, ~call, ~event,
    ]  # fmt: skip
    if with_contact:
        wanted.append(_holds_contact())
    return session.exec(select(CaseRow.id, CaseRow.centre_id).where(*wanted).limit(limit)).all()


def _holds_contact() -> ColumnElement[bool]:
    sealed = (CaseRow.name_sealed, CaseRow.phone_sealed, CaseRow.email_sealed,
              CaseRow.second_phone_sealed)  # fmt: skip
    return or_(*(col(one).is_not(None) for one in sealed), col(CaseRow.card_last4) != "")


def forget_contact(session: Session, case_id: str) -> None:
    """Erase everything personal of one case: contact, messages, and what people wrote freely.

    Events, deadlines, reminders, attempts and receipts stay, without identity.
    """
    session.execute(
        update(CaseRow)
        .where(col(CaseRow.id) == case_id)
        .values(**_CONTACT)
        .execution_options(synchronize_session="fetch")
    )
    _erase_messages(session, col(AttemptRow.case_id) == case_id)
    for task in session.exec(select(CallTaskRow).where(CallTaskRow.case_id == case_id)):
        task.note = task.note.partition(":")[0]  # the result; what follows is the caller's own
    for event in session.exec(select(CaseEventRow).where(CaseEventRow.case_id == case_id)):
        event.void_reason = ""


def forget_indexes(session: Session, case_id: str) -> None:
    """Erase by which address each message of a case could be found: nothing links it to anyone."""
    session.execute(
        update(AttemptRow)
        .where(col(AttemptRow.case_id) == case_id)
        .values(address_index="")
        .execution_options(synchronize_session=False)
    )


def end_case(session: Session, case: CaseRow, *, source: str, now: datetime) -> int:
    """End a case for good: nothing planned is sent, nobody is to be called, and an event
    `cancelled` keeps it so whenever it is worked out again. Returns how many were cancelled."""
    if case.state == "open":
        session.add(_cancelled(case, source, now))
        case.state, case.closed_at, case.updated_at = "closed", now, now
    for deadline in session.exec(select(DeadlineRow).where(DeadlineRow.case_id == case.id)):
        if deadline.state == DeadlineState.OPEN:
            deadline.state, deadline.settled_at = DeadlineState.CANCELLED, now
    for task in session.exec(select(CallTaskRow).where(CallTaskRow.case_id == case.id)):
        if task.state == "open":
            task.state, task.done_at, task.done_by, task.note = "done", now, "qida", source
    return _cancel_reminders(session, case.id, source, now)


def _cancelled(case: CaseRow, source: str, now: datetime) -> CaseEventRow:
    return CaseEventRow(
        id=new_id(now),
        centre_id=case.centre_id,
        case_id=case.id,
        event="cancelled",
        occurred_at=now,
        recorded_at=now,
        source=source,
    )


def _cancel_reminders(session: Session, case_id: str, why: str, now: datetime) -> int:
    cancelled = 0
    for row in session.exec(
        select(ReminderRow).where(ReminderRow.case_id == case_id).with_for_update()
    ):
        if row.state == ReminderState.PLANNED:
            row.state, row.reason, row.updated_at = ReminderState.CANCELLED, why, now
            cancelled += 1
        elif row.state in _IN_FLIGHT:
            row.reason = "cannot_be_recalled"
    return cancelled


def drop_cases(session: Session, ids: Sequence[str]) -> None:
    """Delete cases with all that belongs to them. The audit trail and opt-outs stay."""
    attempts = select(AttemptRow.id).where(col(AttemptRow.case_id).in_(ids))
    session.execute(
        delete(AttemptEventRow)
        .where(col(AttemptEventRow.attempt_id).in_(attempts))
        .execution_options(synchronize_session=False)
    )
    for table in (AttemptRow, CallTaskRow, ReminderRow, DeadlineRow, CaseEventRow):
        session.execute(
            delete(table)
            .where(col(table.case_id).in_(ids))
            .execution_options(synchronize_session=False)
        )
    session.execute(
        delete(CaseRow).where(col(CaseRow.id).in_(ids)).execution_options(synchronize_session=False)
    )


def drop_old_attempts(session: Session, centre_id: str, before: datetime, limit: int) -> int:
    """Delete attempts, and what was seen of them, that ended before an instant."""
    ids = session.exec(
        select(AttemptRow.id)
        .where(
            AttemptRow.centre_id == centre_id,
            col(AttemptRow.started_at) < before,
            col(AttemptRow.state).not_in(list(OPEN_ATTEMPTS)),
        )
        .limit(limit)
    ).all()
    events = delete(AttemptEventRow).where(col(AttemptEventRow.attempt_id).in_(ids))
    session.execute(events.execution_options(synchronize_session=False))
    attempts = delete(AttemptRow).where(col(AttemptRow.id).in_(ids))
    session.execute(attempts.execution_options(synchronize_session=False))
    return len(ids)
