"""What can go wrong, said in Chinese and English, with where it is and how to mend it."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence for people, in both languages of the product."""

    zh: str
    en: str

    def in_language(self, language: str) -> str:
        """The sentence in `zh` or `en`."""
        return self.en if language == "en" else self.zh

    def __str__(self) -> str:
        return f"{self.zh} / {self.en}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a file a person wrote: place, what is wrong, what to do.

    `place` is one string, the same for every language, as `worded_place` knows it.
    `value` never holds personal data: rosters leave it empty for name, phone and e-mail columns.
    """

    place: str
    message: Text
    mend: Text
    value: str = ""
    code: str = ""

    def in_language(self, language: str) -> str:
        """The whole fault on one line."""
        shown = f" [{self.value}]" if self.value else ""
        say = self.message.in_language(language)
        place = worded_place(self.place).in_language(language)
        return f"{place}: {say}{shown} -> {self.mend.in_language(language)}"


_IN_A_ROSTER = re.compile(
    r"(.+?)(?:, sheet (.+?))?(?:, row (\d+))?(?:, (column [A-Z]+(?: .*)?))?", re.DOTALL
)
_COLUMN = re.compile(r"column ([A-Z]+)(?: (.*))?", re.DOTALL)
_POINTER = re.compile(r"api:(/.*)", re.DOTALL)


def worded_place(place: str) -> Text:
    """Where something stands, in words: `cases.xlsx, sheet 名单, row 3, column F 手机` of a roster
    (as Excel counts), a JSON pointer for `api:/contact/phone`; `file:line:column` stays."""
    if pointer := _POINTER.fullmatch(place):
        return Text(pointer[1], pointer[1])
    found = _IN_A_ROSTER.fullmatch(place)
    if found is None:
        return Text(place, place)
    file, sheet, row, column = found.groups()
    said = [f"工作表「{sheet}」"] if sheet else []
    said += [f"第 {row} 行"] if row else []
    said += [worded_column(column).zh] if column else []
    return Text(" ".join([file, *said]), place)


def worded_column(column: str) -> Text:
    """A column in words, from its part of a place: `column F 手机`."""
    found = _COLUMN.fullmatch(column)
    if found is None:
        return Text(column, column)
    letters, title = found.groups()
    return Text(f"{letters} 列（{title}）" if title else f"{letters} 列", column)


class QidaError(Exception):
    """Base of every error a person can cause or mend."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh} / {en}")
        self.text = Text(zh, en)


class BadData(QidaError):
    """What was handed in cannot be used as it is."""


class Unavailable(QidaError):
    """A provider, the database or a file is out of reach for now."""


class Misconfigured(QidaError):
    """Configuration or environment must be mended before Qida can work.

    `faults` lists every single mistake found, not only the first.
    """

    def __init__(self, zh: str, en: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(zh, en)
        self.faults = faults
