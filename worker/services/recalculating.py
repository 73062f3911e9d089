"""Working deadlines out again: a new notice or rule, a period that ran out, a month that turned."""

import logging
from collections import Counter
from datetime import datetime

from worker.domain.errors import QidaError
from worker.services.casework import rework
from worker.services.context import Context
from worker.store.cases import (
    CaseFile,
    InForce,
    case_files,
    cases_to_recalculate,
    cases_with_ended_deadlines,
    lock_cases,
)
from worker.store.database import Session

log = logging.getLogger(__name__)

_BATCH = 200


def recalculate(context: Context, *, now: datetime) -> Counter[str]:
    """Bring deadlines of another calendar, rule or centre file, and ended ones, up to date.

    Reminders still planned move with their deadline; people told another date are told that it
    moved, and the audit trail keeps both dates with the cause.
    """
    counts: Counter[str] = Counter()
    in_force = InForce(
        rules={rule.id: rule.version for rule in context.rulebook.rules.values()},
        centres={
            centre.id: (context.calendars[centre.region].version, centre.version)
            for centre in context.centres.values()
            if centre.region in context.calendars
        },
    )
    seen: set[str] = set()
    while True:
        with context.db.reading() as session:  # looking through all of them holds up no writer
            stale = cases_to_recalculate(session, in_force, _BATCH + len(seen))
            ended = cases_with_ended_deadlines(session, now, _BATCH + len(seen))
            ids = sorted({*stale, *ended} - seen)
        if not ids:
            return counts
        with context.db.transaction() as session:
            lock_cases(session, ids)
            for file in case_files(session, ids).values():
                counts += _again(session, context, file, now)
        seen.update(ids)


def _again(session: Session, context: Context, file: CaseFile, now: datetime) -> Counter[str]:
    """One case; one that cannot be worked out is reported and stops nobody else's."""
    try:
        with session.begin_nested():
            done = rework(session, context, file, now=now, cause=_cause(context))
    except Exception as error:
        reason = error.text.en[:200] if isinstance(error, QidaError) else type(error).__name__
        log.exception("case.not_recalculated", extra={"case_id": file.case.id, "reason": reason})
        return Counter(failed=1)
    return Counter(cases=1, moved=done.moved)


def _cause(context: Context) -> str:
    """What was in force when a date moved: the newest notice and the catalogue's version."""
    notices = [notice for calendar in context.calendars.values() for notice in calendar.notices]
    newest = max(notices, key=lambda notice: notice.year)
    return f"{newest.title} {newest.url}".strip() + f"; rules {context.rulebook.version}"
