"""What cannot make it at the sender's pace, said before it happens (DESIGN §5)."""

from datetime import datetime
from math import ceil

from worker.domain.pace import Waiting, forecast
from worker.services.context import Records
from worker.services.operations import iso, require_centre
from worker.store.attempts import usual_parts
from worker.store.reminders import Due, list_reminders

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
    waiting = [_waiting(due, parts) for due in planned.values() if due.reminder.channel == "sms"]
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


def _waiting(due: Due, parts: int) -> Waiting:
    reminder = due.reminder
    return Waiting(reminder.id, reminder.due_at, reminder.useless_after_at, parts)
