"""Whether silence says something: of a person, or only of a sender that brings no receipts."""

from datetime import datetime, timedelta

from worker.store.database import Session
from worker.store.receipts import receipts_of_last

RECEIPT_NEEDED = timedelta(hours=4)
"""How long before `act_by` a receipt must be there: time for another means, and for a call."""

_ENOUGH_TO_JUDGE = 500  # messages of one sender; under half of them heard of is no receipts at all


def brings_no_receipts(session: Session, channel_name: str, now: datetime) -> bool:
    """Whether under half of a sender's last 500 messages were heard of again: then silence says
    nothing of the person, and one alert stands for a task each (DESIGN §5)."""
    return unheard_of_last(session, channel_name, now) > 0


def unheard_of_last(session: Session, channel_name: str, now: datetime) -> int:
    """How many of a sender's last 500 messages brought no receipt, where those are more than
    half; else 0."""
    heard, count = receipts_of_last(session, channel_name, _ENOUGH_TO_JUDGE, now - RECEIPT_NEEDED)
    return count - heard if count >= _ENOUGH_TO_JUDGE and heard * 2 < count else 0
