"""The heading of a roster: which column holds what, in Chinese or English, in any order."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from worker.domain.errors import Text
from worker.rosters.refusals import Refusal

NAMES_ZH: Mapping[str, str] = {
    "reference": "编号",
    "centre": "网点",
    "procedure": "业务",
    "event": "事项",
    "occurred_at": "发生时间",
    "name": "姓名",
    "phone": "手机",
    "email": "邮箱",
    "language": "语言",
    "card_last4": "卡号后四位",
    "bank": "银行",
    "second_phone": "备用手机",
}
"""Every column and its Chinese heading."""

REQUIRED = ("reference", "event", "occurred_at")
MOST_COLUMNS = 200
ERROR_HEADING = "错误原因"
"""Heading of the extra column in errors.csv; such a column is passed over when read again."""

NO_HEADING = ""
PASSED_OVER = "-"

_FIELDS = {zh: field for field, zh in NAMES_ZH.items()} | {field: field for field in NAMES_ZH}
_MEANT = {
    "案件编号": "编号", "流水号": "编号", "id": "reference", "时间": "发生时间", "日期": "发生时间",
    "电话": "手机", "联系电话": "手机", "mobile": "phone", "tel": "phone", "mail": "email",
    "卡号": "卡号后四位", "社保卡号": "卡号后四位", "事件": "事项", "center": "centre",
    "案件号": "编号", "邮件": "邮箱", "语种": "语言", "ref": "reference", "date": "occurred_at",
    "time": "occurred_at",
}  # fmt: skip
"""What people write instead, with the name we know it by."""
_ID_NUMBER = re.compile(r".*(?:身份证|证件号|id_?(?:card|number)).*")
_SHOWABLE = re.compile(r"(?!.*[0-9]{4})[^@]{1,20}")


@dataclass(frozen=True, slots=True)
class Heading:
    """The columns of one roster. `fields` holds one of NAMES_ZH, NO_HEADING or PASSED_OVER each.

    `first` is the column the cells begin in, 0 for A: a sheet may leave columns free.
    """

    fields: tuple[str, ...]
    titles: tuple[str, ...]
    first: int = 0

    def column(self, index: int) -> str:
        """A column as people see it: `column C 手机`."""
        letters = letters_of(index + self.first)
        known = index < len(self.fields) and self.fields[index] in NAMES_ZH
        return f"column {letters} {self.titles[index]}" if known else f"column {letters}"

    def columns(self) -> dict[str, str]:
        """Every column that is there, as people see it."""
        return {
            field: self.column(index)
            for index, field in enumerate(self.fields)
            if field in NAMES_ZH
        }


def letters_of(index: int) -> str:
    """The letters Excel shows over a column, counted from 0: A, Z, AA."""
    letters = ""
    index += 1
    while index:
        index, last = divmod(index - 1, 26)
        letters = chr(ord("A") + last) + letters
    return letters


def field_of(title: str) -> str:
    """The column a title names; NO_HEADING, PASSED_OVER, or `?` for an unknown one."""
    plain = "".join(title.split()).casefold()
    if not plain:
        return NO_HEADING
    if plain.startswith(ERROR_HEADING):
        return PASSED_OVER
    return _FIELDS.get(plain, "?")


def count_known(titles: Sequence[str]) -> int:
    """How many of the titles name a column."""
    return sum(field_of(title) in NAMES_ZH for title in titles)


def read_heading(titles: Sequence[str], first: int = 0) -> Heading:
    """The heading of a row of titles, right or wrong: ask `heading_faults`."""
    kept = tuple(title.strip() for title in titles)
    return Heading(tuple(map(field_of, kept)), kept, first)


def heading_faults(heading: Heading) -> Iterator[tuple[str, Refusal]]:
    """Everything wrong with a heading, each with its column (empty: the whole row)."""
    if len(heading.fields) > MOST_COLUMNS:
        yield "", _TOO_MANY
        return
    counts = Counter(field for field in heading.fields if field in NAMES_ZH)
    if not counts:  # perhaps a row of data: nothing of it may be shown
        yield "", _no_heading(heading.titles)
        return
    for index, (field, title) in enumerate(zip(heading.fields, heading.titles, strict=True)):
        if field == "?":
            yield heading.column(index), unknown_name(title)
        elif counts[field] > 1 and field in heading.fields[:index]:
            yield heading.column(index), TWICE
    for field in REQUIRED:
        if field not in counts:
            yield "", _missing(field)


_TOO_MANY = Refusal(
    "columns.many",
    Text(f"超过 {MOST_COLUMNS} 列", f"more than {MOST_COLUMNS} columns"),
    Text("请删去多余的列", "delete the columns that are not needed"),
)
TWICE = Refusal(
    "columns.twice",
    Text("这个名称出现了不止一次", "this name is there more than once"),
    Text("请只保留一个", "keep one of them"),
)
_ALL_ZH = "、".join(NAMES_ZH.values())
_ALL_EN = ", ".join(NAMES_ZH)
_ADD_HEADING = Text(
    f"第一行请写列名：{_ALL_ZH}", f"write the column names into the first row: {_ALL_EN}"
)


def _no_heading(titles: Sequence[str]) -> Refusal:
    parts = re.split("[，；、|]", titles[0]) if len(titles) == 1 else []
    if count_known(parts):
        used = next(mark for mark in "，；、|" if mark in titles[0])
        message = Text(f"列之间用的是“{used}”", f"the columns are separated by {used}")
        mend = Text("请用半角逗号、分号或制表符分列", "separate them by , ; or tab")
        return Refusal("columns.delimiter", message, mend, used)
    message = Text("没有找到列名", "no column names found")
    return Refusal("columns.none", message, _ADD_HEADING)


def unknown_name(title: str) -> Refusal:
    """Why a heading or key is refused, with the one it may have meant."""
    plain = "".join(title.split()).casefold()
    message = Text("不认识这个名称", "this name is not known")
    shown = title if _SHOWABLE.fullmatch(title) else ""
    if _ID_NUMBER.fullmatch(plain):
        mend = Text("不需要证件号码，请删去这一列", "identity numbers are not wanted: delete it")
        return Refusal("columns.unknown", message, mend, shown)
    if near := _nearest(plain):
        mend = Text(f"是否想写“{near}”？", f"did you mean {near}?")
    else:
        mend = Text(f"请删去或改名；可用：{_ALL_ZH}", f"delete or rename it; known: {_ALL_EN}")
    return Refusal("columns.unknown", message, mend, shown)


def _nearest(plain: str) -> str:
    """The name a title comes close to or contains: 联系人手机 means 手机. Empty if none."""
    known = {name: name for name in _FIELDS} | _MEANT
    near = get_close_matches(plain, known, n=1)
    held = sorted((name for name in known if name in plain and _is_telling(name)), key=len)
    return known[(near or held[-1:])[0]] if near or held else ""


def _is_telling(name: str) -> bool:
    """Long enough to be no chance: two Chinese characters or three letters."""
    return len(name) >= (3 if name.isascii() else 2)


def _missing(field: str) -> Refusal:
    message = Text(f"缺少“{NAMES_ZH[field]}”列", f"the column {field} is missing")
    mend = Text(f"请加上“{NAMES_ZH[field]}”列", f"add a column {field}")
    return Refusal("columns.missing", message, mend)
