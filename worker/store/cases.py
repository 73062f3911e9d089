"""Cases with their events, deadlines and reminders. Functions take a session and never commit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import bindparam
from sqlalchemy.orm import aliased
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import col, literal_column, or_, select

from worker.domain.delivery import DeadlineState
from worker.store.claims import PickedCase
from worker.store.database import Session
from worker.store.keys import KeyRing
from worker.store.tables import (
    CallTaskRow,
    CaseEventRow,
    CaseRow,
    CentreRow,
    DeadlineRow,
    ReminderRow,
)


@dataclass(slots=True)
class CaseFile:
    """Everything of one case: the rows a use case reads and changes together."""

    case: CaseRow
    events: list[CaseEventRow] = field(default_factory=list)
    deadlines: list[DeadlineRow] = field(default_factory=list)
    reminders: list[ReminderRow] = field(default_factory=list)
    called: set[str] = field(default_factory=set)

    def has_called(self, deadline_id: str) -> bool:
        """Whether the deadline ever was on the call list."""
        return deadline_id in self.called


_CALLED = (col(CallTaskRow.state) == "open") | (col(CallTaskRow.done_by) != "qida")
"""A task that stands, or that a person finished; one we took back when an event came does not."""

_FIRST_HOPE = (
    col(ReminderRow.state) == literal_column("'planned'"),
    col(ReminderRow.step) != literal_column("'lapsed'"),
    ReminderRow.attempts == literal_column("0"),
)
"""Nearly every open lapse has a reminder still to come: a partial index answers for those alone,
spelt alike here and there, and only the others' reminders are read."""

_SEALED = {
    ("citizen", "name"): "name_sealed",
    ("citizen", "sms"): "phone_sealed",
    ("citizen", "email"): "email_sealed",
    ("second_contact", "sms"): "second_phone_sealed",
}


def contact(keys: KeyRing, case: CaseRow | PickedCase, recipient: str, what: str) -> str:
    """A person's name or address in the clear, empty where the case has none."""
    column = _SEALED.get((recipient, what))
    sealed = getattr(case, column) if column else None
    if column is None or sealed is None:
        return ""
    return keys.open(sealed, table="case", column=column, row_id=case.id, centre_id=case.centre_id)


def case_ids(session: Session, centre_id: str, references: Iterable[str]) -> dict[str, str]:
    """Case ids by reference."""
    wanted = {"centre_id": centre_id, "references": list(references)}
    rows = session.connection().execute(_IDS, wanted).all()
    return {reference: case_id for reference, case_id in rows}  # noqa: C416  # rows are no pairs


_IDS = select(CaseRow.reference, CaseRow.id).where(
    CaseRow.centre_id == bindparam("centre_id"),
    col(CaseRow.reference).in_(bindparam("references", expanding=True)),
)
"""Made once, and asked past the session: it is the first question of every case."""


def lock_cases(session: Session, ids: Sequence[str]) -> None:
    """Hold cases and their reminders against other writers until the transaction ends.

    A claim holds reminders only; whoever comes second sees what the first one committed. The lock
    leaves the key free (`FOR NO KEY UPDATE`): rows that refer to the case may be written meanwhile.
    """
    cases = select(CaseRow.id).where(col(CaseRow.id).in_(ids)).order_by(col(CaseRow.id))
    session.exec(cases.with_for_update(key_share=True)).all()
    reminders = select(ReminderRow.id).where(col(ReminderRow.case_id).in_(ids))
    session.exec(reminders.order_by(col(ReminderRow.id)).with_for_update(key_share=True)).all()


def case_files(session: Session, ids: Sequence[str]) -> dict[str, CaseFile]:
    """The whole files of some cases. To change them, `lock_cases` first."""
    cases = session.exec(select(CaseRow).where(col(CaseRow.id).in_(ids)).order_by(col(CaseRow.id)))
    files = {case.id: CaseFile(case) for case in cases}
    for event in session.exec(
        select(CaseEventRow)
        .where(col(CaseEventRow.case_id).in_(ids), col(CaseEventRow.voided_at).is_(None))
        .order_by(col(CaseEventRow.occurred_at))
    ):
        files[event.case_id].events.append(event)
    for deadline in session.exec(
        select(DeadlineRow)
        .where(col(DeadlineRow.case_id).in_(ids))
        .order_by(col(DeadlineRow.started_at))
    ):
        files[deadline.case_id].deadlines.append(deadline)
    for reminder in session.exec(
        select(ReminderRow)
        .where(col(ReminderRow.case_id).in_(ids))
        .order_by(col(ReminderRow.due_at))
    ):
        files[reminder.case_id].reminders.append(reminder)
    for case_id, deadline_id in session.exec(
        select(CallTaskRow.case_id, CallTaskRow.deadline_id).where(
            col(CallTaskRow.case_id).in_(ids), _CALLED
        )
    ):
        files[case_id].called.add(deadline_id)
    return files


