"""Receipts: what a provider says later of a message, by callback, bounce or poll (DESIGN §5).

Whatever was seen is kept first, in the provider's words. Then the attempt moves, ranks only rising
and finals sticky, and its reminder with it; a message that failed is tried once more where that
may help, or the ladder is climbed.
"""

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Literal

from worker.domain.delivery import (
    OPEN_ATTEMPTS,
    REMINDER_STATE,
    AttemptState,
    Receipt,
    ReminderState,
    advance,
    next_poll_at,
)
from worker.domain.reminders import ENOUGH, later
from worker.domain.rules import RuleKind
from worker.services.context import Context
from worker.services.ladder import (
    DELIVERED,
    climb_with_carried,
    close_call_tasks,
    has_climbed,
    has_just_followed,
    step_back,
)
from worker.services.rebinding import is_about, rebind
from worker.services.silence import RECEIPT_NEEDED, brings_no_receipts
from worker.store.attempts import Seen, add_event, due_for_check, move_attempt
from worker.store.database import Session
from worker.store.receipts import (
    add_opt_out,
    add_orphan,
    attempt_by_provider_id,
    attempt_by_ref,
    failed_before,
    latest_attempt,
    other_open_attempt,
    was_seen,
    was_tried_again,
)
from worker.store.reminders import Due, bring_back, carried_with, reminders_by_id, set_state
from worker.store.tables import AttemptRow, DeadlineRow

log = logging.getLogger(__name__)

_BATCH = 200
_ON_ITS_WAY = (AttemptState.ACCEPTED, AttemptState.SENT)
_MAY_BE_GONE = (AttemptState.SUBMITTING, AttemptState.UNCERTAIN, AttemptState.LOST)
_FAILED = (AttemptState.UNDELIVERED, AttemptState.FAILED, AttemptState.CANCELED)
_TRY_AGAIN = timedelta(hours=2)  # DESIGN §5.7: what may pass is tried once more
_REDACT_AFTER = timedelta(minutes=5)  # a provider may still be finishing its own record
_PUNCTUAL = timedelta(minutes=10)  # a poll that is later tells of a worker that was away
_WORDS = ("delayed", "unsubscribed", "missing")
"""Words that move nothing and still are no news: of mail servers, of people, of a poll."""

MISSING = "missing"
"""The provider's word for a message it does not know any more."""

Source = Literal["callback", "bounce", "poll"]


def take_receipt(
    context: Context, receipt: Receipt, *, source: Source, channel_name: str, now: datetime
) -> str:
    """Keep and apply a receipt that came by itself; safe to repeat.

    Returns `unknown` for a message that is none of ours, `repeated`, `other_message` where the
    reminder is known to have gone out under another id, or the attempt's state.
    """
    seen = Seen(receipt.status, receipt.provider_id, receipt.code, receipt.raw)
    with context.db.transaction() as session:
        attempt = _attempt_of(session, receipt, source, channel_name)
        if attempt is None:
            if not was_seen(session, None, source, seen):
                add_orphan(session, source, seen, now=now)
                log.warning("receipt.unknown", extra={"channel": channel_name})
            return "unknown"
        _refuse(session, attempt, receipt, source, now)  # again, too: it was taken back meanwhile
        if was_seen(session, attempt.id, source, seen):
            return "repeated"
        add_event(session, attempt, source, seen, now=now)
        session.flush()
        _note_unknown(attempt, receipt)
        return _applied(session, context, attempt, receipt, source, now)


def _attempt_of(
    session: Session, receipt: Receipt, source: Source, channel_name: str
) -> AttemptRow | None:
    """By our own ref, else by the provider's id, else by the reminder whose id a bounce quotes
    from the Message-ID."""
    found = None
    if receipt.ref:
        found = attempt_by_ref(session, receipt.ref)
    elif receipt.provider_id:
        found = attempt_by_provider_id(session, channel_name, receipt.provider_id)
    if found is None and source == "bounce" and receipt.state is not AttemptState.DELIVERED:
        # Whoever got the mail can read its Message-ID: that proves no delivery.
        found = latest_attempt(session, receipt.ref)
    return found if found is None or found.channel_name == channel_name else None


