"""Excel workbooks, written by another library than the one that reads them."""

import zipfile
from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.domain.calendar import CHINA
from worker.domain.errors import BadData, Fault
from worker.rosters import PhonePolicy, RosterRow, describe_file, read_roster

Read = Callable[..., list[Any]]
Roster = Callable[..., Path]
Cells = tuple[object, ...]

HEADING = ("编号", "事项", "发生时间", "姓名", "手机", "卡号后四位")


@pytest.fixture
def workbook(tmp_path: Path) -> Callable[..., Path]:
    """Write rows of typed cells; a row None is left out, as is a cell None."""

    def write(
        *rows: Cells | None,
        heading: Cells = HEADING,
        at: tuple[int, int] = (0, 0),
        before: Callable[[Any], None] | None = None,
        name: str = "cases.xlsx",
    ) -> Path:
        path = tmp_path / name
        with xlsxwriter.Workbook(path) as book:
            if before:
                before(book)
            sheet = book.add_worksheet("名单")
            for number, row in enumerate((heading, *rows), at[0]):
                for column, cell in enumerate(row or (), at[1]):
                    write_cell(book, sheet, (number, column), cell)
        return path

    return write


def shown(hour: int, minute: int, second: int) -> datetime:
    """A time on 20 November 2026 as a cell holds it: without any offset."""
    return datetime(2026, 11, 20, hour, minute, second, tzinfo=CHINA).replace(tzinfo=None)


def write_cell(book: Any, sheet: Any, place: tuple[int, int], cell: object) -> None:
    if isinstance(cell, str):
        sheet.write_string(*place, cell)
    elif isinstance(cell, datetime):
        sheet.write_datetime(*place, cell, book.add_format({"num_format": "yyyy/m/d h:mm"}))
    elif isinstance(cell, date):
        sheet.write_datetime(*place, cell, book.add_format({"num_format": "yyyy-mm-dd"}))
    elif isinstance(cell, time):
        sheet.write_datetime(*place, cell, book.add_format({"num_format": "hh:mm"}))
    elif cell is not None:
        sheet.write(*place, cell)


def codes(found: Iterable[RosterRow | Fault]) -> list[str]:
    return [getattr(entry, "code", "good") for entry in found]


def test_typed_cells_are_read_as_what_they_show(read: Read, workbook: Roster) -> None:
    path = workbook(
        ("A-1", "电话挂失", shown(16, 20, 5), "张三", 10000000001, "0012"),
        (1001, "领卡", date(2026, 11, 20), "李𠮷", "10000000002", 1234),
        ("A-3", "领卡", "2026-11-20 16:20", None, None, None),
    )

    first, second, third = read(path)

    assert first.place == "cases.xlsx, sheet 名单, row 2"
    assert first.occurred_at == datetime(2026, 11, 20, 16, 20, 5, tzinfo=CHINA)
    assert (first.phone, first.card_last4) == ("10000000001", "0012")
    assert (second.reference, second.name, second.card_last4) == ("1001", "李𠮷", "1234")
    assert (second.occurred_at, second.occurred_on) == (None, date(2026, 11, 20))
    assert third.occurred_at == datetime(2026, 11, 20, 16, 20, tzinfo=CHINA)


@pytest.mark.parametrize("minute", range(0, 60, 7))
def test_every_minute_survives_excels_fractions_of_a_day(
    read: Read, workbook: Roster, minute: int
) -> None:
    written = shown(9, minute, 59)

    [row] = read(workbook(("A", "领卡", written)))

    assert row.occurred_at == written.replace(tzinfo=CHINA)


def test_real_numbers_as_floats_are_read(workbook: Roster, now: datetime) -> None:
    path = workbook(("A", None, None, None, 13800000000))

    [row] = read_roster(path, phones=PhonePolicy(), now=now)

    assert isinstance(row, RosterRow)
    assert row.phone == "+8613800000000"


@pytest.mark.parametrize(
    ("row", "place", "code"),
    [
        (("A", None, None, None, None, 12), "column F 卡号后四位", "card.short"),
        (("A", None, None, None, None, 6217001234567890123), "column F 卡号后四位", "card.digits"),
        (("A", None, None, None, 1.38e16), "column E 手机", "phone.mangled"),
        ((1.23456789e18,), "column A 编号", "reference.mangled"),
        (("A", "领卡", 46346.68), "column C 发生时间", "time.serial"),
        (("A", "领卡", 46346), "column C 发生时间", "time.serial"),
        (("A", "领卡", time(16, 20)), "column C 发生时间", "time.no_date"),
        (("A", True, date(2026, 11, 20)), "column B 事项", "event.unknown"),
    ],
)
def test_what_excel_has_changed_is_refused_not_repaired(
    read: Read, workbook: Roster, row: Cells, place: str, code: str
) -> None:
    [fault] = read(workbook(row))

    assert (fault.place, fault.code) == (f"cases.xlsx, sheet 名单, row 2, {place}", code)


def test_blank_rows_and_columns_before_the_table_count(read: Read, workbook: Roster) -> None:
    path = workbook(("A", "不详", date(2026, 11, 20)), None, ("B",), at=(3, 2))

    [fault, row] = read(path)

    assert fault.place == "cases.xlsx, sheet 名单, row 5, column D 事项"
    assert row.place == "cases.xlsx, sheet 名单, row 7"


def test_a_cell_of_many_lines_is_one_row(read: Read, workbook: Roster) -> None:
    [fault, row] = read(workbook(("A", None, None, "张\n三"), ("B",)))

    assert fault.code == "cell.lines"
    assert row.place.endswith("row 3")


