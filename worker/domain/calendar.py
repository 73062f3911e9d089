"""The working calendar of the mainland: which days are worked, by whose notice, and how sure.

Built once, immutable, answered from tables: the n-th working day after a day is two list look-ups.
It reads no files; `worker.holidays` collects the notices.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from itertools import accumulate
from typing import Literal, NamedTuple

from worker.domain.errors import BadData

CHINA = timezone(timedelta(hours=8), "+08:00")
"""All rule arithmetic happens at fixed UTC+8: no daylight saving since 1991 (decision 0001)."""

ONE_DAY = timedelta(days=1)
_MIDNIGHT = time(tzinfo=CHINA)
_LAST_FIRM = (12, 24)  # notices for the next year have changed days from 29 December on
_BRIDGE, _LONG_BRIDGE = 2, 4
_LONG = frozenset({"春节", "劳动节", "国庆节"})
"""How many days on each side of a day off by law a coming notice may make days off as well. The
fewest that back-test to no shut counter at New Year and Spring Festival (decision 0006)."""

DayKind = Literal["working", "make_up", "weekend", "holiday"]
WORKED: frozenset[DayKind] = frozenset({"working", "make_up"})
FRIDAY = 4


class NaiveInstant(BadData):
    """A time without an offset where one instant is meant."""

    def __init__(self, value: object) -> None:
        super().__init__(
            f"时间 {value} 没有时区；如为北京时间，请写成 {value}+08:00",
            f"{value} has no UTC offset; if it is Beijing time write {value}+08:00",
        )


class BeyondTime(BadData, OverflowError):
    """An instant that UTC+8 would put before year 1 or after year 9999."""

    def __init__(self, value: object) -> None:
        super().__init__(
            f"时间 {value} 换算成北京时间后超出了公元 1 至 9999 年；请核对年份",
            f"{value} lies outside the years 1 to 9999 in Beijing; check the year",
        )


class OutsideCalendar(BadData):
    """A day the calendar knows nothing of, not even an estimate."""

    def __init__(self, day: object, first: date, last: date) -> None:
        super().__init__(
            f"{day} 超出日历范围（{first} 至 {last}）",
            f"{day} lies outside the calendar ({first} to {last})",
        )


class Day(NamedTuple):
    """One day as a derivation shows it. `name` is the holiday behind a rest or make-up day."""

    on: date
    kind: DayKind
    name: str
    firm: bool

    @property
    def works(self) -> bool:
        """Whether people work on it."""
        return self.kind in WORKED


@dataclass(frozen=True, slots=True)
class Notice:
    """One yearly holiday notice (or a regional one): days off and make-up days it names.

    `place` is the file a person entered it in, empty for a published calendar.
    """

    year: int
    title: str
    rest: frozenset[date]
    work: frozenset[date]
    url: str = ""
    published_on: date | None = None
    region: str = ""
    names: Mapping[date, str] = field(default_factory=dict)
    place: str = ""


def in_china(instant: datetime) -> datetime:
    """The same instant at UTC+8. Raises NaiveInstant, BeyondTime."""
    if instant.tzinfo is CHINA:
        return instant
    if instant.tzinfo is None:
        raise NaiveInstant(instant.isoformat())
    try:
        return instant.astimezone(CHINA)
    except OverflowError:
        raise BeyondTime(instant.isoformat()) from None


def midnight(day: date) -> datetime:
    """00:00 of a day at UTC+8."""
    return datetime.combine(day, _MIDNIGHT)


class PeriodEnd(NamedTuple):
    """When a period ends: exclusive instants, and the latest day asked about (None if none).

    `last_date` is None where a period ends at a time of day. `earliest_at` and `latest_at` bound
    an end that a notice yet to come may move; a firm end is all three.
    """

    ends_at: datetime
    last_date: date | None
    earliest_at: datetime
    latest_at: datetime
    firm: bool
    consulted_to: date | None


class WorkingTable:
    """Working days of one assumption about the future, as look-up tables.

    `upto[i]` counts the working days up to and including day `base + i`, so the n-th working day
    after it is `days[upto[i] + n - 1]`.
    """

    __slots__ = ("base", "days", "upto")

    def __init__(self, base: int, days: list[date], upto: list[int]) -> None:
        self.base = base
        self.days = days
        self.upto = upto

    @classmethod
    def over(cls, every: list[date], off: set[date]) -> "WorkingTable":
        """Tables for `every` day of an unbroken stretch, less those in `off`."""
        days = [day for day in every if day not in off]
        upto = list(accumulate(0 if day in off else 1 for day in every))
        return cls(every[0].toordinal(), days, upto)


class WorkingCalendar:
    """Which days are worked: fact up to `firm_to`, an estimate after it.

    `covered_to` is the last day of the last year with a notice. `firm_to` is 24 December of that
    year, because the next notice may still change the days after it. Beyond `firm_to` the calendar
    answers with the *estimate* (Monday to Friday less the statutory days of the law);
    `weekdays` holds the other guess (Monday to Friday all worked) for the early bound.
    `firm_ends[k]` is the end of a period whose last day is the k-th working day, ready made.
    """

    __slots__ = (
        "_base",
        "_days",
        "_doubtful",
        "_every",
        "_titles",
        "_upto",
        "covered_to",
        "estimate",
        "firm_count",
        "firm_ends",
        "firm_to",
        "first",
        "last",
        "notices",
        "version",
        "weekdays",
    )

    def __init__(
        self, notices: Iterable[Notice], statutory: Mapping[date, str], last_year: int
    ) -> None:
        """Merge `notices` in order (a later one wins day by day) and lay out the tables.

        `statutory` names the days off by law after the last notice, up to `last_year`.
        Raises BadData when the years of the notices leave a gap.
        """
        self.notices = tuple(notices)
        years = sorted({notice.year for notice in self.notices if not notice.region})
        if not years or years != list(range(years[0], years[-1] + 1)):
            raise BadData(
                f"放假通知的年份不连续：{years}", f"holiday notices leave years out: {years}"
            )
        self.first = date(years[0], 1, 1)
        self.covered_to = date(years[-1], 12, 31)
        self.firm_to = date(years[-1], *_LAST_FIRM)
        self.last = date(last_year, 12, 31)
        rest, work, names = self._merge(statutory)
        self._lay_out(rest, work, names, statutory)
        self.version = self._content_hash(rest, work)

    def _merge(self, statutory: Mapping[date, str]) -> tuple[set[date], set[date], dict[date, str]]:
        rest: set[date] = set()
        work: set[date] = set()
        names: dict[date, str] = {}
        self._titles: dict[int, tuple[str, ...]] = {}
        for notice in self.notices:
            self._titles[notice.year] = (*self._titles.get(notice.year, ()), notice.title)
            rest = (rest - notice.work) | notice.rest
            work = (work - notice.rest) | notice.work
            names.update(notice.names)
        for day in rest | work:
            if day not in names:
                names[day] = _nearest_name(day, statutory)
        return rest, work, names

    def _lay_out(
        self,
        rest: set[date],
        work: set[date],
        names: dict[date, str],
        statutory: Mapping[date, str],
    ) -> None:
        ordinals = range(self.first.toordinal(), self.last.toordinal() + 1)
        every = [date.fromordinal(ordinal) for ordinal in ordinals]
        weekend = {day for day in every if day.weekday() > FRIDAY}
        known = {day for day in rest if day <= self.firm_to}
        worked = {day for day in work if day <= self.firm_to}
        by_law = {day for day in statutory if day > self.firm_to}
        self._doubtful = {
            day + ahead * ONE_DAY for day in by_law for ahead in _bridge(statutory[day])
        }
        off_weekdays = (weekend - worked) | known
        off_estimate = off_weekdays | by_law
        self.weekdays = WorkingTable.over(every, off_weekdays)
        self.estimate = WorkingTable.over(every, off_estimate)
        self._base = self.estimate.base
        self._days = self.estimate.days
        self._upto = self.estimate.upto
        self.firm_count = self._upto[self.firm_to.toordinal() - self._base]
        self.firm_ends = [
            PeriodEnd(end, day, end, end, True, day)
            for day in self._days[: self.firm_count]
            for end in (midnight(day + ONE_DAY),)
        ]
        kinds: dict[date, DayKind] = dict.fromkeys(weekend, "weekend")
        kinds.update(dict.fromkeys(known | by_law, "holiday"))
        kinds.update(dict.fromkeys(worked, "make_up"))
        names = {**{day: statutory[day] for day in by_law}, **names}
        self._every = [
            Day(day, kinds.get(day, "working"), names.get(day, ""), day <= self.firm_to)
            for day in every
        ]

    def _content_hash(self, rest: set[date], work: set[date]) -> str:
        content = [
            self.firm_to.isoformat(),
            [day.isoformat() for day in sorted(rest)],
            [day.isoformat() for day in sorted(work)],
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]

    def _index(self, day: date) -> int:
        index = day.toordinal() - self._base
        if not 0 <= index < len(self._upto):
            raise OutsideCalendar(day, self.first, self.last)
        return index

    def add_working_days(self, day: date, count: int) -> date:
        """The `count`-th working day strictly after `day` (count >= 1).

        After `firm_to` an estimate: ask `is_firm` about the answer. Raises OutsideCalendar.
        """
        index = day.toordinal() - self._base
        if index < 0 or count < 1:
            raise OutsideCalendar(day, self.first, self.last)
        try:
            return self._days[self._upto[index] + count - 1]
        except IndexError:
            raise OutsideCalendar(day, self.first, self.last) from None

    def subtract_working_days(self, day: date, count: int) -> date:
        """The `count`-th working day strictly before `day`. Raises OutsideCalendar."""
        index = self._index(day)
        position = (self._upto[index - 1] if index else 0) - count
        if position < 0:
            raise OutsideCalendar(day, self.first, self.last)
        return self._days[position]

    def is_working_day(self, day: date) -> bool:
        """Whether people work on `day`. Raises OutsideCalendar."""
        index = self._index(day)
        return self._upto[index] > (self._upto[index - 1] if index else 0)

    def roll_forward(self, day: date) -> date:
        """`day` itself if worked, else the first working day after it."""
        return day if self.is_working_day(day) else self.add_working_days(day, 1)

    def roll_back(self, day: date) -> date:
        """`day` itself if worked, else the last working day before it."""
        return day if self.is_working_day(day) else self.subtract_working_days(day, 1)

    def is_firm(self, day: date) -> bool:
        """Whether a published notice settles `day` for good."""
        return day <= self.firm_to

    def may_be_off(self, day: date) -> bool:
        """Whether a notice yet to come may make `day` a day off: a bridge to one by law."""
        return day > self.firm_to and day in self._doubtful

    def day(self, on: date) -> Day:
        """What kind of day it is and why. Raises OutsideCalendar."""
        return self._every[self._index(on)]

    def days(self, first: date, last: date) -> list[Day]:
        """Every day from `first` to `last`, both included. Raises OutsideCalendar."""
        return self._every[self._index(first) : self._index(last) + 1]

    def titles(self, first_year: int, last_year: int) -> tuple[str, ...]:
        """The notices of these years, by their titles; none for a year without one."""
        if first_year == last_year:
            return self._titles.get(first_year, ())
        years = range(first_year, last_year + 1)
        return tuple(title for year in years for title in self._titles.get(year, ()))


def _bridge(name: str) -> range:
    reach = _LONG_BRIDGE if name in _LONG else _BRIDGE
    return range(-reach, reach + 1)


def _nearest_name(day: date, statutory: Mapping[date, str]) -> str:
    """The statutory day a nameless day of a notice belongs to: the nearest within 12 days."""
    for distance in range(13):
        for candidate in (day - distance * ONE_DAY, day + distance * ONE_DAY):
            if candidate in statutory:
                return statutory[candidate]
    return ""
