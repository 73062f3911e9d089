"""Deadlines a second of one core, beside the tools one would reach for instead.

Starts are drawn once (seeded) from 2010 to October 2026, where every date is firm. All contenders
take turns within each of seven rounds; the best round counts and the median is printed too. What
is measured is processor time: a busy machine slows the run, not the figures (much). Before
anything is timed, the answers are compared.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from time import process_time
from typing import Any

import chinese_calendar
import numpy as np

from benchmarks import Row
from worker.domain.calendar import CHINA, WorkingCalendar
from worker.domain.centres import Centre, Office
from worker.domain.deadlines import Terms, deadline
from worker.domain.derivations import derive
from worker.domain.periods import Hours, Reading, WorkingDays
from worker.domain.rules import RuleKind
from worker.holidays import build_calendar

ROUNDS = 7
PASSES = 4
FIRST, LAST = datetime(2010, 1, 1, tzinfo=CHINA), datetime(2026, 10, 31, tzinfo=CHINA)
WITH_DERIVATION = 50_000
"""Deadlines a second, each with its whole derivation."""

NATIONAL = Terms("national.phone-loss-report", RuleKind.LAPSE, WorkingDays(3))
READY = Terms("national.replacement-pickup", RuleKind.READY, WorkingDays(15))
CHENGDU = Terms(
    "chengdu.online-loss-report",
    RuleKind.LAPSE,
    Hours(72, Reading.ROLL_SAME_TIME),
    Hours(72, Reading.PLAIN),
    (Hours(72, Reading.PAUSE_REST_DAYS), Hours(72, Reading.ROLL_END_OF_DAY)),
)


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do it, and what it is called with, one after the other."""

    name: str
    call: Callable[[Any], object]
    given: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Speed:
    """Calls a second."""

    best: float
    median: float

    def __str__(self) -> str:
        return f"{self.best:,.0f}/s (median {self.median:,.0f})"


def bare_table(calendar: WorkingCalendar, count: int) -> Callable[[date], date]:
    """The least an answer can cost: two look-ups in ready tables, nothing checked."""
    base, days, upto = calendar.estimate.base, calendar.estimate.days, calendar.estimate.upto
    return lambda day: days[upto[day.toordinal() - base] + count - 1]


def busday_offset(calendar: WorkingCalendar, count: int) -> Callable[[np.datetime64], Any]:
    """Numpy's, as make-up days want it set up: every day is worked but those off."""
    off = [day.on for day in calendar.days(calendar.first, calendar.firm_to) if not day.works]
    busy = np.busdaycalendar(weekmask="1111111", holidays=np.array(off, "M8[D]"))
    return lambda day: np.busday_offset(day, count, roll="backward", busdaycal=busy)


def run() -> list[Row]:
    """Measure and compare. Raises RuntimeError where contenders disagree."""
    calendar = build_calendar()
    office = Office(Centre("demo", "demo", "demo", "demo"), calendar)
    starts = draw(20_000)
    agree(calendar, office, starts[:1000])
    return rows(measure([*plain(calendar, starts), *full(calendar, office, starts[:2000])]))


def draw(count: int) -> list[datetime]:
    """Instants of whole seconds, the same in every run."""
    drawn = random.Random(20261122)
    span = int((LAST - FIRST).total_seconds())
    return [FIRST + timedelta(seconds=drawn.randrange(span)) for _ in range(count)]


def agree(calendar: WorkingCalendar, office: Office, starts: list[datetime]) -> None:
    """Nobody is timed for a wrong answer. `find_workday` is right from working days only."""
    for terms, count in ((NATIONAL, 3), (READY, 15)):
        bare, by_numpy = bare_table(calendar, count), busday_offset(calendar, count)
        for start in starts:
            day = start.date()
            answers = {
                deadline(terms, start, calendar, office).last_date,
                calendar.add_working_days(day, count),
                bare(day),
                by_numpy(np.datetime64(day)).item(),
            }
            if calendar.is_working_day(day):
                answers.add(chinese_calendar.find_workday(count, day))
            if len(answers) != 1:
                raise RuntimeError(f"{count} working days from {day}: {answers}")


def plain(calendar: WorkingCalendar, starts: list[datetime]) -> list[Contender]:
    """The n-th working day and nothing else; the slow ones are given less to do."""
    days = [start.date() for start in starts]
    as_numpy = [np.datetime64(day) for day in days[:2000]]
    return [
        Contender("bare table", bare_table(calendar, 3), days),
        Contender("add_working_days", lambda day: calendar.add_working_days(day, 3), days),
        *(
            contender
            for count in (3, 15)
            for contender in (
                Contender(f"find_workday {count}", find_workday(count), days[:100]),
                Contender(f"busday_offset {count}", busday_offset(calendar, count), as_numpy),
            )
        ),
    ]


def find_workday(count: int) -> Callable[[date], Any]:
    """The package's own, as it is called."""
    return lambda day: chinese_calendar.find_workday(count, day)


def full(calendar: WorkingCalendar, office: Office, starts: list[datetime]) -> list[Contender]:
    """What enrolment calls: end, bounds, act_by or ready_on; and the same with its derivation."""

    def bare(terms: Terms) -> Callable[[datetime], object]:
        return lambda at: deadline(terms, at, calendar, office)

    def derived(terms: Terms) -> Callable[[datetime], object]:
        return lambda at: derive(deadline(terms, at, calendar, office), terms, calendar)

    return [
        contender
        for terms in (NATIONAL, READY, CHENGDU)
        for contender in (
            Contender(terms.rule_id, bare(terms), starts),
            Contender(f"{terms.rule_id} derived", derived(terms), starts),
        )
    ]


def measure(taking_part: list[Contender]) -> dict[str, Speed]:
    """The speed of each, in interleaved rounds after one to warm up."""
    seconds: dict[str, list[float]] = {one.name: [] for one in taking_part}
    for round_number in range(ROUNDS + 1):
        for one in taking_part:
            taken = seconds_a_call(one)
            if round_number:
                seconds[one.name].append(taken)
    return {name: Speed(1 / min(took), 1 / median(took)) for name, took in seconds.items()}


def seconds_a_call(one: Contender) -> float:
    """The quickest of a few passes over all that it is given: the first one fills the caches."""
    call, passes = one.call, []
    for _ in range(PASSES):
        began = process_time()
        for given in one.given:
            call(given)
        passes.append(process_time() - began)
    return min(passes) / len(one.given)


def rows(speeds: dict[str, Speed]) -> list[Row]:
    """What is promised (with a bar) and what is good to know."""

    def against(name: str, other: str, bar: float | None = None) -> Row:
        ratio = speeds[name].best / speeds[other].best
        return Row(name, str(speeds[name]), f"{other} {speeds[other]}", ratio, bar)

    def required(name: str, a_second: float, bar: float | None) -> Row:
        ratio = speeds[name].best / a_second
        return Row(name, str(speeds[name]), f"required {a_second:,.0f}/s", ratio, bar)

    national, ready, chengdu = (terms.rule_id for terms in (NATIONAL, READY, CHENGDU))
    return [
        against("add_working_days", "bare table", 0.4),
        against(national, "find_workday 3", 80),
        against(national, "busday_offset 3", 1.5),
        against(ready, "find_workday 15"),
        against(ready, "busday_offset 15"),
        against(chengdu, "find_workday 3"),
        against(chengdu, "busday_offset 3"),
        required(f"{national} derived", WITH_DERIVATION, 1),
        required(f"{ready} derived", WITH_DERIVATION, 1),
        required(f"{chengdu} derived", WITH_DERIVATION, None),
    ]
