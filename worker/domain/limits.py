"""How many messages one number may get in a rolling day.

The mainland route rejects the third identical message and holds the fifth of any kind for a day
(RULES.md, "When to remind"). Two of the four are kept for lapse steps.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

WINDOW = timedelta(hours=24)
IDENTICAL = 2
IN_ALL = 4
FOR_OTHERS = 2


class Sent(NamedTuple):
    """A message that left, or may have: a keyed hash of its text, when, and what it was for."""

    body_hash: str
    at: datetime
    is_lapse: bool


def wait_for_room(sent: Sequence[Sent], mine: Sent) -> datetime | None:
    """When `mine` may go to a number that got `sent` before; None means at once."""
    recent = sorted((one for one in sent if one.at > mine.at - WINDOW), key=lambda one: one.at)
    waits = [
        _free_at([one.at for one in recent if one.body_hash == mine.body_hash], IDENTICAL),
        _free_at([one.at for one in recent], IN_ALL),
    ]
    if not mine.is_lapse:
        waits.append(_free_at([one.at for one in recent if not one.is_lapse], FOR_OTHERS))
    return max((at for at in waits if at is not None), default=None)


def _free_at(times: Sequence[datetime], limit: int) -> datetime | None:
    """When the oldest of too many leaves the window."""
    return None if len(times) < limit else times[-limit] + WINDOW
