"""What holds for every day, count and notice."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import chinese_calendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.catalogue import RULES, terms_of
from worker.domain.calendar import (
    CHINA,
    NaiveInstant,
    Notice,
    OutsideCalendar,
    WorkingCalendar,
    in_china,
)
from worker.domain.centres import Centre, Office
from worker.domain.deadlines import deadline
from worker.domain.errors import Misconfigured
from worker.domain.periods import WorkingDays, end_of
from worker.domain.rules import Rule
from worker.holidays import build_calendar, incomplete, statutory_days

DATES = st.dates(date(2005, 1, 1), date(2055, 12, 31))
COUNTS = st.integers(1, 250)
DATED = [rule for rule in RULES.values() if rule.period is not None]
INSTANTS = st.datetimes(
    datetime(2005, 1, 1),  # noqa: DTZ001 (drawn, then made aware)
    datetime(2028, 12, 31),  # noqa: DTZ001
    timezones=st.sampled_from([CHINA, UTC]),
)


@given(day=DATES, count=COUNTS)
def test_adding_working_days_lands_on_a_working_day(
    day: date, count: int, calendar: WorkingCalendar
) -> None:
    landed = calendar.add_working_days(day, count)

    assert calendar.is_working_day(landed)
    assert landed > day


@given(day=DATES, later=st.integers(0, 30), count=COUNTS, more=st.integers(0, 30))
def test_a_later_start_and_a_longer_count_never_end_earlier(
    day: date, later: int, count: int, more: int, calendar: WorkingCalendar
) -> None:
    landed = calendar.add_working_days(day, count)

    assert calendar.add_working_days(day + timedelta(days=later), count) >= landed
    assert calendar.add_working_days(day, count + more) >= landed


@given(day=DATES, count=COUNTS)
def test_from_a_working_day_there_and_back_is_the_same_day(
    day: date, count: int, calendar: WorkingCalendar
) -> None:
    begun = calendar.roll_forward(day)

    there = calendar.add_working_days(begun, count)

    assert calendar.subtract_working_days(there, count) == begun


@given(day=DATES)
def test_a_rest_day_rolls_to_its_two_neighbours_and_a_working_day_stays(
    day: date, calendar: WorkingCalendar
) -> None:
    back, forward = calendar.roll_back(day), calendar.roll_forward(day)

    assert back <= day <= forward
    between = calendar.days(back, forward)
    assert [one.on for one in between if one.works] == sorted({back, forward})
    assert calendar.is_working_day(day) == (back == forward)


@settings(max_examples=500)
@given(rule=st.sampled_from(DATED), start=INSTANTS)
def test_the_official_end_lies_between_its_bounds_and_they_meet_when_it_is_sure(
    rule: Rule, start: datetime, calendar: WorkingCalendar, office: Office
) -> None:
    due = deadline(terms_of(rule), start, calendar, office)

    assert due.earliest_at is not None
    assert due.ends_at is not None
    assert due.latest_at is not None
    assert start < due.ends_at
    assert due.earliest_at <= due.ends_at <= due.latest_at
    if due.firm and not (rule.earliest or rule.latest):
        assert due.earliest_at == due.latest_at


@given(rule=st.sampled_from(DATED), start=INSTANTS)
def test_the_same_instant_in_another_offset_gives_the_same_deadline(
    rule: Rule, start: datetime, calendar: WorkingCalendar, office: Office
) -> None:
    here = deadline(terms_of(rule), in_china(start), calendar, office)

    assert deadline(terms_of(rule), start.astimezone(UTC), calendar, office) == here
    assert {at.utcoffset() for at in (here.started_at, here.ends_at) if at} == {timedelta(hours=8)}


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_time_without_offset_is_refused(
    rule: Rule, calendar: WorkingCalendar, office: Office
) -> None:
    naive = datetime(2026, 11, 20, 16, 20)  # noqa: DTZ001 (that is the fault under test)

    with pytest.raises(NaiveInstant, match="2026-11-20T16:20:00"):
        deadline(terms_of(rule), naive, calendar, office)


@pytest.mark.parametrize("day", [date(2003, 12, 31), date(1990, 5, 1), date(2061, 1, 1)])
def test_a_day_outside_the_calendar_is_refused_with_its_range(
    day: date, calendar: WorkingCalendar
) -> None:
    with pytest.raises(OutsideCalendar, match="2004-01-01"):
        calendar.add_working_days(day, 3)
    with pytest.raises(OutsideCalendar, match="2060-12-31"):
        calendar.day(day)


def test_a_count_that_runs_out_of_the_calendar_is_refused(calendar: WorkingCalendar) -> None:
    with pytest.raises(OutsideCalendar):
        calendar.add_working_days(date(2060, 12, 1), 100)
    with pytest.raises(OutsideCalendar):
        calendar.subtract_working_days(date(2004, 1, 10), 20)
    with pytest.raises(OutsideCalendar):
        end_of(WorkingDays(100), datetime(2060, 12, 1, tzinfo=CHINA), calendar)


def dates(year: int, *days: str) -> frozenset[date]:
    """`dates(2027, "01-01", ...)`."""
    return frozenset(date.fromisoformat(f"{year}-{day}") for day in days)


NOTICE_2027 = Notice(
    year=2027,
    title="示例：2027年部分节假日安排",
    rest=dates(2027, "01-01", "01-02", "01-03", "02-05", "02-06", "02-07", "02-08", "02-09",
               "02-10", "02-11", "04-03", "04-04", "04-05", "05-01", "05-02", "05-03", "05-04",
               "05-05", "06-09", "09-15", "10-01", "10-02", "10-03", "10-04", "10-05", "10-06",
               "10-07"),
    work=dates(2027, "01-31", "02-13", "04-25", "05-08", "09-26", "10-09"),
)  # fmt: skip
"""A notice such as may come: invented, built after the pattern of 2026."""


def test_a_notice_makes_what_was_provisional_firm(
    calendar: WorkingCalendar, office: Office, centre: Centre
) -> None:
    with_notice = build_calendar([NOTICE_2027])
    reopened = Office(centre, with_notice)
    starts = [datetime(2026, 12, 3, 9, tzinfo=CHINA) + timedelta(days=n) for n in range(29)]
    rule = terms_of(RULES["national.replacement-pickup"])

    before = [deadline(rule, start, calendar, office) for start in starts]
    after = [deadline(rule, start, with_notice, reopened) for start in starts]

    assert {due.status for due in before} == {"provisional"}
    assert {due.status for due in after} == {"firm"}
    for start in starts:
        guess, fact = (end_of(WorkingDays(15), start, one) for one in (calendar, with_notice))
        assert guess.earliest_at <= fact.ends_at <= guess.latest_at
    assert with_notice.firm_to == date(2027, 12, 24)
    assert with_notice.version != calendar.version


def test_a_notice_changes_late_december_of_the_year_before(calendar: WorkingCalendar) -> None:
    bridge = replace(
        NOTICE_2027,
        rest=NOTICE_2027.rest | dates(2026, "12-31"),
        work=NOTICE_2027.work | dates(2026, "12-27"),
    )

    with_bridge = build_calendar([bridge])

    assert calendar.is_working_day(date(2026, 12, 31))
    assert not with_bridge.is_working_day(date(2026, 12, 31))
    assert with_bridge.day(date(2026, 12, 27)).kind == "make_up"
    assert with_bridge.day(date(2026, 12, 31)).name == "元旦"


def test_a_later_notice_takes_back_a_day_off_and_a_make_up_day() -> None:
    amended = Notice(
        2026, "示例州调整", dates(2026, "10-10"), dates(2026, "10-07"), region="示例州"
    )

    there = build_calendar([amended], region="示例州")

    assert there.day(date(2026, 10, 7)) == (date(2026, 10, 7), "make_up", "国庆节", True)
    assert there.day(date(2026, 10, 10)) == (date(2026, 10, 10), "holiday", "国庆节", True)
    assert there.add_working_days(date(2026, 9, 30), 3) == date(2026, 10, 9)


def test_a_regional_notice_counts_only_in_its_region(calendar: WorkingCalendar) -> None:
    festival = Notice(2026, "示例州节日", dates(2026, "07-15"), frozenset(), region="示例州")

    elsewhere = build_calendar([festival])
    there = build_calendar([festival], region="示例州")

    assert elsewhere.is_working_day(date(2026, 7, 15))
    assert not there.is_working_day(date(2026, 7, 15))
    assert elsewhere.version == calendar.version
    assert there.version != calendar.version
    assert there.firm_to == calendar.firm_to  # a region's notice settles no year


def test_the_order_in_which_notices_are_given_changes_nothing() -> None:
    festival = Notice(2027, "示例州节日", dates(2027, "10-09"), frozenset(), region="示例州")

    one, other = (
        build_calendar(notices, region="示例州")
        for notices in ([NOTICE_2027, festival], [festival, NOTICE_2027])
    )

    assert one.version == other.version
    assert not one.is_working_day(date(2027, 10, 9))


def test_notices_that_leave_a_year_out_are_refused() -> None:
    stray = replace(NOTICE_2027, year=2028, rest=frozenset(statutory_days(2028)), place="2028.yaml")

    with pytest.raises(Misconfigured) as refused:
        build_calendar([stray])

    assert [(one.place, one.code) for one in refused.value.faults] == [
        ("2028.yaml", "missing_year")
    ]
    assert "2027" in refused.value.faults[0].message.en


def test_days_off_by_law_that_a_notice_forgot_are_never_worked() -> None:
    bare = replace(NOTICE_2027, rest=frozenset(), place="2027.yaml")
    slip = replace(NOTICE_2027, rest=NOTICE_2027.rest - dates(2027, "02-07"), place="2027.yaml")

    calendar = build_calendar([bare])

    assert calendar.covered_to == date(2027, 12, 31)
    assert not any(calendar.is_working_day(day) for day in statutory_days(2027) if day.year == 2027)
    assert incomplete([slip]) == [(slip, [date(2027, 2, 7)])]
    assert incomplete([NOTICE_2027]) == []
    assert incomplete([replace(bare, year=2026)]) == []  # amends a published year
    assert incomplete([replace(bare, region="示例州")]) == []


def test_the_shipped_calendar_is_the_published_one_day_by_day(calendar: WorkingCalendar) -> None:
    every = calendar.days(date(2004, 1, 1), calendar.firm_to)

    wrong = [day for day in every if day.works != chinese_calendar.is_workday(day.on)]

    assert len(every) == 8394
    assert wrong == []
    assert all(day.firm for day in every)
    assert not calendar.day(calendar.firm_to + timedelta(days=1)).firm


@pytest.mark.parametrize(
    ("day", "name"),
    [
        ("2027-02-05", "春节"),  # New Year's Eve
        ("2027-02-08", "春节"),
        ("2027-04-05", "清明节"),
        ("2027-05-02", "劳动节"),
        ("2027-06-09", "端午节"),
        ("2027-09-15", "中秋节"),
        ("2028-10-03", "国庆节"),  # Mid-Autumn as well
        ("2029-02-15", "春节"),
    ],
)
def test_a_day_off_by_law_is_known_by_name_before_its_notice(
    day: str, name: str, calendar: WorkingCalendar
) -> None:
    found = calendar.day(date.fromisoformat(day))

    assert (found.name, found.kind, found.firm) == (name, "holiday", False)


def test_the_law_names_thirteen_days_a_year_at_most() -> None:
    by_law = statutory_days(2060)

    a_year = {year: sum(day.year == year for day in by_law) for year in range(2025, 2061)}

    assert set(a_year.values()) <= {12, 13}
    assert a_year[2026] == 13
    assert a_year[2028] == 12  # Mid-Autumn is 3 October
