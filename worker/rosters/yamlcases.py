"""Rosters in YAML: a list of cases, each with its events, every value with its line and column."""

from collections.abc import Iterator
from io import StringIO
from typing import TYPE_CHECKING, NamedTuple

from worker.domain.errors import Text
from worker.rosters.columns import NAMES_ZH, TWICE, field_of, unknown_name
from worker.rosters.refusals import Refusal, Unreadable
from worker.rosters.sources import Source
from worker.rosters.textfiles import encoding_of, open_text

if TYPE_CHECKING:
    from ruamel.yaml.nodes import MappingNode, Node

_MOST_BYTES = 1 << 20  # YAML is slow to read (seconds for that much): large rosters are tables
_MOST_EVENTS = 50_000  # no file of that size holds more, unless aliases repeat them
_CASES = ("cases", "案件")
_EVENTS = ("events", "event", "事件", "事项")
_OF_EVENT = ("event", "occurred_at")


class Entry(NamedTuple):
    """The filled values of a case or of one event, by column, with where each stands."""

    at: str
    filled: dict[str, str]
    places: dict[str, str]
    refused: list[tuple[str, Refusal]]


class CaseEntry(NamedTuple):
    """A case and its events; without any, `events` holds one empty entry."""

    case: Entry
    events: list[Entry]


def read_cases(path: Source) -> Iterator[CaseEntry]:
    """Every case of the file, well formed or not. Raises Unreadable."""
    from ruamel.yaml.nodes import MappingNode, SequenceNode

    root = _compose(path)
    if isinstance(root, MappingNode):
        named = [value for key, value in root.value if key.value in _CASES]
        if len(root.value) != 1 or not named:
            raise Unreadable(_NO_CASES, f":{_at(root)}")
        root = named[0]
    if root is None or _is_null(root):
        return
    if not isinstance(root, SequenceNode):
        raise Unreadable(_NO_CASES, f":{_at(root)}")
    events = 0
    for node in root.value:
        entry = _read_case(node)
        events += len(entry.events)
        if events > _MOST_EVENTS:
            raise Unreadable(_TOO_LARGE, f":{entry.case.at}")
        yield entry


