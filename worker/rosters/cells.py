"""What a cell of each column may hold. A check returns the value or the refusal, never raises."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from functools import lru_cache

from worker.domain.contacts import PhonePolicy
from worker.domain.errors import Text
from worker.rosters.addresses import AS_TEXT, read_email, read_phone
from worker.rosters.refusals import Refusal
from worker.rosters.times import read_time


@dataclass(frozen=True, slots=True)
class Context:
    """What the checks need to know besides the cell; `events` maps each word to its event."""

    phones: PhonePolicy
    now: datetime
    events: Mapping[str, str]


MOST_IN_A_CELL = 10_000
_LANGUAGES = {
    "zh": "zh", "ZH": "zh", "中文": "zh", "汉语": "zh",
    "en": "en", "EN": "en", "英文": "en", "英语": "en",
}  # fmt: skip
_NOT_TEXT = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffd\ud800-\udfff]"
)
_LONGEST_WORD = 40
_SCIENTIFIC = re.compile(r"[0-9](?:\.[0-9]+)?[eE]\+[0-9]+")
_HALF_WIDTH = str.maketrans("０１２３４５６７８９", "0123456789")


def not_text(text: str) -> Refusal | None:
    """Why a cell cannot be text at all: too long, or with characters nobody sees."""
    if len(text) > MOST_IN_A_CELL:
        return Refusal("cell.long", _TOO_LONG, _MEND_LONG)
    bad = _NOT_TEXT.search(text)
    if bad is None:
        return None
    if bad[0] in "\r\n":
        return Refusal("cell.lines", _LINES, _MEND_LINES)
    name = f"U+{ord(bad[0]):04X}"
    message = Text(f"含有看不见或已损坏的字符 {name}", f"holds the invisible or damaged {name}")
    return Refusal("cell.invisible", message, _RETYPE)


_TOO_LONG = Text(
    f"单元格超过 {MOST_IN_A_CELL} 个字符", f"the cell is longer than {MOST_IN_A_CELL} characters"
)
_MEND_LONG = Text("请检查引号和分隔符", "check the quotes and delimiters")
_LINES = Text("单元格里有换行", "a line break inside the cell")
_MEND_LINES = Text("请写成一行", "write it on one line")
_RETYPE = Text("请删去后手工重新输入", "clear the cell and type it anew")


def _text_up_to(most: int) -> Callable[[str, Context], str | Refusal]:
    message = Text(f"超过 {most} 个字", f"longer than {most} characters")
    refusal = Refusal("text.long", message, Text("请缩短", "shorten it"))

    def check(text: str, _: Context) -> str | Refusal:
        return text if len(text) <= most else refusal

    return check


_reference_length = _text_up_to(64)


def _reference(text: str, context: Context) -> str | Refusal:
    if _SCIENTIFIC.fullmatch(text):
        return Refusal(
            "reference.mangled",
            Text("Excel 已把编号变成数值", "Excel turned it into a value"),
            AS_TEXT,
        )
    return _reference_length(text, context)


def _event(text: str, context: Context) -> str | Refusal:
    event = context.events.get(text)
    if event is not None:
        return event
    message = Text("没有这种事项", "there is no such event")
    several = [name for name in context.events if len(text) > 1 and text in name]
    if len(several) > 1:
        mend = Text(f"请写明是哪一种：{'、'.join(several)}", f"say which: {', '.join(several)}")
        return Refusal("event.unknown", message, mend, text)
    near = _nearest(text.casefold(), tuple(context.events)) if len(text) <= _LONGEST_WORD else ""
    if near:  # close to a known word, so it is nothing personal and may be shown
        mend = Text(f"是否想写“{near}”？", f"did you mean {near}?")
        return Refusal("event.unknown", message, mend, text)
    return Refusal("event.unknown", message, _SEE_EVENTS)


@lru_cache(maxsize=1000)  # the same slip tends to fill a whole column
def _nearest(word: str, known: tuple[str, ...]) -> str:
    return next(iter(get_close_matches(word, known, n=1)), "")


_SEE_EVENTS = Text(
    "请用事项名称，例如 电话挂失；全部名称见 docs/rosters.md",
    "use an event's name, e.g. reported_by_phone; docs/rosters.md lists them",
)


def _occurred_at(text: str, context: Context) -> datetime | date | Refusal:
    return read_time(text, context.now, relative=context.phones.sandbox)


def _phone(text: str, context: Context) -> str | Refusal:
    return read_phone(text, context.phones)


def _email(text: str, _: Context) -> str | Refusal:
    return read_email(text)


def _language(text: str, _: Context) -> str | Refusal:
    return _LANGUAGES.get(text) or Refusal(
        "language.unknown",
        Text("没有这种语言", "there is no such language"),
        Text("请填 zh（中文）或 en（英文）", "enter zh or en"),
    )


def _card_last4(text: str, _: Context) -> str | Refusal:
    digits = text.translate(_HALF_WIDTH)
    if not (digits.isascii() and digits.isdigit()):
        scientific = _SCIENTIFIC.fullmatch(digits) is not None
        return Refusal("card.digits", _NOT_DIGITS, AS_TEXT if scientific else _LAST_FOUR)
    if len(digits) == 4:
        return digits
    if len(digits) < 4:
        return Refusal("card.short", _LOST_ZEROS, AS_TEXT)
    return Refusal("card.long", _TOO_MANY, _LAST_FOUR)


_NOT_DIGITS = Text("卡号后四位须是四位数字", "the last four of a card are four digits")
_LOST_ZEROS = Text(
    "不足四位，可能丢了前面的 0", "fewer than four digits: leading zeros may be lost"
)
_TOO_MANY = Text("超过四位", "more than four digits")
_LAST_FOUR = Text(
    "只填卡号最后四位，不要填完整卡号", "enter only the last four digits, never the whole number"
)

Check = Callable[[str, Context], str | datetime | date | Refusal]

CHECKS: Mapping[str, Check] = {
    "reference": _reference,
    "centre": _text_up_to(64),
    "procedure": _text_up_to(64),
    "event": _event,
    "occurred_at": _occurred_at,
    "name": _text_up_to(50),
    "phone": _phone,
    "email": _email,
    "language": _language,
    "card_last4": _card_last4,
    "bank": _text_up_to(50),
    "second_phone": _phone,
}
"""The check of each column. Their texts never repeat a name, number, address or card."""
