"""The ladder: when a message did not reach someone, the next means, and at last a person.

SMS -> e-mail -> second contact -> call task. Each rung is a new reminder, made on purpose.
"""

from datetime import datetime, timedelta

from worker.domain.delivery import DeadlineState, ReminderState
from worker.domain.reminders import later
from worker.domain.rules import RuleKind
from worker.store.attempts import attempts_of
from worker.store.cases import is_callable, open_call_task_of, reminders_of_deadline
from worker.store.database import Session, new_id
from worker.store.reminders import Due, carried_with
from worker.store.tables import CallTaskRow, CaseRow, DeadlineRow, ReminderRow

CLIMBED = "ladder:"
"""How the reason of a reminder begins that was made by climbing."""

CAPPED = "capped"
"""How the reason of a reminder begins that waits for room at its number."""

RESTING = "channel_rests"
"""How the reason of a reminder begins whose provider refuses our account or set-up."""

DELIVERED = "delivered"
"""Why a rung is cancelled whose first message arrived after all."""

OVERTAKEN = "a_later_step_went_out"
"""Why a reminder is cancelled that waited while a later step told the same date."""

_ONE_CLIMB = timedelta(hours=4)
"""Steps that fail within so long of each other climb together."""

WAITING = (CAPPED, RESTING)
"""Reasons to wait: a new plan leaves such a reminder its time."""


def climb(
    session: Session, case: CaseRow, deadline: DeadlineRow, reminder: ReminderRow, *, why: str,
    now: datetime,
) -> None:  # fmt: skip
    """Take the next rung after `reminder` failed for good (`why`); do nothing once the deadline
    is closed, or where another attempt was delivered."""
    if deadline.state not in (DeadlineState.OPEN, DeadlineState.LAPSED):
        return
    if reminder.state == ReminderState.DELIVERED:
        return
    if _is_climbing(session, deadline, reminder, now):
        return
    if means := _next_means(session, case, reminder, now):
        session.add(_rung(reminder, *means, why, now))
        return
    if reminder.state == ReminderState.UNDELIVERED:
        reminder.state = ReminderState.NEEDS_PERSON
        reminder.reason = why
    if reminder.step != "lapsed":
        open_call_task(session, deadline, reason=f"not_reached:{why}", now=now, reminder=reminder)


def _next_means(
    session: Session, case: CaseRow, reminder: ReminderRow, now: datetime
) -> tuple[str, str] | None:
    """Recipient and channel that this step was not sent by yet, while that helps."""
    used = {
        (row.recipient, row.channel)
        for row in reminders_of_deadline(session, reminder.deadline_id)
        if row.step == reminder.step and row.plan_version == reminder.plan_version
    }
    for recipient, channel, address in (
        ("citizen", "email", case.email_sealed),
        ("second_contact", "sms", case.second_phone_sealed),
    ):
        if address is not None and (recipient, channel) not in used and _helps(reminder, now):
            return recipient, channel
    return None


def climb_beside(session: Session, due: Due, *, why: str, now: datetime) -> None:
    """Take the next means, once, while a message is still tried by the first. Where there is none
    nothing is done: whether somebody must call is the audit's to say."""
    if has_climbed(session, due.reminder):
        return
    if _next_means(session, due.case, due.reminder, now):
        climb_with_carried(session, due, why=why, now=now)


def climb_with_carried(session: Session, due: Due, *, why: str, now: datetime) -> None:
    """Climb for a failed message and for every reminder that went inside it."""
    climb(session, due.case, due.deadline, due.reminder, why=why, now=now)
    for row in carried_with(session, due.reminder.id):
        session.refresh(row)
        deadline = session.get_one(DeadlineRow, row.deadline_id)
        climb(session, due.case, deadline, row, why=why, now=now)


LEFT = (ReminderState.SUBMITTING, ReminderState.UNCERTAIN, ReminderState.ACCEPTED,
        ReminderState.SENT, ReminderState.DELIVERED)  # fmt: skip
"""States of a reminder whose message left, or may have."""

_SPARED = timedelta(minutes=30)
_NO_TIME_TO_WAIT = timedelta(hours=1)


