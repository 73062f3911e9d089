"""Where the calendar's facts come from: chinese-calendar's tables and the notices in config/.

Only its tables are used. Its `find_workday` is one day late from every day off, and its year check
calls late December known although the next notice may still change it (decision 0002).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cache

import chinese_calendar
from lunardate import LunarDate

from worker.domain.calendar import ONE_DAY, Notice, WorkingCalendar
from worker.domain.errors import Fault, Misconfigured, Text

LAST_YEAR = 2060
"""How far estimates reach: far enough for ten-year cards issued in the 2040s."""

_NAMES = {
    "New Year's Day": "元旦",
    "Spring Festival": "春节",
    "Tomb-sweeping Day": "清明节",
    "Labour Day": "劳动节",
    "Dragon Boat Festival": "端午节",
    "National Day": "国庆节",
    "Mid-autumn Festival": "中秋节",
    "Anti-Fascist 70th Day": "抗战胜利70周年",
}


def build_calendar(notices: Iterable[Notice] = (), region: str = "") -> WorkingCalendar:
    """The package's years, then national notices, then the region's own, as one calendar.

    Days off by law that a notice forgot are taken as rest. Raises Misconfigured, with the file of
    each, for notices that leave out a year before them.
    """
    notices = tuple(notices)
    if faults := _faults(notices):
        raise Misconfigured("放假通知不可用", "holiday notices cannot be used", faults)
    extra = sorted(_completed(notices), key=lambda notice: (bool(notice.region), notice.year))
    chosen = [notice for notice in extra if notice.region in ("", region)]
    last_year = max([LAST_YEAR, *(notice.year for notice in chosen)])
    return WorkingCalendar([*_package_notices(), *chosen], statutory_days(last_year), last_year)


def _faults(notices: Sequence[Notice]) -> tuple[Fault, ...]:
    years = {notice.year for notice in (*_package_notices(), *notices) if not notice.region}
    return tuple(_fault_of_gap(one) for one in _national(notices) if one.year - 1 not in years)


def _national(notices: Iterable[Notice]) -> list[Notice]:
    """The notices of years that the package does not cover yet."""
    covered = _package_notices()[-1].year
    return [notice for notice in notices if not notice.region and notice.year > covered]


def incomplete(notices: Iterable[Notice]) -> list[tuple[Notice, list[date]]]:
    """National notices of new years that lack days off by law, with those days.

    All notices of a year together must list them; an amendment of a published year need not.
    """
    new = _national(notices)
    found = []
    for notice in new:
        listed = set().union(*(one.rest for one in new if one.year == notice.year))
        by_law = (day for day in statutory_days(notice.year) if day.year == notice.year)
        if missing := sorted(day for day in by_law if day not in listed):
            found.append((notice, missing))
    return found


def _fault_of_gap(notice: Notice) -> Fault:
    year = notice.year - 1
    return Fault(
        notice.place or str(notice.year),
        Text(f"{year} 年没有放假通知", f"there is no notice for {year}"),
        Text(f"先写入 {year} 年的通知", f"enter the notice of {year} first"),
        code="missing_year",
    )


def _completed(notices: Sequence[Notice]) -> list[Notice]:
    """With the days off by law that a file forgot: no notice can make people work on them."""
    forgotten = {notice.year: frozenset(days) for notice, days in incomplete(notices)}
    return [
        replace(one, rest=one.rest | (forgotten.get(one.year, frozenset()) - one.work))
        if one in _national(notices)
        else one
        for one in notices
    ]


@cache
def _package_notices() -> tuple[Notice, ...]:
    rest = {day: _name(of) for day, of in chinese_calendar.holidays.items()}
    work = {day: _name(of) for day, of in chinese_calendar.workdays.items()}
    years = sorted({day.year for day in rest})
    return tuple(
        Notice(
            year=year,
            title=f"国务院办公厅关于{year}年部分节假日安排的通知",
            rest=frozenset(day for day in rest if day.year == year),
            work=frozenset(day for day in work if day.year == year),
            names={day: of for day, of in (rest | work).items() if day.year == year},
        )
        for year in years
    )


def _name(english: str) -> str:
    return _NAMES.get(english, english)


@cache
def statutory_days(last_year: int) -> Mapping[date, str]:
    """The days off by law, without swaps, from 2025 to `last_year`.

    Source: 全国年节及纪念日放假办法, article 2, as amended in force 2025-01-01: New Year 1 day,
    Spring Festival 4 (from New Year's Eve), Qingming 1, Labour 2, Dragon Boat 1, Mid-Autumn 1,
    National Day 3.
    """
    days: dict[date, str] = {}
    for year in range(2025, last_year + 1):
        spring = _lunar(year, 1, 1)
        days |= {spring + offset * ONE_DAY: "春节" for offset in range(-1, 3)}
        days |= {date(year, 5, day): "劳动节" for day in (1, 2)}
        days |= {date(year, 10, day): "国庆节" for day in (1, 2, 3)}
        days[date(year, 1, 1)] = "元旦"
        days[_qingming(year)] = "清明节"
        days[_lunar(year, 5, 5)] = "端午节"
        days.setdefault(_lunar(year, 8, 15), "中秋节")
    return days


def _lunar(year: int, month: int, day: int) -> date:
    solar: date = LunarDate(year, month, day).to_solar_date()
    return solar


def _qingming(year: int) -> date:
    terms = chinese_calendar.get_solar_terms(date(year, 4, 1), date(year, 4, 10))
    found: date = next(day for day, term in terms if term == "清明")
    return found
