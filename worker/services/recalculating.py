"""Working deadlines out again: a new notice or rule, a period that ran out, a month that turned."""

import logging
from collections import Counter
from datetime import datetime

from worker.domain.errors import QidaError
from worker.services.casework import rework
from worker.services.context import Context
from worker.store.cases import case_files, cases_to_recalculate, cases_with_ended_deadlines

log = logging.getLogger(__name__)

_BATCH = 200


def recalculate(context: Context, *, now: datetime) -> Counter[str]:
    """Bring deadlines of another calendar or rule version, and ended ones, up to date.

    Reminders still planned move with their deadline; people told another date are told that it
    moved, and the audit trail keeps both dates with the cause.
    """
    counts: Counter[str] = Counter()
    calendars = [calendar.version for calendar in context.calendars.values()]
    rules = [rule.version for rule in context.rulebook.rules.values()]
    failed: set[str] = set()
    while True:
        with context.db.transaction() as session:
            stale = cases_to_recalculate(session, calendars, rules, _BATCH + len(failed))
            ended = cases_with_ended_deadlines(session, now, _BATCH + len(failed))
            ids = sorted({*stale, *ended} - failed)
            for case_id, file in case_files(session, ids).items():
                try:
                    with session.begin_nested():
                        done = rework(session, context, file, now=now, cause=_cause(context))
                except QidaError as error:
                    failed.add(case_id)
                    log.warning(
                        "case.not_recalculated",
                        extra={"case_id": case_id, "reason": error.text.en[:200]},
                    )
                    continue
                counts["cases"] += 1
                counts["moved"] += done.moved
        if not ids:
            break
    if failed:
        counts["failed"] = len(failed)
    return counts


def _cause(context: Context) -> str:
    """What was in force when a date moved: the newest notice and the catalogue's version."""
    notices = [notice for calendar in context.calendars.values() for notice in calendar.notices]
    newest = max(notices, key=lambda notice: notice.year)
    return f"{newest.title} {newest.url}".strip() + f"; rules {context.rulebook.version}"