def _note_unknown(attempt: AttemptRow, receipt: Receipt) -> None:
    """A word we have no state for. The log does not repeat it: a bounce is mail from anyone."""
    if receipt.state is None and receipt.status not in _WORDS:
        log.warning("receipt.unknown_status", extra={"attempt_id": attempt.id})


def poll(context: Context, *, now: datetime) -> Counter[str]:
    """Ask after every message without a final receipt that is due for it, several at once."""
    counts: Counter[str] = Counter()
    seen: set[str] = set()
    with ThreadPoolExecutor(context.send_threads, "poll") as pool:
        while (due := _due(context, seen, now)) and not context.senders.is_stopping:
            seen.update(attempt.id for attempt in due)
            answers = pool.map(lambda attempt: _asked(context, attempt, now), due)
            for attempt, receipt in zip(due, answers, strict=True):
                counts[_poll_written(context, attempt, receipt, now)] += 1
    return counts


def _due(context: Context, seen: set[str], now: datetime) -> list[AttemptRow]:
    """The next to ask after; each once in a pass, so that one that fails holds up no other."""
    with context.db.reading() as session:
        found = due_for_check(session, (*_ON_ITS_WAY, *_FAILED), now, _BATCH + len(seen))
        return [attempt for attempt in found if attempt.id not in seen]


def _poll_written(
    context: Context, attempt: AttemptRow, receipt: Receipt | None, now: datetime
) -> str:
    try:
        with context.db.transaction() as session:
            state = _polled(session, context, attempt, receipt, now)
    except Exception:  # this one is asked after again, the others are not kept waiting
        log.exception("attempt.not_polled", extra={"attempt_id": attempt.id})
        return "error"
    log.info("attempt.polled", extra={"attempt_id": attempt.id, "state": state})
    return state


def _asked(context: Context, attempt: AttemptRow, now: datetime) -> Receipt | None:
    """The provider's present word; one that cannot be asked is asked again, as it was silent."""
    try:
        channel = context.channel(attempt.kind)
        is_same = channel.name == attempt.channel_name
        return channel.poll(attempt.provider_id or "", now=now) if is_same else None
    except Exception:
        log.exception("attempt.not_polled", extra={"attempt_id": attempt.id})
        return None


def _polled(
    session: Session, context: Context, attempt: AttemptRow, receipt: Receipt | None, now: datetime
) -> str:
    """Apply a poll: the ladder of polls goes on until a final state, or 72 hours.

    The attempt is read again: a callback may have come while the provider was asked.
    """
    attempt = session.get_one(AttemptRow, attempt.id, with_for_update=True)
    is_gone = False
    if receipt is not None:
        seen = Seen(receipt.status, receipt.provider_id, receipt.code, receipt.raw)
        is_gone = receipt.status == MISSING and was_seen(session, attempt.id, "poll", seen)
        add_event(session, attempt, "poll", seen, now=now)
        _refuse(session, attempt, receipt, "poll", now)
        _note_unknown(attempt, receipt)
        if receipt.state is not None:
            return _applied(session, context, attempt, receipt, "poll", now)
    return _silent(session, context, attempt, now, is_gone=is_gone)


def _silent(
    session: Session, context: Context, attempt: AttemptRow, now: datetime, *, is_gone: bool
) -> str:
    """Nothing new: ask again later, or give up after 72 hours (sooner where it is gone)."""
    current = AttemptState(attempt.state)
    if current not in _ON_ITS_WAY:
        check_at = attempt.next_check_at and next_poll_at(attempt.started_at, None, now)
        move_attempt(session, attempt.id, current, {"next_check_at": check_at})
        return str(current)
    due = reminders_by_id(session, [attempt.reminder_id])[attempt.reminder_id]
    check_at = next_poll_at(attempt.started_at, due.deadline.act_by_at, now)
    ended = check_at is None or is_gone
    state = AttemptState.UNCONFIRMED if ended else current
    values = {
        "state": state,
        "next_check_at": None if ended else check_at,
        "redact_at": _redact_at(context, attempt, state, now),
    }
    if not move_attempt(session, attempt.id, current, values):
        return str(current)
    if state is not current:
        set_state(session, [attempt.reminder_id], REMINDER_STATE[state], now=now)
    _climb_if_silent(session, context, attempt, due, now, has_ended=ended)
    return str(state)


