"""Retention (decision 0005): everything personal leaves when its purpose is over, by itself.

Texts and addresses go as soon as a message is final, contacts some time after the case ended, and
what proves the reminders later still. Each centre sets the last two; PIPL art. 19 and 47.
"""

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from worker.crashpoints import crash_point
from worker.domain.centres import Retention
from worker.services.context import Context
from worker.store.audit import Entry, append_audit, head
from worker.store.cases import centre_ids
from worker.store.database import Session
from worker.store.imports import drop_old_imports
from worker.store.retention import (
    drop_cases,
    drop_old_attempts,
    forget_contact,
    forget_messages,
    quiet_cases,
)

log = logging.getLogger(__name__)

_BATCH = 200


def retain(context: Context, *, now: datetime) -> Counter[str]:
    """Erase what is no longer needed, in small transactions; then empty the log of the database,
    so that no file holds it any more. Logs the head of the audit trail where work was done."""
    counts: Counter[str] = Counter()
    counts["messages"] = _all(context, lambda session: forget_messages(session, _BATCH))
    with context.db.reading() as session:
        centres = centre_ids(session)
    for centre_id in centres:
        counts += _of_centre(context, centre_id, now)
    if +counts:
        context.db.scrub()
        _say_head(context)
    return +counts


def _of_centre(context: Context, centre_id: str, now: datetime) -> Counter[str]:
    known = context.centres.get(centre_id)
    kept = known.retention if known else Retention()

    def forget(session: Session) -> int:
        since = now - kept.contact
        found = quiet_cases(session, centre_id, since, _BATCH, with_contact=True)
        for case_id, _ in found:
            forget_contact(session, case_id)
            done = Entry(centre_id, now, "qida", "contact.erased", case_id, {"why": "retention"})
            append_audit(session, done)
        return len(found)

    def drop(session: Session) -> int:
        since = now - kept.proof
        found = quiet_cases(session, centre_id, since, _BATCH, with_contact=False)
        drop_cases(session, [case_id for case_id, _ in found])
        return len(found)

    def drop_attempts(session: Session) -> int:
        return drop_old_attempts(session, centre_id, now - kept.proof, _BATCH)

    def drop_imports(session: Session) -> int:
        return drop_old_imports(session, centre_id, now - kept.proof, _BATCH)

    return Counter(
        contacts=_all(context, forget),
        cases=_all(context, drop),
        attempts=_all(context, drop_attempts),
        imports=_all(context, drop_imports),
    )


def _all(context: Context, some: Callable[[Session], int]) -> int:
    """Repeat a step, a transaction each, until it finds nothing more."""
    total = 0
    while True:
        with context.db.transaction() as session:
            done = some(session)
            crash_point("in_retain")
        total += done
        if done < _BATCH:
            return total


def _say_head(context: Context) -> None:
    """Logs are kept elsewhere: there the head shows a tail that was removed from the trail."""
    with context.db.reading() as session:
        seq, digest = head(session)
    log.info("audit.head", extra={"count": seq, "code": digest})
