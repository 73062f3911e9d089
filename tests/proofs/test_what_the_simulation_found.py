"""What the simulation found at the wire, each as small as it gets, against the stand-in."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from worker.clock import FixedClock
from worker.domain.calendar import CHINA
from worker.fake_twilio import ACCOUNT, TOKEN, FakeTwilio, running
from worker.rosters import RosterRow
from worker.runtime import Runtime, open_runtime
from worker.services.enrolment import enrol_rows
from worker.services.sending import send_due
from worker.settings import Settings

MORNING = datetime(2026, 3, 2, 9, 30, tzinfo=CHINA)
REFUSES = "+8613800000010"
"""The stand-in answers 21610: this person has stopped the sender."""


@pytest.fixture
def fake() -> FakeTwilio:
    return FakeTwilio(plan={"pace": 0}, now=FixedClock(MORNING).now)


@contextmanager
def through(fake: FakeTwilio, home: Path) -> Iterator[Runtime]:
    """A worker that sends through the stand-in."""
    with running(fake) as base_url:
        settings = Settings(
            home=home,
            sms="twilio",
            twilio_account_sid=ACCOUNT,
            twilio_auth_token=TOKEN,
            twilio_from="+15005550006",
            twilio_base_url=base_url,
        )
        with open_runtime(settings, FixedClock(MORNING)) as runtime:
            yield runtime


def enrol(runtime: Runtime, phone: str, serial: int, event: str = "reported_by_phone") -> None:
    row = RosterRow(
        place=f"row {serial}",
        reference=f"A-{serial}",
        procedure="national",
        event=event,
        occurred_at=MORNING - timedelta(minutes=serial),
        name="测试甲",
        phone=phone,
        card_last4=f"{serial:04}",
    )
    assert not enrol_rows(runtime.context, [row], now=MORNING).faults


def test_a_number_that_stopped_us_is_not_tried_again(fake: FakeTwilio, tmp_path: Path) -> None:
    with through(fake, tmp_path) as runtime:
        enrol(runtime, REFUSES, 1)
        send_due(runtime.context, now=MORNING)
        enrol(runtime, REFUSES, 2)

        counts = send_due(runtime.context, now=MORNING + timedelta(minutes=5))

    assert fake.requests["create"] == 1
    assert counts["undelivered"] == 1


def test_messages_to_one_number_are_counted_from_batch_to_batch(
    fake: FakeTwilio, tmp_path: Path
) -> None:
    with through(fake, tmp_path) as runtime:
        for serial in range(1, 7):
            enrol(runtime, "+8613800000042", serial)
            send_due(runtime.context, now=MORNING + timedelta(minutes=serial))

    assert len(fake.ledger.rows()) <= 4
