"""One row of a roster, checked: all its cells, and what they must be together."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from worker.domain.errors import Text
from worker.rosters.cells import CHECKS, MOST_IN_A_CELL, Context, not_text
from worker.rosters.columns import NO_HEADING, PASSED_OVER
from worker.rosters.formulas import original
from worker.rosters.refusals import Refusal


@dataclass(frozen=True, slots=True)
class RosterRow:
    """One event of one case, as a roster has it. None means the cell was empty.

    `place` is where people find it: `cases.csv, row 3`, `cases.yaml:12:5`. `occurred_at` is aware
    at UTC+8; `occurred_on` stands instead of it where the cell held a date alone. `columns` says
    where in the row a cell is: `column F 手机`, in YAML the `12:18` of its value. `number` grows
    along the file, whatever else is in force: the row Excel shows, in YAML the how-manieth event.
    """

    place: str
    reference: str
    centre: str | None = None
    procedure: str | None = None
    event: str | None = None
    occurred_at: datetime | None = None
    occurred_on: date | None = None
    name: str | None = None
    phone: str | None = None
    email: str | None = None
    language: str | None = None
    card_last4: str | None = None
    bank: str | None = None
    second_phone: str | None = None
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    number: int = dataclasses.field(default=0, compare=False)

    def at(self, name: str) -> str:
        """Where one of its cells is found; the whole row, if there is no such cell."""
        column = self.columns.get(name, "")
        if column.startswith("column"):
            return f"{self.place}, {column}"
        file = self.place.rsplit(":", 2)[0]
        return f"{file}:{column}" if column else self.place


Checked = dict[str, Any]  # keyword arguments of RosterRow
Refused = list[tuple[str, Refusal]]  # the column's name and what is wrong there


def filled_cells(cells: Sequence[str], fields: Sequence[str]) -> dict[str, str]:
    """The cells that hold something, stripped, by column; NO_HEADING for one beyond the heading."""
    filled = {
        field: cell.strip()
        for field, cell in zip(fields, cells, strict=False)
        if cell and not cell.isspace()
    }
    filled.pop(PASSED_OVER, None)
    if len(cells) > len(fields) and any(cell.strip() for cell in cells[len(fields) :]):
        filled[NO_HEADING] = ""
    return filled


def check_cells(filled: Mapping[str, str], context: Context) -> tuple[Checked, Refused]:
    """What the cells of one row say, and everything wrong with them one by one."""
    together = "".join(filled.values())
    suspicious = (
        not together.isprintable() or "\ufffd" in together or len(together) > MOST_IN_A_CELL
    )
    quoted = "'" in together
    checked: Checked = {}
    refused: Refused = []
    for field, text in filled.items():
        refusal = not_text(text) if suspicious else None
        value = refusal or CHECKS[field](original(text) if quoted else text, context)
        if type(value) is Refusal:
            refused.append((field, value))
        elif type(value) is date:
            checked["occurred_on"] = value
        else:
            checked[field] = value
    return checked, refused


def check_reference(filled: Mapping[str, str]) -> Refused:
    """Every row says which case it belongs to."""
    return [] if "reference" in filled else [("reference", _NO_REFERENCE)]


def check_event(filled: Mapping[str, str]) -> Refused:
    """An event has its time and a time its event."""
    if "event" in filled and "occurred_at" not in filled:
        return [("occurred_at", _NO_TIME)]
    if "occurred_at" in filled and "event" not in filled:
        return [("event", _NO_EVENT)]
    return []


_NO_REFERENCE = Refusal(
    "reference.missing",
    Text("没有填编号", "the reference is empty"),
    Text("每一行都要填编号，不要合并单元格", "fill it in on every row, and merge no cells"),
)
_NO_TIME = Refusal(
    "time.missing",
    Text("有事项而没有发生时间", "an event without its time"),
    Text("请填发生时间", "enter when it happened"),
)
_NO_EVENT = Refusal(
    "event.missing",
    Text("有发生时间而没有事项", "a time without its event"),
    Text("请填事项", "enter what happened"),
)
