"""Text, JSON and the deadline itself name the same dates, and none is certain without a notice."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.catalogue import RULES, terms_of
from tests.domain.oracle import DAY, FIRM_TO
from worker.domain.calendar import CHINA, WorkingCalendar
from worker.domain.centres import Office
from worker.domain.deadlines import as_json, deadline
from worker.domain.derivations import Derivation, derivation_json, derivation_text, derive
from worker.domain.periods import Hours, WorkingDays
from worker.domain.rules import Rule
from worker.domain.written_periods import as_mapping

WEEKDAYS = {"zh": "周一 周二 周三 周四 周五 周六 周日", "en": "Mon Tue Wed Thu Fri Sat Sun"}
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) (周.|[A-Z][a-z]{2})( \d\d:\d\d(?::\d\d)?)?")
STARTS = st.datetimes(
    datetime(2016, 1, 1),  # noqa: DTZ001 (drawn, then made aware)
    datetime(2028, 6, 30),  # noqa: DTZ001
    timezones=st.sampled_from([CHINA, UTC]),
).map(lambda at: at.replace(microsecond=0))
RULE = st.sampled_from(list(RULES.values()))


def derived(rule: Rule, start: datetime, calendar: WorkingCalendar, office: Office) -> Derivation:
    terms = terms_of(rule)
    return derive(deadline(terms, start, calendar, office), terms, calendar, rule)


def dates_in(text: str, language: str) -> list[str]:
    """Every date of a text with its time of day, the weekday checked."""
    found = []
    for day, weekday, clock in MOMENT.findall(text):
        assert weekday == WEEKDAYS[language].split()[date.fromisoformat(day).weekday()]
        found.append(day + clock)
    return found


def shown(value: object) -> list[str]:
    """A date or an ISO instant of the JSON as people read it: midnight closes the day before."""
    if not isinstance(value, str):
        return []
    if "T" not in value:
        return [value]
    at = datetime.fromisoformat(value)
    if at.time() == datetime.min.time():
        return [f"{at.date() - DAY} 24:00"]
    return [f"{at:%Y-%m-%d %H:%M}" + (f":{at:%S}" if at.second else "")]


def dates_to_be_shown(written: dict[str, object]) -> list[str]:
    """What a text has to say, in order, according to the JSON alone."""
    start = datetime.fromisoformat(str(written["started_at"]))
    days, readings = written["days"], written["other_readings"]
    assert isinstance(days, list)
    assert isinstance(readings, list)
    moves = written["status"] == "provisional" and written["earliest_at"] != written["latest_at"]
    return [
        f"{start:%Y-%m-%d %H:%M:%S}",
        *(day["date"] for day in days),
        *shown(written["ends_at"]),
        *shown(written["act_by"]),
        *shown(written["ready_on"]),
        *(shown(written["earliest_at"]) + shown(written["latest_at"]) if moves else []),
        *(moment for reading in readings for moment in shown(reading["ends_at"])),
    ]


@settings(max_examples=1000)
@given(rule=RULE, start=STARTS)
def test_texts_in_both_languages_and_json_name_the_same_dates(
    rule: Rule, start: datetime, calendar: WorkingCalendar, office: Office
) -> None:
    derivation = derived(rule, start, calendar, office)

    written = derivation_json(derivation)
    chinese = dates_in(derivation_text(derivation, "zh"), "zh")
    english = dates_in(derivation_text(derivation, "en"), "en")

    assert chinese == english == dates_to_be_shown(written)
    assert as_json(derivation.deadline).items() <= written.items()


@settings(max_examples=300)
@given(rule=RULE, start=STARTS)
def test_nothing_is_called_certain_without_a_notice(
    rule: Rule, start: datetime, calendar: WorkingCalendar, office: Office
) -> None:
    derivation = derived(rule, start, calendar, office)

    chinese, english = (derivation_text(derivation, language) for language in ("zh", "en"))

    due = derivation.deadline
    beyond = due.consulted_to is not None and due.consulted_to > FIRM_TO
    assert (due.status == "provisional") == beyond
    assert ("暂定" in chinese) == ("estimate" in english) == beyond
    assert ("最迟" in chinese.partition("暂定")[0]) == (beyond and due.act_by is not None)
    for step in derivation.counted:
        line = next(line for line in chinese.splitlines() if line.startswith(f"  {step.day.on}"))
        assert step.day.firm == (step.day.on <= FIRM_TO) == ("尚无通知" not in line)


@given(
    rule=st.sampled_from([r for r in RULES.values() if isinstance(r.period, WorkingDays)]),
    start=STARTS,
)
def test_working_days_are_numbered_up_to_the_last_and_every_day_has_its_line(
    rule: Rule, start: datetime, calendar: WorkingCalendar, office: Office
) -> None:
    derivation = derived(rule, start, calendar, office)

    steps = derivation.counted
    assert isinstance(rule.period, WorkingDays)
    numbers = [step.number for step in steps if step.number]
    assert numbers == list(range(1, rule.period.count + 1))
    assert [s.day.on for s in steps if s.number][-1] == derivation.deadline.last_date
    assert steps[0].day.on == start.astimezone(CHINA).date()
    assert steps[0].number == 0
    assert [step.day.on - steps[0].day.on for step in steps] == [n * DAY for n in range(len(steps))]
    assert steps[-1].day.on == derivation.deadline.consulted_to
    assert not any(s.day.works for s in steps[1:] if not s.number and s.day.on < steps[-1].day.on)


def test_a_counted_start_day_is_number_one(calendar: WorkingCalendar, office: Office) -> None:
    rule = RULES["national.phone-loss-report"]
    stricter = terms_of(rule)._replace(period=WorkingDays(3, start_counted=True))
    start = datetime(2026, 11, 18, 16, 20, tzinfo=CHINA)

    derivation = derive(deadline(stricter, start, calendar, office), stricter, calendar)

    assert [step.number for step in derivation.counted] == [1, 2, 3]
    assert "当日计入" in derivation_text(derivation, "zh")
    assert derivation_json(derivation)["period"] == {"working_days": 3, "start_counted": True}


def test_a_derivation_tells_the_source_the_notice_and_the_versions(
    calendar: WorkingCalendar, office: Office
) -> None:
    rule = RULES["national.phone-loss-report"]
    start = datetime(2026, 9, 30, 16, 20, tzinfo=CHINA)

    derivation = derived(rule, start, calendar, office)

    written = derivation_json(derivation)
    assert written["source"] == "source.txt L1-2"
    assert written["rule_version"] == rule.version
    assert written["calendar_version"] == calendar.version
    assert written["notices"] == ["国务院办公厅关于2026年部分节假日安排的通知"]
    for language in ("zh", "en"):
        text = derivation_text(derivation, language)
        assert all(part in text for part in ("source.txt L1-2", rule.version, calendar.version))


def test_a_period_over_new_year_names_both_notices(
    calendar: WorkingCalendar, office: Office
) -> None:
    start = datetime(2025, 12, 30, 9, tzinfo=CHINA)

    derivation = derived(RULES["national.phone-loss-report"], start, calendar, office)

    assert [title[8:12] for title in derivation.notices] == ["2025", "2026"]


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_text_is_in_its_language_and_complete(
    rule: Rule, calendar: WorkingCalendar, office: Office
) -> None:
    derivation = derived(rule, datetime(2026, 9, 28, 9, tzinfo=CHINA), calendar, office)

    chinese, english = (derivation_text(derivation, language) for language in ("zh", "en"))

    assert len(chinese.splitlines()) == len(english.splitlines())
    assert chinese.startswith("起算") and english.startswith("start")  # noqa: PT018 (one fact)
    if rule.period is None:
        assert "只作提示" in chinese
        assert "advice only" in english
    else:
        length = str(next(iter(as_mapping(rule.period).values())))
        assert all(length in text.splitlines()[1] for text in (chinese, english))
    if isinstance(rule.period, Hours):
        assert "从这一刻起算" in chinese


def test_the_clock_that_stops_at_midnight_is_told_as_24_00(
    calendar: WorkingCalendar, office: Office
) -> None:
    rule = RULES["chengdu.online-loss-report"]
    start = datetime(2026, 11, 23, tzinfo=CHINA)

    text = derivation_text(derived(rule, start, calendar, office), "zh")

    assert "截止  2026-11-25 周三 24:00" in text
    assert start + timedelta(hours=72) == datetime(2026, 11, 26, tzinfo=CHINA)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (datetime(2026, 9, 30, 17, tzinfo=CHINA), "期限之内没有网点受理时间"),
        (datetime(2026, 12, 29, 17, tzinfo=CHINA), "期限之内网点不一定有人受理"),
    ],
)
def test_a_counter_that_may_be_shut_is_not_called_shut(
    start: datetime, said: str, calendar: WorkingCalendar, office: Office
) -> None:
    """New Year without a notice may take days of the last week of December with it."""
    rule = RULES["chengdu.online-loss-report"]

    assert said in derivation_text(derived(rule, start, calendar, office), "zh")
