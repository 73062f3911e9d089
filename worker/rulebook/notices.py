"""Holiday notices a person entered, as `config/calendar/*.yaml` holds them."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from worker.configfile import Item, read_folder
from worker.domain.calendar import Notice
from worker.domain.errors import Fault, Text

_SATURDAY = 5


def read_notices(directory: Path) -> tuple[tuple[Notice, ...], tuple[Fault, ...]]:
    """Every notice of `config/calendar` without a fault, in order of file names, and all faults.

    No file at all is no fault: the published calendars may be enough.
    """
    files = read_folder(directory, _notice)
    notices = tuple(files.read.values())
    rivals = {one.place: _rivals(one, notices) for one in notices}
    faults = (_fault_of_rivals(one, rivals[one.place]) for one in notices if rivals[one.place])
    return tuple(one for one in notices if not rivals[one.place]), (*files.faults, *faults)


def _rivals(notice: Notice, notices: Iterable[Notice]) -> list[Notice]:
    """Other national notices of the same year: nobody can tell which days hold."""
    return [
        one
        for one in notices
        if one is not notice and one.year == notice.year and not (one.region or notice.region)
    ]


def _fault_of_rivals(notice: Notice, rivals: Iterable[Notice]) -> Fault:
    others = ", ".join(one.place for one in rivals)
    year = notice.year
    return Fault(
        notice.place,
        Text(
            f"{year} 年已有另一份全国通知：{others}",
            f"there is another national notice for {year}: {others}",
        ),
        Text(
            "合成一个文件；若是地区通知，写上 region",
            "put both into one file, or give the regional one its region",
        ),
        code="second_notice",
    )


def _notice(_name: str, item: Item) -> Notice:
    given = item.fields(("year", "notice", "rest"), ("work", "region"))
    notice = given["notice"].fields(("title", "url", "published_on"))
    year = given["year"].whole(2004, 2100)  # the first published calendar is 2004's
    rest = _days(given["rest"], year)
    work = _days(given["work"], year)
    for day, one in work.items():
        _check_make_up(day, one, rest)
    return Notice(
        year=year,
        title=notice["title"].text(),
        rest=frozenset(rest),
        work=frozenset(work),
        url=notice["url"].match(r"https?://\S+", "https://www.gov.cn/..."),
        published_on=notice["published_on"].day(),
        region=given["region"].text(),
        place=given["year"].place,
    )


def _days(item: Item, year: int) -> dict[date, Item]:
    days: dict[date, Item] = {}
    for one in item.items():
        day = one.day()
        if day == date.min:
            continue
        if day in days:
            one.fault("duplicate_day", _TWICE, _KEEP_ONE)
        if year and not _belongs(day, year):
            one.fault(
                "wrong_year",
                Text(f"不属于 {year} 年的通知", f"the notice of {year} cannot name this day"),
                Text(
                    f"写 {year} 年或 {year - 1} 年 12 月的日期",
                    f"name days of {year} or of December {year - 1}",
                ),
            )
        days[day] = one
    return days


def _belongs(day: date, year: int) -> bool:
    """A year's notice may also move the last days of the December before it."""
    return day.year == year or (day.year == year - 1 and day.month == 12)


def _check_make_up(day: date, item: Item, rest: dict[date, Item]) -> None:
    if day in rest:
        item.fault("contradiction", _TWICE, _KEEP_ONE)
    if day.weekday() < _SATURDAY:
        item.fault(
            "contradiction",
            Text("补班日须是周六或周日", "a make-up day is a Saturday or a Sunday"),
            Text("对照通知改正", "mend it by the notice"),
        )


_TWICE = Text("这一天写了两次", "this day is listed twice")
_KEEP_ONE = Text("对照通知，只留一处", "keep the one the notice names")
