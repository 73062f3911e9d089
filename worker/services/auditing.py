"""The reverse audit: every open lapse must have someone told, or a reminder still to come."""

import logging
from collections import Counter
from datetime import datetime, timedelta

from worker.domain.calendar import in_china
from worker.domain.centres import Centre
from worker.domain.delivery import DeadlineState
from worker.domain.errors import QidaError
from worker.services.context import Context
from worker.services.ladder import open_call_task
from worker.services.silence import unheard_of_last
from worker.store.cases import Reach, centre_ids, has_open_lapses, lapses_at_risk, lock_cases
from worker.store.database import Session
from worker.store.tables import DeadlineRow

log = logging.getLogger(__name__)

SILENCE_ALLOWED = timedelta(minutes=30)
"""How long a message on its way is a chance to reach someone. The last one leaves three counter
hours before `act_by`, so that a call still has two (DESIGN §5)."""

CALL_HELPS = timedelta(hours=2, minutes=30)
"""Counter time before `act_by` at which messages tried in vain are given up: two office hours
must stay for a call (DESIGN §5)."""


def audit(context: Context, *, now: datetime) -> Counter[str]:
    """Put every lapse at risk on the call list, while a call still helps.

    At risk: no message about it was delivered, none is planned, and what is on its way has been
    silent for half an hour. An e-mail counts as reached after the centre's span without a bounce.
    Where the SMS sender brings no receipts, one alert stands for a task each. A centre that cannot
    be judged is reported and counted as `failed`, and stops no other.
    """
    counts: Counter[str] = Counter()
    at_risk: list[DeadlineRow] = []
    with context.db.reading() as session:  # looking through all of them holds up no writer
        silent = _silent_senders(session, context, now)
        for centre_id in (*context.centres, *_gone(session, context, now)):
            try:
                reach = _reach(context, context.centre(centre_id), silent, now)
            except QidaError:  # its file is gone, or its region has no calendar
                log.exception("centre.not_audited", extra={"centre_id": centre_id})
                counts["failed"] += 1
                continue
            at_risk += lapses_at_risk(session, now, reach)
    counts["silent_senders"] += silent
    for found in at_risk:
        with context.db.transaction() as session:
            lock_cases(session, [found.case_id])
            deadline = session.get_one(DeadlineRow, found.id)
            is_open = deadline.state == DeadlineState.OPEN
            if is_open and open_call_task(session, deadline, reason="nobody_reached", now=now):
                counts["called"] += 1
                log.warning("deadline.at_risk", extra={"deadline_id": found.id})
    return +counts


def _gone(session: Session, context: Context, now: datetime) -> list[str]:
    """Centres without a file that still have a lapse running."""
    unknown = (one for one in centre_ids(session) if one not in context.centres)
    return [one for one in unknown if has_open_lapses(session, one, now)]


def _reach(context: Context, centre: Centre, silent: int, now: datetime) -> Reach:
    """What counts as reached at a centre just now."""
    return Reach(
        centre.id,
        silent_since=now - SILENCE_ALLOWED,
        no_bounce_since=now - centre.email_no_bounce_after,
        call_before=context.office(centre.id).after_open_time(in_china(now), CALL_HELPS),
        accepted_is_enough=silent > 0 or not centre.sms_receipt_required,
    )


def _silent_senders(session: Session, context: Context, now: datetime) -> int:
    """How many SMS senders bring no receipts at present; says so."""
    silent = 0
    for channel in context.channels.values():
        unheard = unheard_of_last(session, channel.name, now) if channel.kind == "sms" else 0
        if unheard:
            silent += 1
            log.error("sender.silent", extra={"channel": channel.name, "count": unheard})
    return silent
