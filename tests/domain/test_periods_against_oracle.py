"""Every period and every rule agrees with day-by-day loops that know nothing of our tables."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.domain.catalogue import RULES, terms_of
from tests.domain.oracle import (
    BEIJING,
    DAY,
    FIRM_TO,
    answer,
    by_law,
    by_weekday,
    closing,
    may_be_bridged,
)
from worker.domain.calendar import WorkingCalendar
from worker.domain.centres import Office
from worker.domain.deadlines import Deadline, deadline
from worker.domain.periods import (
    Days,
    Hours,
    MonthlyOn,
    Period,
    Reading,
    Roll,
    WorkingDays,
    Years,
    end_of,
)
from worker.domain.rules import Rule, RuleKind

PERIODS: list[Period] = [
    *(WorkingDays(count) for count in (1, 2, 3, 5, 7, 10, 15, 20)),
    *(WorkingDays(count, start_counted=True) for count in (1, 3, 15)),
    *(Days(count, roll) for count in (1, 7, 10) for roll in (Roll.NONE, Roll.FORWARD)),
    Days(10, Roll.FORWARD, start_counted=True),
    Days(10, Roll.NONE, start_counted=True),
    *(Hours(count, reading) for count in (1, 24, 36, 72, 240) for reading in Reading),
    *(Years(1, roll) for roll in (Roll.NONE, Roll.FORWARD)),
    *(MonthlyOn(day, roll) for day in (1, 3, 15, 31) for roll in Roll),
]
TURNING_POINTS = [
    *(date(year, 9, 27) for year in range(2004, 2027)),  # National Day
    *(date(year, 12, 26) for year in range(2004, 2026)),  # New Year
    date(2020, 1, 20),  # the Spring Festival that was prolonged while it lasted
]
CLOCKS = [(0, 0, 0), (0, 0, 1), (8, 0, 0), (17, 0, 0), (23, 59, 59)]
FIRST, LAST = datetime(2004, 1, 2), datetime(2027, 6, 30)  # noqa: DTZ001 (drawn, then made aware)
INSTANTS = st.datetimes(FIRST, LAST, timezones=st.sampled_from([BEIJING, UTC]))


def every_start(first: date, length: int) -> list[datetime]:
    """Each day of a stretch at each clock time, at +08:00 and the same instant as Z."""
    local = [
        datetime(*(first + ahead * DAY).timetuple()[:3], *clock, tzinfo=BEIJING)
        for ahead in range(length)
        for clock in CLOCKS
    ]
    return local + [at.astimezone(UTC) for at in local]


def differences(
    period: Period, starts: list[datetime], calendar: WorkingCalendar
) -> list[tuple[datetime, object, object]]:
    """Starts at which the tables and the loops disagree, with both answers."""
    pairs = ((at, end_of(period, at, calendar), answer(period, at)) for at in starts)
    return [(at, ours, theirs) for at, ours, theirs in pairs if tuple(ours) != tuple(theirs)]


@pytest.mark.parametrize("period", PERIODS, ids=str)
def test_a_period_ends_where_the_day_by_day_loop_ends(
    period: Period, calendar: WorkingCalendar
) -> None:
    starts = [at for first in TURNING_POINTS for at in every_start(first, 14)]

    found = differences(period, starts, calendar)

    assert found == []


@pytest.mark.parametrize("period", PERIODS, ids=str)
def test_a_period_across_the_last_firm_day_is_bounded_as_the_loop_bounds_it(
    period: Period, calendar: WorkingCalendar
) -> None:
    starts = every_start(date(2026, 11, 22), 100)

    found = differences(period, starts, calendar)

    assert found == []


def periods() -> st.SearchStrategy[Period]:
    """Any period a file may hold, up to about a year long."""
    rolls = st.sampled_from([Roll.NONE, Roll.FORWARD])
    return st.one_of(
        st.builds(WorkingDays, st.integers(1, 60), st.booleans()),
        st.builds(Days, st.integers(1, 200), rolls, st.booleans()),
        st.builds(Hours, st.integers(1, 400), st.sampled_from(Reading)),
        st.builds(Years, st.integers(1, 1), rolls),
        st.builds(MonthlyOn, st.integers(1, 31), st.sampled_from(Roll)),
    )


@settings(max_examples=1500)
@given(period=periods(), start=INSTANTS)
@example(period=Years(1, Roll.NONE), start=datetime(2024, 2, 29, 9, tzinfo=BEIJING))
@example(period=Days(10), start=datetime(2026, 9, 21, 9, tzinfo=BEIJING))
def test_any_period_from_any_instant_ends_where_the_loop_ends(
    period: Period, start: datetime, calendar: WorkingCalendar
) -> None:
    assert tuple(end_of(period, start, calendar)) == tuple(answer(period, start))


def expected(rule: Rule, start: datetime) -> dict[str, object]:
    """A rule's dates by the loops, for an office open 09:00-17:00 on every working day."""
    assert rule.period is not None
    official = answer(rule.period, start)
    readings = [official, *(answer(one, start) for one in (rule.earliest, *rule.latest) if one)]
    asked = [one.consulted_to for one in readings if one.consulted_to]
    wanted: dict[str, object] = {
        "ends_at": official.ends_at,
        "last_date": official.last_date,
        "earliest_at": min(one.earliest_at for one in readings),
        "latest_at": max(one.latest_at for one in readings),
        "act_by": None,
        "ready_on": None,
    }
    if rule.kind is RuleKind.LAPSE:
        earliest_at = min(one.earliest_at for one in readings)
        counter_on = (earliest_at - timedelta(microseconds=1)).date()
        bridges = counter_on > FIRM_TO and not isinstance(rule.period, WorkingDays)
        wanted["act_by"] = last_counter(start, earliest_at, bridges=bridges)
        asked.append(counter_on)
    if rule.kind is RuleKind.READY and official.last_date:
        ready_on = official.last_date + DAY
        while not by_law(ready_on):
            ready_on += DAY
        wanted["ready_on"] = ready_on
        asked.append(ready_on)
    firm = all(day <= FIRM_TO for day in asked) and all(one.firm for one in readings)
    return wanted | {"firm": firm, "consulted_to": max(asked, default=None)}


