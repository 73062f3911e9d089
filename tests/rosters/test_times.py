"""Times as people write them; Beijing time where nothing else is said."""

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.calendar import CHINA
from worker.rosters.refusals import Refusal
from worker.rosters.times import read_time

NOW = datetime(2026, 11, 22, 0, 30, tzinfo=CHINA)  # in UTC it is still the 21st


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, *rest: int) -> datetime:
    second, microsecond = (*rest, 0, 0)[:2]
    return datetime(year, month, day, hour, minute, second, microsecond, CHINA)


def refusal(written: str, *, relative: bool = False) -> Refusal:
    found = read_time(written, NOW, relative=relative)
    assert isinstance(found, Refusal)
    return found


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-20 16:20", at(2026, 11, 20, 16, 20)),
        ("2026-11-20 16:20:05", at(2026, 11, 20, 16, 20, 5)),
        ("2026-11-20T16:20:05", at(2026, 11, 20, 16, 20, 5)),
        ("2026/11/20 16:20", at(2026, 11, 20, 16, 20)),
        ("2026/1/2 6:05", at(2026, 1, 2, 6, 5)),
        ("2026.11.20 16:20", at(2026, 11, 20, 16, 20)),
        ("2026年11月20日 16:20", at(2026, 11, 20, 16, 20)),
        ("2026年11月20日16:20", at(2026, 11, 20, 16, 20)),
        ("2026年11月20日16时20分", at(2026, 11, 20, 16, 20)),
        ("2026年1月2日 6点05分07秒", at(2026, 1, 2, 6, 5, 7)),
        ("２０２６－１１－２０　１６：２０", at(2026, 11, 20, 16, 20)),
        ("2026-11-20T16:20:00+08:00", at(2026, 11, 20, 16, 20)),
        ("2026-11-20T08:20:00Z", at(2026, 11, 20, 16, 20)),
        ("2026-11-20T08:20:00.250+0000", at(2026, 11, 20, 16, 20, 0, 250_000)),
        ("2026-11-20T18:20-05:30", at(2026, 11, 21, 7, 50)),
        ("2024-02-29 00:00", at(2024, 2, 29)),
    ],
)
def test_a_written_time_is_one_instant_at_utc_plus_8(written: str, meant: datetime) -> None:
    found = read_time(written, NOW, relative=False)

    assert found == meant
    assert isinstance(found, datetime)
    assert found.utcoffset() == timedelta(hours=8)


@pytest.mark.parametrize("written", ["2026-11-20", "2026/11/20", "2026年11月20日", "2026.11.20"])
def test_a_date_alone_stays_a_date(written: str) -> None:
    found = read_time(written, NOW, relative=False)

    assert type(found) is date
    assert found == date(2026, 11, 20)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("2026-02-30", "time.impossible"),
        ("2025-02-29 10:00", "time.impossible"),
        ("2026-11-20 24:00", "time.impossible"),
        ("2026-11-20 16:60", "time.impossible"),
        ("2026-11-20T16:20+99:00", "time.impossible"),
        ("9999-12-31T23:59-12:00", "time.impossible"),
        ("0000-01-01 00:00", "time.impossible"),
        ("2003-12-31 10:00", "time.year"),
        ("2003-12-31", "time.year"),
        ("2101-01-01", "time.year"),
        ("46346", "time.serial"),
        ("46346.68", "time.serial"),
        ("26-11-20 16:20", "time.two_digit_year"),
        ("26年11月20日", "time.two_digit_year"),
        ("11/20/2026", "time.order"),
        ("20.11.2026 16:20", "time.order"),
        ("2026-11-20 4:20 PM", "time.half_day"),
        ("2026年11月20日 下午4:20", "time.half_day"),
        ("16:20", "time.no_date"),
        ("20261120", "time.unknown"),
        ("2026-11/20", "time.unknown"),
        ("2026-11-2016:20", "time.unknown"),
        ("2026-11-20 16", "time.unknown"),
        ("昨天", "time.unknown"),
        ("2026-11-20 16:20 2026-11-21", "time.unknown"),
        ("٢٠٢٦-١١-٢٠", "time.unknown"),
        ("-2d 16:20", "time.relative"),
    ],
)
def test_what_is_no_time_is_refused_for_its_own_reason(written: str, code: str) -> None:
    assert refusal(written).code == code


def test_relative_times_count_back_from_today_in_beijing() -> None:
    assert read_time("-2d 16:20", NOW, relative=True) == at(2026, 11, 20, 16, 20)
    assert read_time("0d 00:05", NOW, relative=True) == at(2026, 11, 22, 0, 5)
    assert refusal("-1d 24:00", relative=True).code == "time.impossible"


@pytest.mark.parametrize("written", ["2026-02-30", "26-11-20 16:20", "2026年13月1日 25时00分"])
def test_a_refused_date_is_shown(written: str) -> None:
    assert refusal(written).value == written


@pytest.mark.parametrize("written", ["138-0013-8000", "13800138000", "6217-0012-3456-7890", "张三"])
def test_what_may_be_personal_is_not_shown(written: str) -> None:
    assert refusal(written).value == ""


@given(st.integers(0, 3_000_000_000), st.integers(-840, 840))
def test_iso_times_of_any_offset_keep_their_instant(seconds: int, minutes: int) -> None:
    instant = at(2004, 1, 2) + timedelta(seconds=seconds)

    written = instant.astimezone(timezone(timedelta(minutes=minutes))).isoformat()

    assert read_time(written, NOW, relative=False) == instant


@given(st.text())
def test_any_text_is_a_time_or_refused(text: str) -> None:
    assert isinstance(read_time(text, NOW, relative=True), date | Refusal)
