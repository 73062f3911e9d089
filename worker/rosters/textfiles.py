"""CSV files: their encoding, delimiter and records, read as a stream and never guessed at.

Encoding: a byte order mark, else strict UTF-8, else strict GB18030. Statistical guessers read most
short Chinese rosters wrong, and a name replaced by other characters is worse than a refused file.
"""

import codecs
import csv
from collections.abc import Iterator
from io import TextIOWrapper
from itertools import islice
from typing import NamedTuple

from worker.domain.errors import Text
from worker.rosters.columns import count_known
from worker.rosters.refusals import Refusal, Unreadable
from worker.rosters.sources import Source

Record = tuple[int, list[str] | Refusal]
"""Row number as Excel shows it (blank lines count, a quoted cell of many lines once), cells."""

_CHUNK = 1 << 20
_MARKS = (
    (codecs.BOM_UTF32_LE, ""),  # before UTF-16, which begins alike; nobody exports rosters in it
    (codecs.BOM_UTF32_BE, ""),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ENOUGH = 3  # Chinese characters in good UTF-8 that no GB18030 file has by chance
_MOST_LINES = 100
_MOST_CHARACTERS = 131_072  # of one record; also the csv module's own limit for a field


def encoding_of(path: Source) -> str:
    """`utf-8`, `utf-8-sig`, `utf-16-le`, `utf-16-be` or `gb18030`, proved over the whole file.

    Raises Unreadable where none of them fits, or where two do and it matters.
    """
    with path.open("rb") as handle:
        start = handle.read(4)
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    if marked is not None:
        if not marked or _try(path, marked).bad_line:
            raise Unreadable(_NOT_DECODABLE)
        return marked
    return _unmarked(path)


def _unmarked(path: Source) -> str:
    utf_8 = _try(path, "utf-8")
    if not utf_8.bad_line and (utf_8.ascii or utf_8.wide >= _ENOUGH):
        return "utf-8"
    gb18030 = _try(path, "gb18030")
    if utf_8.bad_line:
        if gb18030.bad_line or utf_8.wide >= _ENOUGH:
            raise Unreadable(_NOT_DECODABLE, f", line {utf_8.bad_line}")
        return "gb18030"
    if gb18030.bad_line or (utf_8.wide and (utf_8.usual or not gb18030.usual)):
        return "utf-8"
    raise Unreadable(_TWO_READINGS)  # e.g. CB BF alone: 丝 in GB18030, a modifier letter in UTF-8


class _Trial(NamedTuple):
    """How far a file decodes: the first bad line (0: none), and what the text before it is like.

    `wide` counts characters from U+0800 on, where Chinese lies, up to _ENOUGH; `usual` means that
    all the text up to there is in GB 2312, as nearly every name is.
    """

    bad_line: int
    wide: int
    usual: bool
    ascii: bool


def _try(path: Source, encoding: str) -> _Trial:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line, seen = 1, _Trial(0, 0, True, True)
    with path.open("rb") as handle:
        while True:
            chunk = handle.read(_CHUNK)
            if b"\0" in chunk and not encoding.startswith("utf-16"):
                raise Unreadable(_NUL)
            try:
                text = decoder.decode(chunk, not chunk)
            except UnicodeDecodeError as error:
                text = error.object[: error.start].decode(encoding, "ignore")
                return _with(seen, text)._replace(bad_line=line + text.count("\n"))
            if not chunk:
                return seen
            line += text.count("\n")
            seen = _with(seen, text)


def _with(seen: _Trial, text: str) -> _Trial:
    if seen.wide >= _ENOUGH or text.isascii():
        return seen
    wide = seen.wide + sum(1 for _ in islice(filter(_is_wide, text), _ENOUGH))
    return _Trial(0, wide, seen.usual and _is_usual(text), False)


def _is_wide(character: str) -> bool:
    return character >= "\u0800"


def _is_usual(text: str) -> bool:
    try:
        "".join(set(text)).encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def open_text(path: Source, encoding: str) -> TextIOWrapper:
    """The decoded file without its byte order mark, line ends as they are."""
    codec = "utf-16" if encoding.startswith("utf-16") else encoding
    return TextIOWrapper(path.open("rb"), encoding=codec, newline="")


def delimiter_of(path: Source, encoding: str) -> str:
    """The one of , ; and tab that splits the first line into most known columns, else the comma."""
    with open_text(path, encoding) as handle:
        for line in iter(lambda: handle.readline(_MOST_CHARACTERS), ""):
            if not line.isspace():
                return max(",;\t", key=lambda mark: count_known(_split(line, mark)))
    return ","


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def csv_records(path: Source, encoding: str, delimiter: str) -> Iterator[Record]:
    """Every record of the file. Raises Unreadable where an open quote swallows what follows."""
    with open_text(path, encoding) as handle:
        lines = _Lines(handle)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        row = 0
        while True:
            row += 1
            lines.taken = lines.characters = 0
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                if lines.taken > 1:  # what the quote swallowed cannot be told from its cell
                    raise Unreadable(_OPEN_QUOTE, f", row {row}") from None
                yield row, _BAD_QUOTES
                continue
            except _TooMuch:
                raise Unreadable(_OPEN_QUOTE, f", row {row}") from None
            except UnicodeDecodeError:
                raise Unreadable(_CHANGED, f", row {row}") from None
            yield row, cells


class _TooMuch(Exception):
    """One record takes more lines or characters than any honest one."""


class _Lines:
    """Lines of a file, counted since the record began, so that a quote cannot swallow the file."""

    __slots__ = ("_handle", "characters", "taken")

    def __init__(self, handle: TextIOWrapper) -> None:
        self._handle = handle
        self.taken = 0
        self.characters = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._handle.readline(_MOST_CHARACTERS + 1)
        if not line:
            raise StopIteration
        self.taken += 1
        self.characters += len(line)
        if self.taken > _MOST_LINES or self.characters > _MOST_CHARACTERS:
            raise _TooMuch
        return line


_SAVE_AGAIN = Text(
    "请在 Excel 或 WPS 中另存为“CSV UTF-8”或 .xlsx",
    "save it as CSV UTF-8 or .xlsx",
)
_NOT_DECODABLE = Refusal(
    "file.encoding",
    Text("编码既不是 UTF-8 也不是 GB18030，或文件已损坏", "neither UTF-8 nor GB18030, or damaged"),
    _SAVE_AGAIN,
)
_TWO_READINGS = Refusal(
    "file.two_readings",
    Text("编码看不出是 UTF-8 还是 GB18030", "this may be UTF-8 or GB18030: both fit"),
    _SAVE_AGAIN,
)
_NUL = Refusal(
    "file.nul",
    Text("含有空字节：不是文本，或是没有标记的 UTF-16", "NUL bytes: no text, or unmarked UTF-16"),
    _SAVE_AGAIN,
)
_OPEN_QUOTE = Refusal(
    "row.open_quote",
    Text(
        "引号没有闭合，或这一行过长；从这一行起都没有读",
        "a quote is not closed, or the row is too long; nothing from here on was read",
    ),
    Text("请改好这一行的引号后重新提交", "mend the quotes of this row and hand it in again"),
)
_BAD_QUOTES = Refusal(
    "row.quotes",
    Text("引号不成对", "the quotes of this row do not pair"),
    Text("请删去多余的引号，或写成两个", "delete the stray quote, or write it twice"),
)
_CHANGED = Refusal(
    "file.changed",
    Text("读取时文件变了", "the file changed while it was read"),
    Text("请等文件写完后重新提交", "hand it in again once it is complete"),
)
