"""Events may be told in any order; what cannot stand is refused with its place."""

from datetime import datetime
from pathlib import Path

import pytest

from tests.enrolment.office import GOOD, HEADING, REPORTED, Office
from worker.domain.calendar import CHINA
from worker.domain.errors import BadData
from worker.services.enrolment import CHUNK, enrol_file, record_event


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

    assert [fault.place for fault in report.faults] == ["cases.csv, row 3, column C 事项"]
    last_number = office.enrol("A-1,,申请补卡,2026-11-10 09:00,,10000000012")
    assert last_number.unchanged == 1


@pytest.mark.parametrize(
    ("cells", "column", "reason", "mend"),
    [
        ("national,领卡,2026-11-20 09:00,张三,10000000001,", "C 事项",
         "「领卡」（collected）之前没有「申请补卡」", "请先补录「申请补卡」"),
        ("national,电话挂失,2026-12-20 10:00,张三,10000000001,", "D 发生时间",
         "「电话挂失」（reported_by_phone）的时间 2026-12-20 10:00 在未来", "发生后再登记"),
        ("national,缴费,2026-11-20 09:00,张三,10000000001,", "C 事项",
         "业务「社保卡挂失补领（全国）」（national）没有事项「缴费」", "可用：「撤案」、「领卡」"),
        ("chengdu,网上挂失,2026-11-20,张三,10000000001,", "D 发生时间",
         "按小时计算（chengdu.online-loss-report）", "请写明时刻"),
        ("nationals,电话挂失,2026-11-20 09:00,张三,10000000001,", "B 业务",
         "没有业务 nationals", "是否想写 national（社保卡挂失补领（全国））？"),
        ("成都,电话挂失,2026-11-20 09:00,张三,10000000001,", "B 业务",
         "没有业务 成都", "是否想写 chengdu（成都社保卡挂失补办）？"),
        ("张三,电话挂失,2026-11-20 09:00,张三,10000000001,", "B 业务",
         "没有这种业务", "可填：national（社保卡挂失补领（全国））、"),
        ("zhuhai,电话挂失,2026-11-20 09:00,张三,10000000001,", "G 银行",
         "期限由银行规定，没有写明银行", "银行列可填：示例银行甲、示例银行乙"),
        ("zhuhai,电话挂失,2026-11-20 09:00,张三,10000000001,示例银行丙", "G 银行",
         "本网点没有登记这家银行", "是否想写「示例银行"),
        (",电话挂失,2026-11-20 09:00,张三,10000000001,", "B 业务",
         "新案件没有写明业务", "第一行填写「业务」列"),
        ("national,电话挂失,2026-11-20 09:00,张三,,", "F 手机",
         "没有手机也没有邮箱", "至少填写手机或邮箱"),
    ],
)  # fmt: skip
def test_what_cannot_stand_is_one_fault_with_its_cell_the_reason_and_the_mend(
    office: Office, cells: str, column: str, reason: str, mend: str
) -> None:
    report = office.enrol(f"A-1,{cells}", f"{GOOD},", heading=f"{HEADING},银行")

    [fault] = report.faults
    assert fault.place == f"cases.csv, row 2, column {column}"
    assert reason in fault.message.zh
    assert mend in fault.mend.zh
    assert fault.message.en
    assert fault.mend.en
    assert [case["reference"] for case in office.cases()] == ["A-2"]


def test_a_case_of_nothing_but_faults_is_told_of_each_row_once(office: Office) -> None:
    report = office.enrol(
        "A-1,national,领卡,2026-11-20 09:00,张三,10000000001",
        "A-1,,电话挂失,2026-11-24 10:00,,",
    )

    assert [fault.place for fault in report.faults] == [
        "cases.csv, row 2, column C 事项",
        "cases.csv, row 3, column D 发生时间",
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
        ("cases.csv, row 2, column A 网点", "no centre 'north'")
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

    assert [fault.place for fault in report.faults] == ["cases.csv, row 3, column C 事项"]
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


def test_a_case_that_nothing_starts_is_enrolled_and_said_to_have_no_reminder(
    office: Office,
) -> None:
    report = office.enrol(
        "A-1,national,找回,2026-11-20 16:20,张三,10000000001",
        "A-2,national,,,李四,10000000002",
        GOOD.replace("A-2", "A-3"),
    )

    [(text, where)] = report.notes.items()
    assert "该案件不会有提醒" in text.zh
    assert "「电话挂失」" in text.zh
    assert "reported_by_phone" in text.en
    assert (where.place, where.rows) == ("cases.csv, row 2", 2)
    assert (report.new, report.faults) == (3, [])


def test_a_case_that_a_later_part_of_the_file_starts_is_not_said_to_be_idle(
    office: Office,
) -> None:
    between = [
        f"B-{number},laixi,口头挂失,2026-11-20 09:00,李四,10000000002" for number in range(CHUNK)
    ]

    report = office.enrol(
        "A-1,national,找回,2026-11-19 16:20,张三,10000000001",
        *between,
        "A-1,,电话挂失,2026-11-20 09:00,,",
    )

    assert report.notes == {}
    assert office.states("A-1") == {"national.phone-loss-report": "open"}


def test_the_note_of_a_lapse_says_in_chinese_what_had_to_be_done(office: Office) -> None:
    report = office.enrol("A-1,national,电话挂失,2026-11-10 16:20,张三,10000000001")

    [text] = report.notes
    assert text.zh.startswith("「书面挂失」的期限（national.phone-loss-report）")


@pytest.mark.parametrize("word", ["书面挂失", "reported_in_writing"])
def test_a_single_event_is_recorded_by_its_word_or_its_name(office: Office, word: str) -> None:
    office.enrol(REPORTED)
    at = datetime(2026, 11, 23, 9, 30, tzinfo=CHINA)

    report = record_event(
        office.context, office.case("A-1")["id"], word, at, now=office.clock.now()
    )

    assert report.events == 1
    assert office.events("A-1") == ["reported_by_phone", "reported_in_writing"]


def test_a_single_event_that_cannot_stand_says_how_to_mend_it(office: Office) -> None:
    office.enrol(REPORTED)
    case_id = office.case("A-1")["id"]
    at = datetime(2026, 11, 23, 9, 30, tzinfo=CHINA)

    with pytest.raises(BadData) as refused:
        record_event(office.context, case_id, "领卡", at, now=office.clock.now())

    assert "请先补录「申请补卡」" in refused.value.text.zh
    assert "record replacement_applied" in refused.value.text.en
