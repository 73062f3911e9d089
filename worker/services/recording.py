"""Recording what a provider said at once: transaction 2 of sending (DESIGN §5, step 5).

A batch is written in one commit, by a few statements that hold where nothing is out of the
ordinary. Otherwise (an attempt that is no longer ours, an id that another message has, a row that
cannot be written) each outcome is written alone, and takes no other with it.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, assert_never

from worker.crashpoints import crash_point
from worker.domain.delivery import (
    Accepted,
    AttemptState,
    NotSent,
    Outcome,
    Rejected,
    ReminderState,
    Uncertain,
    next_find_at,
    next_poll_at,
)
from worker.domain.pace import RESTS
from worker.domain.reminders import ENOUGH, FRESH, Hours, hours_at, later
from worker.services.capping import give_back
from worker.services.claiming import Claimed
from worker.services.context import Context
from worker.services.ladder import climb_beside, climb_with_carried
from worker.store.attempts import (
    NewAttempt,
    Seen,
    add_events,
    bound_elsewhere,
    move_attempt,
    record_outcomes,
)
from worker.store.database import Session
from worker.store.receipts import add_opt_out
from worker.store.reminders import Due, reminders_by_id, set_state
from worker.store.tables import ReminderRow

log = logging.getLogger(__name__)

_BACK_OFF = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 15, 30, 60))
_IN_VAIN = 3  # tries that did not reach the provider; late in the day another means is taken too
_IN_ONE_GO: tuple[tuple[type[Outcome], ReminderState], ...] = (
    (Accepted, ReminderState.ACCEPTED),
    (Uncertain, ReminderState.UNCERTAIN),
)


class Said(NamedTuple):
    """A message and what became of it at once."""

    one: Claimed
    outcome: Outcome


def record(context: Context, owner: str, batch: Sequence[Said], now: datetime) -> Counter[str]:
    """Write a batch for each attempt that is still `owner`'s; counts the attempts' new states."""
    with context.db.transaction() as session:
        ordered = sorted(batch, key=lambda said: said.one.attempt.reminder_id)  # as rows are locked
        counts = _written(session, owner, ordered, now)
        crash_point("in_record")
    for one, outcome in batch:
        log.info(
            "reminder.submitted",
            extra={
                "attempt_id": one.attempt.id,
                "reminder_id": one.attempt.reminder_id,
                "channel": one.attempt.channel_name,
                "state": type(outcome).__name__.lower(),
            },
        )
    return counts


def _written(session: Session, owner: str, batch: Sequence[Said], now: datetime) -> Counter[str]:
    if len(batch) == 1:
        return _written_alone(session, owner, batch[0], now)
    try:
        with session.begin_nested():
            return _write(session, owner, batch, now)
    except Exception as error:  # noqa: BLE001 - what it was shows when each is written alone
        extra = {"count": len(batch), "error": type(error).__name__}
        log.info("batch.taken_apart", extra=extra)
    counts: Counter[str] = Counter()
    for said in batch:
        counts += _written_alone(session, owner, said, now)
    return counts


def _written_alone(session: Session, owner: str, said: Said, now: datetime) -> Counter[str]:
    try:
        with session.begin_nested():
            believed = _believed(session, said)
            try:
                return _write(session, owner, [believed], now)
            except NoLongerOurs:
                return Counter([_write_late(session, believed, now)])
    except Exception:  # this one is left to the rescue, the others are not
        log.exception("reminder.not_recorded", extra={"attempt_id": said.one.attempt.id})
        return Counter()


def _believed(session: Session, said: Said) -> Said:
    """An answer with the id of another message says nothing of this one: it is looked up."""
    attempt, outcome = said.one.attempt, said.outcome
    if isinstance(outcome, Accepted) and bound_elsewhere(
        session, attempt.channel_name, {outcome.provider_id: attempt.id}
    ):
        log.error("attempt.id_of_another", extra={"code": outcome.provider_id})
        return Said(said.one, Uncertain("the provider's id belongs to another message"))
    return said


class NoLongerOurs(Exception):
    """Someone else has decided about an attempt meanwhile."""


def _write(session: Session, owner: str, batch: Sequence[Said], now: datetime) -> Counter[str]:
    """What was seen, the attempts, and their reminders. Raises NoLongerOurs before the latter."""
    seen = [(one.attempt, _seen(outcome)) for one, outcome in batch]
    add_events(session, seen, "submit", now=now)
    verdicts = {said.one.attempt.id: _verdict(said, now) for said in batch}
    if record_outcomes(session, owner, verdicts) < len(batch):
        raise NoLongerOurs
    _follow(session, batch, now)
    never_left = [one.attempt for one, outcome in batch if isinstance(outcome, NotSent | Rejected)]
    give_back(session, never_left, now=now)
    return Counter(str(verdict["state"]) for verdict in verdicts.values())


def _write_late(session: Session, said: Said, now: datetime) -> str:
    """The attempt is not ours any more; an id that came too late for that is kept all the same."""
    attempt, verdict = said.one.attempt, _verdict(said, now)
    if isinstance(said.outcome, Accepted) and move_attempt(
        session, attempt.id, AttemptState.UNCERTAIN, verdict
    ):
        set_state(session, [attempt.reminder_id], ReminderState.ACCEPTED, now=now)
        return str(verdict["state"])
    return "overtaken"


def _verdict(said: Said, now: datetime) -> dict[str, object]:
    """An outcome as the attempt's columns; always the same ones, for one statement writes many."""
    one, started_at = said.one, said.one.attempt.started_at
    row: dict[str, object] = {"provider_id": None, "provider_status": "", "code": "",
                              "finished_at": now, "next_check_at": None}  # fmt: skip
    match said.outcome:
        case Accepted(provider_id, status):
            poll_at = next_poll_at(started_at, one.act_by, now)
            return row | {"state": AttemptState.ACCEPTED, "provider_id": provider_id,
                          "provider_status": status, "next_check_at": poll_at}  # fmt: skip
        case NotSent(reason):
            return row | {"state": AttemptState.NOT_SENT, "code": reason[:100]}
        case Rejected(code):
            return row | {"state": AttemptState.REJECTED, "code": code[:100]}
        case Uncertain():
            find_at = next_find_at(started_at, 0, one.act_by, one.finds_after)
            return row | {"state": AttemptState.UNCERTAIN, "finished_at": None,
                          "next_check_at": find_at}  # fmt: skip
        case _:  # pragma: no cover
            assert_never(said.outcome)


