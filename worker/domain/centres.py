"""A service centre as its file describes it, and when its counter is open."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from worker.domain.calendar import CHINA, ONE_DAY, WorkingCalendar
from worker.domain.periods import Period
from worker.domain.rules import ReminderStep

_FURTHEST = 60
"""How many days an office is looked through before it counts as never open."""


@dataclass(frozen=True, slots=True)
class Season:
    """Opening hours that hold from one day of the year to another (may cross New Year).

    `weekdays` empty: every working day of the calendar, make-up days included. Otherwise those
    days of the week (0 = Monday), except holidays of the notice.
    """

    opens: tuple[tuple[time, time], ...]
    first: tuple[int, int] = (1, 1)
    last: tuple[int, int] = (12, 31)
    weekdays: frozenset[int] = frozenset()

    def covers(self, day: date) -> bool:
        """Whether `day` falls into the season."""
        at = (day.month, day.day)
        if self.first <= self.last:
            return self.first <= at <= self.last
        return at >= self.first or at <= self.last


@dataclass(frozen=True, slots=True)
class Closure:
    """Days on which the office stays shut although others work."""

    first: date
    last: date
    reason: str = ""


DEFAULT_SEASON = Season(opens=((time(9), time(17)),))
"""Counter hours where a centre names none: the source's outlets (L83), 09:00-17:00."""


@dataclass(frozen=True, slots=True)
class Bank:
    """A bank of a centre: the period it stipulates for a telephone report, and its hotline."""

    name: str
    period: Period
    hotline: str = ""


@dataclass(frozen=True, slots=True)
class RuleOverride:
    """How a centre differs from the catalogue in one rule.

    `start_counted` makes a lapse in working days stricter (the start day counts); `steps` replace
    the rule's reminder steps, empty: they stay.
    """

    start_counted: bool = False
    steps: tuple[ReminderStep, ...] = ()


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a centre keeps what (decision 0005): the contact after a case ended, and what
    proves its reminders, without identity."""

    contact: timedelta = timedelta(days=30)
    proof: timedelta = timedelta(days=730)


USUAL_SMS_PARTS = 10_000
"""A centre's SMS parts a day where its file sets none: far above a city's busiest day of card
matters, far below what a year costs."""


@dataclass(frozen=True, slots=True)
class Centre:
    """Owner of cases; the content of one `config/centres/*.yaml`.

    What counts as reached is set per channel: a receipt for SMS, a span without a bounce for
    e-mail. `team` lists the only addresses that cases of team keys may be
    written to. `overrides` is keyed by rule id. `version` changes with whatever moves a date.
    """

    id: str
    name: str
    short_name: str
    signature: str
    hotline: str = ""
    staff_email: str = ""
    region: str = ""
    procedures: tuple[str, ...] = ()
    seasons: tuple[Season, ...] = (DEFAULT_SEASON,)
    closures: tuple[Closure, ...] = ()
    banks: Mapping[str, Bank] = field(default_factory=dict)
    sms_receipt_required: bool = True
    email_no_bounce_after: timedelta = timedelta(hours=4)
    sms_parts_per_day: int = USUAL_SMS_PARTS
    abroad_numbers: bool = False
    landline_numbers: bool = False
    team: tuple[str, ...] = field(default=(), repr=False)
    retention: Retention = Retention()
    overrides: Mapping[str, RuleOverride] = field(default_factory=dict)
    version: str = ""

    def counts_start_of(self, rule_id: str) -> bool:
        """Whether this centre counts the start day of a rule's working days, to be stricter."""
        override = self.overrides.get(rule_id)
        return override is not None and override.start_counted


