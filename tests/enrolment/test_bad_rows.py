"""Bad rows are reported all at once and stop nobody else's; a dry run says what would happen."""

from dataclasses import replace
from datetime import date

import pytest

from tests.enrolment.office import GOOD, HEADING, REPORTED, Office
from worker.domain.centres import Closure
from worker.domain.errors import Fault, Text
from worker.rosters import row_of
from worker.services.applying import MOST_LISTED, Enrolment
from worker.services.enrolment import CHUNK

MIXED = (
    REPORTED,
    "B-1,national,电话挂失,2026-11-20 16:20,王五,10000000003 / 10000000004",
    "B-2,nationals,电话挂失,2026-11-20 16:20,王五,10000000003",
    "B-3,national,领卡,2026-11-20 16:20,王五,10000000003",
    "B-4,national,电话挂失,没有时间,王五,10000000003",
    GOOD,
    "A-1,,书面挂失,2026-11-21 10:00,,",
)


_WRONG = Text("有误", "wrong")


def summary(report: Enrolment) -> tuple[object, ...]:
    """What people are told of a roster."""
    counts = (report.new, report.changed, report.unchanged, report.events, report.planned)
    return (*counts, report.faults, report.notes)


def test_bad_rows_do_not_stop_the_good_ones(office: Office) -> None:
    report = office.enrol(*MIXED)

    assert [fault.place for fault in report.faults] == [
        "cases.csv, row 3, column F 手机",
        "cases.csv, row 4, column B 业务",
        "cases.csv, row 5, column C 事项",
        "cases.csv, row 6, column D 发生时间",
    ]
    assert report.bad == 4
    assert [case["reference"] for case in office.cases()] == ["A-1", "A-2"]
    assert office.events("A-1") == ["reported_by_phone", "reported_in_writing"]


def test_a_row_with_two_faults_is_one_bad_row(office: Office) -> None:
    report = office.enrol("B-1,national,电话挂失,没有时间,王五,不是号码", GOOD)

    assert len(report.faults) == 2
    assert report.bad == 1


def test_a_dry_run_of_a_good_file_changes_nothing(office: Office) -> None:
    before = office.content()

    report = office.enrol(REPORTED, GOOD, dry_run=True)

    assert (report.new, report.faults) == (2, [])
    assert office.content() == before


def test_a_dry_run_says_what_the_real_run_does_and_changes_nothing(office: Office) -> None:
    before = office.content()

    tried = office.enrol(*MIXED, dry_run=True)
    untouched = office.content()
    done = office.enrol(*MIXED)

    assert untouched == before
    assert summary(tried) == summary(done)
    assert office.content() != before


def test_all_or_nothing_applies_nothing_beside_a_bad_row(office: Office) -> None:
    before = office.content()

    tried = office.enrol(*MIXED, all_or_nothing=True, dry_run=True)
    done = office.enrol(*MIXED, all_or_nothing=True)

    assert office.content() == before
    assert done.new == 0
    assert summary(tried) == summary(done)


def test_all_or_nothing_applies_a_good_file_whole(office: Office) -> None:
    report = office.enrol(REPORTED, GOOD, all_or_nothing=True)

    assert report.new == 2
    assert len(office.cases()) == 2


@pytest.mark.parametrize(
    ("heading", "cell", "column"),
    [
        ("手机", "10000000001、10000000002", "column F 手机"),
        ("手机", "1.00E+10", "column F 手机"),
        ("卡号后四位", "6.21E+18", "column F 卡号后四位"),
        ("卡号后四位", "12", "column F 卡号后四位"),
    ],
)
def test_what_a_spreadsheet_spoils_is_told_by_column_without_its_content(
    office: Office, heading: str, cell: str, column: str
) -> None:
    report = office.enrol(
        f"A-1,national,电话挂失,2026-11-20 16:20,张三,{cell},zhangsan@example.com",
        heading=f"编号,业务,事项,发生时间,姓名,{heading},邮箱",
    )

    [fault] = report.faults
    assert fault.place == f"cases.csv, row 2, {column}"
    assert fault.value == ""
    assert "100000" not in str(fault)
    assert all([fault.message.zh, fault.message.en, fault.mend.zh, fault.mend.en])


