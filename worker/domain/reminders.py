"""Planning: which reminders a deadline wants, when each is due, and when it is useless.

A plan is a pure function of the deadline and of the instant it was first planned, so that working
it out again changes nothing (RULES.md, "When to remind").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum

from worker.domain.calendar import CHINA, ONE_DAY, WorkingCalendar, in_china
from worker.domain.cases import CaseDeadline
from worker.domain.centres import Office
from worker.domain.deadlines import Deadline
from worker.domain.delivery import DeadlineState
from worker.domain.rules import Anchor, ReminderStep, RuleKind

OPENS, CLOSES = time(9), time(20)
"""Allowed hours, Beijing time; 20:00 itself is too late."""

EARLY, LATE = time(7), time(22)
"""The widest hours an urgent first message may use; the night is never overridden."""

FRESH = timedelta(minutes=30)
ENOUGH = timedelta(hours=3)
CALL_IF_YOUNGER = timedelta(days=3)
_A_WEEK = timedelta(days=7)
_AT_ONCE = "at_once"
_PRIORITY = {RuleKind.LAPSE: 0, RuleKind.STEP: 2}


@dataclass(frozen=True, slots=True)
class PlannedReminder:
    """One message to be: what, when, and from when on it would only confuse."""

    step: str
    due_at: datetime
    useless_after_at: datetime
    priority: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The reminders a deadline wants; `call` names why a person should telephone instead."""

    reminders: tuple[PlannedReminder, ...] = ()
    call: str = ""


def plan(
    case_deadline: CaseDeadline,
    steps: Sequence[ReminderStep],
    calendar: WorkingCalendar,
    office: Office,
    *,
    planned_at: datetime,
    moved: bool = False,
) -> Plan:
    """What to send for a deadline first planned, or moved, at `planned_at`.

    A closed deadline wants nothing; one that lapsed after it was planned still wants its
    `lapsed` notice unless anything was heard since. One already past when planned wants a call
    if it is under 3 days old and nothing was heard either.
    """
    due, state = case_deadline.deadline, case_deadline.state
    planned_at = in_china(planned_at)
    kind = case_deadline.rule.kind
    over_at = None if kind is RuleKind.READY else due.latest_at  # what is ready stays ready
    if over_at is not None and over_at <= planned_at:
        young = state is DeadlineState.LAPSED and planned_at - over_at < CALL_IF_YOUNGER
        missed = young and kind is RuleKind.LAPSE and not case_deadline.answered
        return Plan(call="lapsed_before_enrolment" if missed else "")
    if state not in (DeadlineState.OPEN, DeadlineState.LAPSED):
        return Plan()
    planner = _Planner(case_deadline, calendar, office, planned_at, moved)
    wanted = [planner.reminder(step) for step in steps]
    kept = [reminder for reminder in wanted if reminder is not None]
    if moved:
        news = planner.moved()
        kept = [*([news] if news else []), *(one for one in kept if one.step != _AT_ONCE)]
    if state is DeadlineState.LAPSED:
        kept = [reminder for reminder in kept if reminder.step == "lapsed"]
    return Plan(tuple(kept), planner.call())


