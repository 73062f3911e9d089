"""Settling: look-ups of lost answers, and rescue of claims nobody finished."""

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from worker.crashpoints import crash_point
from worker.domain.delivery import (
    FINDS_AFTER,
    LEASE,
    OPEN_ATTEMPTS,
    POLLS_AFTER,
    AttemptState,
    Found,
    Prepared,
    Receipt,
    ReminderState,
    SendRequest,
    next_find_at,
    next_poll_at,
)
from worker.domain.reminders import later
from worker.services.context import Context
from worker.services.ladder import climb_with_carried
from worker.store.attempts import (
    Seen,
    Tried,
    add_event,
    bound_elsewhere,
    due_for_check,
    in_doubt_beside,
    lost_before,
    move_attempt,
    stale_claims,
)
from worker.store.database import Session
from worker.store.reminders import Due, reminders_by_id, set_state
from worker.store.tables import AttemptRow

log = logging.getLogger(__name__)

_BATCH = 200
_LOOK_BACK = timedelta(seconds=120)  # clocks differ between us and a provider
_ASK_AGAIN = timedelta(minutes=2)
_ABOUT = timedelta(seconds=5)  # a provider tells seconds, and takes a moment


def settle_uncertain(context: Context, *, now: datetime) -> Counter[str]:
    """Look up every uncertain attempt that is due: bind what was sent, or count a miss.

    The provider is asked with no session open. Only a complete look-up counts (DESIGN §5.6).
    """
    counts: Counter[str] = Counter()
    for attempt in _due(context, (AttemptState.UNCERTAIN,), now):
        if context.senders.is_stopping or context.senders.unwritten:
            break  # the answer may be among those that are still to be written
        found = _found(context, attempt, now)
        crash_point("after_find")
        try:
            with context.db.transaction() as session:
                state = _settle(session, attempt, found, now, _finds_after(context, attempt.kind))
                crash_point("in_settle")
        except Exception:  # this one is asked about again, the others are not kept waiting
            log.exception("attempt.not_settled", extra={"attempt_id": attempt.id})
            counts["error"] += 1
            continue
        counts[state] += 1
        log.info("attempt.settled", extra={"attempt_id": attempt.id, "state": state})
    return counts


def rescue(context: Context, *, now: datetime) -> Counter[str]:
    """Turn claims past their lease into `uncertain`: whether they were sent must be looked up.

    Not while answers wait to be written: they say it better.
    """
    counts: Counter[str] = Counter()
    if context.senders.unwritten:
        return counts
    with context.db.transaction() as session:
        for attempt in stale_claims(session, now, _BATCH):
            find_at = _first_find_at(session, context, attempt)
            values = {"state": AttemptState.UNCERTAIN, "next_check_at": max(now, find_at)}
            if move_attempt(session, attempt.id, AttemptState.SUBMITTING, values):
                add_event(session, attempt, "rescue", Seen("uncertain"), now=now)
                set_state(session, [attempt.reminder_id], ReminderState.UNCERTAIN, now=now)
                counts["rescued"] += 1
        crash_point("in_rescue")
    return counts


def _first_find_at(session: Session, context: Context, attempt: AttemptRow) -> datetime:
    """When a rescued attempt is looked up: not before its lease is over, and of a letter not before
    a report of it had the time to come."""
    due = reminders_by_id(session, [attempt.reminder_id])[attempt.reminder_id]
    finds_after = _finds_after(context, attempt.kind)
    find_at = next_find_at(attempt.started_at, 0, due.deadline.act_by_at, finds_after)
    over_at = attempt.started_at + LEASE
    return over_at if find_at is None else max(over_at, find_at)


def _due(context: Context, states: tuple[AttemptState, ...], now: datetime) -> list[AttemptRow]:
    with context.db.reading() as session:
        return list(due_for_check(session, states, now, _BATCH))


def _found(context: Context, attempt: AttemptRow, now: datetime) -> Found:
    """The provider's list; one that cannot be asked proves nothing, and stops nobody else's."""
    since = attempt.started_at - _LOOK_BACK
    try:
        channel = context.channel(attempt.kind)
        if channel.name != attempt.channel_name:
            return Found(complete=False)  # another provider's list says nothing of this message
        return channel.find(_prepared(context, attempt), attempt.ref, since=since, now=now)
    except Exception:
        log.exception("attempt.not_looked_up", extra={"attempt_id": attempt.id})
        return Found(complete=False)


def _finds_after(context: Context, kind: str) -> Sequence[timedelta]:
    return next((one.caps.finds_after for one in context.channels.values() if one.kind == kind),
                FINDS_AFTER)  # fmt: skip


def _prepared(context: Context, attempt: AttemptRow) -> Prepared:
    """The message as it was submitted, from the attempt's own sealed copy."""

    def opened(sealed: bytes | None, column: str) -> str:
        return "" if sealed is None else context.keys.open(
            sealed, table="attempt", column=column, row_id=attempt.id, centre_id=attempt.centre_id
        )  # fmt: skip

    request = SendRequest(
        to=opened(attempt.address_sealed, "address_sealed"),
        text=opened(attempt.body_sealed, "body_sealed"),
    )
    return Prepared(request, attempt.parts)