class Office:
    """When a centre's counter is open, by one calendar. Answers are kept: offices are few."""

    __slots__ = ("_calendar", "_centre", "_closings", "_open", "_openings")

    def __init__(self, centre: Centre, calendar: WorkingCalendar) -> None:
        self._centre = centre
        self._calendar = calendar
        self._open: dict[date, tuple[tuple[datetime, datetime], ...]] = {}
        self._openings: dict[date, date] = {}
        self._closings: dict[date, datetime] = {}

    def hours(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        """The spans of `day` in which the counter is open, in order."""
        known = self._open.get(day)
        if known is None:
            known = self._open[day] = self._hours(day)
        return known

    def _hours(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        if any(closure.first <= day <= closure.last for closure in self._centre.closures):
            return ()
        kind = self._calendar.day(day).kind
        for season in self._centre.seasons:
            if not season.covers(day):
                continue
            if season.weekdays:
                is_open = day.weekday() in season.weekdays and kind != "holiday"
            else:
                is_open = kind in ("working", "make_up")
            if is_open:
                return tuple(
                    (
                        datetime.combine(day, opens, CHINA),
                        datetime.combine(day, closes, CHINA),
                    )
                    for opens, closes in season.opens
                )
        return ()

    def last_open_minute(self, until: datetime, after: datetime) -> datetime | None:
        """The last instant at or before `until` to which the counter is open, later than `after`.

        None when no counter minute lies between the two.
        """
        day = until.date()
        for opens, closes in reversed(self.hours(day)):
            if opens < until:
                return found if (found := min(closes, until)) > after else None
        return self.last_closing(day - ONE_DAY, after)

    def last_sure_minute(self, until: datetime, after: datetime) -> datetime | None:
        """The same, on a day that no notice yet to come may make a day off."""
        day = until.date()
        while day >= after.date():
            spans = () if self._calendar.may_be_off(day) else self.hours(day)
            for opens, closes in reversed(spans):
                if opens < until:
                    return found if (found := min(closes, until)) > after else None
            day -= ONE_DAY
        return None

    def last_closing(self, day: date, after: datetime) -> datetime | None:
        """The last closing time on or before `day`, later than `after`; None if there is none."""
        found = self._closings.get(day) or self._closing(day)
        return found if found is not None and found > after else None

    def _closing(self, day: date) -> datetime | None:
        for back in range(_FURTHEST):
            if spans := self.hours(day - back * ONE_DAY):
                found = self._closings[day] = spans[-1][1]
                return found
        return None

    def first_opening(self, after: datetime) -> datetime | None:
        """The next instant after `after` at which the counter opens or is open."""
        for ahead in range(_FURTHEST):
            for opens, closes in self.hours(after.date() + ahead * ONE_DAY):
                if closes > after:
                    return max(opens, after)
        return None

    def first_open_day(self, day: date) -> date | None:
        """`day` itself or the first later day on which the counter opens."""
        for ahead in range(_FURTHEST):
            if self.hours(day + ahead * ONE_DAY):
                return day + ahead * ONE_DAY
        return None

    def opening_after(self, last: date) -> date | None:
        """The first day after `last` on which the counter opens: when a ready date is."""
        found = self._openings.get(last)
        if found is None:
            found = self.first_open_day(last + ONE_DAY)
            if found is not None:
                self._openings[last] = found
        return found

    def open_hours_before(self, until: datetime, hours: int) -> datetime | None:
        """The instant that leaves `hours` counter hours before `until`."""
        left = timedelta(hours=hours)
        for back in range(_FURTHEST):
            day = until.date() - back * ONE_DAY
            for opens, closes in reversed(self.hours(day)):
                length = min(closes, until) - opens
                if length >= left:
                    return opens + (length - left)
                left -= max(length, timedelta())
        return None

    def open_time_between(self, first: datetime, last: datetime) -> timedelta:
        """How long the counter is open between two instants."""
        total = timedelta()
        day = first.date()
        while day <= last.date():
            for opens, closes in self.hours(day):
                total += max(min(closes, last) - max(opens, first), timedelta())
            day += ONE_DAY
        return total

    def after_open_time(self, first: datetime, length: timedelta) -> datetime:
        """The instant at which the counter has been open for `length` since `first`; the end of
        what is looked through where it opens too seldom."""
        left, day = length, first.date()
        for _ in range(_FURTHEST):
            for opens, closes in self.hours(day):
                begins = max(opens, first)
                if closes - begins >= left:
                    return begins + left
                left -= max(closes - begins, timedelta())
            day += ONE_DAY
        return datetime.combine(day, time(), CHINA)
