"""Encodings are proved or refused, never guessed: what is read is what was written."""

import csv
from collections.abc import Callable
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from worker.domain.errors import BadData
from worker.rosters import PhonePolicy, RosterRow, describe_file, read_roster
from worker.rosters.textfiles import encoding_of, open_text

ENCODINGS = {
    "utf-8": "utf-8",
    "utf-8-sig": "utf-8-sig",
    "utf-16": "utf-16-le",
    "gb18030": "gb18030",
}
CHINESE = st.text(
    st.one_of(
        st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5),
        st.sampled_from("𠮷𡈽㐂·"),
        st.characters(min_codepoint=0x20000, max_codepoint=0x2A6D6),
    ),
    min_size=1,
    max_size=4,
)

Read = Callable[..., list[Any]]
ANYTHING = st.text(st.characters(codec="gb18030", exclude_characters="\0"), min_size=1, max_size=12)
NAMES = st.one_of(CHINESE, CHINESE, ANYTHING)
HEADINGS = (("编号", "事项", "发生时间", "姓名"), ("reference", "event", "occurred_at", "name"))


def is_kept_as_it_is(name: str) -> bool:
    """Whether a name may neither be stripped nor be taken for a neutralised formula."""
    return name == name.strip() and not name.startswith("'")


def is_utf_8(path: Path) -> bool:
    """Whether the bytes are good UTF-8 and more than ASCII."""
    try:
        return not path.read_bytes().decode("utf-8").isascii()
    except UnicodeDecodeError:
        return False


def has_chinese(text: str) -> bool:
    """Whether a text is ASCII or has as many Chinese characters as tell UTF-8."""
    return text.isascii() or sum(character >= "\u4e00" for character in text) >= 3


@pytest.mark.parametrize(("encoding", "described"), ENCODINGS.items())
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_roster_is_read_as_it_was_written_or_its_row_refused(
    tmp_path: Path, now: datetime, encoding: str, described: str, data: st.DataObject
) -> None:
    heading = data.draw(st.sampled_from(HEADINGS))
    names = data.draw(st.lists(NAMES, min_size=1, max_size=10))
    text = StringIO(newline="")
    csv.writer(text).writerows([heading, *(["A", "", "", name] for name in names)])
    path = tmp_path / "cases.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    assume(encoding != "gb18030" or not is_utf_8(path))  # such a file has two readings: below
    assume(encoding != "utf-8" or has_chinese(text.getvalue()))

    found = list(read_roster(path, phones=PhonePolicy(), now=now))

    for row, name in enumerate(names, 2):
        of_row = [entry for entry in found if f"row {row}" in entry.place.split(", ")]
        assert len(of_row) == 1
        if isinstance(of_row[0], RosterRow) and is_kept_as_it_is(name):
            assert of_row[0].name == name
        elif isinstance(of_row[0], RosterRow):
            assert of_row[0].name in (name.strip() or None, name[1:])
        else:
            assert not name.isprintable() or "\ufffd" in name
    assert describe_file(path).encoding == (
        "utf-8" if text.getvalue().isascii() and encoding == "gb18030" else described
    )


@pytest.mark.parametrize(
    ("encoding", "described"), [("utf-16-le", "utf-16-le"), ("utf-16-be", "utf-16-be")]
)
def test_both_kinds_of_utf_16_are_read_by_their_mark(
    read: Read, tmp_path: Path, encoding: str, described: str
) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes("\ufeff编号\t事项\t发生时间\t姓名\r\nA\t\t\t张𠮷\r\n".encode(encoding))

    [row] = read(path)

    assert row.name == "张𠮷"
    assert describe_file(path).encoding == described


@pytest.mark.parametrize(
    ("content", "place", "code"),
    [
        ("编号,姓名\nA,张三".encode("utf-16-le"), "cases.csv", "file.nul"),
        (b"reference,event,occurred_at\nA\0,,\n", "cases.csv", "file.nul"),
        ("\ufeff编号,姓名".encode("utf-32-le"), "cases.csv", "file.encoding"),
        ("\ufeff编号,姓名".encode("utf-16-le") + b"x", "cases.csv", "file.encoding"),
        (b"\xef\xbb\xbf" + "编号,姓名".encode("gb18030"), "cases.csv", "file.encoding"),
        (b"reference,event\nA,\xff\xff\n", "cases.csv, line 2", "file.encoding"),
        (b"reference,name\nA,\xe5", "cases.csv, line 2", "file.encoding"),
    ],
)
def test_what_does_not_decode_is_one_fault_for_the_file(
    read: Read, tmp_path: Path, content: bytes, place: str, code: str
) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(content)

    [fault] = read(path)

    assert (fault.place, fault.code) == (place, code)
    with pytest.raises(BadData):
        describe_file(path)


def test_utf_8_damaged_late_is_not_taken_for_gb18030(read: Read, tmp_path: Path) -> None:
    good = "reference,event,occurred_at,name\r\n" + "A,,,张三丰年\r\n" * 3
    damaged = good.encode() + b"B,,,\xd5\xc5\r\n"
    damaged.decode("gb18030")  # it would be read, as nonsense
    path = tmp_path / "cases.csv"
    path.write_bytes(damaged)

    [fault] = read(path)

    assert (fault.place, fault.code) == ("cases.csv, line 5", "file.encoding")


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("gb18030", "丝"),
        ("gb18030", "通"),
        ("gb18030", "小路"),
        ("utf-8", "José"),
        ("utf-8", "Иван"),
    ],
)
def test_bytes_that_read_well_both_ways_are_refused(
    read: Read, tmp_path: Path, encoding: str, name: str
) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(f"reference,event,occurred_at,name\nA,,,{name}\n".encode(encoding))

    [fault] = read(path)

    assert fault.code == "file.two_readings"
    assert "CSV UTF-8" in fault.mend.zh


def test_a_byte_order_mark_or_a_chinese_heading_settles_both_readings(
    read: Read, tmp_path: Path
) -> None:
    path = tmp_path / "cases.csv"
    for encoding, heading in (("utf-8-sig", "reference"), ("utf-8", "编号"), ("gb18030", "编号")):
        path.write_bytes(f"{heading},event,occurred_at,name\nA,,,丝路\n".encode(encoding))

        assert [row.name for row in read(path)] == ["丝路"]


@pytest.mark.parametrize("name", ["张三", "李四", "王喆", "张𠮷", "欧阳娜娜", "龘"])
def test_one_name_is_enough_to_read_it_right(read: Read, tmp_path: Path, name: str) -> None:
    path = tmp_path / "cases.csv"
    for encoding in ("utf-8", "gb18030"):
        path.write_bytes(f"reference,event,occurred_at,name\nA,,,{name}\n".encode(encoding))

        assert [row.name for row in read(path)] == [name]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
@pytest.mark.parametrize("shift", range(6))
def test_a_character_across_the_border_of_a_chunk_is_read(
    tmp_path: Path, encoding: str, shift: int
) -> None:
    path = tmp_path / "cases.csv"
    text = "x" * shift + "张𠮷" * 180_000
    path.write_bytes(text.encode(encoding))
    assert path.stat().st_size > 1 << 20

    found = encoding_of(path)

    assert found == {"utf-16": "utf-16-le"}.get(encoding, encoding)
    with open_text(path, found) as handle:
        assert handle.read() == text
