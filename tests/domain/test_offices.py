"""When a counter is open, against a count of every single minute."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import chinese_calendar
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.domain.catalogue import RULES, terms
from tests.domain.oracle import BY_LAW, FIRM_TO, by_law, may_be_bridged
from worker.domain.calendar import CHINA, WorkingCalendar, midnight
from worker.domain.centres import Centre, Closure, Office, Season
from worker.domain.deadlines import Deadline, Terms, deadline
from worker.domain.errors import BadData
from worker.domain.periods import Hours, Reading, WorkingDays
from worker.domain.rules import RuleKind

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
EVERY_MINUTE = [time(hour, minute) for hour in range(24) for minute in range(60)]
LAPSES = [rule.id for rule in RULES.values() if rule.kind is RuleKind.LAPSE]
READIES = [rule.id for rule in RULES.values() if rule.kind is RuleKind.READY]
LUNCH_GAP = ((time(8, 30), time(12)), (time(14), time(17, 30)))
SATURDAYS = Season(((time(9), time(12)),), weekdays=frozenset({5}))


def season_holds(season: Season, day: date) -> bool:
    """Whether the office keeps this season's hours on `day`."""
    begins, ends = (date(day.year, *at) for at in (season.first, season.last))
    over_new_year = begins > ends
    inside = (day >= begins or day <= ends) if over_new_year else begins <= day <= ends
    holiday = day in chinese_calendar.holidays if day <= FIRM_TO else day in BY_LAW
    on_its_days = day.weekday() in season.weekdays and not holiday
    return inside and (on_its_days if season.weekdays else by_law(day))


def open_minutes(centre: Centre, day: date) -> list[datetime]:
    """Each minute of `day` in which somebody is at the counter."""
    shut = any(closure.first <= day <= closure.last for closure in centre.closures)
    held = [season for season in centre.seasons if season_holds(season, day)]
    if shut or not held:
        return []
    return [
        datetime.combine(day, of_day, CHINA)
        for of_day in EVERY_MINUTE
        if any(opens <= of_day < closes for opens, closes in held[0].opens)
    ]


def promised(rule_id: str, due: Deadline, minutes: list[datetime]) -> datetime | None:
    """When the last of the minutes is over that certainly are of an open counter."""
    assert due.earliest_at is not None
    of_working_days = isinstance(terms(rule_id).period, WorkingDays)
    if due.earliest_at > midnight(FIRM_TO + DAY) and not of_working_days:
        minutes = [at for at in minutes if not may_be_bridged(at.date())]
    return minutes[-1] + MINUTE if minutes else None


def minutes_between(centre: Centre, first: datetime, last: datetime) -> list[datetime]:
    """Each open minute from `first` on that begins before `last`."""
    days = (first.date() + n * DAY for n in range((last.date() - first.date()).days + 1))
    every = (at for day in days for at in open_minutes(centre, day))
    return [at for at in every if first <= at < last]


def minutes_from(centre: Centre, first: datetime, days: int) -> Iterator[datetime]:
    """Open minutes from `first` on, for so many days."""
    for ahead in range(days):
        yield from (at for at in open_minutes(centre, first.date() + ahead * DAY) if at >= first)


