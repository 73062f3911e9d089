"""Events may be told in any order; what cannot stand is refused with its place."""

from pathlib import Path

import pytest

from tests.enrolment.office import GOOD, REPORTED, Office
from worker.services.enrolment import CHUNK, enrol_file


def test_events_count_by_when_they_happened_not_by_their_rows(office: Office) -> None:
    report = office.enrol(
        "A-1,nanjing-citizen-card,银行激活,2026-11-20 15:00,张三,10000000001",
        "A-1,,领卡,2026-11-20 09:00,,",
        "A-1,,申请补卡,2026-11-10 09:00,,",
    )

    assert report.faults == []
    assert office.events("A-1") == ["replacement_applied", "collected", "bank_activated"]


def test_an_earlier_event_may_stand_in_a_later_chunk_of_the_file(office: Office) -> None:
    between = [
        f"B-{number},laixi,口头挂失,2026-11-20 09:00,李四,10000000002" for number in range(CHUNK)
    ]

    report = office.enrol(
        "A-1,national,领卡,2026-11-20 09:00,张三,10000000001",
        *between,
        "A-1,,申请补卡,2026-11-10 09:00,,",
    )

    assert report.faults == []
    assert report.new == CHUNK + 1
    assert office.events("A-1") == ["replacement_applied", "collected"]


def test_rows_of_a_case_that_waits_keep_their_order_of_precedence(office: Office) -> None:
    between = [
        f"B-{number},laixi,口头挂失,2026-11-20 09:00,李四,10000000002" for number in range(CHUNK)
    ]

    report = office.enrol(
        "A-1,nanjing-citizen-card,申请补卡,2026-11-10 09:00,张三,10000000001",
        "A-1,,银行激活,2026-11-20 10:00,,10000000011",  # waits for a 领卡 that never comes
        *between,
        "A-1,,电话挂失,2026-11-09 09:00,,10000000012",
    )

    assert [fault.place for fault in report.faults] == ["cases.csv, row 3"]
    last_number = office.enrol("A-1,,申请补卡,2026-11-10 09:00,,10000000012")
    assert last_number.unchanged == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A-1,national,领卡,2026-11-20 09:00,张三,10000000001", "needs an earlier"),
        ("A-1,national,电话挂失,2026-11-23 10:06,张三,10000000001", "lies in the future"),
        ("A-1,national,缴费,2026-11-20 09:00,张三,10000000001", "has no event contribution_paid"),
        ("A-1,chengdu,网上挂失,2026-11-20,张三,10000000001", "give the time of day"),
        ("A-1,nationals,电话挂失,2026-11-20 09:00,张三,10000000001", "no procedure nationals"),
        ("A-1,zhuhai,电话挂失,2026-11-20 09:00,张三,10000000001", "name a bank of this centre"),
        ("A-1,,电话挂失,2026-11-20 09:00,张三,10000000001", "names no procedure"),
        ("A-1,national,电话挂失,2026-11-20 09:00,张三,", "neither phone nor e-mail"),
    ],
)
def test_what_cannot_stand_is_one_fault_with_place_and_reason(
    office: Office, line: str, reason: str
) -> None:
    report = office.enrol(line, GOOD)

    assert [fault.place for fault in report.faults] == ["cases.csv, row 2"]
    fault = report.faults[0]
    assert reason in fault.message.en
    assert fault.message.zh
    assert fault.mend.zh
    assert fault.mend.en
    assert [case["reference"] for case in office.cases()] == ["A-2"]


def test_a_case_of_nothing_but_faults_is_told_of_each_row_once(office: Office) -> None:
    report = office.enrol(
        "A-1,national,领卡,2026-11-20 09:00,张三,10000000001",
        "A-1,,电话挂失,2026-11-24 10:00,,",
    )

    assert sorted(fault.place for fault in report.faults) == [
        "cases.csv, row 2",
        "cases.csv, row 3",
    ]
    assert office.cases() == []


def test_five_minutes_of_difference_between_clocks_are_allowed(office: Office) -> None:
    report = office.enrol("A-1,national,电话挂失,2026-11-23 10:05,张三,10000000001")

    assert report.faults == []