def test_a_name_of_rare_characters_survives_gb18030(office: Office) -> None:
    path = office.roster(
        "A-1,national,电话挂失,2026-11-20 16:20,𠮷𠀀㐂,10000000001", encoding="gb18030"
    )
    assert len("𠮷".encode("gb18030")) == 4

    report = office.take(path)
    repeated = office.enrol("A-1,,电话挂失,2026-11-20 16:20,𠮷𠀀㐂,")

    assert report.faults == []
    assert repeated.unchanged == 1  # the same name, written in UTF-8 this time


def test_a_case_that_cannot_be_worked_out_fails_alone(office: Office) -> None:
    """No counter ever opens at one centre: what is ready there has no date."""
    demo = office.context.centres["demo"]
    shut = replace(demo, id="shut", closures=(Closure(date(2026, 11, 1), date(2027, 12, 31)),))
    office.know(demo, shut)
    heading = "网点,编号,业务,事项,发生时间,姓名,手机"

    report = office.enrol(
        "demo,A-1,national,申请补卡,2026-11-20 16:20,张三,10000000001",
        "shut,A-2,national,申请补卡,2026-11-20 16:20,李四,10000000002",
        "shut,A-2,,书面挂失,2026-11-20 16:00,,",
        "demo,A-3,national,申请补卡,2026-11-20 16:20,王五,10000000003",
        heading=heading,
    )

    assert [fault.place for fault in report.faults] == ["cases.csv, row 3", "cases.csv, row 4"]
    assert "never opens" in report.faults[0].message.en
    assert report.new == 2
    assert office.states("A-3") == office.states("A-1")
    assert [case["reference"] for case in office.cases()] == ["A-1", "A-3"]


def test_faults_beyond_the_listed_ones_are_counted() -> None:
    report = Enrolment()

    for row in range(MOST_LISTED + 3):
        report.blame([Fault(f"cases.csv, row {row + 2}", _WRONG, _WRONG)])

    rest = report.rest()
    assert rest is not None
    assert rest.en.startswith("3 more rows")
    assert len(report.faults) == MOST_LISTED
    assert report.bad == MOST_LISTED + 3


def test_a_heading_alone_is_an_empty_roster(office: Office) -> None:
    report = office.enrol(heading=HEADING)

    assert (report.new, report.faults) == (0, [])


def test_a_row_of_another_procedure_stops_only_itself(office: Office) -> None:
    report = office.enrol(
        REPORTED, "A-1,chengdu,申请补卡,2026-11-20 17:00,,", "A-1,,书面挂失,2026-11-21 10:00,,"
    )

    [fault] = report.faults
    assert fault.place == "cases.csv, row 3, column B 业务"
    assert fault.message.zh == (
        "cases.csv 第 2 行 为同一编号写的业务是「社保卡挂失补领（全国）」（national），"
        "这一行却是「成都社保卡挂失补办」（chengdu）"
    )
    assert "national 或留空" in fault.mend.zh
    assert (report.new, report.bad) == (1, 1)
    assert office.events("A-1") == ["reported_by_phone", "reported_in_writing"]


def test_each_centre_says_which_numbers_it_takes(office: Office) -> None:
    strict = office.context.centre("demo")
    office.know(strict, replace(strict, id="harbour", abroad_numbers=True, landline_numbers=True))
    rows = [
        f"{number},{centre},national,电话挂失,2026-11-20 16:20,{phone},10000000002"
        for number, (centre, phone) in enumerate([
            ("harbour", "+852 5123 4567"), ("harbour", "025-84000000"),
            ("demo", "+852 5123 4567"), ("demo", "025-84000000"),
        ])
    ]  # fmt: skip

    report = office.enrol(*rows, heading="编号,网点,业务,事项,发生时间,手机,备用手机")

    assert report.new == 2
    assert [(fault.place, fault.code) for fault in report.faults] == [
        ("cases.csv, row 4, column F 手机", "phone.abroad"),
        ("cases.csv, row 5, column F 手机", "phone.landline"),
    ]
    assert not any("5123" in fault.in_language("zh") for fault in report.faults)