def _settle(
    session: Session,
    attempt: AttemptRow,
    found: Found,
    now: datetime,
    finds_after: Sequence[timedelta],
) -> str:
    """What a look-up means: accepted, lost, or to be asked again.

    The attempt is read again: where another worker looked it up meanwhile, this look-up must not
    count beside that one, nor hurry the next.
    """
    asked_for = attempt.next_check_at
    attempt = session.get_one(AttemptRow, attempt.id, with_for_update=True)
    due = reminders_by_id(session, [attempt.reminder_id])[attempt.reminder_id]
    ours = {hit.provider_id: attempt.id for hit in found.hits}
    bound = bound_elsewhere(session, attempt.channel_name, ours)
    until = attempt.started_at + LEASE + _LOOK_BACK  # past its lease it submitted nothing any more
    free = sorted(
        (hit for hit in found.hits
         if hit.provider_id not in bound and (hit.created_at or until) <= until),
        key=lambda hit: (hit.created_at or until, hit.provider_id),
    )  # fmt: skip
    if nearest := _nearest(session, attempt, free):
        if len(nearest) > 1:
            log.warning("attempt.several_found", extra={"attempt_id": attempt.id})
        return _bind(session, attempt, nearest[0], due, now)
    if attempt.next_check_at != asked_for:
        return "overtaken"
    if not found.complete:
        return _ask_again(session, attempt, now)
    misses = attempt.misses + 1
    add_event(session, attempt, "find", Seen("missing"), now=now)
    find_at = next_find_at(attempt.started_at, misses, due.deadline.act_by_at, finds_after)
    if find_at is not None:
        values = {"misses": misses, "next_check_at": max(find_at, now)}
        move_attempt(session, attempt.id, AttemptState.UNCERTAIN, values)
        return "missing"
    return _lose(session, attempt, misses, now)


def _nearest(session: Session, attempt: AttemptRow, free: list[Receipt]) -> list[Receipt]:
    """The messages that are not more likely another's: of two cases of one number and one text,
    both in doubt, a late list may show the second's message before the first's."""
    in_doubt = in_doubt_beside(session, attempt) if free else []
    if len(in_doubt) < 2:  # nobody beside it
        return free
    mine, *others = in_doubt
    return [hit for hit in free
            if _gap(mine, hit) <= min(_gap(other, hit) for other in others) + _ABOUT]  # fmt: skip


def _gap(tried: Tried, hit: Receipt) -> timedelta:
    """How far a message's creation is from the time in which it was submitted, if it was this
    attempt's: from its claim to what came of the call, or the end of its lease."""
    created_at, ended_at = hit.created_at, tried.ended_at or tried.started_at + LEASE
    if created_at is None:
        return timedelta()
    return max(tried.started_at - created_at, created_at - ended_at, timedelta())


def _ask_again(session: Session, attempt: AttemptRow, now: datetime) -> str:
    """No conclusion: ask again, for 72 hours at most; then nobody will ever know."""
    if now - attempt.started_at < POLLS_AFTER[-1]:
        values: dict[str, object] = {"next_check_at": now + _ASK_AGAIN}
        move_attempt(session, attempt.id, AttemptState.UNCERTAIN, values)
        return "not_settled"
    values = {"state": AttemptState.UNCONFIRMED, "next_check_at": None}
    if move_attempt(session, attempt.id, AttemptState.UNCERTAIN, values):
        set_state(session, [attempt.reminder_id], ReminderState.UNCONFIRMED, now=now)
    return "unconfirmed"


def _bind(session: Session, attempt: AttemptRow, hit: Receipt, due: Due, now: datetime) -> str:
    """The message is this attempt's. What became of it is asked for: at once where the list shows
    that something has, else when it usually would be."""
    is_over = hit.state is not None and hit.state not in OPEN_ATTEMPTS
    poll_at = next_poll_at(attempt.started_at, due.deadline.act_by_at, now)
    values = {
        "state": AttemptState.ACCEPTED,
        "provider_id": hit.provider_id,
        "provider_status": hit.status,
        "next_check_at": now if is_over or poll_at is None else max(now, poll_at),
    }
    add_event(session, attempt, "find", Seen(hit.status, hit.provider_id), now=now)
    if move_attempt(session, attempt.id, AttemptState.UNCERTAIN, values):
        set_state(session, [attempt.reminder_id], ReminderState.ACCEPTED, now=now)
    return "found"


def _lose(session: Session, attempt: AttemptRow, misses: int, now: datetime) -> str:
    """Nothing was sent. One more attempt, once only (promise 3); then the next means."""
    again = lost_before(session, attempt.reminder_id, misses) == 0
    values = {"state": AttemptState.LOST, "misses": misses, "next_check_at": None}
    if not move_attempt(session, attempt.id, AttemptState.UNCERTAIN, values):
        return "not_settled"
    due = reminders_by_id(session, [attempt.reminder_id])[attempt.reminder_id]
    if again:
        set_state(session, [attempt.reminder_id], ReminderState.PLANNED, now=now,
                  reason="again_after_lost", due_at=later(now))  # fmt: skip
        return "lost"
    set_state(session, [attempt.reminder_id], ReminderState.UNDELIVERED, now=now, reason="lost")
    session.refresh(due.reminder)
    climb_with_carried(session, due, why="lost_twice", now=now)
    return "lost"
