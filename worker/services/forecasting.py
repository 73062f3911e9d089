"""What cannot make it at the sender's pace, said before it happens (DESIGN §5)."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from math import ceil

from worker.domain.pace import Waiting, forecast
from worker.services.context import Context, Records
from worker.services.operations import iso, require_centre
from worker.store.attempts import usual_parts
from worker.store.reminders import Due, list_reminders, planned_sms
from worker.store.tables import ReminderRow

log = logging.getLogger(__name__)

_AHEAD = timedelta(days=2)
"""How far the worker itself looks: a night, a day to act in, and a night."""

_UNKNOWN_YET = 2.0
"""Parts of a usual message, before any was sent."""


def reminder_forecast(
    records: Records, *, rate: float, centre_id: str | None = None, now: datetime
) -> list[dict[str, object]]:
    """Planned SMS that would be useless before their turn, at `rate` parts a second (0: no limit),
    most urgent first.

    Every centre's messages share the sender, so all are counted and `centre_id` only chooses what
    is listed. Raises BadData for a centre that nobody knows.
    """
    with records.db.reading() as session:
        require_centre(session, centre_id)
        planned = {due.reminder.id: due for due in list_reminders(session, state="planned")}
        parts = ceil(usual_parts(session) or _UNKNOWN_YET)
    waiting = [_waiting(due.reminder, parts) for due in _sms(planned.values())]
    return [
        {
            "id": late.id,
            "reference": planned[late.id].case.reference,
            "centre": planned[late.id].case.centre_id,
            "rule": planned[late.id].deadline.rule_id,
            "step": planned[late.id].reminder.step,
            "due_at": iso(planned[late.id].reminder.due_at),
            "useless_after": iso(late.useless_after_at),
            "its_turn_at": iso(late.sends_at),
        }
        for late in sorted(forecast(waiting, rate, now), key=lambda one: one.useless_after_at)
        if centre_id in (None, planned[late.id].case.centre_id)
    ]


def _sms(planned: Iterable[Due]) -> Iterator[Due]:
    return (due for due in planned if due.reminder.channel == "sms")


def warn_of_late(context: Context, *, now: datetime) -> Counter[str]:
    """Say how many of the SMS of the next two days cannot make it at the sender's pace.

    Nothing is counted where the sender has no limit.
    """
    rate = context.senders.parts_per_second
    if not rate:
        return Counter()
    with context.db.reading() as session:
        parts = ceil(usual_parts(session) or _UNKNOWN_YET)
        waiting = [_waiting(row, parts) for row in planned_sms(session, until=now + _AHEAD)]
    late = forecast(waiting, rate, now)
    if late:
        log.warning("reminder.cannot_make_it", extra={"count": len(late)})
    return +Counter(cannot_make_it=len(late))


def _waiting(reminder: ReminderRow, parts: int) -> Waiting:
    return Waiting(reminder.id, reminder.due_at, reminder.useless_after_at, parts)