def test_hidden_and_empty_sheets_are_passed_over(read: Read, workbook: Roster) -> None:
    def before(book: Any) -> None:
        visible = book.add_worksheet("空")
        visible.activate()
        hidden = book.add_worksheet("旧名单")
        hidden.write_row(0, 0, HEADING)
        hidden.write(1, 0, "OLD")
        hidden.hide()
        very_hidden = book.add_worksheet("旧名单二")
        very_hidden.write(0, 0, "x")
        very_hidden.very_hidden()

    path = workbook(("A",), before=before)

    assert [row.reference for row in read(path)] == ["A"]
    assert (describe_file(path).sheet, describe_file(path).columns) == ("名单", HEADING)


def test_a_workbook_is_told_by_its_content_not_its_name(read: Read, workbook: Roster) -> None:
    [row] = read(workbook(("A",), name="cases.csv"))

    assert row.place == "cases.csv, sheet 名单, row 2"


def test_heading_faults_name_the_sheet(read: Read, workbook: Roster) -> None:
    [fault] = read(workbook(heading=(*HEADING, "手机号")))

    assert fault.place == "cases.xlsx, sheet 名单, row 1, column G"


def packed(**members: bytes) -> bytes:
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as package:
        for name, member in members.items():
            package.writestr(name.replace("__", "/"), member)
    return content.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (OLE + "Workbook".encode("utf-16-le"), "file.xls"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "file.password"),
        (b"PK\x03\x04 and no more", "file.damaged"),
        (b"<html><table></table></html>", "file.kind"),
        (packed(mimetype=b"application/vnd.oasis.opendocument.spreadsheet"), "file.kind"),
        (packed(**{"xl__workbook.xml": b"<workbook"}), "file.damaged"),
        (packed(**{"xl__workbook.xml": b"\0" * (11 << 20)}), "file.unpacked"),
    ],
)
def test_what_is_no_sound_workbook_is_one_fault(
    read: Read, tmp_path: Path, content: bytes, code: str
) -> None:
    path = tmp_path / "cases.xlsx"
    path.write_bytes(content)

    [fault] = read(path)

    assert (fault.place, fault.code) == ("cases.xlsx", code)
    with pytest.raises(BadData):
        describe_file(path)


def changed(path: Path, member: str, change: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile(path) as package:
        members = {name: package.read(name) for name in package.namelist()}
    members[member] = change(members[member])
    path.write_bytes(packed(**members))


SHEET = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize(
    ("member", "old", "new", "code"),
    [
        (SHEET, b'r="A2"', b'r="XFD1048576"', "file.large"),
        (SHEET, b'r="A2"', b"r = 'XFD1048576'", "file.large"),
        (SHEET, b'r="A2"', b'r="A6000000"', "file.large"),
        (SHEET, b'<c r="A2"', b'<x:c r="XFD1048576"', "file.large"),
        (SHEET, b'r="A2"', b'r="&#65;2"', "file.damaged"),
        (SHEET, b'r="A2"', b"", "file.damaged"),
        ("xl/_rels/workbook.xml.rels", b"worksheets/sheet1.xml", b"media/a.png", "file.kind"),
        (SHEET, b"</worksheet>", b'<c r="XFD1048576"><v>1</v></c', "file.large"),
    ],
)
def test_a_cell_far_off_cannot_exhaust_the_memory(
    read: Read, workbook: Roster, member: str, old: bytes, new: bytes, code: str
) -> None:
    path = workbook(("A", "领卡", "x"))
    changed(path, member, lambda content: content.replace(old, new, 1))

    assert codes(read(path)) == [code]


def test_formatted_but_empty_cells_far_down_do_no_harm(read: Read, workbook: Roster) -> None:
    path = workbook(("A",))
    far = b'<row r="1048576"><c r="XFD1048576" s="1"/></row></sheetData>'
    changed(path, SHEET, lambda content: content.replace(b"</sheetData>", far, 1))

    assert [row.reference for row in read(path)] == ["A"]


def test_a_member_that_lies_about_its_size_is_refused(read: Read, workbook: Roster) -> None:
    path = workbook(("A",))
    content = path.read_bytes()
    with zipfile.ZipFile(path) as package:
        size = package.getinfo(SHEET).file_size.to_bytes(4, "little")
    assert content.count(size) >= 2
    path.write_bytes(content.replace(size, (10).to_bytes(4, "little")))

    assert codes(read(path)) == ["file.damaged"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 7000), value=st.integers(0, 255), cut=st.booleans())
def test_no_damage_raises_anything(
    now: datetime, workbook: Roster, at: int, value: int, cut: bool
) -> None:
    path = workbook(("A", "领卡", date(2026, 11, 20)))
    content = bytearray(path.read_bytes())
    content[at % len(content)] = value
    path.write_bytes(content[: at + 1] if cut else content)

    for entry in read_roster(path, phones=PhonePolicy(), now=now):
        assert isinstance(entry, RosterRow | Fault)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_inside_the_parts_raises_anything(
    now: datetime, workbook: Roster, data: st.DataObject
) -> None:
    path = workbook(("A", "领卡", shown(16, 20, 0), "张三", 1.5))
    with zipfile.ZipFile(path) as package:
        member = data.draw(st.sampled_from(package.namelist()))
        size = package.getinfo(member).file_size
    at = data.draw(st.integers(0, size))
    wedge = data.draw(st.binary(max_size=3) | st.sampled_from([b"9999999", b"-1", b"<", b'"/>']))
    gone = data.draw(st.integers(0, 20))
    changed(path, member, lambda content: content[:at] + wedge + content[at + gone :])

    for entry in read_roster(path, phones=PhonePolicy(), now=now):
        assert isinstance(entry, RosterRow | Fault)
