"""One case handed in as JSON, checked as a roster's is; places are JSON pointers (RFC 6901)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from worker.domain.contacts import PhonePolicy
from worker.domain.errors import Fault, Text
from worker.rosters.cells import Context
from worker.rosters.columns import NAMES_ZH
from worker.rosters.reading import EVENT_WORDS, check_case
from worker.rosters.refusals import Refusal
from worker.rosters.rows import RosterRow, check_reference
from worker.rosters.times import read_time
from worker.rosters.yamlcases import CaseEntry, Entry

NAME = "api"
"""What stands for the file's name in the places of a case that came over the API."""

_IN_CONTACT = ("name", "phone", "email", "language", "second_phone")
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)
_UNUSED = datetime.max.replace(tzinfo=UTC)  # nothing with an offset is relative to now


@dataclass(frozen=True, slots=True)
class JsonCase:
    """A case and its events by column, as they came. `at` is the pointer to each event."""

    cells: Mapping[str, str]
    events: Sequence[Mapping[str, str]]
    at: str = "/events/{}"


def read_json_case(
    case: JsonCase,
    *,
    phones: PhonePolicy,
    now: datetime,
    words: Mapping[str, str] = EVENT_WORDS,
) -> Iterator[RosterRow | Fault]:
    """The rows of a case, one an event, or everything that is wrong with it."""
    events = [_event(event, case.at.format(index)) for index, event in enumerate(case.events)]
    entry = CaseEntry(_case(case.cells), events or [Entry("", {}, {}, [])])
    yield from check_case(entry, NAME, Context(phones, now, words))


def pointer_of(place: str) -> str:
    """The JSON pointer in a place of `read_json_case`, and of what is made of its rows."""
    return place.removeprefix(f"{NAME}:")


def read_instant(written: str) -> datetime | Refusal:
    """An ISO 8601 instant with its offset, at UTC+8, or why it is none."""
    if not _INSTANT.fullmatch(written):
        return _NO_OFFSET
    found = read_time(written, _UNUSED, relative=False)
    return found if isinstance(found, datetime | Refusal) else _NO_OFFSET


def _case(cells: Mapping[str, str]) -> Entry:
    filled = _filled(cells)
    places = {name: f"/contact/{name}" if name in _IN_CONTACT else f"/{name}" for name in NAMES_ZH}
    return Entry("", filled, places, [] if filled else check_reference(filled))


def _event(cells: Mapping[str, str], at: str) -> Entry:
    filled = _filled(cells)
    places = {name: f"{at}/{name}" for name in ("event", "occurred_at")}
    refused: list[tuple[str, Refusal]] = []
    if "event" not in filled:
        refused.append(("event", _NO_EVENT))
    if not _INSTANT.fullmatch(filled.get("occurred_at", "")):
        refused.append(("occurred_at", _NO_OFFSET))
    return Entry(at, filled, places, refused)


def _filled(cells: Mapping[str, str]) -> dict[str, str]:
    return {name: text.strip() for name, text in cells.items() if text and not text.isspace()}


_NO_EVENT = Refusal(
    "event.missing",
    Text("没有写明事项", "the event is not named"),
    Text("请写明事项，例如 reported_by_phone", "name it, e.g. reported_by_phone"),
)
_NO_OFFSET = Refusal(
    "time.offset",
    Text("时间须为带时区的 ISO 8601 写法", "an instant is ISO 8601 with its offset"),
    Text("请写成 2026-11-20T16:20:00+08:00", "write 2026-11-20T16:20:00+08:00"),
)