def _seen(outcome: Outcome) -> Seen:
    match outcome:
        case Accepted(provider_id, status):
            return Seen(status, provider_id)
        case NotSent(reason):
            return Seen("not_sent", code=reason[:100])
        case Rejected(code):
            return Seen("rejected", code=code[:100])
        case Uncertain(why):
            return Seen("uncertain", code=why[:100])
        case _:  # pragma: no cover
            assert_never(outcome)


def _follow(session: Session, batch: Sequence[Said], now: datetime) -> None:
    """What the outcomes mean for the reminders."""
    for kind, state in _IN_ONE_GO:
        ids = [one.attempt.reminder_id for one, outcome in batch if isinstance(outcome, kind)]
        set_state(session, ids, state, now=now)
    for one, outcome in batch:
        if isinstance(outcome, (NotSent, Rejected)):
            due = reminders_by_id(session, [one.attempt.reminder_id])[one.attempt.reminder_id]
            _go_on(session, due, one.attempt, outcome, now)


def _go_on(
    session: Session, due: Due, attempt: NewAttempt, outcome: NotSent | Rejected, now: datetime
) -> None:
    """Try again later, or take the next means."""
    match outcome:
        case NotSent(_, retry_after):
            usual = _BACK_OFF[min(attempt.number, len(_BACK_OFF)) - 1]
            wait = max(usual, retry_after or usual)  # a provider's clock may lag behind ours
            at = _again_at(due.reminder, now + wait)
            if attempt.number >= _IN_VAIN and at + ENOUGH >= due.reminder.useless_after_at:
                climb_beside(session, due, why="not_sent", now=now)
            set_state(session, [due.reminder.id], ReminderState.PLANNED, now=now, due_at=at)
        case Rejected(code, scope) if scope != "recipient":
            at = _again_at(due.reminder, now + RESTS[min(attempt.number, len(RESTS)) - 1])
            if at + ENOUGH < due.reminder.useless_after_at:
                set_state(session, [due.reminder.id], ReminderState.PLANNED, now=now, due_at=at,
                          reason=f"refused:{code}")  # fmt: skip
            else:
                _give_up(session, due, f"refused:{code}", now)
        case Rejected(code, _, opted_out):
            if opted_out:
                add_opt_out(session, attempt.address_index, None, attempt.channel_name, now)
            _give_up(session, due, f"rejected:{code}", now)


def _give_up(session: Session, due: Due, why: str, now: datetime) -> None:
    """This means will not reach the person in time: take the next one."""
    set_state(session, [due.reminder.id], ReminderState.UNDELIVERED, now=now)
    session.refresh(due.reminder)
    climb_with_carried(session, due, why=why, now=now)


def _again_at(reminder: ReminderRow, at: datetime) -> datetime:
    """When to try again: what is urgent may use the hours outside the allowed ones still, what is
    fresh as long as it is."""
    is_urgent = reminder.reason.startswith("outside_hours_urgent")
    is_fresh = (
        reminder.reason.startswith("outside_hours_fresh") and at < reminder.created_at + FRESH
    )
    if (is_urgent or is_fresh) and hours_at(at) is not Hours.NIGHT:
        return at
    return later(at)
