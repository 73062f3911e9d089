"""Holiday notices a person entered."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from worker.rulebook import read_notices, require

Write = Callable[[str, str], Path]

GOOD = """\
year: 2027
notice: {title: 关于2027年的通知, url: https://example.com/2027, published_on: 2026-11-25}
rest: [2027-01-01, 2027-01-02, 2027-01-03]
work: [2026-12-27]
"""


def test_a_notice_is_read(write: Write) -> None:
    folder = write("calendar/2027.yaml", GOOD)

    (notice,) = require(read_notices(folder))

    assert (notice.year, notice.title, notice.region) == (2027, "关于2027年的通知", "")
    assert notice.place.startswith("config/calendar/2027.yaml")
    assert notice.url == "https://example.com/2027"
    assert notice.published_on == date(2026, 11, 25)
    assert notice.rest == {date(2027, 1, day) for day in (1, 2, 3)}
    assert notice.work == {date(2026, 12, 27)}


def test_a_regional_notice_names_its_region_and_need_not_work(write: Write) -> None:
    folder = write("calendar/laixi-2027.yaml", GOOD.replace("work: [2026-12-27]", "region: 莱西"))

    (notice,) = require(read_notices(folder))

    assert notice.region == "莱西"
    assert notice.work == frozenset()


def test_no_notice_at_all_is_no_fault(tmp_path: Path) -> None:
    assert read_notices(tmp_path / "config/calendar") == ((), ())


MISTAKES = {
    "no year": ("year: 2027\n", "", "1:1", "missing_key"),
    "year is text": ("year: 2027", "year: next", "1:7", "wrong_type"),
    "year out of range": ("year: 2027", "year: 27", "1:7", "out_of_range"),
    "no title": ("title: 关于2027年的通知, ", "", "2:9", "missing_key"),
    "no address": ("https://example.com/2027", "gov", "2:34", "wrong_form"),
    "no such day": ("2027-01-03", "2027-02-30", "3:32", "bad_date"),
    "day of another year": ("2027-01-03", "2028-01-03", "3:32", "wrong_year"),
    "november of the year before": ("2027-01-03", "2026-11-30", "3:32", "wrong_year"),
    "day twice": ("2027-01-03", "2027-01-01", "3:32", "duplicate_day"),
    "rest and work": ("2026-12-27", "2027-01-02", "4:8", "contradiction"),
    "make-up on a Monday": ("2026-12-27", "2026-12-28", "4:8", "contradiction"),
    "rest is no list": (
        "[2027-01-01, 2027-01-02, 2027-01-03]", "2027-01-01", "3:7", "wrong_type",
    ),
    "unknown key": ("work:", "word:", "4:1", "unknown_key"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "place", "code"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_fault_at_its_place(
    old: str, new: str, place: str, code: str, write: Write
) -> None:
    folder = write("calendar/2027.yaml", GOOD.replace(old, new))

    notices, faults = read_notices(folder)

    assert [(fault.place, fault.code) for fault in faults] == [
        (f"config/calendar/2027.yaml:{place}", code)
    ]
    assert notices == ()


def test_a_broken_notice_leaves_the_others_usable(write: Write) -> None:
    write("calendar/2026.yaml", "year: [\n")
    folder = write("calendar/2027.yaml", GOOD)

    notices, faults = read_notices(folder)

    assert [notice.year for notice in notices] == [2027]
    assert len(faults) == 1


def test_two_national_notices_of_a_year_are_both_refused_and_name_each_other(write: Write) -> None:
    write("calendar/2027.yaml", GOOD)
    write("calendar/2028.yaml", GOOD.partition("work")[0].replace("2027", "2028"))
    folder = write("calendar/amended.yaml", f"# 改\n{GOOD}")

    notices, faults = read_notices(folder)

    assert [notice.year for notice in notices] == [2028]
    first, second = "config/calendar/2027.yaml:1:7", "config/calendar/amended.yaml:2:7"
    assert [(fault.place, fault.code) for fault in faults] == [
        (first, "second_notice"),
        (second, "second_notice"),
    ]
    assert second in faults[0].message.en
    assert first in faults[1].message.zh


def test_a_regional_notice_beside_the_national_one_is_no_second_one(write: Write) -> None:
    write("calendar/2027.yaml", GOOD)
    write("calendar/guangxi-1.yaml", f"{GOOD}region: 示例州\n")
    folder = write("calendar/guangxi-2.yaml", f"{GOOD}region: 示例州\n")

    notices = require(read_notices(folder))

    assert len(notices) == 3
