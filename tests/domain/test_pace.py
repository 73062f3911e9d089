"""The pace of a sender: what its bucket holds, how long it rests, and who cannot make it."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.calendar import CHINA
from worker.domain.pace import LONGEST, RESTS, Bucket, Late, Rest, Waiting, forecast
from worker.domain.reminders import later

NOON = datetime(2026, 11, 24, 12, tzinfo=CHINA)
QUARTER = timedelta(seconds=0.25)


def seconds(count: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=count)


def waiting(name: str, *, due: float = 0, useless: float = 3600, parts: int = 1) -> Waiting:
    return Waiting(name, seconds(due), seconds(useless), parts)


# Buckets.


@pytest.mark.parametrize(("rate", "holds"), [(0.5, LONGEST), (1, LONGEST), (10, 20), (100, 200)])
def test_a_full_bucket_holds_two_seconds_and_at_least_the_longest_text(
    rate: float, holds: float
) -> None:
    assert Bucket.full(rate, NOON).level == holds


def test_a_bucket_never_holds_more_than_that() -> None:
    bucket = Bucket.full(10, NOON).drawn(1)

    assert bucket.refilled(seconds(3600)).level == 20


def test_an_empty_bucket_waits_for_a_whole_part() -> None:
    bucket = Bucket.full(2, NOON).drawn(LONGEST)

    assert bucket.is_empty
    assert bucket.refilled(seconds(0.49)).is_empty
    assert not bucket.refilled(seconds(0.5)).is_empty
    assert bucket.ready_at == seconds(0.5)


def test_a_long_text_is_paid_back_by_the_next_message() -> None:
    bucket = Bucket.full(1, NOON).drawn(LONGEST - 1).drawn(5)

    assert bucket.ready_at == seconds(5)


def test_a_clock_that_went_back_refills_nothing() -> None:
    bucket = Bucket.full(1, NOON).drawn(LONGEST)

    assert bucket.refilled(seconds(-60)).level == 0


def test_two_workers_whose_clocks_differ_do_not_fill_the_same_seconds_twice() -> None:
    bucket = Bucket.full(1, NOON).drawn(LONGEST)
    for second in range(6):
        bucket = bucket.refilled(seconds(second + 30)).refilled(seconds(second))

    fast_alone = Bucket.full(1, NOON).drawn(LONGEST).refilled(seconds(35))

    assert bucket == fast_alone


def test_a_clock_set_back_for_good_fills_the_bucket_again() -> None:
    bucket = Bucket.full(1, NOON).drawn(LONGEST).refilled(seconds(-3600))

    assert bucket.refilled(seconds(-3595)).level == 5


def test_without_a_limit_no_bucket_is_empty() -> None:
    bucket = Bucket.full(0, NOON).drawn(1000)

    assert not bucket.is_empty
    assert bucket.ready_at == NOON


@given(
    st.sampled_from([0.5, 1.0, 4.0, 16.0]),
    st.lists(st.tuples(st.integers(1, 8), st.integers(0, 40)), max_size=60),
)
def test_no_span_sees_more_parts_than_rate_and_burst_allow(
    rate: float, asked: list[tuple[int, int]]
) -> None:
    bucket, left = Bucket.full(rate, NOON), []
    for parts, quarters in asked:
        bucket = bucket.refilled(bucket.at + quarters * QUARTER)
        if not bucket.is_empty:
            bucket = bucket.drawn(parts)
            left.append((bucket.at, parts))

    for index, (begins_at, _) in enumerate(left):
        gone = 0
        for at, parts in left[index:]:
            gone += parts
            room = Bucket.full(rate, NOON).level + rate * (at - begins_at).total_seconds()
            assert gone <= room + LONGEST - 1  # the last one may borrow all but a part of itself


# Rests.


def test_a_channel_rests_longer_each_time_it_is_refused_again() -> None:
    rest, spans, now = None, [], NOON
    for _ in range(7):
        rest = Rest.after(rest, "20003", now)
        spans.append(rest.until_at - now)
        now = rest.until_at

    assert spans == [*RESTS, RESTS[-1], RESTS[-1]]
    assert [span.seconds // 60 for span in RESTS] == [1, 2, 5, 10, 15]


def test_a_refusal_much_later_begins_anew() -> None:
    first = Rest.after(None, "20003", NOON)
    second = Rest.after(first, "20003", first.until_at)

    just_now = Rest.after(second, "20003", second.until_at + RESTS[-1] - QUARTER)
    much_later = Rest.after(second, "20003", second.until_at + RESTS[-1])

    assert (just_now.count, much_later.count) == (3, 1)


# The forecast.


def test_what_fits_into_the_bucket_leaves_at_once() -> None:
    todo = [waiting(str(number), useless=1) for number in range(LONGEST)]

    assert forecast(todo, 0.01, NOON) == []


def test_what_does_not_fit_is_late_by_its_turn() -> None:
    todo = [waiting("a", parts=LONGEST, useless=1), waiting("b", useless=2)]

    assert forecast(todo, 0.25, NOON) == [Late("b", seconds(4), seconds(2))]


def test_without_a_limit_only_the_useless_are_late() -> None:
    todo = [waiting(str(number), parts=8, useless=1) for number in range(500)]

    late = forecast([*todo, waiting("old", useless=0)], 0, NOON)

    assert [one.id for one in late] == ["old"]


def test_the_most_urgent_goes_first_whenever_it_came() -> None:
    todo = [waiting("calm", parts=LONGEST), waiting("urgent", parts=LONGEST, useless=1)]

    assert forecast(todo, 1, NOON) == []
    assert forecast(todo[::-1], 1, NOON) == []


def test_a_late_message_takes_nobodys_turn() -> None:
    todo = [waiting("full", parts=LONGEST, useless=1), waiting("late", parts=8, useless=2),
            waiting("next", useless=5)]  # fmt: skip

    assert [one.id for one in forecast(todo, 0.25, NOON)] == ["late"]


def test_the_evening_is_no_time_to_send() -> None:
    evening = NOON.replace(hour=19, minute=59, second=59)
    useless = evening + timedelta(hours=13)
    todo = [Waiting("a", evening, useless, LONGEST), Waiting("b", evening, useless, 1)]

    late = forecast(todo, 0.5, evening)

    morning = datetime(2026, 11, 25, 9, tzinfo=CHINA)
    assert late == [Late("b", morning, useless)]


def test_what_was_planned_for_the_evening_leaves_in_the_evening() -> None:
    evening = NOON.replace(hour=21)
    one = Waiting("urgent", evening, evening + timedelta(hours=2), 1)

    in_time = [forecast([one], 1, now) for now in (NOON, evening, evening.replace(minute=59))]
    missed = forecast([one], 1, evening.replace(hour=22, minute=30))

    assert in_time == [[], [], []]
    assert [late.id for late in missed] == ["urgent"]


MESSAGES = st.lists(
    st.builds(
        lambda due, left, parts: (due / 4, (due + left) / 4, parts),
        st.integers(0, 239),
        st.integers(1, 400),
        st.integers(1, 8),
    ),
    max_size=40,
)


@given(MESSAGES, st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0]), st.sampled_from([12, 19]))
def test_the_forecast_is_what_looking_four_times_a_second_comes_to(
    drawn: list[tuple[float, float, int]], rate: float, hour: int
) -> None:
    start = NOON.replace(hour=hour, minute=59)  # the evening comes in the midst of it
    todo = [
        Waiting(
            f"{number:02}", start + timedelta(seconds=due), start + timedelta(seconds=end), parts
        )
        for number, (due, end, parts) in enumerate(drawn)
    ]

    assert forecast(todo, rate, start) == step_by_step(todo, rate, start)


def step_by_step(todo: list[Waiting], rate: float, at: datetime) -> list[Late]:
    """The same, from nothing but the rules: look each quarter of a second at all there is."""
    left, late = list(todo), []
    most = max(2 * rate, 8)
    level = most
    while left:
        if (open_at := later(at)) > at:
            at, level = open_at, most
        while level >= 1 or not rate:
            ready = [one for one in left if one.due_at <= at]
            if not ready:
                break
            one = min(ready, key=lambda each: (each.useless_after_at, each.due_at, each.id))
            left.remove(one)
            if one.useless_after_at <= at:
                late.append(Late(one.id, at, one.useless_after_at))
            else:
                level -= one.parts
        at, level = at + QUARTER, min(level + rate / 4, most)
    return late
