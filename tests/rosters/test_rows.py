"""Rows as people find them, and all that is wrong with a bad one."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from worker.domain.calendar import CHINA
from worker.domain.errors import Fault
from worker.rosters import RosterRow, describe_file

Read = Callable[..., list[Any]]
Roster = Callable[..., Path]


def test_a_row_is_read_with_every_column(read: Read, roster: Roster) -> None:
    path = roster(
        "A-1,demo,national,电话挂失,2026-11-20 16:20,张三,10000000001,a@example.com,英文,0012,"
        "示例银行甲,10000000002",
        heading="编号,网点,业务,事项,发生时间,姓名,手机,邮箱,语言,卡号后四位,银行,备用手机",
    )

    rows = read(path)

    assert rows == [
        RosterRow(
            place="cases.csv, row 2",
            reference="A-1",
            centre="demo",
            procedure="national",
            event="reported_by_phone",
            occurred_at=datetime(2026, 11, 20, 16, 20, tzinfo=CHINA),
            name="张三",
            phone="10000000001",
            email="a@example.com",
            language="en",
            card_last4="0012",
            bank="示例银行甲",
            second_phone="10000000002",
        )
    ]
    assert rows[0].occurred_at.utcoffset() == timedelta(hours=8)


def test_columns_may_be_english_in_any_order_and_case(read: Read, roster: Roster) -> None:
    path = roster("2026-11-20,A-1,collected", heading=" Occurred_At ,REFERENCE,event", name="x.txt")

    [row] = read(path)

    assert (row.reference, row.event, row.occurred_at) == ("A-1", "collected", None)
    assert str(row.occurred_on) == "2026-11-20"


def test_an_empty_cell_is_none_so_that_it_updates_nothing(read: Read, roster: Roster) -> None:
    [row] = read(roster("A-1, ,　,,,,,"))

    assert row == RosterRow(place="cases.csv, row 2", reference="A-1")


def test_row_numbers_are_those_excel_shows(read: Read, roster: Roster) -> None:
    path = roster(
        "good",
        "",
        ",,,,,,,",
        '"A-2\n\n",,,,,,,',  # one row of three lines, mended by stripping
        "good",
        "A-3,,不详,,,,,",
    )

    found = [entry.place for entry in read(path)]

    assert found == [
        "cases.csv, row 2",
        "cases.csv, row 5",
        "cases.csv, row 6",
        "cases.csv, row 7, column C 事项",
        "cases.csv, row 7, column D 发生时间",
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_counts_alike(read: Read, roster: Roster, end: str) -> None:
    path = roster("good", "", "good", end=end)

    assert [row.place for row in read(path)] == ["cases.csv, row 2", "cases.csv, row 4"]


def test_mixed_line_ends_count_alike(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(b"reference,event,occurred_at\nA,,\r\nB,,\rC,,\n\nD,,")

    rows = [(row.reference, row.place[-5:]) for row in read(path)]

    assert rows == [("A", "row 2"), ("B", "row 3"), ("C", "row 4"), ("D", "row 6")]


def test_blank_lines_before_the_heading_count(read: Read, roster: Roster) -> None:
    path = roster("good", heading="\r\n,,\r\n编号,业务,事项,发生时间,姓名,手机,邮箱,卡号后四位")

    assert read(path)[0].place == "cases.csv, row 4"


def test_a_bad_row_brings_all_its_faults_and_stops_no_other(read: Read, roster: Roster) -> None:
    path = roster("good", ",x,没有,2026-02-30,李四,12,nobody,12", "good")

    found = read(path)

    assert isinstance(found[0], RosterRow)
    assert isinstance(found[-1], RosterRow)
    assert [(fault.place.partition("row 3, ")[2], fault.code) for fault in found[1:-1]] == [
        ("column C 事项", "event.unknown"),
        ("column D 发生时间", "time.impossible"),
        ("column F 手机", "phone.invalid"),
        ("column G 邮箱", "email.invalid"),
        ("column H 卡号后四位", "card.short"),
        ("column A 编号", "reference.missing"),
    ]


def test_an_event_needs_its_time_and_a_time_its_event(read: Read, roster: Roster) -> None:
    found = read(roster("A-1,,电话挂失,,,,,", "A-2,,,2026-11-20,,,,"))

    assert [fault.code for fault in found] == ["time.missing", "event.missing"]


def test_a_slip_in_an_event_is_recognised(read: Read, roster: Roster) -> None:
    found = read(roster("A-1,,电话挂矢,2026-11-20,,,,", "A-2,,reported_by_fone,2026-11-20,,,,"))

    assert [(fault.value, fault.mend.en) for fault in found] == [
        ("电话挂矢", "did you mean 电话挂失?"),
        ("reported_by_fone", "did you mean reported_by_phone?"),
    ]


def test_a_word_that_several_events_share_asks_which(read: Read, roster: Roster) -> None:
    [fault] = read(roster("A-1,,挂失,2026-11-20,,,,"))

    assert fault.mend.zh.startswith("请写明是哪一种：")
    assert {"电话挂失", "书面挂失"} <= set(fault.mend.zh.partition("：")[2].split("、"))


@pytest.mark.parametrize(
    "line",
    [
        "A-1,national,张秘密,13912345678,secret@example.com,6217001234567890123,张秘密,",
        "secret@example.com,张秘密,13912345678,张秘密,张秘密,139-1234-5678x,张秘密,6217001234567890",
        "A-1,,13912345678,13912345678,张秘密,13912345678;13812345678,secret@ex ample,张秘密",
        "A-1,,电话挂失,6217-0012-3456-7890,张秘密,+4479460000,=?secret?=@example.com,62170012",
    ],
)
def test_no_fault_repeats_a_name_number_address_or_card(
    read: Read, roster: Roster, line: str
) -> None:
    found = read(roster(line))

    assert found
    told = "".join(map(repr, found))
    for secret in ("张秘密", "139", "secret", "6217", "7946"):
        assert secret not in told


def test_every_fault_speaks_both_languages_and_says_how_to_mend(read: Read, roster: Roster) -> None:
    found = read(roster(",x,没有,2026-02-30,李四,12,nobody,12", "A-1,,,,,,,,stray"))

    assert len(found) == 7
    for fault in found:
        assert all((fault.code, fault.message.zh, fault.message.en, fault.mend.zh, fault.mend.en))
        assert any("\u4e00" <= character <= "\u9fff" for character in fault.mend.zh)


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("张\u200b三", "cell.invisible"),
        ("张\ufeff三", "cell.invisible"),
        ("张\ufffd三", "cell.invisible"),
        ("张\x07三", "cell.invisible"),
        ('"张\n三"', "cell.lines"),
        ("张" * 51, "text.long"),
        ("张" * 10_001, "cell.long"),
    ],
)
def test_a_name_with_what_nobody_sees_is_refused(
    read: Read, roster: Roster, cell: str, code: str
) -> None:
    [fault] = read(roster(f"A-1,,,,{cell},,,"))

    assert (fault.place, fault.code) == ("cases.csv, row 2, column E 姓名", code)


@pytest.mark.parametrize("name", ["张𠮷", "阿依古丽·买买提", "欧阳 三", "O'Brien", "=张", "𫝀"])
def test_a_rare_name_is_read_as_it_is(read: Read, roster: Roster, name: str) -> None:
    [row] = read(roster(f"A-1,,,,{name},,,"))

    assert row.name == name


@pytest.mark.parametrize("written", ["1.23457E+18", "2e+05"])
def test_a_reference_excel_has_mangled_is_refused(read: Read, roster: Roster, written: str) -> None:
    [fault] = read(roster(f"{written},,,,,,,"))

    assert fault.code == "reference.mangled"
    assert "请把该列设为文本格式" in fault.mend.zh


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("12", "card.short"),
        ("12345", "card.long"),
        ("6217001234567890123", "card.long"),
        ("6.217E+18", "card.digits"),
        ("12x4", "card.digits"),
    ],
)
def test_a_card_is_named_by_exactly_four_digits(
    read: Read, roster: Roster, written: str, code: str
) -> None:
    [fault] = read(roster(f"A-1,,,,,,,{written}"))

    assert (fault.code, fault.value) == (code, "")


def test_full_width_card_digits_are_read(read: Read, roster: Roster) -> None:
    assert read(roster("A-1,,,,,,,００１２"))[0].card_last4 == "0012"


@pytest.mark.parametrize(
    ("written", "language"),
    [("zh", "zh"), ("中文", "zh"), ("en", "en"), ("英文", "en"), ("", None)],
)
def test_languages(read: Read, roster: Roster, written: str, language: str | None) -> None:
    path = roster(f"A-1,,,{written}", heading="编号,事项,发生时间,语言")

    assert read(path)[0].language == language


def test_an_unknown_language_is_refused(read: Read, roster: Roster) -> None:
    [fault] = read(roster("A-1,,,fr", heading="编号,事项,发生时间,语言"))

    assert fault.code == "language.unknown"


@pytest.mark.parametrize(
    ("heading", "places_and_mends"),
    [
        (
            "编号,事项,发生时间,手机号",
            [("cases.csv, row 1, column D", "did you mean 手机?")],
        ),
        (
            "编号,事项,发生时间,手机,phone",
            [("cases.csv, row 1, column E phone", "keep one of them")],
        ),
        (
            "编号,emial",
            [
                ("cases.csv, row 1, column B", "did you mean email?"),
                ("cases.csv, row 1", "add a column event"),
                ("cases.csv, row 1", "add a column occurred_at"),
            ],
        ),
        (
            "编号,事项,发生时间,身份证号",
            [("cases.csv, row 1, column D", "identity numbers are not wanted: delete it")],
        ),
        (
            "编号，事项，发生时间",
            [("cases.csv, row 1", "separate them by , ; or tab")],
        ),
    ],
)
def test_each_mistake_in_the_heading_is_one_fault_and_no_row_is_read(
    read: Read, roster: Roster, heading: str, places_and_mends: list[tuple[str, str]]
) -> None:
    found = read(roster("A-1,,,", heading=heading))

    assert [(fault.place, fault.mend.en) for fault in found] == places_and_mends


def test_a_row_of_data_in_place_of_the_heading_is_not_repeated(read: Read, roster: Roster) -> None:
    [fault] = read(roster("good", heading="A-1,national,张秘密,13912345678"))

    assert fault.code == "columns.none"
    assert "秘密" not in repr(fault)


def test_a_heading_alone_is_a_roster_without_rows(read: Read, roster: Roster) -> None:
    assert read(roster()) == []


@pytest.mark.parametrize("title", ["13912345678", "secret@example.com", "张" * 21])
def test_a_heading_that_may_be_personal_is_not_repeated(
    read: Read, roster: Roster, title: str
) -> None:
    [fault] = read(roster("A-1,,,", heading=f"编号,事项,发生时间,{title}"))

    assert (fault.code, fault.value) == ("columns.unknown", "")
    assert title not in repr(fault)


@pytest.mark.parametrize("content", [b"", b"\r\n\r\n", b" , ,\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_one_fault(read: Read, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(content)

    [fault] = read(path)

    assert (fault.place, fault.code) == ("cases.csv", "file.empty")


def test_a_missing_file_is_one_fault(read: Read, tmp_path: Path) -> None:
    [fault] = read(tmp_path / "none.csv")

    assert (fault.place, fault.code) == ("none.csv", "file.missing")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_are_told_by_the_heading(read: Read, roster: Roster, delimiter: str) -> None:
    path = roster(
        f"A-1{delimiter}{delimiter}", heading=delimiter.join(["编号", "事项", "发生时间"])
    )

    assert read(path)[0].reference == "A-1"
    assert describe_file(path).delimiter == delimiter


def test_a_cell_beyond_the_heading_is_a_fault(read: Read, roster: Roster) -> None:
    found = read(roster("A-1,,,,张三,,,,中文", "A-1,,,,张三,,,,,,"))

    assert isinstance(found[0], Fault)
    assert (found[0].place, found[0].code) == ("cases.csv, row 2, column I", "row.stray")
    assert isinstance(found[1], RosterRow)


def test_the_shown_name_stands_for_an_uploaded_file(roster: Roster, now: datetime) -> None:
    from worker.rosters import PhonePolicy, read_roster

    path: Path = roster("A-1,,,,,12,,", name="upload-1")

    [fault] = read_roster(path, phones=PhonePolicy(), now=now, shown_as="名单.csv")

    assert fault.place == "名单.csv, row 2, column F 手机"


@pytest.mark.parametrize(
    ("title", "meant"),
    [
        ("联系人手机", "手机"),
        ("电话号码", "手机"),
        ("办理时间", "发生时间"),
        ("发生日期", "发生时间"),
        ("邮件", "邮箱"),
        ("phone_number", "phone"),
        ("occured_at", "occurred_at"),
        ("date", "occurred_at"),
    ],
)
def test_an_unknown_column_is_told_the_name_it_may_have_meant(
    read: Read, roster: Roster, title: str, meant: str
) -> None:
    [fault] = read(roster(heading=f"编号,事项,发生时间,姓名,{title}"))[:1]

    assert fault.mend.zh == f"是否想写“{meant}”？"


@pytest.mark.parametrize("title", ["备注", "性别", "holiday"])
def test_an_unknown_column_like_no_other_is_told_all_names(
    read: Read, roster: Roster, title: str
) -> None:
    [fault] = read(roster(heading=f"编号,事项,发生时间,姓名,{title}"))

    assert fault.mend.zh.startswith("请删去或改名；可用：编号、网点、")


def test_a_row_knows_where_its_cells_stand(read: Read, roster: Roster) -> None:
    [row] = read(roster("good"))

    assert row.at("procedure") == "cases.csv, row 2, column B 业务"
    assert row.at("bank") == "cases.csv, row 2"