def last_counter(start: datetime, until: datetime, *, bridges: bool) -> datetime | None:
    """The last of the 17:00s and of `until` itself that a counter is open to, after `start`."""
    day = until.date()
    while closing(day) > start:
        opens, closes = closing(day) - timedelta(hours=15), closing(day) - timedelta(hours=7)
        surely = by_law(day) and not (bridges and may_be_bridged(day))
        if surely and opens < until and min(closes, until) > start:
            return min(closes, until)
        day -= DAY
    return None


def told(due: Deadline) -> dict[str, object]:
    """The fields `expected` speaks of."""
    names = "ends_at last_date earliest_at latest_at act_by ready_on firm consulted_to"
    return {name: getattr(due, name) for name in names.split()}


DATED = [rule for rule in RULES.values() if rule.period is not None]


@pytest.mark.parametrize("rule", DATED, ids=lambda rule: rule.id)
def test_every_rule_of_the_catalogue_agrees_with_the_loop(
    rule: Rule, calendar: WorkingCalendar, office: Office
) -> None:
    stretches = [(date(2020, 1, 15), 20), (date(2025, 9, 20), 20), (date(2026, 11, 22), 70)]
    starts = [at for first, length in stretches for at in every_start(first, length)]

    found = {
        at: (ours, theirs)
        for at in starts
        if (ours := told(deadline(terms_of(rule), at, calendar, office)))
        != (theirs := expected(rule, at))
    }

    assert found == {}


@settings(max_examples=1000)
@given(rule=st.sampled_from(DATED), start=INSTANTS)
def test_any_rule_from_any_instant_agrees_with_the_loop(
    rule: Rule, start: datetime, calendar: WorkingCalendar, office: Office
) -> None:
    if rule.id == "shanghai.validity":
        start = start.replace(year=2004 + start.year % 10, day=1)

    due = deadline(terms_of(rule), start, calendar, office)

    assert told(due) == expected(rule, start)


@pytest.mark.parametrize(
    "rule", [r for r in RULES.values() if r.period is None], ids=lambda r: r.id
)
def test_a_step_has_no_date_at_all(rule: Rule, calendar: WorkingCalendar, office: Office) -> None:
    due = deadline(terms_of(rule), datetime(2026, 12, 30, 9, tzinfo=UTC), calendar, office)

    assert {value for name, value in told(due).items() if name != "firm"} == {None}
    assert due.told == ""


def test_the_catalogue_under_test_has_all_23_rows() -> None:
    assert len(RULES) == 23


@given(period=periods(), start=INSTANTS)
def test_nothing_firm_asked_about_a_day_without_a_settled_notice(
    period: Period, start: datetime, calendar: WorkingCalendar
) -> None:
    end = end_of(period, start, calendar)

    assert end.firm == (end.consulted_to is None or end.consulted_to <= FIRM_TO)
    assert end.earliest_at <= end.ends_at <= end.latest_at


def test_every_day_is_worked_as_the_notices_and_both_guesses_say(
    calendar: WorkingCalendar,
) -> None:
    every = [
        date(2004, 1, 1) + ahead * DAY
        for ahead in range((date(2029, 1, 1) - date(2004, 1, 1)).days)
    ]

    by_table = {day for day in every if calendar.is_working_day(day)}
    guessed = set(calendar.weekdays.days)

    assert by_table == {day for day in every if by_law(day)}
    assert guessed & set(every) == {day for day in every if by_weekday(day)}