@dataclass(frozen=True, slots=True)
class _Planner:
    case_deadline: CaseDeadline
    calendar: WorkingCalendar
    office: Office
    planned_at: datetime
    is_moved: bool

    @property
    def due(self) -> Deadline:
        return self.case_deadline.deadline

    @property
    def kind(self) -> RuleKind:
        return self.case_deadline.rule.kind

    def reminder(self, step: ReminderStep) -> PlannedReminder | None:
        """The step's reminder, or None where it has no place in this deadline."""
        if step.name == _AT_ONCE:
            return self._first(step.name)
        if step.name == "lapsed":
            return self._lapsed(step)
        due_at = self._due_at(step)
        if due_at is None or due_at <= self.planned_at:
            return None
        useless_at = self._useless_at(due_at)
        return self._planned(step.name, due_at, useless_at) if due_at < useless_at else None

    def moved(self) -> PlannedReminder | None:
        """The message that a date already told has moved, and whither; no lapse date gone by."""
        due_at = later(self.planned_at)
        useless_at = self._useless_at(due_at)
        if self.kind is not RuleKind.LAPSE:
            useless_at = max(useless_at, due_at + ENOUGH)
        return self._planned("moved", due_at, useless_at) if due_at < useless_at else None

    def call(self) -> str:
        """Why a message alone is not enough: no time is left to write, or none after the night."""
        if self.kind is not RuleKind.LAPSE:
            return ""
        if self._pressing() and not self._urgent_hour_allowed():
            return "no_time_after_the_night"
        first = self.moved() if self.is_moved else self._first(_AT_ONCE)
        return "too_late_to_write" if first is None else ""

    def _first(self, name: str) -> PlannedReminder | None:
        due_at, reason = later(self.planned_at), ""
        if due_at > self.planned_at:
            reason = "moved_to_allowed_hours"
            fresh = self.planned_at - self.due.started_at < FRESH
            if self._urgent_hour_allowed() and (fresh or self._pressing()):
                due_at, reason = (
                    self.planned_at,
                    "outside_hours_" + ("fresh" if fresh else "urgent"),
                )
        useless_at = self._useless_at(due_at)
        return self._planned(name, due_at, useless_at, reason) if due_at < useless_at else None

    def _urgent_hour_allowed(self) -> bool:
        return hours_at(self.planned_at) is not Hours.NIGHT

    def _pressing(self) -> bool:
        """Whether the next allowed hour leaves under three counter hours before `act_by`."""
        act_by, next_hour = self.due.act_by, later(self.planned_at)
        if self.kind is not RuleKind.LAPSE or act_by is None or next_hour == self.planned_at:
            return False
        return self.office.open_time_between(next_hour, act_by) < ENOUGH

    def _lapsed(self, step: ReminderStep) -> PlannedReminder | None:
        if self.due.latest_at is None or self.case_deadline.answered:
            return None
        due_at = later(self.due.latest_at)
        return self._planned(step.name, due_at, due_at + _A_WEEK)

    def _due_at(self, step: ReminderStep) -> datetime | None:
        anchor = self._anchor(step.anchor)
        if anchor is None:
            return None
        if step.open_hours is not None:
            due_at = self.office.open_hours_before(anchor, step.open_hours)
        else:
            day = self._day(step, anchor.date())
            due_at = datetime.combine(day, step.at, CHINA) if day else None
        if due_at is None:
            return None
        return earlier(due_at) if self.kind is RuleKind.LAPSE else later(due_at)

    def _anchor(self, anchor: Anchor) -> datetime | None:
        due = self.due
        match anchor:
            case Anchor.START:
                return due.started_at
            case Anchor.ACT_BY:
                return due.act_by
            case Anchor.READY_ON:
                return _at_midnight(due.ready_on)
            case Anchor.END:
                return _at_midnight(due.last_date)
            case Anchor.LATEST_END:
                return due.latest_at

    def _day(self, step: ReminderStep, anchor: date) -> date | None:
        if step.month is not None:
            first = self.calendar.roll_forward(date(anchor.year, step.month, 1))
            return first if first > anchor else None  # this year's is over: nothing more to say
        if step.days is not None:
            return anchor + step.days * ONE_DAY
        count = step.working_days or 0
        if count > 0:
            return self.calendar.add_working_days(anchor, count)
        return self.calendar.subtract_working_days(anchor, -count) if count else anchor

    def _useless_at(self, due_at: datetime) -> datetime:
        due = self.due
        match self.kind:
            case RuleKind.LAPSE:
                return due.act_by or due.earliest_at or due_at
            case RuleKind.READY if due.ready_on is not None:
                ready_at = datetime.combine(due.ready_on, OPENS, CHINA)
                return ready_at if due_at < ready_at else due_at + _A_WEEK
            case RuleKind.EXPIRY | RuleKind.RECURRING if due.ends_at is not None:
                return due.ends_at
            case _:
                return due_at + _A_WEEK

    def _planned(
        self, step: str, due_at: datetime, useless_at: datetime, reason: str = ""
    ) -> PlannedReminder:
        return PlannedReminder(step, due_at, useless_at, _PRIORITY.get(self.kind, 1), reason)


def _at_midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), CHINA)


class Hours(Enum):
    """What an hour of the day allows."""

    ALLOWED = "allowed"
    URGENT = "urgent"
    NIGHT = "night"


def hours_at(at: datetime) -> Hours:
    """Whether people may be written to at this hour; the night is never overridden."""
    of_day = in_china(at).time()
    if OPENS <= of_day < CLOSES:
        return Hours.ALLOWED
    return Hours.URGENT if EARLY <= of_day < LATE else Hours.NIGHT


def later(at: datetime) -> datetime:
    """`at` itself inside the allowed hours, else the next 09:00."""
    at = in_china(at)
    if at.time() < OPENS:
        return datetime.combine(at.date(), OPENS, CHINA)
    return at if at.time() < CLOSES else datetime.combine(at.date() + ONE_DAY, OPENS, CHINA)


def earlier(at: datetime) -> datetime:
    """`at` itself inside the allowed hours, else the last allowed minute before it."""
    if at.time() < OPENS:
        return datetime.combine(at.date() - ONE_DAY, _LAST_MINUTE, CHINA)
    return at if at.time() < CLOSES else datetime.combine(at.date(), _LAST_MINUTE, CHINA)


_LAST_MINUTE = time(19, 59)
