"""Excel workbooks: guarded before they are opened, then the first visible sheet with content."""

import re
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from datetime import MAXYEAR, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from worker.domain.errors import Text
from worker.rosters.refusals import Refusal, Unreadable
from worker.rosters.sources import Source

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

_MOST_UNPACKED = 300 << 20
_MOST_RATIO = 100
_SMALL = 10 << 20  # below this no ratio matters: it fits into memory anyway
_MOST_CELLS = 5_000_000  # the reader lays out every cell between the outermost ones
_CHUNK = 1 << 20
_CELL = re.compile(rb"<(?:\w+:)?c(?=[\s/>])([^>]*)>")
_PLACE = re.compile(rb"\sr\s*=\s*[\"']([A-Za-z]{1,3})([0-9]{1,7})[\"']")
_TARGET = re.compile(rb"\bTarget\s*=\s*[\"']([^\"']*)[\"']")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # [MS-OFFCRYPTO] 2.3: the stream's name

Value = str | float | bool | datetime | date | time | timedelta


class Sheet(NamedTuple):
    """One sheet: its name, the column it begins in (0 = A) and its rows from row 1 on."""

    name: str
    first_column: int
    records: Iterator[tuple[int, list[str]]]


def is_workbook(start: bytes) -> bool:
    """Whether a file that begins so is a workbook, of any kind, whatever it is called."""
    return start.startswith((b"PK\x03\x04", _OLE))


def open_sheet(path: Source) -> Sheet:
    """The first visible sheet that holds anything. Raises Unreadable."""
    _guard(path)
    from python_calamine import CalamineError, SheetVisibleEnum

    try:
        book = _opened(path)
        for about in book.sheets_metadata:
            if about.visible != SheetVisibleEnum.Visible:
                continue
            sheet = book.get_sheet_by_name(about.name)
            if sheet.start is not None:
                rows = enumerate(sheet.iter_rows(), 1)
                records = ((row, [written(cell) for cell in cells]) for row, cells in rows)
                return Sheet(about.name, sheet.start[1], records)
    except (CalamineError, OSError, ValueError):
        raise Unreadable(_DAMAGED) from None
    raise Unreadable(_EMPTY)


def _opened(path: Source) -> "CalamineWorkbook":
    """The workbook; from a file on the disk without reading it whole."""
    from python_calamine import CalamineWorkbook

    if isinstance(path, Path):
        return CalamineWorkbook.from_path(path)
    with path.open("rb") as handle:
        return CalamineWorkbook.from_filelike(handle)


def written(value: Value) -> str:
    """A typed cell as the text a person would have written."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float | int):
        return _written_number(value)
    if isinstance(value, datetime):  # a serial number of days holds a second only nearly
        up = value.microsecond >= 500_000 and value.year < MAXYEAR
        return (value.replace(microsecond=0) + timedelta(seconds=up)).isoformat(" ")
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _written_number(value: float) -> str:
    """Whole numbers as digits; from 16 digits on as Excel shows them, for it has lost the rest."""
    if abs(value) >= 1e15:
        return f"{value:.5E}"
    return str(int(value)) if value == int(value) else repr(value)


def _guard(path: Source) -> None:
    """Refuse what must not reach the reader: other formats, bombs, far-off cells."""
    with path.open("rb") as handle:
        if handle.read(len(_OLE)) == _OLE:
            raise Unreadable(_LOCKED if _contains(handle, _ENCRYPTED) else _OLD)
    try:
        with path.open("rb") as handle, zipfile.ZipFile(handle) as package:
            _guard_package(package)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError):
        raise Unreadable(_DAMAGED) from None
    except (RuntimeError, ValueError, OverflowError):  # encrypted member, unknown compression
        raise Unreadable(_DAMAGED) from None


def _contains(handle: IO[bytes], wanted: bytes) -> bool:
    tail = b""
    while chunk := handle.read(_CHUNK):
        if wanted in tail + chunk:
            return True
        tail = chunk[-len(wanted) :]
    return False


def _guard_package(package: zipfile.ZipFile) -> None:
    members = package.infolist()
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if unpacked > _MOST_UNPACKED or unpacked > max(_SMALL, _MOST_RATIO * packed):
        raise Unreadable(_BOMB)
    if "xl/workbook.xml" not in package.namelist():
        raise Unreadable(_OTHER)
    for member in members:
        with package.open(member) as handle:  # reads no more than was declared, checks the CRC
            if member.filename.endswith(".xml"):
                _guard_cells(handle)
            elif member.filename == "xl/_rels/workbook.xml.rels":
                _guard_targets(handle.read())
            else:
                deque(iter(partial(handle.read, _CHUNK), b""), maxlen=0)


def _guard_targets(relations: bytes) -> None:
    """All parts of a workbook are XML by name, so that none escapes _guard_cells."""
    if not all(target.endswith(b".xml") for target in _TARGET.findall(relations)):
        raise Unreadable(_OTHER)


def _guard_cells(handle: IO[bytes]) -> None:
    """Every filled cell names its place, and they span no more than _MOST_CELLS."""
    furthest = (0, 0)
    tail = b""
    while chunk := handle.read(_CHUNK):
        text = tail + chunk
        end = text.rfind(b"<")
        tail = text[end:] if end >= 0 and len(chunk) == _CHUNK else b""
        if len(tail) > _CHUNK:  # a tag of a megabyte
            raise Unreadable(_DAMAGED)
        for attributes in _CELL.findall(text, 0, len(text) - len(tail)):
            if not attributes.endswith(b"/"):
                furthest = _further(furthest, attributes)
        if furthest[0] * furthest[1] > _MOST_CELLS:
            raise Unreadable(_LARGE)
    if tail and _CELL.search(tail):  # cannot end a good part
        raise Unreadable(_DAMAGED)


def _further(furthest: tuple[int, int], attributes: bytes) -> tuple[int, int]:
    place = _PLACE.search(attributes)
    if place is None:
        raise Unreadable(_DAMAGED)
    column = 0
    for letter in place[1].upper():
        column = column * 26 + letter - 64
    return max(furthest[0], column), max(furthest[1], int(place[2]))


_SAVE_AS = Text(
    "请在 Excel 或 WPS 中另存为 .xlsx 工作簿",
    "save it as an .xlsx workbook",
)
_AS_CSV = Text("请删去多余的行列，或另存为“CSV UTF-8”", "delete what is not needed, or save as CSV")
_DAMAGED = Refusal(
    "file.damaged", Text("工作簿打不开，可能已损坏", "the workbook cannot be opened"), _SAVE_AS
)
_OLD = Refusal("file.xls", Text("这是旧的 .xls 格式", "this is the old .xls format"), _SAVE_AS)
_OTHER = Refusal("file.kind", Text("不是 Excel 工作簿", "this is no Excel workbook"), _SAVE_AS)
_LOCKED = Refusal(
    "file.password",
    Text("工作簿有密码", "the workbook is protected by a password"),
    Text("请去掉密码后重新提交", "remove the password and hand it in again"),
)
_BOMB = Refusal(
    "file.unpacked",
    Text("解压后过大", "it unpacks to far more than a roster holds"),
    _AS_CSV,
)
_LARGE = Refusal(
    "file.large",
    Text("表格太大，或有单元格在很远的角落", "the sheet is too large, or has a cell far off"),
    _AS_CSV,
)
_EMPTY = Refusal(
    "file.empty",
    Text("没有可见的内容", "nothing visible in it"),
    Text("请填写名单，并取消隐藏工作表", "fill in the roster and unhide its sheet"),
)
