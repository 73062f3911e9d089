"""The ledger holds every message taken, in a file, before anybody hears of it."""

import json
import stat
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.fake_twilio.talking import FORM, NOW, SENDER, SERVICE, Talk, talk
from worker.clock import FixedClock
from worker.fake_twilio import ACCOUNT, FakeTwilio, running


def lines(path: Path) -> list[Mapping[str, str]]:
    """The file as a checker reads it."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("fsync", [True, False])
def test_a_line_says_what_was_taken(tmp_path: Path, fsync: bool) -> None:
    path = tmp_path / "deep" / "ledger.jsonl"
    callback = "http://127.0.0.1:9/hooks/ref-1#rc=0"

    with talk(ledger=path, fsync=fsync) as fake:
        sid = fake.created(StatusCallback=callback)

        (line,) = lines(path)
        assert fake.ledger() == [line]

    assert line == {
        "sid": sid,
        "account": ACCOUNT,
        "to": FORM["To"],
        "from": SENDER,
        "messaging_service_sid": None,
        "body": FORM["Body"],
        "status_callback": callback,
        "at": "2026-11-23T01:00:00+00:00",
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_message_whose_answer_is_lost_is_there(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with talk({"faults": [{"do": "cut", "stored": True}]}, ledger=path) as fake:
        with pytest.raises(ConnectionResetError):
            fake.create()

        assert len(lines(path)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "answer", "status": 500},
        {"do": "cut"},
        {"do": "cut", "at": "before_reading"},
        {"do": "hang", "seconds": 0},
    ],
)
def test_a_message_that_was_not_taken_is_not_there(
    tmp_path: Path, fault: dict[str, object]
) -> None:
    path = tmp_path / "ledger.jsonl"
    with talk({"faults": [fault | {"nth": [1]}]}, ledger=path) as fake:
        with suppress(OSError, HTTPException):  # some are cut off, as asked for
            fake.create(Body="lost")
        fake.created(Body="kept")

    assert [line["body"] for line in lines(path)] == ["kept"]


def test_a_later_run_goes_on_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for body in ("first", "second"):
        with talk(ledger=path) as fake:
            fake.created(Body=body)

    assert [line["body"] for line in lines(path)] == ["first", "second"]


def test_redacting_deleting_and_resetting_leave_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with talk(ledger=path) as fake:
        fake.created(From="", MessagingServiceSid=SERVICE)
        before = path.read_bytes()
        fake.control("POST", "/reset")

    assert path.read_bytes() == before != b""


def test_a_provider_that_was_down_still_knows_its_messages(tmp_path: Path) -> None:
    clock = FixedClock(NOW)
    fake = FakeTwilio(ledger=tmp_path / "ledger.jsonl", now=clock.now)
    with running(fake) as url:
        sid = Talk(url).created()

    with running(fake) as url:
        assert Talk(url).fetch(sid)["sid"] == sid
