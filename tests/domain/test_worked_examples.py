"""The examples people were promised, by weekday: RULES.md, "Worked examples" and its cut-offs."""

from datetime import date, datetime, timedelta

import pytest

from tests.domain.catalogue import terms
from worker.domain.calendar import CHINA, WorkingCalendar
from worker.domain.centres import Office
from worker.domain.deadlines import Terms, deadline
from worker.domain.periods import Hours, Reading, WorkingDays, end_of
from worker.domain.rules import RuleKind


def at(text: str) -> datetime:
    """`Wed 2026-09-30 16:20` at +08:00; the weekday has to be right."""
    instant = datetime.strptime(text.partition(" ")[2], "%Y-%m-%d %H:%M").replace(tzinfo=CHINA)
    assert f"{instant:%a %Y-%m-%d %H:%M}" == text
    return instant


def on(text: str) -> date:
    """`Sat 2026-10-10`; the weekday has to be right."""
    return at(f"{text} 00:00").date()


@pytest.mark.parametrize(
    ("count", "start", "last"),
    [
        (3, "Wed 2026-09-30 16:20", "Sat 2026-10-10"),  # 8, 9 and 10 October, a worked Saturday
        (3, "Sat 2026-11-21 10:00", "Wed 2026-11-25"),  # day 1 from a rest day is its Monday
        (1, "Sat 2026-11-21 10:00", "Mon 2026-11-23"),
        (3, "Wed 2026-11-18 00:00", "Mon 2026-11-23"),
        (3, "Wed 2026-11-18 23:59", "Mon 2026-11-23"),  # the hour of the report changes nothing
        (15, "Fri 2023-09-08 09:00", "Sat 2023-10-07"),  # a make-up day
        (3, "Thu 2020-01-23 09:00", "Wed 2020-02-05"),  # the holiday prolonged while it lasted
        (1, "Fri 2018-12-28 09:00", "Sat 2018-12-29"),  # make-up days named by the next notice
        (2, "Fri 2018-12-28 09:00", "Wed 2019-01-02"),
        (1, "Thu 2024-02-08 09:00", "Fri 2024-02-09"),  # New Year's Eve 2024 was worked on paper
        (15, "Wed 2026-12-02 09:00", "Wed 2026-12-23"),
    ],
)
def test_working_days_end_on_the_day_promised(
    count: int, start: str, last: str, calendar: WorkingCalendar
) -> None:
    end = end_of(WorkingDays(count), at(start), calendar)

    assert end.last_date == on(last)
    assert end.ends_at == at(f"{last} 00:00") + timedelta(days=1)
    assert end.firm


@pytest.mark.parametrize(
    ("reading", "end"),
    [
        (Reading.PLAIN, "Sat 2026-10-03 17:00"),
        (Reading.ROLL_SAME_TIME, "Thu 2026-10-08 17:00"),
        (Reading.ROLL_END_OF_DAY, "Fri 2026-10-09 00:00"),
        (Reading.PAUSE_REST_DAYS, "Sat 2026-10-10 17:00"),
    ],
)
def test_72_hours_before_national_day_end_by_each_reading(
    reading: Reading, end: str, calendar: WorkingCalendar
) -> None:
    found = end_of(Hours(72, reading), at("Wed 2026-09-30 17:00"), calendar)

    assert found.ends_at == at(end)
    assert found.last_date is None
    assert found.firm


def test_72_hours_over_national_day_hold_no_counter_minute(
    calendar: WorkingCalendar, office: Office
) -> None:
    due = deadline(
        terms("chengdu.online-loss-report"), at("Wed 2026-09-30 17:00"), calendar, office
    )

    assert due.act_by is None
    assert due.earliest_at == at("Sat 2026-10-03 17:00")
    assert due.ends_at == at("Thu 2026-10-08 17:00")
    assert due.latest_at == at("Sat 2026-10-10 17:00")
    assert office.first_opening(due.started_at) == at("Thu 2026-10-08 09:00")


def test_72_hours_begun_a_minute_earlier_end_with_the_counter_of_that_day(
    calendar: WorkingCalendar, office: Office
) -> None:
    due = deadline(
        terms("chengdu.online-loss-report"), at("Wed 2026-09-30 16:59"), calendar, office
    )

    assert due.act_by == at("Wed 2026-09-30 17:00")


