"""What cannot make it at the sender's pace or within a centre's day, said before it happens
(DESIGN §5)."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil

from worker.domain.calendar import in_china
from worker.domain.centres import Centre
from worker.domain.limits import DayOfCentre, held_too_long
from worker.domain.pace import Late, Waiting, forecast
from worker.services.context import Context, Records
from worker.services.operations import iso, require_centre
from worker.store.attempts import usual_parts
from worker.store.database import Session
from worker.store.reminders import Due, list_reminders, planned_sms
from worker.store.sms_days import parts_of_day
from worker.store.tables import ReminderRow

log = logging.getLogger(__name__)

_AHEAD = timedelta(days=2)
"""How far the worker itself looks: a night, a day to act in, and a night."""

_UNKNOWN_YET = 2.0
"""Parts of a usual message, before any was sent."""


def reminder_forecast(
    records: Records,
    *,
    rate: float,
    caps: Mapping[str, int],
    centre_id: str | None = None,
    now: datetime,
) -> list[dict[str, object]]:
    """Planned SMS that would be useless before their turn, at `rate` parts a second (0: no limit)
    and within each centre's parts a day (`caps`, by centre), most urgent first.

    Every centre's messages share the sender, so all are counted and `centre_id` only chooses what
    is listed. Raises BadData for a centre that nobody knows.
    """
    with records.db.reading() as session:
        require_centre(session, centre_id)
        planned = {due.reminder.id: due for due in list_reminders(session, state="planned")}
        rows = [due.reminder for due in _sms(planned.values())]
        late = _late(session, rows, rate, caps, now)
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
            "why": why,
        }
        for late, why in sorted(late.values(), key=lambda one: one[0].useless_after_at)
        if centre_id in (None, planned[late.id].case.centre_id)
    ]


def _late(
    session: Session,
    rows: Sequence[ReminderRow],
    rate: float,
    caps: Mapping[str, int],
    now: datetime,
) -> dict[str, tuple[Late, str]]:
    """What cannot make it, by reminder, and whether for the pace or for the cap."""
    rows = [row for row in rows if row.useless_after_at > now]  # what is over is late for no pace
    parts = ceil(usual_parts(session) or _UNKNOWN_YET)
    late: dict[str, tuple[Late, str]] = {}
    used = parts_of_day(session, caps, in_china(now).date())
    for centre_id, cap in caps.items():
        waiting = [_waiting(row, parts) for row in rows if row.centre_id == centre_id]
        found = held_too_long(waiting, DayOfCentre(cap, used[centre_id]), now)
        late |= {one.id: (one, "centre_day") for one in found}
    at_pace = forecast([_waiting(row, parts) for row in rows], rate, now)
    return late | {one.id: (one, "pace") for one in at_pace}


def caps_of(centres: Mapping[str, Centre]) -> dict[str, int]:
    """Each centre's SMS parts a day."""
    return {one.id: one.sms_parts_per_day for one in centres.values()}


def _sms(planned: Iterable[Due]) -> Iterator[Due]:
    return (due for due in planned if due.reminder.channel == "sms")


def warn_of_late(context: Context, *, now: datetime) -> Counter[str]:
    """Say how many of the SMS of the next two days cannot make it at the sender's pace, or for
    their centre's parts a day."""
    rate, caps = context.senders.parts_per_second, caps_of(context.centres)
    with context.db.reading() as session:
        rows = planned_sms(session, until=now + _AHEAD)
        late = _late(session, rows, rate, caps, now)
    if late:
        log.warning("reminder.cannot_make_it", extra={"count": len(late)})
    return +Counter(cannot_make_it=len(late))


def _waiting(reminder: ReminderRow, parts: int) -> Waiting:
    return Waiting(reminder.id, reminder.due_at, reminder.useless_after_at, parts)