def _compose(path: Source) -> "Node | None":
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    with path.open("rb") as content:
        if len(content.read(_MOST_BYTES + 1)) > _MOST_BYTES:
            raise Unreadable(_TOO_LARGE)
    with open_text(path, encoding_of(path)) as handle:
        text = handle.read()
    try:
        found: Node | None = YAML(typ="safe", pure=True).compose(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise Unreadable(_SYNTAX, where) from None
    except (YAMLError, RecursionError, ValueError):
        raise Unreadable(_SYNTAX) from None
    return found


def _read_case(node: "Node") -> CaseEntry:
    from ruamel.yaml.nodes import MappingNode, SequenceNode

    if not isinstance(node, MappingNode):
        return CaseEntry(_refuse_whole(node, _NOT_A_CASE), [])
    lists = [pair for pair in node.value if _is_events(pair)]
    case = _read_entry(node, [pair for pair in node.value if pair not in lists])
    if not lists:
        return _flat_case(case)
    case.refused.extend((_at(key), TWICE) for key, _ in lists[1:])
    case.refused.extend((case.places[f], _EVENT_TWICE) for f in _OF_EVENT if f in case.filled)
    listed = lists[0][1]
    if _is_null(listed):
        return CaseEntry(case, [_nothing(case.at)])
    if not isinstance(listed, SequenceNode):
        case.refused.append((_at(listed), _NOT_A_LIST))
        return CaseEntry(case, [])
    events = [_read_event(event) for event in listed.value]
    return CaseEntry(case, events or [_nothing(case.at)])


def _is_events(pair: "tuple[Node, Node]") -> bool:
    from ruamel.yaml.nodes import ScalarNode, SequenceNode

    key, value = pair
    if key.value in ("events", "事件"):
        return True
    return key.value in _EVENTS and isinstance(value, SequenceNode) and isinstance(key, ScalarNode)


def _flat_case(case: Entry) -> CaseEntry:
    """A case that holds its only event among its own values, as a row of a table does."""
    event = _nothing(case.at)
    for field in _OF_EVENT:
        if field in case.filled:
            event.filled[field] = case.filled.pop(field)
            event.places[field] = case.places[field]
    return CaseEntry(case, [event])


def _read_event(node: "Node") -> Entry:
    from ruamel.yaml.nodes import MappingNode

    if not isinstance(node, MappingNode):
        return _refuse_whole(node, _NOT_AN_EVENT)
    entry = _read_entry(node, node.value)
    strays = [field for field in entry.filled if field not in _OF_EVENT]
    for field in strays:
        entry.refused.append((entry.places[field], _OF_THE_CASE))
        del entry.filled[field]
    return entry


def _read_entry(node: "MappingNode", pairs: "list[tuple[Node, Node]]") -> Entry:
    from ruamel.yaml.nodes import ScalarNode

    entry = Entry(_at(node), {}, {}, [])
    for key, value in pairs:
        field = field_of(key.value) if isinstance(key, ScalarNode) else "?"
        if field not in NAMES_ZH:
            title = key.value if isinstance(key, ScalarNode) else ""
            entry.refused.append((_at(key), unknown_name(title)))
        elif field in entry.places:
            entry.refused.append((_at(key), TWICE))
        elif not isinstance(value, ScalarNode):
            entry.refused.append((_at(value), _NOT_A_VALUE))
        else:
            entry.places[field] = _at(value)
            if text := "" if _is_null(value) else value.value.strip():
                entry.filled[field] = text
    return entry


def _nothing(at: str) -> Entry:
    return Entry(at, {}, {}, [])


def _refuse_whole(node: "Node", refusal: Refusal) -> Entry:
    return Entry(_at(node), {}, {}, [(_at(node), refusal)])


def _is_null(node: "Node") -> bool:
    return str(node.tag) == "tag:yaml.org,2002:null"


def _at(node: "Node") -> str:
    return f"{node.start_mark.line + 1}:{node.start_mark.column + 1}"


_AS_IN = Text("写法见 config/samples/cases.yaml", "config/samples/cases.yaml shows the form")
_NO_CASES = Refusal(
    "yaml.cases",
    Text(
        "应是一个案件列表，或 cases: 后跟一个列表", "expected a list of cases, or cases: with one"
    ),
    _AS_IN,
)
_NOT_A_CASE = Refusal(
    "yaml.case", Text("案件应是若干“名称: 值”", "a case is a mapping of names to values"), _AS_IN
)
_NOT_A_LIST = Refusal("yaml.events", Text("事项应是一个列表", "the events are a list"), _AS_IN)
_NOT_AN_EVENT = Refusal(
    "yaml.event",
    Text("每个事项应写 event 和 occurred_at", "an event names event and occurred_at"),
    _AS_IN,
)
_NOT_A_VALUE = Refusal("yaml.value", Text("这里应是一个值", "a single value belongs here"), _AS_IN)
_OF_THE_CASE = Refusal(
    "yaml.of_the_case",
    Text("这一项属于案件，不属于事项", "this belongs to the case, not to an event"),
    Text("请移到案件一级", "move it up to the case"),
)
_EVENT_TWICE = Refusal(
    "yaml.event_twice",
    Text("案件既有事项列表又另写了事项", "the case has a list of events and an event besides"),
    Text("请都写进列表", "write it into the list"),
)
_SYNTAX = Refusal(
    "yaml.syntax",
    Text("YAML 写法有误", "this is not valid YAML"),
    Text("请检查缩进、冒号后的空格和引号", "check indentation, the space after a colon and quotes"),
)
_TOO_LARGE = Refusal(
    "yaml.large",
    Text("YAML 名单太大", "the YAML roster is too large"),
    Text("大名单请用 CSV 或 XLSX", "use CSV or XLSX for large rosters"),
)
