"""A second opinion on every period: day-by-day loops over chinese_calendar, no tables.

After 24 December 2026 there is no settled notice. `LAW` guesses Monday to Friday less the days off
by law (typed in here by hand for 2027 and 2028), `WEEKDAYS` that every Monday to Friday is worked.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from functools import cache
from typing import NamedTuple

import chinese_calendar

from worker.domain.periods import Days, Hours, MonthlyOn, Period, Reading, Roll, WorkingDays, Years

BEIJING = timezone(timedelta(hours=8))
FIRM_TO = date(2026, 12, 24)
DAY = timedelta(days=1)
BY_LAW = frozenset(
    date.fromisoformat(f"{year}-{day}")
    for year, days in {
        2027: "01-01 02-05 02-06 02-07 02-08 04-05 05-01 05-02 06-09 09-15 10-01 10-02 10-03",
        2028: "01-01 01-25 01-26 01-27 01-28 04-04 05-01 05-02 05-28 10-01 10-02 10-03",
    }.items()  # Mid-Autumn 2028 is 3 October itself
    for day in days.split()
)
Works = Callable[[date], bool]


@cache
def by_law(day: date) -> bool:
    """Whether people work on `day`, by the notices and after them by the law alone."""
    if day <= FIRM_TO:
        worked: bool = chinese_calendar.is_workday(day)
        return worked
    return day.weekday() < 5 and day not in BY_LAW


ALONE = frozenset(
    day for day in BY_LAW if not {day - DAY, day + DAY} & BY_LAW
)  # New Year, Qingming, Dragon Boat, Mid-Autumn; the others last longer


@cache
def may_be_bridged(day: date) -> bool:
    """Whether the next notice may make `day` a day off (decision 0006)."""
    return day > FIRM_TO and any(
        abs((day - festival).days) <= (2 if festival in ALONE else 4) for festival in BY_LAW
    )


def by_weekday(day: date) -> bool:
    """The other guess about days without a notice: every Monday to Friday is worked."""
    return by_law(day) if day <= FIRM_TO else day.weekday() < 5


class Answer(NamedTuple):
    """What `end_of` should say, field by field."""

    ends_at: datetime
    last_date: date | None
    earliest_at: datetime
    latest_at: datetime
    firm: bool
    consulted_to: date | None


def answer(period: Period, started_at: datetime) -> Answer:
    """The end of `period`, its bounds, and the latest day that had to be asked about."""
    start = started_at.astimezone(BEIJING)
    match period:
        case WorkingDays(count, counted):
            first, margin = start.date(), timedelta(days=5 if count <= 7 else 10)
            last = nth(count, first, by_law, counted)
            guess = nth(count, first, by_weekday, counted)
            return days(last, max(guess - 2 * DAY, first, FIRM_TO), guess + margin, last)
        case Hours(count, reading):
            return hours(start, timedelta(hours=count), reading)
        case Days(count, roll, counted):
            return rolled(start.date() + (count - counted) * DAY, roll)
        case Years(count, roll):
            return rolled(years_after(start.date(), count), roll)
        case MonthlyOn(day, roll):
            nominal = start.date()
            while True:
                nominal += DAY
                is_it = nominal.day == day or (nominal.day < day and (nominal + DAY).day == 1)
                if is_it and (found := rolled(nominal, roll)).ends_at > start:
                    return found


def closing(day: date) -> datetime:
    """24:00 of `day`."""
    return datetime(day.year, day.month, day.day, tzinfo=BEIJING) + DAY


def days(last: date, early: date, late: date, asked: date | None) -> Answer:
    """An end at 24:00 of `last`, bounded only where the latest day asked about is not firm."""
    end = closing(last)
    if asked is None or asked <= FIRM_TO:
        return Answer(end, last, end, end, True, asked)
    return Answer(end, last, closing(early), closing(max(late, last)), False, asked)


def nth(count: int, start: date, works: Works, counted: bool) -> date:
    """Walk on one day at a time until `count` days were worked."""
    day = start - DAY if counted else start
    while count:
        day += DAY
        count -= works(day)
    return day


def roll_on(day: date, works: Works, step: timedelta = DAY) -> date:
    """`day` or the next one that is worked, in either direction."""
    while not works(day):
        day += step
    return day


def rolled(nominal: date, roll: Roll) -> Answer:
    """24:00 of a last day after its roll."""
    if roll is Roll.NONE:
        return days(nominal, nominal, nominal, None)
    if roll is Roll.BACK:
        last = roll_on(nominal, by_law, -DAY)
        return days(last, max(last - 10 * DAY, min(last, FIRM_TO)), nominal, nominal)
    last, guess = roll_on(nominal, by_law), roll_on(nominal, by_weekday)
    return days(last, max(guess - 2 * DAY, nominal), guess + 10 * DAY, last)


def hours(start: datetime, length: timedelta, reading: Reading) -> Answer:
    """An end at a time of day, by one reading of 节假日顺延."""
    plain = start + length
    if reading is Reading.PLAIN:
        return Answer(plain, None, plain, plain, True, None)
    if reading is Reading.PAUSE_REST_DAYS:
        return paused(start, length)
    day, guess = roll_on(plain.date(), by_law), roll_on(plain.date(), by_weekday)
    same_time = reading is Reading.ROLL_SAME_TIME

    def moved(to: date) -> datetime:
        return plain + (to - plain.date()) if same_time else closing(to)

    end = plain if day == plain.date() else moved(day)
    if day <= FIRM_TO:
        return Answer(end, None, end, end, True, day)
    return Answer(end, None, plain, max(moved(guess + 10 * DAY), end), False, day)


def paused(start: datetime, length: timedelta) -> Answer:
    """A clock that stands still on days off."""
    end, asked = run_clock(start, length, by_law)
    if asked <= FIRM_TO:
        return Answer(end, None, end, end, True, asked)
    guess, _ = run_clock(start, length, by_weekday)
    margin = timedelta(days=5 if length <= 7 * DAY else 10)
    early, late = max(guess - 2 * DAY, start + length), max(guess + margin, end)
    return Answer(end, None, early, late, False, asked)


def run_clock(start: datetime, length: timedelta, works: Works) -> tuple[datetime, date]:
    """Where the clock stops, and the day on which it does (midnight closes a day)."""
    at, day = start, start.date()
    while True:
        stops = closing(day)
        if works(day):
            if at + length <= stops:
                return at + length, day
            length -= stops - at
        at, day = stops, day + DAY


def years_after(day: date, count: int) -> date:
    """The matching day, 29 February -> 28 February."""
    try:
        return day.replace(year=day.year + count)
    except ValueError:
        return date(day.year + count, 2, 28)
