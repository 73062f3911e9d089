"""When an event happened, as people write it in a cell: Beijing time unless an offset says else."""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone

from worker.domain.calendar import CHINA, ONE_DAY, in_china
from worker.domain.errors import Text
from worker.rosters.refusals import Refusal

FIRST_YEAR = 2004
"""The shipped catalogue's oldest holiday notice: nothing can be counted before it."""

LAST_YEAR = 2100

_PLAIN = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?", re.ASCII)
_DAY = r"(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|年(\d{1,2})月(\d{1,2})日)"
_CLOCK = (
    r"(?:(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?"
    r"|(\d{1,2})[时点](\d{1,2})分(?:(\d{1,2})秒)?)"
)
_OFFSET = r"(Z|([+-])(\d\d):?(\d\d))?"
_WRITTEN = re.compile(rf"{_DAY}(?:(?:(?<=日)|T|\s+){_CLOCK}\s*{_OFFSET})?", re.ASCII)
_RELATIVE = re.compile(r"-?(\d{1,4})d (\d{1,2}):(\d\d)", re.ASCII)
_HALF_WIDTH = str.maketrans("０１２３４５６７８９：－／．＋　", "0123456789:-/.+ ")
# The shape of a date, which no telephone or card number is written in.
_SHOWABLE = re.compile(
    r"\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,4}日?(?:[T ]?\d{1,2}[:时点][-\d:分秒.+Z ]{1,16})?", re.ASCII
)

_WRITE = Text(
    "请写成 2026-11-20 16:20（北京时间）或只写日期 2026-11-20",
    "write 2026-11-20 16:20 (Beijing time), or the date alone: 2026-11-20",
)


def read_time(text: str, now: datetime, *, relative: bool) -> datetime | date | Refusal:
    """The instant at UTC+8, the date where no clock time was given, or why it is neither.

    `relative` also allows `-2d 16:20`: that time of the day two days before today in Beijing.
    """
    plain = _PLAIN.fullmatch(text)
    if plain is None:
        return _read_other(text.translate(_HALF_WIDTH), now, relative)
    year, month, day, hour, minute, second = plain.groups("0")
    try:
        instant = datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=CHINA
        )
    except ValueError:
        return _impossible(text)
    return instant if FIRST_YEAR <= instant.year <= LAST_YEAR else _too_far(text)


def _read_other(text: str, now: datetime, relative: bool) -> datetime | date | Refusal:
    if ago := _RELATIVE.fullmatch(text):
        return _before_today(ago, now) if relative else _NO_RELATIVE
    written = _WRITTEN.fullmatch(text)
    if written is None:
        return _why_not(text)
    try:
        found = _from_parts(written)
    except (ValueError, OverflowError):
        return _impossible(text)
    return found if FIRST_YEAR <= found.year <= LAST_YEAR else _too_far(text)


def _from_parts(written: re.Match[str]) -> datetime | date:
    year, _, *rest = written.groups()
    month, day = rest[0] or rest[2], rest[1] or rest[3]
    on = date(int(year), int(month), int(day))
    hour, minute, second = rest[4] or rest[8], rest[5] or rest[9], rest[6] or rest[10] or "0"
    if not hour:
        return on
    microsecond = int((rest[7] or "0").ljust(6, "0"))
    clock = time(int(hour), int(minute), int(second), microsecond)
    return in_china(datetime.combine(on, clock, _zone(*rest[11:])))


def _zone(offset: str | None, sign: str | None, hours: str, minutes: str) -> timezone:
    if offset is None:
        return CHINA
    if sign is None:
        return UTC
    span = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-span if sign == "-" else span)


def _before_today(ago: re.Match[str], now: datetime) -> datetime | Refusal:
    days, hour, minute = map(int, ago.groups())
    try:
        clock = time(hour, minute)
    except ValueError:
        return _impossible(ago[0])
    return datetime.combine(in_china(now).date() - days * ONE_DAY, clock, CHINA)


def _shown(text: str) -> str:
    """The cell, if it looks like a time and like nothing personal."""
    return text if _SHOWABLE.fullmatch(text) else ""


def _impossible(text: str) -> Refusal:
    message = Text("没有这一天或这一时刻", "there is no such day or time")
    return Refusal("time.impossible", message, _MEND_IMPOSSIBLE, _shown(text))


_MEND_IMPOSSIBLE = Text(
    "请核对；当天24点请写成次日 00:00",
    "check it; write midnight at a day's end as 00:00 of the next day",
)


def _too_far(text: str) -> Refusal:
    message = Text(
        f"年份须在 {FIRST_YEAR} 至 {LAST_YEAR} 之间",
        f"the year must lie between {FIRST_YEAR} and {LAST_YEAR}",
    )
    return Refusal("time.year", message, _WRITE, _shown(text))


_NO_RELATIVE = Refusal(
    "time.relative",
    Text("“几天前”这种写法只用于示例", "times relative to today are for samples only"),
    _WRITE,
)

_REASONS: tuple[tuple[re.Pattern[str], str, Text], ...] = (
    (
        re.compile(r"\d{4,6}(?:\.\d+)?", re.ASCII),
        "time.serial",
        Text("这是 Excel 的日期序号，不是日期", "this is Excel's serial number of a date"),
    ),
    (
        re.compile(r"\d\d[-/.年]\d{1,2}[-/.月]\d{1,2}(?!\d).*", re.ASCII),
        "time.two_digit_year",
        Text("年份须写四位", "the year needs four digits"),
    ),
    (
        re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}.*", re.ASCII),
        "time.order",
        Text("看不出哪个是月、哪个是日", "which is the month and which the day is unclear"),
    ),
    (
        re.compile(r".*(?:[AaPp][Mm]|上午|下午|晚上|凌晨|中午).*"),
        "time.half_day",
        Text("请用24小时制", "use the 24-hour clock"),
    ),
    (
        re.compile(r"\d{1,2}:\d\d(?::\d\d)?(?:\.\d+)?", re.ASCII),
        "time.no_date",
        Text("只有钟点，没有日期", "a time of day without a date"),
    ),
)


def _why_not(text: str) -> Refusal:
    for pattern, code, message in _REASONS:
        if pattern.fullmatch(text):
            return Refusal(code, message, _WRITE, _shown(text))
    message = Text("看不懂这个时间", "this is not a time that can be read")
    return Refusal("time.unknown", message, _WRITE, _shown(text))