def voided_events(session: Session, case_id: str) -> Sequence[CaseEventRow]:
    """The events of a case that were taken back, for its history."""
    return session.exec(
        select(CaseEventRow).where(
            CaseEventRow.case_id == case_id, col(CaseEventRow.voided_at).is_not(None)
        )
    ).all()


def reminders_of_deadline(session: Session, deadline_id: str) -> Sequence[ReminderRow]:
    """Every reminder of a deadline, on every rung."""
    return session.exec(select(ReminderRow).where(ReminderRow.deadline_id == deadline_id)).all()


def is_callable(session: Session, deadline_id: str) -> bool:
    """Whether a call about a deadline makes sense: it is open or lapsed as the database has it now,
    is not on the call list yet, and no person was done with it."""
    called = select(CallTaskRow.id).where(CallTaskRow.deadline_id == deadline_id, _CALLED)
    found = select(DeadlineRow.id).where(
        DeadlineRow.id == deadline_id,
        col(DeadlineRow.state).in_((DeadlineState.OPEN, DeadlineState.LAPSED)),
        ~called.exists(),
    )
    return session.exec(found).first() is not None


def open_call_task_of(session: Session, deadline_id: str) -> CallTaskRow | None:
    """The open call task of a deadline, if there is one."""
    return session.exec(
        select(CallTaskRow).where(
            CallTaskRow.deadline_id == deadline_id, CallTaskRow.state == "open"
        )
    ).first()


@dataclass(frozen=True, slots=True)
class InForce:
    """The versions that deadlines should have been worked out under: the rules' by id, and by
    centre the calendar's and the centre file's."""

    rules: Mapping[str, str]
    centres: Mapping[str, tuple[str, str]]


def cases_to_recalculate(session: Session, in_force: InForce, limit: int) -> Sequence[str]:
    """Cases with an open deadline worked out under another calendar, rule or centre file.

    A deadline that asked about no day does not depend on the calendar.
    """
    stale: list[ColumnElement[bool]] = [
        (col(DeadlineRow.rule_id) == rule_id) & (col(DeadlineRow.rule_version) != version)
        for rule_id, version in in_force.rules.items()
    ]
    for centre_id, (calendar, centre) in in_force.centres.items():
        other_calendar = col(DeadlineRow.consulted_to).is_not(None) & (
            col(DeadlineRow.calendar_version) != calendar
        )
        other_centre = col(DeadlineRow.centre_version) != centre
        stale.append((col(DeadlineRow.centre_id) == centre_id) & (other_calendar | other_centre))
    return session.exec(
        select(DeadlineRow.case_id)
        .where(DeadlineRow.state == DeadlineState.OPEN, or_(*stale))
        .distinct()
        .limit(limit)
    ).all()


_MONTHS_LOOKED_BACK = timedelta(days=70)


def cases_with_ended_deadlines(session: Session, now: datetime, limit: int) -> Sequence[str]:
    """Cases with an open lapse, expiry or occurrence whose latest end has passed, and those whose
    last month was settled: the next one is due to appear."""
    ended = col(DeadlineRow.latest_at) <= now
    is_open = col(DeadlineRow.state) == DeadlineState.OPEN
    dated = is_open & col(DeadlineRow.kind).in_(("lapse", "expiry", "recurring"))
    newer = aliased(DeadlineRow)
    has_newer = select(newer.id).where(
        newer.case_id == DeadlineRow.case_id,
        newer.rule_id == DeadlineRow.rule_id,
        newer.occurrence > DeadlineRow.occurrence,
    )
    turned = (
        (col(DeadlineRow.kind) == "recurring")
        & (col(DeadlineRow.state) == DeadlineState.SETTLED)
        & (col(DeadlineRow.latest_at) > now - _MONTHS_LOOKED_BACK)
        & ~has_newer.exists()
    )
    return session.exec(
        select(DeadlineRow.case_id).where(ended, dated | turned).distinct().limit(limit)
    ).all()


@dataclass(frozen=True, slots=True)
class Reach:
    """What counts as reached, or as on the way to it, at one centre (DESIGN §5)."""

    centre_id: str
    silent_since: datetime
    no_bounce_since: datetime
    call_before: datetime
    accepted_is_enough: bool = False