def test_a_date_alone_will_do_for_a_rule_that_counts_days(office: Office) -> None:
    report = office.enrol("A-1,national,电话挂失,2026-11-20,张三,10000000001")

    assert report.faults == []
    assert office.deadlines()[0]["act_by"] == "2026-11-25T17:00:00+08:00"


def test_the_same_event_twice_in_a_file_is_one_event(office: Office) -> None:
    report = office.enrol(REPORTED, REPORTED)

    assert report.events == 1
    assert office.events("A-1") == ["reported_by_phone"]


def test_a_row_without_a_centre_belongs_to_the_only_one(office: Office) -> None:
    office.enrol(REPORTED)

    assert office.cases()[0]["centre"] == "demo"


def test_an_unknown_centre_is_named_with_those_there_are(office: Office) -> None:
    report = office.enrol(
        f"north,{REPORTED}", f"demo,{GOOD}", heading="网点,编号,业务,事项,发生时间,姓名,手机"
    )

    assert [(fault.place, fault.message.en) for fault in report.faults] == [
        ("cases.csv, row 2", "no centre 'north'")
    ]
    assert "demo" in report.faults[0].mend.en
    assert report.new == 1


def test_a_case_of_zhuhai_takes_the_period_of_its_bank(office: Office) -> None:
    report = office.enrol(
        "A-1,zhuhai,电话挂失,2026-11-20 16:20,张三,10000000001,示例银行甲",
        heading="编号,业务,事项,发生时间,姓名,手机,银行",
    )

    assert report.faults == []
    assert office.states("A-1")["zhuhai.phone-loss-report"] == "open"


def test_the_nanjing_social_card_warns_once_for_all_its_rows(office: Office) -> None:
    report = office.enrol(
        "A-1,nanjing-social-card,电话挂失,2026-11-20 16:20,张三,10000000001",
        "A-2,nanjing-social-card,电话挂失,2026-11-20 16:20,李四,10000000002",
    )

    [(text, where)] = report.notes.items()
    assert "about to be discontinued" in text.en
    assert (where.place, where.rows) == ("cases.csv, row 2", 2)
    assert report.faults == []


@pytest.mark.parametrize(
    ("procedure", "first"),
    [("national", "书面挂失"), ("hotline-96102", "书面挂失"), ("chengdu", "申请补卡")],
)
def test_found_is_refused_after_what_cannot_be_withdrawn(
    office: Office, procedure: str, first: str
) -> None:
    report = office.enrol(
        f"A-1,{procedure},{first},2026-11-19 16:20,张三,10000000001",
        "A-1,,找回,2026-11-20 10:00,,",
    )

    assert [fault.place for fault in report.faults] == ["cases.csv, row 3"]
    assert "cannot be withdrawn by found" in report.faults[0].message.en


def test_found_in_time_settles_the_report_of_the_loss(office: Office) -> None:
    office.enrol(REPORTED, "A-1,,找回,2026-11-21 10:00,,")

    assert office.states("A-1") == {"national.phone-loss-report": "settled"}
    assert {row["state"] for row in office.reminders("A-1")} <= {"cancelled"}


def test_a_lapse_long_past_plans_nothing_says_so_and_calls_nobody(office: Office) -> None:
    report = office.enrol("A-1,national,电话挂失,2026-11-10 16:20,张三,10000000001")

    assert office.reminders() == []
    assert office.calls() == []
    assert [text.en for text in report.notes] == [
        "national.phone-loss-report had lapsed before enrolment: no reminder is sent"
    ]


def test_a_lapse_just_past_opens_a_call_task(office: Office) -> None:
    office.enrol("A-1,national,电话挂失,2026-11-17 16:20,张三,10000000001")  # ended on Friday

    assert office.reminders() == []
    assert [(row["reference"], row["reason"]) for row in office.calls()] == [
        ("A-1", "lapsed_before_enrolment")
    ]


def test_a_file_that_is_not_there_is_a_fault_not_a_crash(office: Office) -> None:
    report = enrol_file(office.context, Path("nowhere.csv"), now=office.clock.now())

    assert [fault.message.en for fault in report.faults] == [
        "the file is not there or may not be read"
    ]