def _applied(
    session: Session,
    context: Context,
    attempt: AttemptRow,
    receipt: Receipt,
    source: Source,
    now: datetime,
) -> str:
    """Move an attempt by what was said of it."""
    is_own = is_about(session, attempt, receipt)
    if not is_own and not rebind(session, attempt, receipt, source, now=now):
        log.error("attempt.other_message", extra={"attempt_id": attempt.id})
        return "other_message"
    current = AttemptState(attempt.state)
    due = reminders_by_id(session, [attempt.reminder_id])[attempt.reminder_id]
    state = _next_state(session, attempt, receipt, polled=source == "poll")
    check_at = attempt.next_check_at
    if state in _ON_ITS_WAY:
        # The last word of a message given back may have been said, and taken for another's, before
        check_at = next_poll_at(attempt.started_at, due.deadline.act_by_at, now) if is_own else now
        state = state if check_at else AttemptState.UNCONFIRMED
    if state not in OPEN_ATTEMPTS:
        check_at = _contradicted_at(attempt, receipt, state, source, now)
    values = {
        "state": state,
        "provider_id": attempt.provider_id or receipt.provider_id or None,
        "next_check_at": check_at,
    }
    if state is not current:  # a late word is kept as an event and overwrites nothing
        values |= {
            "provider_status": receipt.status,
            "code": receipt.code or attempt.code,
            "redact_at": _redact_at(context, attempt, state, now),
        }
    if not move_attempt(session, attempt.id, current, values):
        return str(current)
    if state is not current:
        _arrived(session, attempt, due, receipt, state, now)
    if state in (*_ON_ITS_WAY, AttemptState.UNCONFIRMED):
        ended = state is AttemptState.UNCONFIRMED
        _climb_if_silent(session, context, attempt, due, now, has_ended=ended)
    return str(state)


def _contradicted_at(
    attempt: AttemptRow, receipt: Receipt, state: AttemptState, source: Source, now: datetime
) -> datetime | None:
    """When to ask the provider which of two final words holds: callbacks come in any order, so one
    that says `delivered` after a failure may be the later word, or the older."""
    if source == "poll" or state != attempt.state:
        return None
    contradicts = source == "callback" and receipt.state is AttemptState.DELIVERED
    return now if contradicts and state in _FAILED else attempt.next_check_at


def _redact_at(
    context: Context, attempt: AttemptRow, state: AttemptState, now: datetime
) -> datetime | None:
    """When the provider may forget the text: it is needed until nothing can follow any more. A
    final state that is corrected by another is no reason to ask twice."""
    if state in OPEN_ATTEMPTS:
        return None
    if attempt.state not in OPEN_ATTEMPTS and attempt.state != AttemptState.LOST:
        return attempt.redact_at
    keeps = any(one.caps.can_redact for one in context.channels.values()
                if one.name == attempt.channel_name)  # fmt: skip
    return now + _REDACT_AFTER if keeps else None


def _refuse(
    session: Session, attempt: AttemptRow, receipt: Receipt, source: Source, now: datetime
) -> None:
    """Note who wants no more messages; what was erased tells of nobody any more.

    What a provider refuses holds for every centre, what a person mails for the one they know.
    """
    if receipt.opted_out and attempt.address_index:
        centre_id = attempt.centre_id if source == "bounce" else None
        add_opt_out(session, attempt.address_index, centre_id, attempt.channel_name, now)


