"""errors.csv: the same rows in their places, harmless in a spreadsheet, fit to hand in again."""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.errors import Fault
from worker.rosters import RosterRow, by_row, neutralised, row_of, write_errors
from worker.rosters.formulas import original

Read = Callable[..., list[Any]]
Roster = Callable[..., Path]


def faults_of(found: Iterable[RosterRow | Fault]) -> list[Fault]:
    return [entry for entry in found if isinstance(entry, Fault)]


def rows_of(path: Path) -> list[list[str]]:
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.reader(handle))


@pytest.mark.parametrize("start", "=+-@\t\r\n\0＝＋－＠")
def test_no_cell_begins_a_formula(start: str) -> None:
    assert neutralised(f"{start}1+1") == f"'{start}1+1"
    assert neutralised(f" {start}1+1") == f"' {start}1+1"


@pytest.mark.parametrize("cell", ["", "张三", "1+1", "'", "a=b", "2026-11-20", "0012"])
def test_a_harmless_cell_stays_as_it_is(cell: str) -> None:
    assert neutralised(cell) == cell


@given(st.text(st.sampled_from("=+-@\t＝' \ufeffa1")))
def test_what_was_neutralised_can_be_restored(cell: str) -> None:
    assert original(neutralised(cell)) == cell or cell.startswith("'")


def test_every_row_keeps_its_place_and_bad_ones_say_why(
    read: Read, roster: Roster, tmp_path: Path
) -> None:
    source = roster("good", "", "A-2,,没有,2026-02-30,=1+1,,,", "good", encoding="gb18030")
    target = tmp_path / "errors.csv"

    write_errors(source, by_row(faults_of(read(source))), target)

    rows = rows_of(target)
    assert rows[0][-2:] == ["卡号后四位", "错误原因"]
    assert rows[1][-1] == rows[4][-1] == ""
    assert rows[2] == []
    assert rows[3][:8] == ["A-2", "", "没有", "2026-02-30", "'=1+1", "", "", ""]
    assert rows[3][8].startswith("C 事项：没有这种事项；")
    assert "D 发生时间：没有这一天或这一时刻；" in rows[3][8]


def test_a_cell_of_many_lines_keeps_them(read: Read, roster: Roster, tmp_path: Path) -> None:
    source = roster('A-1,,,,"张\r\n三",,,')
    target = tmp_path / "errors.csv"

    write_errors(source, by_row(faults_of(read(source))), target)

    assert rows_of(target)[1][4] == "张\r\n三"


def test_the_list_mended_can_be_handed_in_again(read: Read, roster: Roster, tmp_path: Path) -> None:
    source = roster("A-1,,电话挂矢,2026-11-20,-张,＋86 1,,", "good")
    target = tmp_path / "errors.csv"
    write_errors(source, by_row(faults_of(read(source))), target)
    mended = target.read_text(encoding="utf-8-sig").replace("电话挂矢", "电话挂失")
    target.write_text(mended.replace("'＋86 1", "10000000001"), encoding="utf-8")

    first, second = read(target)

    assert (first.place, first.event, first.name) == (
        "errors.csv, row 2",
        "reported_by_phone",
        "-张",
    )
    assert second.reference == "A-1"


def test_a_second_list_replaces_the_reasons_of_the_first(
    read: Read, roster: Roster, tmp_path: Path
) -> None:
    source = roster("A-1,,,,,12,,", "good")
    once, twice = tmp_path / "once.csv", tmp_path / "twice.csv"

    write_errors(source, by_row(faults_of(read(source))), once)
    write_errors(once, by_row(faults_of(read(once))), twice)

    assert rows_of(twice) == rows_of(once)


def test_mistakes_of_the_heading_stand_beside_it(
    read: Read, roster: Roster, tmp_path: Path
) -> None:
    source = roster("A-1,,,", heading="编号,事项,发生时间,手机号")
    target = tmp_path / "errors.csv"

    write_errors(source, by_row(faults_of(read(source))), target)

    heading, row = rows_of(target)
    assert heading[-1].startswith("错误原因：D：不认识这个名称；")
    assert row == ["A-1", "", "", "", ""]


def test_pairs_in_the_order_of_rows_are_taken_as_they_come(
    read: Read, roster: Roster, tmp_path: Path
) -> None:
    source = roster(*["A-1,,,,,12,,", "good"] * 50)
    target = tmp_path / "errors.csv"
    pairs = ((row_of(fault), [fault]) for fault in read(source) if isinstance(fault, Fault))

    write_errors(source, pairs, target, language="en")

    reasons = [row[-1] for row in rows_of(target)[1:]]
    assert [bool(reason) for reason in reasons] == [True, False] * 50
    assert reasons[0].startswith("F 手机: not a valid mobile number (2 digits); enter one")


def test_rows_after_an_open_quote_are_told_to_be_unread(
    read: Read, roster: Roster, tmp_path: Path
) -> None:
    source = roster("good", 'A-2,"x,,,,,,', "good", "good")
    target = tmp_path / "errors.csv"

    write_errors(source, by_row(faults_of(read(source))), target)

    rows = rows_of(target)
    assert len(rows) == 3
    assert "cases.csv 第 3 行：引号没有闭合" in rows[2][-1]


def test_a_workbook_keeps_its_rows_and_columns(read: Read, tmp_path: Path) -> None:
    source, target = tmp_path / "cases.xlsx", tmp_path / "errors.csv"
    with xlsxwriter.Workbook(source) as book:
        sheet = book.add_worksheet("名单")
        sheet.write_row(1, 1, ["编号", "事项", "发生时间"])
        sheet.write_row(3, 1, [1001, "领卡", "2026-11-31"])

    write_errors(source, by_row(faults_of(read(source))), target)

    rows = rows_of(target)
    assert rows[:3] == [[], ["", "编号", "事项", "发生时间", "错误原因"], []]
    assert rows[3][:4] == ["", "1001", "领卡", "2026-11-31"]
    assert rows[3][4].startswith("D 发生时间：")


@pytest.mark.parametrize("name", ["cases.yaml", "cases.xlsx", "cases.csv"])
def test_what_is_no_table_is_listed_by_place(read: Read, tmp_path: Path, name: str) -> None:
    source, target = tmp_path / name, tmp_path / "errors.csv"
    source.write_bytes(b"- {reference: A, phone: 12}\xff\xff" if "yaml" not in name else b"- A")

    write_errors(source, by_row(faults_of(read(source))), target)

    heading, row = rows_of(target)
    assert heading == ["位置", "错误原因"]
    assert row[0].startswith(name)
    assert row[1]


def test_rows_are_counted_from_places_of_every_kind(
    read: Read, roster: Roster, tmp_path: Path
) -> None:
    yaml = tmp_path / "a, row 9.yaml"
    yaml.write_text("- reference: A\n  phone: 12\n")
    table = roster("A-1,,,,,12,,", name="b, row 9.csv")

    assert [row_of(fault) for fault in faults_of(read(yaml))] == [2]
    assert [row_of(fault) for fault in faults_of(read(table))] == [2]
    assert not any(isinstance(entry, RosterRow) for entry in read(table))


def test_a_mend_that_asks_ends_with_its_question_mark(
    read: Read, roster: Roster, tmp_path: Path
) -> None:
    source = roster("A-1,,电话挂矢,2026-11-20,,,,")
    target = tmp_path / "errors.csv"

    write_errors(source, by_row(faults_of(read(source))), target)

    assert rows_of(target)[1][-1] == "C 事项：没有这种事项；是否想写“电话挂失”？"
