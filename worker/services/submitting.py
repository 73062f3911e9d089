"""Cases and events as a centre's own system hands them in, one case at a time: all or nothing.

What a case may hold, and what stands, is decided where rosters are read and applied.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from worker.domain.errors import BadData, Fault, Text
from worker.rosters import JsonCase, RosterRow, pointer_of, read_json_case
from worker.services.api_keys import Caller
from worker.services.applying import CaseKey, Desk, Outcome
from worker.services.casebook import Seen, event_in_force, require_as_seen, seen_in
from worker.services.context import Context
from worker.services.enrolment import event_words, void_event
from worker.services.refusing import phones_of
from worker.services.team import not_on_team_list
from worker.services.turning_away import Refused, refuse
from worker.store.cases import CaseFile, case_files, case_ids, lock_cases
from worker.store.database import Session

_OTHER = Text("请更正后重新提交", "mend it and submit again")


class Submitted(NamedTuple):
    """What came of it. `notes` tell what is no fault and still worth knowing."""

    case_id: str
    seen: Seen
    outcome: Outcome
    events: int
    planned: int
    notes: tuple[Text, ...]


def submit_case(
    context: Context,
    caller: Caller,
    case: JsonCase,
    *,
    now: datetime,
    seen: Collection[str] | None = None,
) -> Submitted:
    """Enrol a case, or bring the one of this reference up to date; the same again changes nothing.

    A team key's case is a trial: its addresses must be on the centre's team list. Raises Refused
    with every fault, Moved where the case is not as `seen`, BadData where it cannot be worked out.
    """
    rows = _checked(context, caller, case, now)
    try:
        return _applied(_desk(context, caller, now), rows, seen)
    except Exception as error:
        # By name, as PEP 249 has it: on PostgreSQL another request may open the same case first
        if type(error).__name__ != "IntegrityError":
            raise
    return _applied(_desk(context, caller, now), rows, seen)


def _desk(context: Context, caller: Caller, now: datetime) -> Desk:
    return Desk(context, now, may_defer=False, team_only=caller.team_only)


def submit_event(
    context: Context,
    caller: Caller,
    case_id: str,
    event: Mapping[str, str],
    *,
    now: datetime,
    seen: Collection[str] | None = None,
) -> Submitted:
    """Record an event of a case on file; the same again changes nothing. Raises as
    `submit_case`."""
    with context.db.reading() as session:
        reference = case_files(session, [case_id])[case_id].case.reference
    case = JsonCase({"reference": reference}, [event], at="")
    return submit_case(context, caller, case, now=now, seen=seen)


def take_event_back(
    context: Context,
    caller: Caller,
    place: tuple[str, str],
    reason: str,
    *,
    now: datetime,
    seen: Collection[str] | None = None,
) -> None:
    """Void an event; `place` is its case's id and its own.

    Raises NotThere, Moved, and Refused for one that is void already or that another event needs.
    """
    case_id, event_id = place
    if event_in_force(context, case_id, event_id) is None:
        raise refuse("", "event.voided", _VOIDED, _VOIDED_MEND)
    try:
        void_event(
            context,
            event_id,
            reason,
            case_id=case_id,
            actor=caller.actor,
            now=now,
            expected=lambda file: require_as_seen(file, seen),
        )
    except BadData as error:
        if type(error) is not BadData:
            raise
        raise refuse("", "event.needed", error.text, _OTHER) from None


_VOIDED = Text("该事项已作废", "this event was taken back already")
_VOIDED_MEND = Text("无需再作废", "there is nothing left to do")


def _checked(context: Context, caller: Caller, case: JsonCase, now: datetime) -> list[RosterRow]:
    centre_id = caller.centre_id or ""
    cells = {**case.cells, "centre": centre_id}
    read = list(
        read_json_case(
            JsonCase(cells, case.events, case.at),
            phones=phones_of(context, centre_id),
            now=now,
            words=event_words(context),
        )
    )
    rows = [one for one in read if isinstance(one, RosterRow)]
    faults = [one for one in read if isinstance(one, Fault)]
    if caller.team_only:
        faults += not_on_team_list(context, centre_id, rows)
    if faults:
        raise _refused(faults)
    return rows


def _refused(faults: Sequence[Fault]) -> Refused:
    return Refused(tuple(_each_once(faults)))


def _each_once(faults: Sequence[Fault]) -> Iterator[Fault]:
    """One fault a place: a case's own are told with each of its events."""
    told: set[str] = set()
    for fault in faults:
        pointer = pointer_of(fault.place)
        if pointer not in told:
            told.add(pointer)
            yield Fault(pointer, fault.message, fault.mend, fault.value, fault.code)


def _applied(desk: Desk, rows: Sequence[RosterRow], seen: Collection[str] | None) -> Submitted:
    """All rows in one transaction, or none of them."""
    context, centre_id, reference = desk.context, str(rows[0].centre), rows[0].reference
    with context.db.transaction() as session:
        _require_as_seen(session, centre_id, reference, seen)
        desk.enrol(session, rows)
        if desk.report.faults:
            raise _refused(desk.report.faults)
        session.flush()
        file = _file(session, desk, (centre_id, reference))
        outcome = desk.outcomes[centre_id, reference]
        seen_now = seen_in(context, session, file, is_new=outcome == "new")
    report = desk.report
    notes = [*report.notes, *(text for text, _ in desk.idle.values())]
    return Submitted(file.case.id, seen_now, outcome, report.events, report.planned, tuple(notes))


def _file(session: Session, desk: Desk, key: CaseKey) -> CaseFile:
    """The case that was written, or the one that was there and needed no change."""
    if desk.touched:
        return desk.touched[0][0]
    case_id = case_ids(session, key[0], [key[1]])[key[1]]
    return case_files(session, [case_id])[case_id]


def _require_as_seen(
    session: Session, centre_id: str, reference: str, seen: Collection[str] | None
) -> None:
    if seen is None:
        return
    ids = list(case_ids(session, centre_id, [reference]).values())
    lock_cases(session, ids)
    require_as_seen(next(iter(case_files(session, ids).values()), None), seen)
