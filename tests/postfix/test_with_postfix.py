"""With a real mail server every message ends in the right outcome, and its report finds it."""

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.policy import default

import pytest

from tests.postfix.conftest import Postfix
from worker.channels.bounces import bounces
from worker.channels.smtp_email import SmtpEmail, SmtpRelay
from worker.domain.delivery import (
    Accepted,
    AttemptState,
    CalendarEntry,
    NotSent,
    Outcome,
    Receipt,
    Rejected,
    SendRequest,
)

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
ENTRY = CalendarEntry("d-1@example.com", 0, date(2026, 11, 23), "社保卡书面挂失", "带身份证原件")

Send = Callable[..., Outcome]


@pytest.fixture
def ref() -> str:
    return secrets.token_hex(16)


@pytest.fixture(params=[False, True], ids=["envid", "verp"])
def send(postfix: Postfix, ref: str, request: pytest.FixtureRequest) -> Iterator[Send]:
    """Send one message; its reports go to an address with its ref, so that they can be awaited."""
    sender = f"示例中心 <no-reply+{ref}@example.com>"
    relay = SmtpRelay(f"smtp://127.0.0.1:{postfix.port}", sender, verp=request.param)
    channel = SmtpEmail(relay)

    def send_one(to: str) -> Outcome:
        message = SendRequest(
            to=to,
            text="您好\n.\n",
            subject="社保卡挂失补领期限",
            message_id=f"r-{ref}",
            entry=ENTRY,
        )
        return channel.submit(channel.prepare(message), ref, now=NOW)

    yield send_one
    channel.close()


def reported(postfix: Postfix, ref: str) -> Receipt:
    """The first report on a message, once it has come."""
    postfix.wait_for(rf"to=<[a-z-]+\+{ref}@example\.com>.*status=sent \(delivered to maildir\)")
    found = [one for _, receipts in bounces(postfix.reports, LONG_AGO) for one in receipts]
    return next(one for one in found if one.ref == ref)


@pytest.mark.parametrize("name", ["citizen", "市民"])
def test_what_is_delivered_is_reported_as_delivered(
    postfix: Postfix, send: Send, ref: str, name: str
) -> None:
    outcome = send(f"{name}@example.com")
    receipt = reported(postfix, ref)

    assert isinstance(outcome, Accepted)
    assert outcome.provider_id.endswith(f"/{ref}")
    assert (receipt.status, receipt.state) == ("delivered", AttemptState.DELIVERED)
    assert receipt.code == "2.0.0"


def test_a_message_arrives_as_it_was_written(postfix: Postfix, send: Send, ref: str) -> None:
    send("citizen+card@example.com")
    reported(postfix, ref)

    arrived = [message_from_bytes(raw, policy=default) for raw in postfix.mails_of("citizen")]
    (message,) = [one for one in arrived if one["Message-ID"] == f"<r-{ref}@example.com>"]
    text = message.get_body(("plain",))
    (entry,) = message.iter_attachments()
    assert message["Subject"] == "社保卡挂失补领期限"
    assert message["X-Original-To"] == "citizen+card@example.com"
    assert text is not None
    assert text.get_content().splitlines() == ["您好", "."]
    assert entry.get_filename() == "社保卡期限.ics"


def test_a_mailbox_that_is_not_there_is_refused_at_once(send: Send) -> None:
    assert send("nobody@example.com") == Rejected("5.1.1", "recipient")


def test_an_address_elsewhere_is_ours_to_mend(send: Send) -> None:
    assert send("zhangsan@mail.example.org") == Rejected("5.7.1", "config")


def test_greylisting_is_waited_for(send: Send) -> None:
    outcome = send("greylisted@example.com")

    assert isinstance(outcome, NotSent)
    assert outcome.reason == "rcpt 450 4.2.0"
    assert outcome.retry_after is not None


@pytest.mark.parametrize(
    ("name", "code", "is_transient"), [("gone", "5.1.1", False), ("full", "5.2.2", True)]
)
def test_what_is_taken_and_refused_later_is_undelivered(
    postfix: Postfix, send: Send, ref: str, name: str, code: str, is_transient: bool
) -> None:
    outcome = send(f"{name}@example.com")
    receipt = reported(postfix, ref)

    assert isinstance(outcome, Accepted)
    assert (receipt.status, receipt.state) == ("failed", AttemptState.UNDELIVERED)
    assert (receipt.code, receipt.is_transient) == (code, is_transient)


def test_what_stays_in_the_queue_is_delayed_and_nothing_more(
    postfix: Postfix, send: Send, ref: str
) -> None:
    outcome = send("slow@example.com")
    receipt = reported(postfix, ref)

    assert isinstance(outcome, Accepted)
    assert outcome.provider_id.partition("/")[0] in postfix.queue()
    assert (receipt.status, receipt.state, receipt.code) == ("delayed", None, "4.3.2")


def test_a_kept_connection_serves_the_next_after_a_refusal(postfix: Postfix, ref: str) -> None:
    channel = SmtpEmail(SmtpRelay(f"smtp://127.0.0.1:{postfix.port}", "no-reply@example.com"))
    names = ["nobody", "citizen", "greylisted", "citizen", "nobody"]

    outcomes = [
        channel.submit(channel.prepare(SendRequest(f"{name}@example.com", "您好")), ref, now=NOW)
        for name in names
    ]

    channel.close()
    assert [type(one) for one in outcomes] == [Rejected, Accepted, NotSent, Accepted, Rejected]