def test_only_a_case_on_file_is_said_to_be_enrolled(office: Office) -> None:
    office.enrol(REPORTED)

    report = office.enrol("A-1,chengdu,申请补卡,2026-11-20 17:00,,")

    assert report.faults[0].message.zh.startswith("该案件已按业务「社保卡挂失补领（全国）」")


def test_a_misspelt_procedure_stops_only_its_row_where_another_names_the_right_one(
    office: Office,
) -> None:
    report = office.enrol(
        "A-1,nationals,电话挂失,2026-11-19 16:20,张三,10000000001",
        "A-1,national,电话挂失,2026-11-20 16:20,张三,10000000001",
    )

    assert [fault.place for fault in report.faults] == ["cases.csv, row 2, column B 业务"]
    assert office.events("A-1") == ["reported_by_phone"]


def test_every_row_of_a_case_that_cannot_open_is_told_and_sent_to_the_first(
    office: Office,
) -> None:
    report = office.enrol(
        "A-1,nationals,电话挂失,2026-11-20 16:20,张三,10000000001",
        "A-1,,书面挂失,2026-11-21 10:00,,",
        "A-2,national,领卡,2026-11-20 16:20,李四,10000000002",
        "A-2,,,,李四,",
    )

    assert [fault.place for fault in report.faults] == [
        "cases.csv, row 2, column B 业务",
        "cases.csv, row 3",
        "cases.csv, row 4, column C 事项",
        "cases.csv, row 5",
    ]
    assert report.faults[1].mend.zh == "请先改好 cases.csv 第 2 行 B 列（业务）"
    assert report.faults[3].mend.en == "mend cases.csv, row 4, column C 事项 first"
    assert office.cases() == []


def test_an_unknown_bank_of_a_case_on_file_stops_only_its_row(office: Office) -> None:
    heading = f"{HEADING},银行"
    office.enrol(
        "A-1,zhuhai,电话挂失,2026-11-20 16:20,张三,10000000001,示例银行甲", heading=heading
    )

    report = office.enrol(
        "A-1,,书面挂失,2026-11-21 10:00,,,", "A-1,,,,,,没有的银行", heading=heading
    )

    assert [fault.place for fault in report.faults] == ["cases.csv, row 3, column G 银行"]
    assert office.events("A-1") == ["reported_by_phone", "reported_in_writing"]


def test_faults_and_notes_come_in_the_order_of_their_rows(office: Office) -> None:
    between = [GOOD.replace("A-2", f"C-{number}") for number in range(CHUNK)]

    report = office.enrol(
        "B-1,national,领卡,2026-11-20 16:20,张三,10000000001",  # waits until the end of the file
        "B-2,employer,找回,2026-11-20 16:20,张三,10000000001",
        *between,
        "B-3,national,电话挂失,没有时间,王五,10000000003",
        "B-4,national,电话挂失,2026-11-10 16:20,王五,10000000003",
    )

    assert [row_of(fault) for fault in report.faults] == [2, CHUNK + 4]
    assert [where.place for where in report.notes.values()] == [
        "cases.csv, row 3",
        f"cases.csv, row {CHUNK + 5}",
    ]


def test_a_value_of_yaml_is_told_by_its_line_and_column(office: Office) -> None:
    path = office.home / "cases.yaml"
    path.write_text(
        "- reference: A-1\n  procedure: nationals\n  phone: 10000000001\n  events:\n"
        "    - {event: 电话挂失, occurred_at: 2026-11-20 16:20}\n"
        "- reference: A-2\n  procedure: national\n  phone: 10000000001\n  events:\n"
        "    - {event: 电话挂失, occurred_at: 2026-12-20 16:20}\n",
        "utf-8",
    )

    report = office.take(path)

    assert [fault.place for fault in report.faults] == ["cases.yaml:2:14", "cases.yaml:10:34"]


def test_no_fault_repeats_what_may_be_personal(office: Office) -> None:
    report = office.enrol(
        "A-1,张三丰,电话挂失,2026-11-20 16:20,张三丰,10000000001,",
        "A-2,zhuhai,电话挂失,2026-11-20 16:20,张三丰,10000000001,张三丰",
        heading=f"{HEADING},银行",
    )

    assert len(report.faults) == 2
    assert "张三丰" not in str(report.faults)