def _next_state(
    session: Session, attempt: AttemptRow, receipt: Receipt, *, polled: bool
) -> AttemptState:
    """The attempt's state after a receipt; one that would be open beside another stays `lost`."""
    current = AttemptState(attempt.state)
    state = advance(current, receipt.state, polled=polled)
    if state in _MAY_BE_GONE and (receipt.provider_id or receipt.status == "delayed"):
        state = AttemptState.ACCEPTED  # an id, or a relay still trying: it was taken
    if current is AttemptState.LOST and was_tried_again(session, attempt):
        log.error("attempt.second_message", extra={"attempt_id": attempt.id})
    reopened = current not in OPEN_ATTEMPTS and state in OPEN_ATTEMPTS
    return current if reopened and other_open_attempt(session, attempt) else state


def _arrived(
    session: Session,
    attempt: AttemptRow,
    due: Due,
    receipt: Receipt,
    state: AttemptState,
    now: datetime,
) -> None:
    """A message reached a new state: so does its reminder, unless another attempt speaks for it.

    One that is on its way after all takes back what was planned, for itself and for what it
    carries: two may not be open at a time.
    """
    takes_back = state in _ON_ITS_WAY and due.reminder.state == ReminderState.PLANNED
    wins = state is AttemptState.DELIVERED or takes_back
    is_told = due.reminder.state == ReminderState.DELIVERED
    if not wins and (is_told or was_tried_again(session, attempt)):
        return
    set_state(session, [attempt.reminder_id], REMINDER_STATE[state], now=now)
    if state in (*_ON_ITS_WAY, AttemptState.DELIVERED):
        carried = attempt.carries.split()
        bring_back(session, attempt.reminder_id, carried, REMINDER_STATE[state], now=now)
    session.refresh(due.reminder)
    if state is AttemptState.DELIVERED:
        _told(session, due, now)
    if state in _FAILED:
        _failed(session, attempt, due, receipt, state, now)


def _told(session: Session, due: Due, now: datetime) -> None:
    """The person knows of every reminder in the message: nobody need call, or write by other means,
    because it seemed to have failed."""
    for reminder in (due.reminder, *carried_with(session, due.reminder.id)):
        deadline = session.get_one(DeadlineRow, reminder.deadline_id)
        close_call_tasks(session, deadline, now=now, note=DELIVERED, of=reminder.id)
        step_back(session, reminder, now=now)


def _failed(
    session: Session,
    attempt: AttemptRow,
    due: Due,
    receipt: Receipt,
    state: AttemptState,
    now: datetime,
) -> None:
    """Try once more what may pass, while that leaves time for another means; else climb."""
    again_at = later(now + _TRY_AGAIN)
    helps = again_at + ENOUGH < due.reminder.useless_after_at
    if receipt.is_transient and helps and not failed_before(session, attempt):
        set_state(session, [attempt.reminder_id], ReminderState.PLANNED, now=now,
                  reason=f"again_after:{receipt.code}", due_at=again_at)  # fmt: skip
        return
    why = f"{state}:{receipt.code}" if receipt.code else str(state)
    climb_with_carried(session, due, why=why, now=now)


def _climb_if_silent(
    session: Session,
    context: Context,
    attempt: AttemptRow,
    due: Due,
    now: datetime,
    *,
    has_ended: bool,
) -> None:
    """No receipt in time for the deadline: the next means, once (DESIGN §5.7); not at a centre
    that takes an accepted SMS for read, nor right behind a later step that told the same."""
    act_by = due.deadline.act_by_at
    is_pressing = act_by is not None and act_by - RECEIPT_NEEDED <= now < act_by
    if due.reminder.channel != "sms" or due.deadline.kind != RuleKind.LAPSE:
        return
    centre = context.centres.get(attempt.centre_id)
    if centre is not None and not centre.sms_receipt_required:
        return
    if not (is_pressing or has_ended) or has_climbed(session, due.reminder):
        return
    was_away = attempt.next_check_at is not None and attempt.next_check_at < now - _PUNCTUAL
    if has_just_followed(session, due, now, was_away=was_away):
        return
    if not brings_no_receipts(session, attempt.channel_name, now):
        climb_with_carried(session, due, why="no_receipt", now=now)
