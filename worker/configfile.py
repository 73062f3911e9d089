"""YAML files a person wrote, read with positions: every mistake is a fault, and reading goes on.

This is YAML 1.2 (`no` is text, `09:00` is text). No file's meaning is known here: who reads asks an
`Item` for texts, numbers, dates, lists and mappings.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from worker.domain.errors import Fault, Text

T = TypeVar("T")

_TAG = "tag:yaml.org,2002:"
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_WHOLE = re.compile(r"[-+]?\d{1,9}")  # longer ones mean nothing here
_STEM = re.compile(r"[\w-]+")
_SHOWN = 60  # characters of a wrong value in a fault


@dataclass(frozen=True, slots=True)
class Item:
    """One value of a file at its place, or an optional one that is absent.

    Asking never raises: a mistake is added to `faults` and a stand-in ("", 0, (), ...) returned,
    so that all mistakes come out at once. An absent item gives the stand-in and no fault.
    """

    node: Node | None
    file: str
    faults: list[Fault]

    @property
    def given(self) -> bool:
        """Whether the file says anything here; a key without a value says nothing."""
        return self.node is not None and self.node.tag != _TAG + "null"

    @property
    def written(self) -> str:
        """A scalar as it stands in the file; "" for lists and mappings."""
        return str(self.node.value) if isinstance(self.node, ScalarNode) else ""

    @property
    def place(self) -> str:
        """`file:line:column`, both counted from 1."""
        mark = self.node.start_mark if self.node is not None else None
        return f"{self.file}:{mark.line + 1}:{mark.column + 1}" if mark else f"{self.file}:1:1"

    def fault(self, code: str, message: Text, mend: Text, *, private: bool = False) -> None:
        """Note a mistake at this place; `private` keeps the value out of it."""
        value = "" if private else self.written[:_SHOWN]
        self.faults.append(Fault(self.place, message, mend, value, code))

    def text(self) -> str:
        """Text that is not blank. Numbers must be quoted: 0123 would lose its zero."""
        if not self._is_scalar("str", _TEXT_EXPECTED):
            return ""
        if not self.written.strip():
            self.fault("empty", *_EMPTY)
        return self.written.strip()

    def whole(self, least: int, most: int) -> int:
        """A whole number from `least` to `most`."""
        if not self._is_scalar("int", _WHOLE_EXPECTED):
            return 0
        value = int(self.written) if _WHOLE.fullmatch(self.written) else most + 1
        if least <= value <= most:
            return value
        self.fault(
            "out_of_range",
            Text("数字超出范围", "the number is out of range"),
            Text(f"写 {least} 至 {most} 的整数", f"write a whole number from {least} to {most}"),
        )
        return 0

    def flag(self) -> bool:
        """`true` or `false`; an absent one is false."""
        return self._is_scalar("bool", _FLAG_EXPECTED) and self.written.lower() == "true"

    def day(self) -> date:
        """A date such as 2026-11-20."""
        if not self._is_scalar("timestamp", _DATE_EXPECTED, "str"):
            return date.min
        try:
            return date.fromisoformat(self.written if _ISO_DATE.fullmatch(self.written) else "")
        except ValueError:
            self.fault("bad_date", *_DATE_EXPECTED)
            return date.min

    def match(self, pattern: str, example: str, *, private: bool = False) -> str:
        """Text of a given form; "" otherwise."""
        value = self.text()
        if not value or re.fullmatch(pattern, value):
            return value
        self.fault(
            "wrong_form",
            Text("写法不对", "this is not in the form expected"),
            Text(f"例如写成 {example}", f"write it like {example}"),
            private=private,
        )
        return ""

    def one_of(self, allowed: Iterable[str]) -> str:
        """Text that is one of `allowed`; "" otherwise."""
        names = [str(name) for name in allowed]
        value = self.text()
        if not value or value in names:
            return value
        self.fault(
            "unknown_name", Text("不认识的名称", "this name is not known"), _choose(value, names)
        )
        return ""

    def both(self) -> Text:
        """A text of two languages, `{zh: ..., en: ...}`."""
        said = self.fields(("zh", "en"))
        return Text(said["zh"].text(), said["en"].text())

    def some_of(self, allowed: Collection[str]) -> tuple[str, ...]:
        """A list of one or more of `allowed`."""
        return tuple(item.one_of(allowed) for item in self.some())

    def some(self) -> tuple["Item", ...]:
        """The members of a list that must not be empty."""
        items = self.items()
        if isinstance(self.node, SequenceNode) and not items:
            self.fault("empty", *_EMPTY)
        return items

    def items(self) -> tuple["Item", ...]:
        """The members of a list."""
        if not self.given:
            return ()
        if not isinstance(self.node, SequenceNode):
            self.fault("wrong_type", *_LIST_EXPECTED)
            return ()
        items = tuple(self._beside(node) for node in self.node.value)
        for item in items:
            if not item.given:
                item.fault("empty", *_EMPTY)
        return items

    def entries(self) -> tuple[tuple["Item", "Item"], ...]:
        """Keys and values of a mapping with keys of its own, in order."""
        pairs = self._pairs()
        for key, value in pairs:
            if not value.given:
                key.fault("empty", *_EMPTY)
        return pairs

    def fields(
        self, required: Collection[str], optional: Collection[str] = ()
    ) -> dict[str, "Item"]:
        """A mapping of known keys: every one of them is in the answer, absent or not."""
        known = [*required, *optional]
        fields = {name: Item(None, self.file, self.faults) for name in known}
        pairs = self._pairs()
        if not isinstance(self.node, MappingNode):
            return fields
        for key, value in pairs:
            if key.written not in fields:
                mend = _choose(key.written, known)
                key.fault("unknown_key", Text("不认识的键", "this key is not known"), mend)
                continue
            fields[key.written] = value
            if key.written in required and not value.given:
                key.fault("empty", *_EMPTY)
        for name in required:
            if fields[name].node is None:
                self._miss(name)
        return fields

    def scalars(self) -> dict[str, object]:
        """A small mapping as plain values: text, whole numbers, true and false."""
        return {key.written: _plain(value) for key, value in self.entries()}

    def _pairs(self) -> tuple[tuple["Item", "Item"], ...]:
        """Keys and values; a repeated key is a fault and left out."""
        if not self.given:
            return ()
        if not isinstance(self.node, MappingNode):
            self.fault("wrong_type", *_MAPPING_EXPECTED)
            return ()
        pairs = [(self._beside(key), self._beside(value)) for key, value in self.node.value]
        seen: set[str] = set()
        return tuple(pair for pair in pairs if _is_new_key(pair[0], seen))

    def _beside(self, node: Node) -> "Item":
        return Item(node, self.file, self.faults)

    def _miss(self, name: str) -> None:
        self.faults.append(
            Fault(
                self.place,
                Text(f"缺少 {name}", f"{name} is missing"),
                Text(f"在这里补写 {name}", f"add {name} here"),
                code="missing_key",
            )
        )

    def _is_scalar(self, tag: str, expected: tuple[Text, Text], or_tag: str = "") -> bool:
        if not self.given:
            return False
        fits = isinstance(self.node, ScalarNode) and self.node.tag in (_TAG + tag, _TAG + or_tag)
        if not fits:
            self.fault("wrong_type", *expected)
        return fits


_TEXT_EXPECTED = (
    Text("这里应是文字", "text is expected here"),
    Text('数字和 true、false 当文字用时加引号，如 "12333"', 'quote numbers and flags, as "12333"'),
)
_WHOLE_EXPECTED = (
    Text("这里应是整数", "a whole number is expected here"),
    Text("写数字，不加引号", "write digits without quotes"),
)
_FLAG_EXPECTED = (
    Text("这里应是 true 或 false", "true or false is expected here"),
    Text("写 true 或 false，不加引号", "write true or false without quotes"),
)
_DATE_EXPECTED = (
    Text("这里应是实际存在的日期", "a date that exists is expected here"),
    Text("写成 2026-11-20 这样", "write it like 2026-11-20"),
)
_LIST_EXPECTED = (
    Text("这里应是列表", "a list is expected here"),
    Text("写成 [甲, 乙]，或每行以“- ”开头", 'write [a, b], or begin each line with "- "'),
)
_MAPPING_EXPECTED = (
    Text("这里应是“键: 值”", "keys with values are expected here"),
    Text("写成 {键: 值}，或换行缩进后写", "write {key: value}, or indent it on the next lines"),
)
_SCALAR_EXPECTED = (
    Text("这里应是单个值", "a single value is expected here"),
    Text("去掉列表或嵌套", "write no list and nothing nested"),
)
_EMPTY = (
    Text("内容为空", "this is empty"),
    Text("写上内容，或删去这一项", "write something, or remove it"),
)


def _plain(item: Item) -> object:
    tag = item.node.tag if item.node is not None else ""
    if tag == _TAG + "int" and _WHOLE.fullmatch(item.written):
        return int(item.written)
    if tag == _TAG + "bool":
        return item.written.lower() == "true"
    if not isinstance(item.node, ScalarNode):
        item.fault("wrong_type", *_SCALAR_EXPECTED)
    return item.written


def _is_new_key(key: Item, seen: set[str]) -> bool:
    if key.written in seen:
        key.fault(
            "duplicate_key",
            Text("同一个键写了两次", "this key is written twice"),
            Text("只保留一个", "keep one of them"),
        )
        return False
    seen.add(key.written)
    if not key.given or not key.written:
        key.fault("wrong_type", *_SCALAR_EXPECTED)
        return False
    return True


def _choose(value: str, names: list[str]) -> Text:
    listed = "、".join(names), ", ".join(names)
    meant = next(iter(get_close_matches(value, names, 1)), "")
    if meant:
        return Text(f"是否想写 {meant}？可用：{listed[0]}", f"{meant}? Known: {listed[1]}")
    return Text(f"可用：{listed[0]}", f"known: {listed[1]}")


class Files(NamedTuple, Generic[T]):
    """What a folder of files said: content by file stem, all faults, and stems with a fault."""

    read: dict[str, T]
    faults: tuple[Fault, ...]
    broken: frozenset[str]


def read_folder(
    directory: Path, build: Callable[[str, Item], T], previous: Mapping[str, T] | None = None
) -> Files[T]:
    """Every `*.yaml` of `directory` through `build(stem, content)`, in order of names.

    A file with a fault is left out whole, since half of it could look complete; the others stand.
    What `previous` holds under its stem stays in its stead. Places are given from two folders up:
    `config/rules/national.yaml:12:5` under QIDA_HOME.
    """
    read: dict[str, T] = {}
    faults: list[Fault] = []
    broken: set[str] = set()
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        if path.name.startswith(".") or path.suffix not in (".yaml", ".yml"):
            continue
        of_file: list[Fault] = []
        content = _read_file(path, of_file)
        built = None if content is None else build(path.stem, content)
        if built is not None and not of_file:
            read[path.stem] = built
        else:
            broken.add(path.stem)
            read.update(_kept(path.stem, previous))
        faults.extend(sorted(of_file, key=_line_and_column))
    return Files(read, tuple(faults), frozenset(broken))


def _line_and_column(fault: Fault) -> tuple[int, int]:
    _, line, column = fault.place.rsplit(":", 2)
    return int(line), int(column)


def _kept(stem: str, previous: Mapping[str, T] | None) -> Mapping[str, T]:
    return {stem: previous[stem]} if previous and stem in previous else {}


def _read_file(path: Path, faults: list[Fault]) -> Item | None:
    """The content of one file, or None with the reason in `faults`."""
    file = Item(None, str(path.relative_to(path.parent.parent.parent)), faults)
    if path.suffix != ".yaml" or not _STEM.fullmatch(path.stem):
        file.fault("file_name", *_BAD_NAME)
        return None
    try:
        return _compose(path.read_bytes().decode("utf-8-sig"), file)
    except UnicodeDecodeError:
        file.fault("not_utf8", *_NOT_UTF8)
    except OSError:
        file.fault("unreadable", *_UNREADABLE)
    return None


def _compose(text: str, file: Item) -> Item | None:
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except (YAMLError, RecursionError) as error:
        file.faults.append(_fault_of_syntax(error, text, file.file))
        return None
    if not isinstance(node, MappingNode):
        file.fault("wrong_type", *_MAPPING_EXPECTED)
        return None
    return replace(file, node=node)


_BAD_NAME = (
    Text("这个文件名不能用，文件未读取", "a file of this name is not read"),
    Text("只用字母、数字、- 和 _，以 .yaml 结尾", "use letters, digits, - and _, then .yaml"),
)
_NOT_UTF8 = (
    Text("文件不是 UTF-8 编码", "the file is not UTF-8"),
    Text("另存为 UTF-8", "save it as UTF-8"),
)
_UNREADABLE = (
    Text("文件打不开", "the file cannot be opened"),
    Text("检查它的权限", "check its permissions"),
)


def _fault_of_syntax(error: Exception, text: str, shown: str) -> Fault:
    line, column = _where(error, text)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "nesting")
    return Fault(
        f"{shown}:{line}:{column}",
        Text("YAML 写法有误，文件其余部分未读", "not valid YAML; the rest of the file is unread"),
        _mend_of_syntax(problem),
        problem,
        "yaml_syntax",
    )


def _where(error: Exception, text: str) -> tuple[int, int]:
    """Line and column of a syntax error, from 1; a bad character is told by its offset only."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return mark.line + 1, mark.column + 1
    before = text[: getattr(error, "position", 0)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _mend_of_syntax(problem: str) -> Text:
    if "\\t" in problem:
        return Text("用空格缩进，不要用制表符", "indent with spaces, not with tabs")
    return Text(
        "检查缩进（同级左对齐）、引号和括号是否成对；含“: ”的文字加引号",
        "check indentation (one level, one column), quotes and brackets; quote text with a colon",
    )
