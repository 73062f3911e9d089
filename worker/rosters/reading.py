"""A roster file to checked rows, as a stream: one bad row never stops the good ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from worker.domain.contacts import EVENT_NAMES, EVENT_NAMES_ZH, PhonePolicy
from worker.domain.errors import Fault, Text
from worker.rosters.cells import Context
from worker.rosters.columns import NO_HEADING, Heading, heading_faults, read_heading
from worker.rosters.refusals import Refusal, Unreadable
from worker.rosters.rows import (
    Checked,
    Refused,
    RosterRow,
    check_cells,
    check_event,
    check_reference,
    filled_cells,
)
from worker.rosters.sources import Source
from worker.rosters.textfiles import Record, csv_records, delimiter_of, encoding_of
from worker.rosters.workbooks import is_workbook, open_sheet
from worker.rosters.yamlcases import CaseEntry, Entry, read_cases

MOST_ROWS = 1_000_000
EVENT_WORDS: Mapping[str, str] = dict(EVENT_NAMES_ZH) | {name: name for name in EVENT_NAMES}
"""Every word for an event a roster may use, with the event it means."""

Kind = Literal["csv", "xlsx", "yaml"]


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What a roster file turned out to be; `columns` are its headings as written."""

    kind: Kind
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    columns: tuple[str, ...] = ()


class Table(NamedTuple):
    """The records of a CSV file or sheet. `where` follows the file's name in every place."""

    kind: Kind
    where: str
    first_column: int
    records: Iterator[Record]
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""


def read_roster(
    path: Source,
    *,
    phones: PhonePolicy,
    now: datetime,
    shown_as: str = "",
    events: Mapping[str, str] = EVENT_WORDS,
) -> Iterator[RosterRow | Fault]:
    """Every row of a roster in order; of a bad row all its faults instead.

    `now` resolves the relative times of samples. `shown_as` is the file's name for people, if it is
    not the path's. `events` maps the words allowed for events to their names. A file that cannot be
    read yields its faults; nothing is raised.
    """
    name = shown_as or path.name
    context = Context(phones, now, events)
    try:
        if kind_of(path) == "yaml":
            yield from _read_yaml(path, name, context)
        else:
            yield from _read_table(open_table(path), name, context)
    except Unreadable as error:
        yield error.refusal.at(name + error.where)
    except OSError:
        yield _NO_FILE.at(name)


def describe_file(path: Source) -> FileInfo:
    """Kind, encoding, delimiter and headings of a roster, for people to confirm.

    Raises BadData where it cannot be read.
    """
    try:
        if kind_of(path) == "yaml":
            return FileInfo("yaml", encoding_of(path))
        table = open_table(path)
        titles = next((cells for _, cells in table.records if _holds_something(cells)), [])
    except OSError:
        raise Unreadable(_NO_FILE) from None
    columns = () if isinstance(titles, Refusal) else tuple(title.strip() for title in titles)
    return FileInfo(table.kind, table.encoding, table.delimiter, table.sheet, columns)


def open_table(path: Source) -> Table:
    """The records of a CSV file or workbook, told apart by content. Raises Unreadable, OSError."""
    if kind_of(path) == "xlsx":
        sheet = open_sheet(path)
        where = f", sheet {sheet.name}"
        return Table("xlsx", where, sheet.first_column, iter(sheet.records), sheet=sheet.name)
    encoding = encoding_of(path)
    delimiter = delimiter_of(path, encoding)
    return Table("csv", "", 0, csv_records(path, encoding, delimiter), encoding, delimiter)


def kind_of(path: Source) -> Kind:
    """What a file is by its content, or by its suffix if it is text. Raises Unreadable, OSError."""
    with path.open("rb") as handle:
        start = handle.read(8)
    if is_workbook(start):
        return "xlsx"
    suffix = path.suffix.lower()
    if suffix in (".xls", ".xlsx", ".xlsm", ".ods", ".et"):
        raise Unreadable(_NOT_WHAT_IT_SAYS)
    return "yaml" if suffix in (".yaml", ".yml") else "csv"


def _holds_something(cells: Sequence[str] | Refusal) -> bool:
    return isinstance(cells, Refusal) or any(cell and not cell.isspace() for cell in cells)


def _read_table(table: Table, name: str, context: Context) -> Iterator[RosterRow | Fault]:
    prefix = f"{name}{table.where}, row "
    for row, titles in table.records:
        if isinstance(titles, Refusal):
            yield titles.at(f"{prefix}{row}")
            return
        if _holds_something(titles):
            heading = read_heading(titles, table.first_column)
            faults = [_fault(f"{prefix}{row}", *fault) for fault in heading_faults(heading)]
            yield from faults or _read_rows(table.records, heading, prefix, context)
            return
    yield _EMPTY.at(f"{name}{table.where}")