def lapses_at_risk(session: Session, now: datetime, reach: Reach) -> Sequence[DeadlineRow]:
    """A centre's open lapses nobody was reached about, with nothing to come and nothing fresh on
    its way, and no call task that is open or that a person finished.

    Only messages of the plan in force count: an earlier one told a date that has moved. A message
    that was tried in vain is no hope once `act_by` lies before `call_before`.
    """
    state, touched = col(ReminderRow.state), col(ReminderRow.updated_at)
    good = ("accepted", "sent", "unconfirmed")
    is_mail = col(ReminderRow.channel) == "email"
    quiet_mail = is_mail & state.in_(good) & (touched <= reach.no_bounce_since)
    on_its_way = state.in_(("submitting", "uncertain", "accepted", "sent")) & (
        touched > reach.silent_since
    )
    act_by, attempts = col(DeadlineRow.act_by_at), col(ReminderRow.attempts)
    untried = (attempts == 0) | act_by.is_(None) | (act_by > reach.call_before)
    to_come = (state == "planned") & (col(ReminderRow.step) != "lapsed") & untried
    plan_in_force = (col(ReminderRow.deadline_id) == col(DeadlineRow.id)) & (
        col(ReminderRow.plan_version) == col(DeadlineRow.plan_version)
    )
    reached = (state == "delivered") | quiet_mail
    if reach.accepted_is_enough:
        reached = reached | (~is_mail & state.in_(good))
    hope = select(ReminderRow.id).where(plan_in_force, reached | on_its_way | to_come)
    called = select(CallTaskRow.id).where(
        col(CallTaskRow.deadline_id) == col(DeadlineRow.id), _CALLED
    )
    return session.exec(
        select(DeadlineRow)
        .where(
            DeadlineRow.centre_id == reach.centre_id,
            DeadlineRow.state == DeadlineState.OPEN,
            DeadlineRow.kind == "lapse",
            col(DeadlineRow.latest_at) > now,
            ~select(ReminderRow.id).where(plan_in_force, *_FIRST_HOPE).exists(),
            ~hope.exists(),
            ~called.exists(),
        )
        .order_by(col(DeadlineRow.act_by_at))
    ).all()


def has_open_lapses(session: Session, centre_id: str, now: datetime) -> bool:
    """Whether a lapse of a centre still runs."""
    found = select(DeadlineRow.id).where(
        DeadlineRow.centre_id == centre_id,
        DeadlineRow.state == DeadlineState.OPEN,
        DeadlineRow.kind == "lapse",
        col(DeadlineRow.latest_at) > now,
    )
    return session.exec(found.limit(1)).first() is not None


def find_cases(
    session: Session, *, centre_id: str | None = None, state: str | None = None
) -> Sequence[CaseRow]:
    """Cases by centre and reference."""
    found = select(CaseRow).order_by(col(CaseRow.centre_id), col(CaseRow.reference))
    if centre_id is not None:
        found = found.where(CaseRow.centre_id == centre_id)
    if state is not None:
        found = found.where(CaseRow.state == state)
    return session.exec(found).all()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of a centre's cases: all of them, or those of a state, of a reference, of team keys."""

    centre_id: str
    state: str | None = None
    reference: str | None = None
    team_only: bool = False


def cases_after(session: Session, which: Wanted, *, after: str, limit: int) -> Sequence[CaseRow]:
    """A centre's cases by id, from behind one id on."""
    found = select(CaseRow).where(CaseRow.centre_id == which.centre_id, CaseRow.id > after)
    if which.state is not None:
        found = found.where(CaseRow.state == which.state)
    if which.reference is not None:
        found = found.where(CaseRow.reference == which.reference)
    if which.team_only:
        found = found.where(col(CaseRow.team_only))
    return session.exec(found.order_by(col(CaseRow.id)).limit(limit)).all()


def case_by_reference(session: Session, centre_id: str, reference: str) -> CaseRow | None:
    """The case a centre knows by this reference."""
    return session.exec(
        select(CaseRow).where(CaseRow.centre_id == centre_id, CaseRow.reference == reference)
    ).first()


def case_id_of(session: Session, reference: str, centre_id: str | None = None) -> Sequence[str]:
    """Ids of the cases known by a reference: one a centre at most."""
    found = select(CaseRow.id).where(CaseRow.reference == reference)
    if centre_id is not None:
        found = found.where(CaseRow.centre_id == centre_id)
    return session.exec(found).all()


Call = tuple[CallTaskRow, CaseRow, DeadlineRow]
"""A call task with what it is about."""


def call_tasks(
    session: Session, *, state: str, centre_id: str | None = None, task_id: str | None = None
) -> Sequence[Call]:
    """Call tasks in a state (any if it is empty), most urgent first; those without a counter
    minute left come before all others, on both engines."""
    found = (
        select(CallTaskRow, CaseRow, DeadlineRow)
        .join(CaseRow, col(CaseRow.id) == col(CallTaskRow.case_id))
        .join(DeadlineRow, col(DeadlineRow.id) == col(CallTaskRow.deadline_id))
        .order_by(col(CallTaskRow.act_by_at).nulls_first(), col(CallTaskRow.id))
    )
    if state:
        found = found.where(CallTaskRow.state == state)
    if centre_id is not None:
        found = found.where(CallTaskRow.centre_id == centre_id)
    if task_id is not None:
        found = found.where(CallTaskRow.id == task_id)
    return session.exec(found).all()


def centre_ids(session: Session) -> Sequence[str]:
    """Every centre that ever was configured."""
    return session.exec(select(CentreRow.id).order_by(col(CentreRow.id))).all()


def list_deadlines(session: Session) -> Sequence[tuple[DeadlineRow, CaseRow]]:
    """Every deadline with its case."""
    return session.exec(
        select(DeadlineRow, CaseRow)
        .join(CaseRow, col(CaseRow.id) == col(DeadlineRow.case_id))
        .order_by(col(CaseRow.reference), col(DeadlineRow.started_at))
    ).all()
