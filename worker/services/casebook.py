"""What a centre sees of its own cases over the API. Another centre's case is not there at all."""

import hashlib
from collections.abc import Collection
from typing import NamedTuple

from worker.domain.derivations import derivation_json, derive
from worker.domain.errors import QidaError
from worker.services.api_keys import Caller
from worker.services.context import Context
from worker.services.messages import deadline_of
from worker.services.operations import deadline_rows, iso, reminder_rows
from worker.services.turning_away import Moved, NotThere
from worker.store.cases import (
    CaseFile,
    Wanted,
    case_by_reference,
    case_files,
    cases_after,
    contact,
    voided_events,
)
from worker.store.database import Session
from worker.store.tables import CaseEventRow, CaseRow, DeadlineRow

_BY_REFERENCE = "ref:"

Row = dict[str, object]


class Seen(NamedTuple):
    """A case as it is told, and the entity tag of what is told."""

    view: Row
    etag: str


def case_of(context: Context, caller: Caller, written: str) -> str:
    """The id of a case of the caller's centre, by its id or `ref:REFERENCE`. Raises NotThere; also
    for a team key that asks for a citizen's case: it lives among its own."""
    with context.db.reading() as session:
        found = _case(session, caller.centre_id or "", written)
        if found is None or (caller.team_only and not found.team_only):
            raise NotThere
        return found.id


def _case(session: Session, centre_id: str, written: str) -> CaseRow | None:
    if written.startswith(_BY_REFERENCE):
        return case_by_reference(session, centre_id, written.removeprefix(_BY_REFERENCE))
    found = session.get(CaseRow, written)
    return found if found is not None and found.centre_id == centre_id else None


def case_page(
    context: Context,
    caller: Caller,
    *,
    after: str = "",
    state: str | None = None,
    reference: str | None = None,
    limit: int,
) -> tuple[list[Row], str | None]:
    """The cases of the caller's centre in short, by id and so by age, from behind `after`; and
    where to go on. A team key sees its own."""
    which = Wanted(caller.centre_id or "", state, reference, team_only=caller.team_only)
    with context.db.reading() as session:
        found = cases_after(session, which, after=after, limit=limit + 1)
    page = found[:limit]
    return [_in_short(case) for case in page], page[-1].id if len(found) > limit else None


def _in_short(case: CaseRow) -> Row:
    return {
        "id": case.id,
        "reference": case.reference,
        "procedure": case.procedure,
        "state": case.state,
        "team_only": case.team_only,
        "created_at": iso(case.created_at),
    }


def case_view(context: Context, case_id: str) -> Seen:
    """A case with its events. The contact only shows what is on file."""
    with context.db.reading() as session:
        return seen_in(context, session, case_files(session, [case_id])[case_id])


def seen_in(context: Context, session: Session, file: CaseFile, *, is_new: bool = False) -> Seen:
    """The same of a case whose file is at hand; of a new one nothing can be void."""
    case = file.case
    events = file.events if is_new else [*file.events, *voided_events(session, case.id)]
    view = _in_short(case) | {
        "card_last4": case.card_last4,
        "bank": case.bank,
        "contact": _contact(context, case),
        "events": [_event(row) for row in events],
    }
    return Seen(view, etag_of(file))


def _event(row: CaseEventRow) -> Row:
    return {
        "id": row.id,
        "event": row.event,
        "occurred_at": iso(row.occurred_at),
        "voided_at": iso(row.voided_at),
        "void_reason": row.void_reason,
    }


def _contact(context: Context, case: CaseRow) -> Row:
    """Enough to recognise it by, too little to ring or to write (PIPL art. 6: no more than is
    needed)."""
    return {
        "has_name": case.name_sealed is not None,
        "phone": _masked_phone(contact(context.keys, case, "citizen", "sms")),
        "email": _masked_email(contact(context.keys, case, "citizen", "email")),
        "second_phone": _masked_phone(contact(context.keys, case, "second_contact", "sms")),
        "language": case.language,
    }


def _masked_phone(phone: str) -> str | None:
    return f"****{phone[-4:]}" if phone else None


def _masked_email(email: str) -> str | None:
    return f"{email[0]}***@{email.rpartition('@')[2]}" if email else None


def etag_of(file: CaseFile) -> str:
    """What changes whenever something of `case_view` does; the working-out of dates is no change.

    The version counts changes of contact, card and bank.
    """
    case = file.case
    parts = [case.id, str(case.version), case.state, *sorted(row.id for row in file.events)]
    return hashlib.sha256(":".join(parts).encode()).hexdigest()[:32]


def require_as_seen(file: CaseFile | None, seen: Collection[str] | None) -> None:
    """Hold a case against the entity tags of If-Match (RFC 9110 §13.1.1). Raises Moved."""
    if seen is None:
        return
    if file is None or not ("*" in seen or etag_of(file) in seen):
        raise Moved


def deadline_views(context: Context, case_id: str) -> list[Row]:
    """Every deadline of a case, each with its derivation."""
    with context.db.reading() as session:
        file = case_files(session, [case_id])[case_id]
    return [
        view | {"derivation": _derivation(context, file.case, row)}
        for view, row in zip(deadline_rows(file), file.deadlines, strict=True)
    ]


def _derivation(context: Context, case: CaseRow, row: DeadlineRow) -> Row | None:
    """How the date came about; None while it rests on a calendar or rule no longer in force: the
    worker is about to work it out anew."""
    try:
        rule = context.rule(row.rule_id)
        calendar = context.calendar(case.centre_id)
        terms = context.terms(rule, case.centre_id, case.bank)
    except QidaError:
        return None
    if (row.rule_version, row.calendar_version) != (rule.version, calendar.version):
        return None
    return derivation_json(derive(deadline_of(row), terms, calendar, rule))


def reminder_views(context: Context, case_id: str) -> list[Row]:
    """Every reminder of a case with its attempts."""
    with context.db.reading() as session:
        return reminder_rows(session, case_files(session, [case_id])[case_id])


def event_in_force(context: Context, case_id: str, event_id: str) -> CaseEventRow | None:
    """An event of a case that was not taken back; None for one that was. Raises NotThere."""
    with context.db.reading() as session:
        file = case_files(session, [case_id])[case_id]
        voided = {row.id for row in voided_events(session, case_id)}
    found = next((row for row in file.events if row.id == event_id), None)
    if found is None and event_id not in voided:
        raise NotThere
    return found
