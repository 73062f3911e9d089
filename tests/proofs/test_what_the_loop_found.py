"""What the crash loop found, each as small as it gets."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from worker.channels.sandbox import Sandbox
from worker.clock import FixedClock
from worker.domain.calendar import CHINA
from worker.domain.delivery import Outcome, Prepared, Uncertain
from worker.rosters import RosterRow
from worker.runtime import Runtime, open_runtime
from worker.services.enrolment import enrol_rows
from worker.services.operations import find_case
from worker.services.sending import send_due
from worker.services.settling import settle_uncertain
from worker.settings import Settings
from worker.store.attempts import attempts_of
from worker.store.cases import case_files

MONDAY = datetime(2026, 3, 2, 9, 30, tzinfo=CHINA)


class NeverArrives(Sandbox):
    """The connection broke before the provider had the message."""

    def submit(self, prepared: Prepared, ref: str, *, now: datetime) -> Outcome:
        del prepared, ref, now
        return Uncertain("broken off")


class AnswerBreaksOff(Sandbox):
    """The connection broke after the provider had the message."""

    def submit(self, prepared: Prepared, ref: str, *, now: datetime) -> Outcome:
        super().submit(prepared, ref, now=now)
        return Uncertain("broken off")


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    """A worker with one case whose period ends on Thursday: reminders at 09:00 and at 14:00."""
    settings = Settings(home=tmp_path, sms="sandbox")
    with open_runtime(settings, FixedClock(MONDAY)) as opened:
        row = RosterRow(
            place="row 1",
            reference="A-1",
            procedure="national",
            event="reported_by_phone",
            occurred_at=MONDAY,
            name="测试甲",
            phone="10000000042",
        )
        enrol_rows(opened.context, [row], now=MONDAY)
        send_due(opened.context, now=MONDAY)
        send_due(opened.context, now=_thursday(9).replace(day=4))
        yield opened


def _thursday(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 5, hour, minute, tzinfo=CHINA)


def _send_by(channel: type[Sandbox], runtime: Runtime, at: datetime) -> None:
    other = channel("sms", runtime.settings.var / "sandbox.jsonl")
    send_due(replace(runtime.context, channels={"sms": other}), now=at)
    other.close()


def _states(runtime: Runtime) -> Sequence[str]:
    case_id = find_case(runtime.context, "A-1")
    with runtime.context.db.reading() as session:
        file = case_files(session, [case_id])[case_id]
        attempts = attempts_of(session, [one.id for one in file.reminders])
        return [attempt.state for attempt in attempts if attempt.started_at > _thursday(0)]


def test_a_look_up_does_not_take_a_later_message_for_its_own(runtime: Runtime) -> None:
    _send_by(NeverArrives, runtime, _thursday(9))
    _send_by(AnswerBreaksOff, runtime, _thursday(14))  # its text is the same

    settle_uncertain(runtime.context, now=_thursday(14, 2))

    assert _states(runtime) == ["uncertain", "accepted"]
