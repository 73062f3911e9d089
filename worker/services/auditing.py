"""The reverse audit: every open lapse must have someone told, or a reminder still to come."""

import logging
from collections import Counter
from datetime import datetime, timedelta

from worker.services.context import Context
from worker.services.ladder import open_call_task
from worker.store.cases import lapses_at_risk

log = logging.getLogger(__name__)

SILENCE_ALLOWED = timedelta(minutes=30)
"""How long a message on its way is a chance to reach someone. The last one leaves three counter
hours before `act_by`, so that a call still has two (DESIGN §5)."""


def audit(context: Context, *, now: datetime) -> Counter[str]:
    """Put every lapse at risk on the call list, while a call still helps.

    At risk: no message about it was delivered, none is planned, and what is on its way has been
    silent for half an hour. An e-mail counts as reached after the centre's span without a bounce.
    """
    counts: Counter[str] = Counter()
    spans = [centre.email_no_bounce_after for centre in context.centres.values()]
    with context.db.transaction() as session:
        at_risk = lapses_at_risk(
            session,
            now,
            silent_since=now - SILENCE_ALLOWED,
            no_bounce_since=now - max(spans, default=timedelta(hours=4)),
        )
        for deadline in at_risk:
            if open_call_task(session, deadline, reason="nobody_reached", now=now):
                counts["called"] += 1
                log.warning("deadline.at_risk", extra={"deadline_id": deadline.id})
    return counts
