"""errors.csv: the roster as it was handed in, with what to mend beside each bad row."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from worker.domain.errors import Fault, worded_column, worded_place
from worker.rosters.columns import ERROR_HEADING, PASSED_OVER, field_of
from worker.rosters.formulas import neutralised
from worker.rosters.reading import Table, kind_of, open_table
from worker.rosters.refusals import Refusal, Unreadable
from worker.rosters.sources import Source

RowFaults = tuple[int, Sequence[Fault]]

_ROW = re.compile(r".*, row (\d+)(?:, column (.*))?", re.DOTALL)
_LINE = re.compile(r".*:(\d+):\d+", re.DOTALL)


def row_of(fault: Fault) -> int:
    """The row (in YAML the line) a roster's fault stands in; 0 where the whole file is meant."""
    return row_at(fault.place)


def row_at(place: str) -> int:
    """The row (in YAML the line) of a place in a roster; 0 where the whole file is meant."""
    found = _ROW.fullmatch(place) or _LINE.fullmatch(place)
    return int(found[1]) if found else 0


def by_row(faults: Iterable[Fault]) -> dict[int, list[Fault]]:
    """Faults by their row, in any order."""
    rows: dict[int, list[Fault]] = {}
    for fault in faults:
        rows.setdefault(row_of(fault), []).append(fault)
    return rows


def write_errors(
    source: Source,
    faults_by_row: Mapping[int, Sequence[Fault]] | Iterable[RowFaults],
    target: Path,
    language: str = "zh",
) -> None:
    """Write `target`, in UTF-8 with a byte order mark, which Excel needs: see `error_rows`."""
    with target.open("w", encoding="utf-8-sig", newline="") as handle:
        csv.writer(handle).writerows(error_rows(source, faults_by_row, language))


def error_rows(
    source: Source,
    faults_by_row: Mapping[int, Sequence[Fault]] | Iterable[RowFaults],
    language: str = "zh",
) -> Iterator[list[str]]:
    """All rows of `source` in their places and a last column with the faults, neutralised.

    Faults come as `by_row` gives them or, where memory matters, as pairs in the order of rows. For
    YAML, and for a file that is no table, the rows are the places instead.
    """
    pending = _Pending(_in_order(faults_by_row))
    for row in _rows(source, pending, language):
        yield [neutralised(cell) for cell in row]


def _in_order(
    faults_by_row: Mapping[int, Sequence[Fault]] | Iterable[RowFaults],
) -> Iterable[RowFaults]:
    if isinstance(faults_by_row, Mapping):
        return sorted(faults_by_row.items())
    return faults_by_row


class _Pending:
    """Faults not written yet, taken in the order of their rows."""

    def __init__(self, faults: Iterable[RowFaults]) -> None:
        self._faults = iter(faults)
        self._next = next(self._faults, None)

    def up_to(self, row: int | None = None) -> Iterator[Fault]:
        """Every fault up to `row`, or all that are left."""
        while self._next and (row is None or self._next[0] <= row):
            yield from self._next[1]
            self._next = next(self._faults, None)


def _rows(source: Source, pending: _Pending, language: str) -> Iterator[list[str]]:
    try:
        if kind_of(source) != "yaml":
            yield from _table_rows(open_table(source), pending, language)
            return
    except (Unreadable, OSError):
        pass  # its own fault is among the pending ones
    yield ["位置", ERROR_HEADING]
    for fault in pending.up_to():
        yield [worded_place(fault.place).in_language(language), _reason(fault, language)]


def _table_rows(table: Table, pending: _Pending, language: str) -> Iterator[list[str]]:
    before = [""] * table.first_column
    width, old = -1, -1
    try:
        for row, found in table.records:
            cells = [] if isinstance(found, Refusal) else before + found
            reason = " ".join(_reason(fault, language) for fault in pending.up_to(row))
            if width < 0 and any(cell.strip() for cell in cells):
                old = _error_column(cells)
                width = len(cells)
                reason = f"{ERROR_HEADING}：{reason}" if reason else ERROR_HEADING
            yield _beside(cells, width, old, reason)
    except Unreadable:
        pass  # its own fault is among the pending ones
    for fault in pending.up_to():
        place = worded_place(fault.place).in_language(language)
        yield _beside([], width, old, f"{place}：{_reason(fault, language)}")


def _error_column(titles: Sequence[str]) -> int:
    """Where an earlier errors.csv has put its reasons, -1 if nowhere."""
    return next((i for i, title in enumerate(titles) if field_of(title) == PASSED_OVER), -1)


def _beside(cells: list[str], width: int, old: int, reason: str) -> list[str]:
    """A row with the reason behind the last titled column, or in place of the earlier reason."""
    if not reason and not any(cells):
        return []
    padded = cells + [""] * (width - len(cells))
    if 0 <= old < len(padded):
        return [*padded[:old], reason, *padded[old + 1 :]]
    return [*padded[: max(width, 0)], reason, *padded[max(width, 0) :]]


def _reason(fault: Fault, language: str) -> str:
    found = _ROW.fullmatch(fault.place)
    column = worded_column(found[2]).in_language(language) if found and found[2] else None
    say, mend = fault.message.in_language(language), fault.mend.in_language(language)
    if language == "en":
        return (f"{column}: " if column else "") + f"{say}; {mend}" + _stop(mend, "?", ".")
    return (f"{column}：" if column else "") + f"{say}；{mend}" + _stop(mend, "？", "。")


def _stop(sentence: str, question: str, stop: str) -> str:
    return "" if sentence.endswith(question) else stop