@pytest.mark.parametrize(
    ("start", "last_days", "act_by"),
    [
        (
            "Mon 2026-11-09 10:00",
            ("Wed 2026-11-18", "Thu 2026-11-19", "Thu 2026-11-19"),
            "Wed 2026-11-18 17:00",
        ),
        (
            "Wed 2026-11-11 10:00",
            ("Fri 2026-11-20", "Sat 2026-11-21", "Mon 2026-11-23"),
            "Fri 2026-11-20 17:00",
        ),
        (
            "Mon 2026-09-21 10:00",
            ("Wed 2026-09-30", "Thu 2026-10-01", "Thu 2026-10-08"),
            "Wed 2026-09-30 17:00",
        ),
    ],
)
def test_ten_days_are_told_by_a_timer_and_lapse_after_the_roll(
    start: str,
    last_days: tuple[str, str, str],
    act_by: str,
    calendar: WorkingCalendar,
    office: Office,
) -> None:
    due = deadline(terms("hotline-96102.pre-loss-report"), at(start), calendar, office)

    closes = [at(f"{day} 00:00") + timedelta(days=1) for day in last_days]
    assert [due.earliest_at, due.ends_at, due.latest_at] == closes
    assert due.act_by == at(act_by)


CUT_OFFS = [
    ("national.replacement-pickup", WorkingDays(15), "Wed 2026-12-02"),
    ("hotline-96102.damaged-card-pickup", WorkingDays(7), "Mon 2026-12-14"),
    ("nanjing-citizen-card.pickup", WorkingDays(5), "Wed 2026-12-16"),
    ("nanjing-social-card.pickup", WorkingDays(3), "Sun 2026-12-20"),
]


@pytest.mark.parametrize(("rule_id", "period", "last_firm_start"), CUT_OFFS)
def test_a_ready_date_is_firm_up_to_its_cut_off_and_not_after(
    rule_id: str,
    period: WorkingDays,
    last_firm_start: str,
    calendar: WorkingCalendar,
    office: Office,
) -> None:
    last = at(f"{last_firm_start} 09:00")

    firm, after = (
        deadline(terms(rule_id), start, calendar, office)
        for start in (last, last + timedelta(days=1))
    )

    assert terms(rule_id).period == period
    assert (firm.ready_on, firm.status) == (on("Thu 2026-12-24"), "firm")
    assert after.status == "provisional"


def test_a_three_day_lapse_is_firm_up_to_its_cut_off_and_not_after(
    calendar: WorkingCalendar, office: Office
) -> None:
    rule = terms("national.phone-loss-report")

    firm = deadline(rule, at("Mon 2026-12-21 23:59"), calendar, office)
    after = deadline(rule, at("Tue 2026-12-22 00:00"), calendar, office)

    assert (firm.last_date, firm.status) == (on("Thu 2026-12-24"), "firm")
    assert after.status == "provisional"


def test_a_provisional_lapse_tells_the_earliest_day_and_keeps_its_estimate(
    calendar: WorkingCalendar, office: Office
) -> None:
    due = deadline(
        terms("national.phone-loss-report"), at("Wed 2026-12-30 09:00"), calendar, office
    )

    assert due.last_date == on("Tue 2027-01-05")  # 31 December, 4 and 5 January: New Year by law
    assert due.earliest_at == at("Sun 2027-01-03 00:00")  # all worked: Mon 4, less two days
    assert due.latest_at == at("Sun 2027-01-10 00:00")  # ... and five days more
    assert due.act_by == at("Thu 2026-12-31 17:00")


@pytest.mark.parametrize(
    ("rule_id", "start", "last"),
    [
        ("laixi.validity", "Thu 2024-02-29 09:00", "Fri 2025-02-28"),
        ("shanghai.validity", "Fri 2026-11-20 09:00", "Thu 2036-11-20"),
        ("shanghai.validity", "Wed 2017-02-01 09:00", "Mon 2027-02-01"),
        ("employer.monthly-reimbursement", "Thu 2026-12-31 09:00", "Fri 2027-01-01"),
        ("employer.monthly-reimbursement", "Fri 2027-01-01 00:00", "Mon 2027-02-01"),
    ],
)
def test_a_validity_and_a_first_of_the_month_ask_no_notice(
    rule_id: str, start: str, last: str, calendar: WorkingCalendar, office: Office
) -> None:
    due = deadline(terms(rule_id), at(start), calendar, office)

    assert (due.last_date, due.status, due.consulted_to) == (on(last), "firm", None)


def test_a_banks_plain_period_is_provisional_where_its_counter_is(
    calendar: WorkingCalendar, office: Office
) -> None:
    of_bank = Terms("zhuhai.phone-loss-report", RuleKind.LAPSE, Hours(72, Reading.PLAIN))

    firm = deadline(of_bank, at("Mon 2026-12-21 17:00"), calendar, office)
    after = deadline(of_bank, at("Mon 2026-12-28 17:00"), calendar, office)

    assert (firm.act_by, firm.status) == (at("Thu 2026-12-24 17:00"), "firm")
    assert (after.act_by, after.status) == (at("Tue 2026-12-29 17:00"), "provisional")  # a bridge?
    assert after.consulted_to == on("Thu 2026-12-31")