def _read_rows(
    records: Iterator[Record], heading: Heading, prefix: str, context: Context
) -> Iterator[RosterRow | Fault]:
    fields, columns = heading.fields, heading.columns()
    rows = 0
    for row, cells in records:
        place = f"{prefix}{row}"
        if isinstance(cells, Refusal):
            yield cells.at(place)
            continue
        filled = filled_cells(cells, fields)
        if not filled:
            continue
        rows += 1
        if rows > MOST_ROWS:
            yield _TOO_MANY.at(place)
            return
        checked, refused = _check_row(filled, context)
        if refused:
            yield from _faults_of(place, cells, heading, refused)
        else:
            yield RosterRow(place, **checked, columns=columns, number=row)


def _check_row(filled: dict[str, str], context: Context) -> tuple[Checked, Refused]:
    stray = filled.pop(NO_HEADING, None) is not None
    checked, refused = check_cells(filled, context)
    refused += check_reference(filled)
    refused += check_event(filled)
    if stray:
        refused.append((NO_HEADING, _STRAY))
    return checked, refused


def _faults_of(
    place: str, cells: Sequence[str], heading: Heading, refused: Refused
) -> Iterator[Fault]:
    for field, refusal in refused:
        if field in heading.fields and field != NO_HEADING:
            column = heading.column(heading.fields.index(field))
        else:
            column = heading.column(_first_stray(cells, heading.fields))
        yield _fault(place, column, refusal)


def _first_stray(cells: Sequence[str], fields: Sequence[str]) -> int:
    for index, cell in enumerate(cells):
        if cell.strip() and (index >= len(fields) or fields[index] == NO_HEADING):
            return index
    return len(fields)


def _fault(place: str, column: str, refusal: Refusal) -> Fault:
    return refusal.at(f"{place}, {column}" if column else place)


def _read_yaml(path: Source, name: str, context: Context) -> Iterator[RosterRow | Fault]:
    before = 0
    for entry in read_cases(path):
        yield from check_case(entry, name, context, before)
        before += len(entry.events)


def check_case(
    entry: CaseEntry, name: str, context: Context, before: int = 0
) -> Iterator[RosterRow | Fault]:
    """The rows of one case, or what is wrong with it; every place is `name:` and an entry's.

    `before` is how many events stand above it in the file.
    """
    case, refused = _check_entry(entry.case, context)
    if entry.case.filled:
        refused += check_reference(entry.case.filled)
    yield from _entry_faults(entry.case, refused, name)
    good = not refused
    for number, event in enumerate(entry.events, before + 1):
        checked, refused = _check_entry(event, context)
        refused += check_event(event.filled)
        yield from _entry_faults(event, refused, name)
        if good and not refused:
            columns = entry.case.places | event.places
            yield RosterRow(f"{name}:{event.at}", **case, **checked, columns=columns, number=number)


def _check_entry(entry: Entry, context: Context) -> tuple[Checked, Refused]:
    checked, refused = check_cells(entry.filled, context)
    return checked, entry.refused + refused


def _entry_faults(entry: Entry, refused: Refused, name: str) -> Iterator[Fault]:
    for field, refusal in refused:
        at = field if ":" in field else entry.places.get(field, entry.at)
        yield refusal.at(f"{name}:{at}")


_NO_FILE = Refusal(
    "file.missing",
    Text("文件不存在或不可读", "the file is not there or may not be read"),
    Text("请核对路径和权限", "check the path and the permissions"),
)
_NOT_WHAT_IT_SAYS = Refusal(
    "file.kind",
    Text("名为工作簿，内容却不是", "named a workbook, but it is none"),
    Text("请在 Excel 或 WPS 中另存为 .xlsx", "open it in Excel or WPS and save it as .xlsx"),
)
_EMPTY = Refusal(
    "file.empty",
    Text("文件是空的", "the file is empty"),
    Text("第一行写列名，其后每行一个事项", "column names first, then one event a row"),
)
_TOO_MANY = Refusal(
    "file.rows",
    Text(f"超过 {MOST_ROWS} 行，其余未读", f"more than {MOST_ROWS} rows; the rest was not read"),
    Text("请分成几个文件", "split it into several files"),
)
_STRAY = Refusal(
    "row.stray",
    Text("没有列名的列里有内容", "a cell without a column name above it"),
    Text(
        "请加列名或清空；也可能是内容里有多余的分隔符",
        "name the column or clear it; a stray delimiter inside a cell does this too",
    ),
)