def has_just_followed(session: Session, due: Due, now: datetime, *, was_away: bool) -> bool:
    """Whether a later step has just left the same way, or, where the worker `was_away`, is about
    to: it tells the same, so that a second means may wait for half an hour. Never in the last hour,
    when two messages are better than none."""
    act_by, reminder = due.deadline.act_by_at, due.reminder
    if act_by is None or act_by - now <= _NO_TIME_TO_WAIT:
        return False
    later_steps = [
        row
        for row in reminders_of_deadline(session, reminder.deadline_id)
        if row.due_at > reminder.due_at
        and row.step != "lapsed"
        and (row.recipient, row.channel) == (reminder.recipient, reminder.channel)
        and row.plan_version == reminder.plan_version
    ]
    is_next = was_away and any(
        row.state == ReminderState.PLANNED and row.due_at <= now for row in later_steps
    )
    left = [row.id for row in later_steps if row.state in LEFT]
    return is_next or any(one.started_at > now - _SPARED for one in attempts_of(session, left))


_CLIMBING = (ReminderState.PLANNED, ReminderState.SUBMITTING, ReminderState.ACCEPTED,
             ReminderState.SENT, ReminderState.DELIVERED)  # fmt: skip


def _is_climbing(
    session: Session, deadline: DeadlineRow, reminder: ReminderRow, now: datetime
) -> bool:
    """Whether another step of the same plan took a rung within the last hours: it says the same,
    and climbs on by itself if it fails."""
    return any(
        row.reason.startswith(CLIMBED)
        and row.state in _CLIMBING
        and row.plan_version == reminder.plan_version
        and row.step != reminder.step
        and row.created_at > now - _ONE_CLIMB
        for row in reminders_of_deadline(session, deadline.id)
    )


def step_back(session: Session, reminder: ReminderRow, *, now: datetime) -> None:
    """Take back the rungs planned after `reminder`, which arrived after all."""
    for row in reminders_of_deadline(session, reminder.deadline_id):
        is_rung = row.reason.startswith(CLIMBED) and row.id != reminder.id
        same = (row.step, row.plan_version) == (reminder.step, reminder.plan_version)
        if is_rung and same and row.state == ReminderState.PLANNED:
            row.state, row.reason, row.updated_at = ReminderState.CANCELLED, DELIVERED, now


def has_climbed(session: Session, reminder: ReminderRow) -> bool:
    """Whether another means was taken after this reminder already."""
    return any(
        (row.recipient, row.channel) != (reminder.recipient, reminder.channel)
        for row in reminders_of_deadline(session, reminder.deadline_id)
        if row.step == reminder.step and row.plan_version == reminder.plan_version
    )


def _helps(reminder: ReminderRow, now: datetime) -> bool:
    return reminder.useless_after_at > later(now)


def _rung(
    reminder: ReminderRow, recipient: str, channel: str, why: str, now: datetime
) -> ReminderRow:
    return ReminderRow(
        id=new_id(now),
        centre_id=reminder.centre_id,
        case_id=reminder.case_id,
        deadline_id=reminder.deadline_id,
        step=reminder.step,
        recipient=recipient,
        channel=channel,
        plan_version=reminder.plan_version,
        due_at=later(now),
        useless_after_at=reminder.useless_after_at,
        state=ReminderState.PLANNED,
        priority=reminder.priority,
        reason=CLIMBED + why,
        created_at=now,
        updated_at=now,
    )


def open_call_task(
    session: Session,
    deadline: DeadlineRow,
    *,
    reason: str,
    now: datetime,
    reminder: ReminderRow | None = None,
) -> bool:
    """Put the deadline on the centre's call list, unless it is there, a person was done with it, or
    it was settled since it was read. Whoever calls this holds the case or one of its reminders, so
    that what settles it, or opens the same task, comes before or after.

    Advice without a date opens none: no clock runs (DESIGN §2).
    """
    if deadline.kind == RuleKind.STEP or not is_callable(session, deadline.id):
        return False
    session.add(
        CallTaskRow(
            id=new_id(now),
            centre_id=deadline.centre_id,
            case_id=deadline.case_id,
            deadline_id=deadline.id,
            reminder_id=reminder.id if reminder else None,
            reason=reason,
            act_by_at=deadline.act_by_at,
            state="open",
            opened_at=now,
        )
    )
    session.flush()
    return True


def close_call_tasks(
    session: Session, deadline: DeadlineRow, *, now: datetime, note: str, of: str | None = None
) -> None:
    """Take a deadline that is over off the call list; with `of`, only for that reminder's task."""
    task = open_call_task_of(session, deadline.id)
    if task is not None and of in (None, task.reminder_id):
        task.state, task.done_at, task.done_by, task.note = "done", now, "qida", note
