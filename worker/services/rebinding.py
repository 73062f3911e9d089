"""Whose message it is, where a look-up guessed wrong.

Two messages of one text to one number look alike in a provider's list (Twilio's knows no ref of
ours), so a look-up may take one for the other. A signed callback names both our ref and the
provider's id: it proves which is whose, as the answer to the submission does.
"""

import logging
from datetime import datetime

from worker.domain.delivery import AttemptState, Receipt, ReminderState
from worker.store.attempts import Seen, add_event, move_attempt
from worker.store.database import Session
from worker.store.receipts import (
    attempt_by_provider_id,
    is_bound_by_look_up,
    other_open_attempt,
    was_tried_again,
)
from worker.store.reminders import set_state
from worker.store.tables import AttemptRow

log = logging.getLogger(__name__)


def is_about(session: Session, attempt: AttemptRow, receipt: Receipt) -> bool:
    """Whether a receipt speaks of the message this attempt is known by. Another id means a second
    message of ours, or one bound to another attempt: kept, alerted, never taken over."""
    told = receipt.provider_id
    if not told or told == attempt.provider_id:
        return True
    if attempt.provider_id is not None:
        return False
    return attempt_by_provider_id(session, attempt.channel_name, told) is None


def rebind(
    session: Session, attempt: AttemptRow, receipt: Receipt, source: str, *, now: datetime
) -> bool:
    """Give the message of a signed callback to the attempt it names, where none but look-ups said
    otherwise; returns False, and changes nothing, where the provider itself contradicts it, and for
    what came from another source.

    Whoever had the message is uncertain again, and is looked up at once.
    """
    if source != "callback":
        return False
    holder = attempt_by_provider_id(session, attempt.channel_name, receipt.provider_id)
    bound = [one for one in (holder, attempt) if one is not None and one.provider_id is not None]
    if not all(is_bound_by_look_up(session, one) for one in bound):
        return False
    for one in bound:
        _unbind(session, one, now)
        log.warning("attempt.rebound", extra={"attempt_id": one.id})
    return True


def _unbind(session: Session, attempt: AttemptRow, now: datetime) -> None:
    """What was known of the attempt was said of another's message: it is in doubt again, or lost
    where its reminder was tried again meanwhile."""
    is_past = other_open_attempt(session, attempt) or was_tried_again(session, attempt)
    state = AttemptState.LOST if is_past else AttemptState.UNCERTAIN
    values = {
        "state": state,
        "provider_id": None,
        "provider_status": "",
        "code": "",
        "redact_at": None,
        "next_check_at": None if is_past else now,
    }
    move_attempt(session, attempt.id, AttemptState(attempt.state), values)
    add_event(session, attempt, "find", Seen("taken_back", attempt.provider_id or ""), now=now)
    if not is_past:
        set_state(session, [attempt.reminder_id], ReminderState.UNCERTAIN, now=now)
    session.flush()
    session.refresh(attempt)
