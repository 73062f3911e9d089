"""What may follow what: states of attempts, and when they are asked after."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from worker.domain.delivery import (
    FINDS_AFTER,
    LEASE,
    OPEN_ATTEMPTS,
    POLLS_AFTER,
    REMINDER_STATE,
    AttemptState,
    ReminderState,
    advance,
    next_find_at,
    next_poll_at,
)

START = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
SAID = ("accepted", "sent", "delivered", "undelivered", "failed", "canceled")
"""What a receipt can say; `unconfirmed` and the like are our own words."""

FINAL = {"delivered", "undelivered", "failed", "canceled"}
FOLLOWS: dict[str, set[str]] = {
    "submitting": {"accepted", "sent", *FINAL},
    "uncertain": {"accepted", "sent", *FINAL},
    "lost": {"accepted", "sent", *FINAL},
    "accepted": {"sent", *FINAL},
    "sent": FINAL,
    "unconfirmed": FINAL,
    "delivered": set(),
    "undelivered": set(),
    "failed": set(),
    "canceled": set(),
    "not_sent": set(),
    "rejected": set(),
}
"""Which receipts a state gives way to; every other one changes nothing."""

CORRECTED_BY_A_POLL = {"undelivered", "failed"}


@pytest.mark.parametrize("polled", [False, True])
@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("current", AttemptState)
def test_a_receipt_moves_a_state_only_forward(
    current: AttemptState, said: str, polled: bool
) -> None:
    corrected = polled and said == "delivered" and current in CORRECTED_BY_A_POLL
    expected = said if said in FOLLOWS[current] or corrected else current

    assert advance(current, AttemptState(said), polled=polled) == expected


def test_the_table_knows_every_state() -> None:
    assert set(FOLLOWS) == set(AttemptState)


@pytest.mark.parametrize("polled", [False, True])
@pytest.mark.parametrize("current", AttemptState)
def test_an_unknown_status_changes_nothing(current: AttemptState, polled: bool) -> None:
    assert advance(current, None, polled=polled) is current


@pytest.mark.parametrize("current", AttemptState)
def test_the_same_receipt_again_changes_nothing(current: AttemptState) -> None:
    for said in SAID:
        once = advance(current, AttemptState(said), polled=False)

        assert advance(once, AttemptState(said), polled=False) is once


@pytest.mark.parametrize("final", sorted(FINAL))
@pytest.mark.parametrize("first", [AttemptState.SUBMITTING, AttemptState.UNCERTAIN,
                                   AttemptState.ACCEPTED, AttemptState.LOST])  # fmt: skip
def test_five_receipts_end_the_same_in_every_order(first: AttemptState, final: str) -> None:
    receipts = ("accepted", "accepted", "sent", "sent", final)
    orders = list(permutations(receipts))

    ends = {after(first, order, polled=False) for order in orders}

    assert len(orders) == 120
    assert ends == {final}


def test_five_contradicting_polls_end_as_delivered_in_every_order() -> None:
    receipts = ("accepted", "sent", "undelivered", "failed", "delivered")

    ends = {after(AttemptState.ACCEPTED, order, polled=True) for order in permutations(receipts)}

    assert ends == {"delivered"}


def after(state: AttemptState, order: tuple[str, ...], *, polled: bool) -> AttemptState:
    for said in order:
        state = advance(state, AttemptState(said), polled=polled)
    return state


def test_a_late_callback_does_not_take_delivered_back() -> None:
    assert advance(AttemptState.DELIVERED, AttemptState.UNDELIVERED, polled=True) == "delivered"


def test_every_attempt_but_a_lost_one_tells_how_its_reminder_reads() -> None:
    assert set(AttemptState) - set(REMINDER_STATE) == {AttemptState.LOST}


@pytest.mark.parametrize("attempt", REMINDER_STATE)
def test_only_a_receipt_reads_as_delivered(attempt: AttemptState) -> None:
    reads_delivered = REMINDER_STATE[attempt] is ReminderState.DELIVERED

    assert reads_delivered == (attempt is AttemptState.DELIVERED)


def test_a_reminder_has_one_attempt_that_may_still_arrive() -> None:
    assert set(OPEN_ATTEMPTS) == {"submitting", "uncertain", "accepted", "sent"}


# Looking for what may be lost.


def test_it_is_looked_for_after_1_3_13_and_43_minutes() -> None:
    times = [next_find_at(START, misses, None) for misses in range(5)]

    assert times == [START + timedelta(minutes=m) for m in (1, 3, 13, 43)] + [None]
    assert len(FINDS_AFTER) == 4


def test_a_look_up_that_would_come_after_the_counter_closes_comes_five_minutes_before() -> None:
    act_by = START + timedelta(minutes=30)

    times = [next_find_at(START, misses, act_by) for misses in range(4)]

    assert times == [START + timedelta(minutes=m) for m in (1, 3, 13, 25)]


@pytest.mark.parametrize("minutes", [-60, 0])
def test_an_end_that_was_past_at_the_start_hurries_nothing(minutes: int) -> None:
    act_by = START + timedelta(minutes=minutes)

    times = [next_find_at(START, misses, act_by) for misses in range(4)]

    assert times == [START + after for after in FINDS_AFTER]


@pytest.mark.parametrize("minutes", [1, 5])
def test_no_look_up_comes_before_the_first_minute(minutes: int) -> None:
    act_by = START + timedelta(minutes=minutes)

    assert next_find_at(START, 3, act_by) == START + timedelta(minutes=1)


def test_a_far_end_changes_nothing() -> None:
    far = START + timedelta(days=3)

    assert next_find_at(START, 3, far) == next_find_at(START, 3, None)


# Polling.


def test_it_is_polled_at_the_documented_times_and_then_no_more() -> None:
    now, times = START, []
    while (at := next_poll_at(START, None, now)) is not None:
        times.append(at - START)
        now = at

    assert times == list(POLLS_AFTER)
    assert [span.total_seconds() / 3600 for span in times] == [1 / 12, 0.5, 2, 12, 24, 72]


def test_a_late_poll_skips_those_it_missed() -> None:
    assert next_poll_at(START, None, START + timedelta(hours=3)) == START + timedelta(hours=12)


def test_a_poll_comes_two_hours_before_the_counter_closes_at_the_latest() -> None:
    act_by = START + timedelta(hours=8)

    assert next_poll_at(START, act_by, START + timedelta(hours=2)) == START + timedelta(hours=6)


def test_in_the_last_two_hours_it_is_polled_every_five_minutes() -> None:
    act_by, now = START + timedelta(hours=8), START + timedelta(hours=7)

    assert next_poll_at(START, act_by, now) == now + timedelta(minutes=5)


def test_once_the_counter_is_closed_nothing_hurries() -> None:
    act_by, now = START + timedelta(hours=3), START + timedelta(hours=4)

    assert next_poll_at(START, act_by, now) == START + timedelta(hours=12)


def test_a_poll_is_never_later_for_being_urgent() -> None:
    for minutes in range(0, 72 * 60, 7):
        now = START + timedelta(minutes=minutes)
        for hours in range(1, 80):
            act_by = START + timedelta(hours=hours)
            usual, urgent = next_poll_at(START, None, now), next_poll_at(START, act_by, now)

            assert usual is not None
            assert urgent is not None
            assert now < urgent <= usual


def test_a_lease_outlives_the_slowest_call() -> None:
    assert timedelta(seconds=5 + 35) * 2 < LEASE
