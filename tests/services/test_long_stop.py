"""Eight hours stopped across deadlines: on return nothing false is said, and nobody is flooded."""

import re
from datetime import datetime

import pytest

from tests.services.desk import Desk, Provider
from worker.domain.calendar import CHINA
from worker.domain.delivery import Accepted, AttemptState, Receipt

STOPS = [
    ("2026-11-20T16:35", "2026-11-23T09:05"),  # over a weekend
    ("2026-11-24T08:30", "2026-11-24T16:30"),
    ("2026-11-25T08:30", "2026-11-25T16:30"),  # half an hour before the counter closes
    ("2026-11-25T11:00", "2026-11-25T19:00"),  # over its closing
    ("2026-11-25T13:30", "2026-11-25T21:30"),
    ("2026-11-25T18:00", "2026-11-26T09:30"),  # over the lapse
]
_DATE = re.compile(r"(\d+)月(\d+)日[^，。]*?(\d+):(\d+)前")


def tick(desk: Desk) -> None:
    """One pass of what a worker does first when it is back."""
    for duty in (desk.recalculate, desk.rescue, desk.settle, desk.poll, desk.send, desk.audit):
        duty()


@pytest.mark.parametrize(("stopped", "back"), STOPS)
def test_a_worker_that_was_down_says_nothing_false(desk: Desk, stopped: str, back: str) -> None:
    provider = Provider(receipts=[Receipt("", "delivered", AttemptState.DELIVERED)])
    for number in range(5):
        desk.enrol(f"A-{number}", phone=f"100000000{number + 30}")
    desk.through(provider)
    tick(desk)
    tick(desk.at(stopped))
    before = len(provider.handed)

    tick(desk.at(back))

    said = provider.handed[before:]
    recipients = [request.to for request in said]
    assert len(recipients) == len(set(recipients))
    for request in said:
        found = _DATE.search(request.text)
        if found is not None:
            month, day, hour, minute = (int(part) for part in found.groups())
            assert desk.now < datetime(2026, month, day, hour, minute, tzinfo=CHINA)


def test_who_was_never_told_is_on_the_call_list(desk: Desk) -> None:
    for number in range(5):
        desk.enrol(f"A-{number}", phone=f"100000000{number + 30}")
    provider = Provider(Accepted("P1"))
    desk.through(provider)

    tick(desk.at("2026-11-25T19:00"))

    assert provider.handed == []
    assert len(desk.reasons()) == 5