@st.composite
def spans(draw: st.DrawFn) -> tuple[tuple[time, time], ...]:
    """One or two spans of a day, the second after a gap."""
    quarters = st.integers(0, 24 * 4 - 1)
    edges = draw(st.lists(quarters, min_size=2, max_size=4, unique=True))
    times = [time(*divmod(edge * 15, 60)) for edge in sorted(edges)]
    return tuple(zip(times[: len(times) // 2 * 2 : 2], times[1::2], strict=True))


@st.composite
def centres(draw: st.DrawFn) -> Centre:
    """Offices with seasons over New Year, days of their own and closures in 2025-2027."""
    opens = spans()
    weekdays = st.frozensets(st.integers(0, 6), min_size=1)
    winter = Season(draw(opens), (draw(st.integers(9, 11)), 16), (draw(st.integers(2, 5)), 15))
    summer = Season(draw(opens), (3, 1), (10, 31), draw(st.just(frozenset()) | weekdays))
    seasons = draw(st.permutations([winter, summer, Season(draw(opens), weekdays=draw(weekdays))]))
    begins = draw(st.lists(st.dates(date(2025, 9, 1), date(2027, 3, 1)), max_size=3))
    closures = [Closure(day, day + draw(st.integers(0, 12)) * DAY) for day in begins]
    return Centre("c", "示例中心", "示例", "示例", seasons=(*seasons,), closures=(*closures,))


STARTS = st.datetimes(
    datetime(2025, 9, 1),  # noqa: DTZ001 (drawn, then made aware)
    datetime(2027, 3, 1),  # noqa: DTZ001
    timezones=st.just(CHINA),
).map(lambda at: at.replace(second=0, microsecond=0))
BEFORE_NATIONAL_DAY = datetime(2026, 9, 30, 17, tzinfo=CHINA)


@settings(max_examples=400)
@given(centre=centres(), start=STARTS, rule_id=st.sampled_from(LAPSES))
@example(
    centre=Centre("c", "示例中心", "示例", "示例"),
    start=BEFORE_NATIONAL_DAY,
    rule_id="chengdu.online-loss-report",
)
@example(
    centre=Centre("c", "示例中心", "示例", "示例", seasons=(Season(LUNCH_GAP), SATURDAYS)),
    start=BEFORE_NATIONAL_DAY - timedelta(hours=30),
    rule_id="chengdu.online-loss-report",
)
def test_act_by_closes_the_last_open_minute_before_the_earliest_end(
    centre: Centre, start: datetime, rule_id: str, calendar: WorkingCalendar
) -> None:
    due = deadline(terms(rule_id), start, calendar, Office(centre, calendar))

    assert due.earliest_at is not None
    minutes = minutes_between(centre, start, due.earliest_at)
    assert due.act_by == promised(rule_id, due, minutes)


@given(centre=centres(), start=STARTS, hours=st.integers(1, 60))
@example(
    centre=Centre("c", "示例中心", "示例", "示例"),
    start=BEFORE_NATIONAL_DAY + timedelta(hours=1),
    hours=4,
)
@example(centre=Centre("c", "示例中心", "示例", "示例"), start=BEFORE_NATIONAL_DAY, hours=4)
def test_act_by_of_a_few_hours_lies_within_them(
    centre: Centre, start: datetime, hours: int, calendar: WorkingCalendar
) -> None:
    of_a_bank = Terms("zhuhai.phone-loss-report", RuleKind.LAPSE, Hours(hours, Reading.PLAIN))

    due = deadline(of_a_bank, start, calendar, Office(centre, calendar))

    minutes = minutes_between(centre, start, start + timedelta(hours=hours))
    assert due.act_by == promised("zhuhai.phone-loss-report", due, minutes)


@settings(max_examples=200)
@given(centre=centres(), start=STARTS, rule_id=st.sampled_from(READIES))
def test_ready_on_is_the_first_day_after_the_last_on_which_the_counter_opens(
    centre: Centre, start: datetime, rule_id: str, calendar: WorkingCalendar
) -> None:
    due = deadline(terms(rule_id), start, calendar, Office(centre, calendar))

    assert due.last_date is not None
    after = datetime.combine(due.last_date + DAY, time(), CHINA)
    assert due.ready_on == next(minutes_from(centre, after, 60)).date()


@settings(max_examples=100)
@given(centre=centres(), start=STARTS, hours=st.integers(1, 10))
def test_spans_of_open_time_are_counted_minute_by_minute(
    centre: Centre, start: datetime, hours: int, calendar: WorkingCalendar
) -> None:
    office = Office(centre, calendar)
    until = start + timedelta(days=4, minutes=hours)

    between = office.open_time_between(start, until)
    opening = office.first_opening(start)
    before = office.open_hours_before(until, hours)
    after = office.after_open_time(start, timedelta(hours=hours))

    assert between == len(minutes_between(centre, start, until)) * MINUTE
    assert opening == next(minutes_from(centre, start, 60))
    counted = minutes_between(centre, before or until - 59 * DAY, until)
    if before is None:  # looked back for sixty days in vain
        assert len(counted) < hours * 60
    else:
        assert (counted[0], len(counted)) == (before, hours * 60)
    passed = minutes_between(centre, start, after)
    assert len(passed) == hours * 60 or (after - start).days > 55
    assert len(passed) < hours * 60 or passed[-1] == after - MINUTE


@settings(max_examples=300)
@given(centre=centres(), start=STARTS, rule_id=st.sampled_from([*LAPSES, *READIES]))
def test_a_closure_moves_people_but_never_the_end(
    centre: Centre, start: datetime, rule_id: str, calendar: WorkingCalendar
) -> None:
    never_shut = Office(replace(centre, closures=()), calendar)

    due = deadline(terms(rule_id), start, calendar, Office(centre, calendar))
    same = deadline(terms(rule_id), start, calendar, never_shut)

    assert due[2:6] == same[2:6]  # ends_at, last_date, earliest_at, latest_at
    assert due.act_by is None or (same.act_by is not None and due.act_by <= same.act_by)
    if due.ready_on is not None:
        assert same.ready_on is not None
        assert due.ready_on >= same.ready_on


@pytest.mark.parametrize(
    ("day", "spans_open"),
    [
        ("Fri 2026-11-20", 2),
        ("Sat 2026-11-21", 1),  # a Saturday of its own
        ("Sun 2026-11-22", 0),
        ("Sat 2026-10-10", 2),  # a make-up Saturday is a working day
        ("Sat 2026-10-03", 0),  # ... and a holiday is none
        ("Thu 2026-12-31", 0),  # closed
    ],
)
def test_an_office_with_a_lunch_gap_and_saturdays_is_open_when_it_says(
    day: str, spans_open: int, calendar: WorkingCalendar
) -> None:
    closures = (Closure(date(2026, 12, 31), date(2026, 12, 31), "盘点"),)
    centre = Centre("c", "示例中心", "示例", "示例", seasons=(Season(LUNCH_GAP), SATURDAYS),
                    closures=closures)  # fmt: skip
    on = date.fromisoformat(day.partition(" ")[2])

    hours = Office(centre, calendar).hours(on)

    assert f"{on:%a %Y-%m-%d}" == day
    assert len(hours) == spans_open


def test_an_office_that_never_opens_has_no_ready_date(calendar: WorkingCalendar) -> None:
    shut = Closure(date(2026, 1, 1), date(2027, 12, 31))
    centre = Centre("c", "示例中心", "示例", "示例", closures=(shut,))

    with pytest.raises(BadData, match="closures"):
        deadline(
            terms("national.replacement-pickup"),
            BEFORE_NATIONAL_DAY,
            calendar,
            Office(centre, calendar),
        )


def test_an_office_that_is_shut_for_the_whole_period_leaves_no_act_by(
    calendar: WorkingCalendar,
) -> None:
    shut = Closure(date(2026, 10, 1), date(2026, 10, 31), "装修")
    centre = Centre("c", "示例中心", "示例", "示例", closures=(shut,))
    office = Office(centre, calendar)

    due = deadline(terms("national.phone-loss-report"), BEFORE_NATIONAL_DAY, calendar, office)

    assert due.act_by is None
    assert due.last_date == date(2026, 10, 10)
    assert office.first_opening(due.started_at) == datetime(2026, 11, 2, 9, tzinfo=CHINA)
