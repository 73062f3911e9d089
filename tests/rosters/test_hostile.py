"""Files that mean harm or were cut off: faults, never a traceback, never a swallowed row."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.domain.errors import Fault
from worker.rosters import PhonePolicy, RosterRow, read_roster

Read = Callable[..., list[Any]]
Roster = Callable[..., Path]


def test_an_open_quote_cannot_swallow_the_file(read: Read, roster: Roster) -> None:
    lines = ["good"] * 5 + ['A-2,national,"电话挂失,2026-11-20,,,,'] + ["good"] * 500

    found = read(roster(*lines))

    assert [type(entry) for entry in found] == [RosterRow] * 5 + [Fault]
    assert (found[-1].place, found[-1].code) == ("cases.csv, row 7", "row.open_quote")


def test_an_open_quote_near_the_end_is_told_where_it_begins(read: Read, roster: Roster) -> None:
    found = read(roster("good", 'A-2,"national,,,,,,', "good", "good"))

    assert [entry.place for entry in found] == ["cases.csv, row 2", "cases.csv, row 3"]
    assert found[1].code == "row.open_quote"


def test_an_open_quote_that_meets_another_stops_there(read: Read, roster: Roster) -> None:
    found = read(roster('A-2,"national,,,,,,', 'A-3,"national",,,,,,', "good"))

    assert [fault.code for fault in found] == ["row.open_quote"]


def test_a_quote_closed_a_hundred_lines_later_has_swallowed_rows(
    read: Read, roster: Roster
) -> None:
    lines = ['A-2,"national,,,,,,', *["good"] * 150, '",,,,,,', "good"]

    assert [fault.code for fault in read(roster(*lines))] == ["row.open_quote"]


def test_a_stray_quote_in_one_line_costs_only_that_row(read: Read, roster: Roster) -> None:
    found = read(roster('A-2,"nat"ional,,,,,,', "good"))

    assert (found[0].place, found[0].code) == ("cases.csv, row 2", "row.quotes")
    assert (found[1].place, found[1].reference) == ("cases.csv, row 3", "A-1")


def test_a_line_without_end_is_not_read_into_memory(read: Read, roster: Roster) -> None:
    [good, fault] = read(roster("good", "A-2,," + "x" * 200_000, "good"))

    assert good.reference == "A-1"
    assert fault.code == "row.open_quote"


def test_ten_thousand_columns_are_refused(read: Read, roster: Roster) -> None:
    [heading] = read(roster("good", heading="编号,事项,发生时间" + ",姓名" * 10_000))
    [row] = read(roster("A" + "," * 7 + ",x" * 10_000))

    assert heading.code == "columns.many"
    assert (row.place, row.code) == ("cases.csv, row 2, column I", "row.stray")


def test_nul_in_utf_16_costs_only_its_row(read: Read, roster: Roster) -> None:
    path = roster("A-1,,,,张\0三,,,", "good", encoding="utf-16")

    found = read(path)

    assert (found[0].place, found[0].code) == (
        "cases.csv, row 2, column E 姓名",
        "cell.invisible",
    )
    assert isinstance(found[1], RosterRow)


def test_a_mark_in_the_middle_costs_only_its_row(read: Read, roster: Roster) -> None:
    found = read(roster("good", "\ufeffA-2,,,,,,,", "good"))

    assert [getattr(entry, "code", "good") for entry in found] == ["good", "cell.invisible", "good"]


def test_two_files_glued_together_give_up_only_the_second_heading(
    read: Read, roster: Roster
) -> None:
    found = read(roster("good", "\ufeff编号,业务,事项,发生时间,姓名,手机,邮箱,卡号后四位", "good"))

    assert isinstance(found[0], RosterRow)
    assert isinstance(found[-1], RosterRow)
    assert {fault.place.partition(",")[2][:6] for fault in found[1:-1]} == {" row 3"}


def test_trailing_spaces_and_delimiters_mean_nothing(read: Read, roster: Roster) -> None:
    [row] = read(roster("A-1 ,national  ,电话挂失\t,2026-11-20 16:20　,张三 ,,, ,,,"))

    assert (row.reference, row.procedure, row.event, row.name) == (
        "A-1",
        "national",
        "reported_by_phone",
        "张三",
    )


@pytest.mark.parametrize("formula", ["=1+1", "@SUM(A1)", '=HYPERLINK(""http://x"")', "-1", "+1"])
def test_a_formula_in_a_text_column_is_kept_as_text(
    read: Read, roster: Roster, formula: str
) -> None:
    [row] = read(roster(f'A-1,,,,"{formula}",,,'))

    assert row.name == formula.replace('""', '"')


def test_more_rows_than_allowed_are_not_read(
    read: Read, roster: Roster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.rosters.reading.MOST_ROWS", 3)

    found = read(roster("good", "", "good", "good", "good", "good"))

    assert [getattr(entry, "code", "good") for entry in found] == ["good"] * 3 + ["file.rows"]
    assert found[-1].place == "cases.csv, row 6"


@pytest.mark.parametrize("name", ["x.csv", "x.yaml", "x", "x.xls"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_no_bytes_raise_anything(tmp_path: Path, now: datetime, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    for entry in read_roster(path, phones=PhonePolicy(), now=now):
        assert isinstance(entry, RosterRow | Fault)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.text(st.sampled_from("A,\"'\n\r\t =;张1０:-\0\ufeff"), max_size=80))
def test_no_text_below_a_heading_raises_anything(tmp_path: Path, now: datetime, body: str) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(f"编号,事项,发生时间,姓名,手机\n{body}".encode())

    for entry in read_roster(path, phones=PhonePolicy(), now=now):
        assert isinstance(entry, RosterRow | Fault)
