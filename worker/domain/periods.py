"""Periods: how long, how the law is read, and when they end.

Sources: Civil Code art. 201 (the day of the event is not counted; hours run from the moment), 202
(29 February -> 28 February), 203 (a last day off rolls; a last day ends at 24:00). RULES.md, "How
periods are counted", settles the rest. Ends are exclusive instants at UTC+8.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import assert_never

from worker.domain.calendar import (
    CHINA,
    ONE_DAY,
    OutsideCalendar,
    PeriodEnd,
    WorkingCalendar,
    WorkingTable,
    in_china,
    midnight,
)

_ONE_HOUR = timedelta(hours=1)


class Roll(StrEnum):
    """Where a last day off moves."""

    NONE = "none"
    FORWARD = "forward"
    BACK = "back"


class Reading(StrEnum):
    """How a period of hours meets days off (research/calendar-and-law.md §3)."""

    PLAIN = "plain"
    ROLL_SAME_TIME = "roll_same_time"
    ROLL_END_OF_DAY = "roll_end_of_day"
    PAUSE_REST_DAYS = "pause_rest_days"


# Python 3.11 looks up a member of an enum four times as slowly as a name.
_PLAIN, _PAUSE, _END_OF_DAY = Reading.PLAIN, Reading.PAUSE_REST_DAYS, Reading.ROLL_END_OF_DAY


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """`count` working days; the start day counts only where a centre chose to be stricter."""

    count: int
    start_counted: bool = False


@dataclass(frozen=True, slots=True)
class Days:
    """`count` calendar days."""

    count: int
    roll: Roll = Roll.FORWARD
    start_counted: bool = False


@dataclass(frozen=True, slots=True)
class Hours:
    """`count` hours from the very second."""

    count: int
    reading: Reading


@dataclass(frozen=True, slots=True)
class Years:
    """`count` years to the matching day, 29 February -> 28 February."""

    count: int
    roll: Roll = Roll.FORWARD


@dataclass(frozen=True, slots=True)
class MonthlyOn:
    """The first such day of a month strictly after the start day (month end if shorter)."""

    day: int
    roll: Roll = Roll.NONE


Period = WorkingDays | Days | Hours | Years | MonthlyOn


def end_of(period: Period, start: datetime, calendar: WorkingCalendar) -> PeriodEnd:
    """When `period`, begun at `start`, ends. Raises NaiveInstant, OutsideCalendar."""
    if start.tzinfo is not CHINA:
        start = in_china(start)
    try:
        return _end_of(period, start, calendar)
    except (OverflowError, ValueError):  # dates themselves end with the year 9999
        raise OutsideCalendar(start.date(), calendar.first, calendar.last) from None


def _end_of(period: Period, start: datetime, calendar: WorkingCalendar) -> PeriodEnd:
    match period:
        case WorkingDays():
            return _end_of_working_days(period, start, calendar)
        case Hours():
            return _end_of_hours(period, start, calendar)
        case Days() | Years():
            return _end_of_last_day(nominal_last_day(period, start), period.roll, calendar)
        case MonthlyOn():
            return _end_of_monthly(period, start, calendar)
        case _:  # pragma: no cover
            assert_never(period)


def nominal_last_day(period: Days | Years | MonthlyOn | Hours, start: datetime) -> date:
    """The day a period falls on before any roll, by the bare count from `start` (at UTC+8)."""
    match period:
        case Days(count, _, start_counted):
            return start.date() + timedelta(days=count - start_counted)
        case Years(count):
            return _plus_years(start.date(), count)
        case MonthlyOn(day):
            return _next_monthly(start.date(), day)
        case Hours(count):
            return (start + count * _ONE_HOUR).date()
        case _:  # pragma: no cover
            assert_never(period)


def _end_of_working_days(
    period: WorkingDays, start: datetime, calendar: WorkingCalendar
) -> PeriodEnd:
    table = calendar.estimate
    index = start.toordinal() - table.base - period.start_counted
    if index < 0:
        raise OutsideCalendar(start.date(), calendar.first, calendar.last)
    try:
        position = table.upto[index] + period.count - 1
        if position < calendar.firm_count:
            return calendar.firm_ends[position]
        last = table.days[position]
    except IndexError:
        raise OutsideCalendar(start.date(), calendar.first, calendar.last) from None
    guess = calendar.weekdays.days[calendar.weekdays.upto[index] + period.count - 1]
    early = max(guess - 2 * ONE_DAY, start.date(), calendar.firm_to)
    late = max(guess + _late_margin(period.count), last)
    ends_at = midnight(last + ONE_DAY)
    return PeriodEnd(
        ends_at, last, midnight(early + ONE_DAY), midnight(late + ONE_DAY), False, last
    )


def _late_margin(count: int) -> timedelta:
    """RULES.md, "Provisional dates": 5 days more for up to 7 working days, else 10."""
    return timedelta(days=5 if count <= 7 else 10)


_LONGEST_REST = timedelta(days=10)
"""The longest run of days off since 2007 (to 2 February 2020): no roll goes further."""


def _end_of_last_day(nominal: date, roll: Roll, calendar: WorkingCalendar) -> PeriodEnd:
    """24:00 of the nominal last day, rolled if it is off. Only a roll asks the calendar."""
    if roll is Roll.NONE:
        ends_at = midnight(nominal + ONE_DAY)
        return PeriodEnd(ends_at, nominal, ends_at, ends_at, True, None)
    if roll is Roll.BACK:
        return _rolled_back(nominal, calendar)
    last = calendar.roll_forward(nominal)
    ends_at = midnight(last + ONE_DAY)
    if calendar.is_firm(last):
        return PeriodEnd(ends_at, last, ends_at, ends_at, True, last)
    guess = _roll_in(calendar.weekdays, nominal)
    early = max(guess - 2 * ONE_DAY, nominal)  # a roll never moves an end earlier
    late = max(guess + _LONGEST_REST, last)
    return PeriodEnd(
        ends_at, last, midnight(early + ONE_DAY), midnight(late + ONE_DAY), False, last
    )


def _rolled_back(nominal: date, calendar: WorkingCalendar) -> PeriodEnd:
    last = calendar.roll_back(nominal)
    ends_at = midnight(last + ONE_DAY)
    if calendar.is_firm(nominal):
        return PeriodEnd(ends_at, last, ends_at, ends_at, True, nominal)
    early = max(last - _LONGEST_REST, min(last, calendar.firm_to))
    return PeriodEnd(
        ends_at, last, midnight(early + ONE_DAY), midnight(nominal + ONE_DAY), False, nominal
    )


def _end_of_monthly(period: MonthlyOn, start: datetime, calendar: WorkingCalendar) -> PeriodEnd:
    nominal = start.date()
    while True:
        nominal = _next_monthly(nominal, period.day)
        end = _end_of_last_day(nominal, period.roll, calendar)
        if end.ends_at > start:  # rolled back over the start itself: the next month is meant
            return end


def _end_of_hours(period: Hours, start: datetime, calendar: WorkingCalendar) -> PeriodEnd:
    plain = start + period.count * _ONE_HOUR
    if period.reading is _PLAIN:
        return PeriodEnd(plain, None, plain, plain, True, None)
    if period.reading is _PAUSE:
        return _paused_hours(period.count, start, plain, calendar)
    return _rolled_hours(period.reading, plain, calendar)


def _rolled_hours(reading: Reading, plain: datetime, calendar: WorkingCalendar) -> PeriodEnd:
    """The plain end, or where it rolls to when its day is off; 00:00 is of the day it opens."""
    fell_on = plain.date()
    day = calendar.roll_forward(fell_on)
    ends_at = plain if day == fell_on else _rolled_to(day, reading, plain)
    if calendar.is_firm(day):
        return PeriodEnd(ends_at, None, ends_at, ends_at, True, day)
    furthest = _roll_in(calendar.weekdays, fell_on) + _LONGEST_REST
    late = max(_rolled_to(furthest, reading, plain), ends_at)
    return PeriodEnd(ends_at, None, plain, late, False, day)  # made a working day: no roll at all


def _rolled_to(day: date, reading: Reading, plain: datetime) -> datetime:
    if reading is _END_OF_DAY:
        return midnight(day + ONE_DAY)
    return plain + (day - plain.date())


def _paused_hours(
    hours: int, start: datetime, plain: datetime, calendar: WorkingCalendar
) -> PeriodEnd:
    ends_at, last = _run_on_working_days(hours, start, calendar.estimate, calendar)
    if calendar.is_firm(last):
        return PeriodEnd(ends_at, None, ends_at, ends_at, True, last)
    guess, _ = _run_on_working_days(hours, start, calendar.weekdays, calendar)
    early = max(guess - 2 * ONE_DAY, plain)  # a pause never ends before the plain clock
    late = max(guess + _late_margin(-(-hours // 24)), ends_at)
    return PeriodEnd(ends_at, None, early, late, False, last)


def _run_on_working_days(
    hours: int, start: datetime, table: WorkingTable, calendar: WorkingCalendar
) -> tuple[datetime, date]:
    """Run a clock only on working days; one that runs out at midnight ends there."""
    left = hours * _ONE_HOUR
    today = start.date()
    index = today.toordinal() - table.base
    if index < 0:
        raise OutsideCalendar(today, calendar.first, calendar.last)
    try:
        if _works(table, index):
            rest_of_today = midnight(today + ONE_DAY) - start
            if left <= rest_of_today:
                return start + left, today
            left -= rest_of_today
        whole, part = divmod(left, ONE_DAY)
        day = table.days[table.upto[index] + whole - (0 if part else 1)]
    except IndexError:
        raise OutsideCalendar(today, calendar.first, calendar.last) from None
    return midnight(day) + (part or ONE_DAY), day


def _works(table: WorkingTable, index: int) -> bool:
    return table.upto[index] > (table.upto[index - 1] if index else 0)


def _roll_in(table: WorkingTable, day: date) -> date:
    """`day` if the table works it, else the table's next working day."""
    index = day.toordinal() - table.base
    return day if _works(table, index) else table.days[table.upto[index]]


def _plus_years(day: date, count: int) -> date:
    last_of_month = monthrange(day.year + count, day.month)[1]
    return day.replace(year=day.year + count, day=min(day.day, last_of_month))


def _next_monthly(after: date, day: int) -> date:
    """The first `day` of a month strictly after `after`, month end where the month is shorter."""
    year, month = after.year, after.month
    while True:
        candidate = date(year, month, min(day, monthrange(year, month)[1]))
        if candidate > after:
            return candidate
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
