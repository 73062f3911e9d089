"""The worker says beforehand how many messages cannot make it at its pace."""

from dataclasses import replace

import pytest

from tests.services.desk import Desk
from worker.services.context import Senders
from worker.services.forecasting import warn_of_late


@pytest.fixture
def crowded(desk: Desk) -> Desk:
    """Fifty people whose counter closes tomorrow, and nothing sent yet."""
    for number in range(50):
        desk.enrol(f"A-{number}", phone=f"100000000{number + 40}")
    return desk.at("2026-11-24T16:00")


def at_rate(desk: Desk, rate: float) -> dict[str, int]:
    desk.context = replace(desk.context, senders=Senders(rate))
    return dict(warn_of_late(desk.context, now=desk.now))


def test_what_cannot_make_it_is_counted_and_logged(
    crowded: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    counts = at_rate(crowded, 0.001)

    assert counts["cannot_make_it"] > 0
    assert "reminder.cannot_make_it" in caplog.messages


def test_a_sender_fast_enough_or_without_a_limit_says_nothing(crowded: Desk) -> None:
    assert (at_rate(crowded, 10), at_rate(crowded, 0)) == ({}, {})
