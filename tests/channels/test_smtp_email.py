"""What a relay says becomes the right outcome, and no message is handed over twice."""

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.policy import default

import pytest

from tests.channels.mailserver import DROP, SILENT, MailServer, serving
from worker.channels.smtp_email import SmtpEmail, SmtpRelay
from worker.domain.delivery import (
    Accepted,
    CalendarEntry,
    NotSent,
    Outcome,
    Rejected,
    SendRequest,
    Uncertain,
    Unsendable,
)

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
REF = "0123456789abcdef0123456789abcdef"
TO = "zhangsan@example.com"
SENDER = "示例中心 <no-reply@example.com>"

Open = Callable[..., SmtpEmail]


@pytest.fixture
def server() -> Iterator[MailServer]:
    with serving() as one:
        yield one


@pytest.fixture
def email(server: MailServer) -> Iterator[Open]:
    """Open the channel, pointed at the mail server on loopback unless told otherwise."""
    opened: list[SmtpEmail] = []

    def open_one(
        *, port: int = server.port, verp: bool = False, connect_s: float = 5, read_s: float = 5
    ) -> SmtpEmail:
        relay = SmtpRelay(f"smtp://127.0.0.1:{port}", SENDER, "https://qida.example.com", verp)
        opened.append(SmtpEmail(relay, connect_s=connect_s, read_s=read_s))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def send(channel: SmtpEmail, to: str = TO, text: str = "您好\n", ref: str = REF) -> Outcome:
    request = SendRequest(to=to, text=text, subject="社保卡挂失补领期限")
    return channel.submit(channel.prepare(request), ref, now=NOW)


def test_a_message_taken_is_known_by_the_relays_queue_id_and_our_ref(
    email: Open, server: MailServer
) -> None:
    outcome = send(email())

    assert outcome == Accepted(f"Q1/{REF}")
    assert server.mails[0].rcpt_tos == [TO]
    assert server.mails[0].mail_from == "no-reply@example.com"


@pytest.mark.parametrize(
    ("reply", "provider_id"),
    [
        ("250 2.0.0 Ok: queued as 4XyZ1k2b3czQ9", f"4XyZ1k2b3czQ9/{REF}"),
        ("250 OK id=1tAbCd-000000001Xy-2Zab", f"1tAbCd-000000001Xy-2Zab/{REF}"),
        ("250 OK", REF),
        ("250-2.0.0 a word more\r\n250 2.0.0 Ok: queued as A1", f"A1/{REF}"),
    ],
)
def test_relays_name_a_message_each_in_their_own_way(
    email: Open, server: MailServer, reply: str, provider_id: str
) -> None:
    server.faults["CONTENT"] = reply

    assert send(email()) == Accepted(provider_id)


def test_a_queue_id_used_again_still_names_two_messages(email: Open, server: MailServer) -> None:
    server.faults["CONTENT"] = "250 2.0.0 Ok: queued as 4A1B2C3D"
    channel = email()

    outcomes = {send(channel, ref="a" * 32), send(channel, ref="b" * 32)}

    assert len(outcomes) == 2


@pytest.mark.parametrize(
    ("step", "reply", "outcome"),
    [
        ("MAIL", "550 5.7.1 Sender refused", Rejected("5.7.1", "config")),
        ("MAIL", "550 5.1.1 who are you", Rejected("5.1.1", "config")),
        ("MAIL", "552 5.3.4 Message size exceeds limit", Rejected("5.3.4", "config")),
        ("RCPT", "550 5.1.1 <zhangsan@example.com>: unknown", Rejected("5.1.1", "recipient")),
        ("RCPT", "550 No such user", Rejected("550", "recipient")),
        ("RCPT", "552 5.2.2 Mailbox full", Rejected("5.2.2", "recipient")),
        ("RCPT", "550 5.4.4 Host not found", Rejected("5.4.4", "recipient")),
        ("RCPT", "554 5.7.1 Relay access denied", Rejected("5.7.1", "config")),
        ("RCPT", "550 5.1.8 Sender address rejected", Rejected("5.1.8", "config")),
        ("RCPT", "550 5.1.10 Null MX", Rejected("5.1.10", "recipient")),
        ("RCPT", "530 Authentication required", Rejected("530", "config")),
        ("DATA", "554 5.5.1 No valid recipients", Rejected("5.5.1", "config")),
        ("CONTENT", "554 5.7.1 Looks like spam", Rejected("5.7.1", "config")),
        ("CONTENT", "550 5.1.1 Unknown after all", Rejected("5.1.1", "recipient")),
        ("CONTENT", "552 5.2.2 Mailbox full", Rejected("5.2.2", "recipient")),
        ("CONTENT", "554 Transaction failed", Rejected("554", "config")),
    ],
)
def test_a_refusal_for_good_says_whose_fault_it_is(
    email: Open, server: MailServer, step: str, reply: str, outcome: Rejected
) -> None:
    server.faults[step] = reply

    assert send(email()) == outcome


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "CONTENT"])
def test_greylisting_is_answered_by_waiting_five_to_fifteen_minutes(
    email: Open, server: MailServer, step: str
) -> None:
    server.faults[step] = "450 4.2.0 Greylisted"

    outcomes = [send(email(), ref=f"{number:032x}") for number in range(5)]

    pauses = {one.retry_after for one in outcomes if isinstance(one, NotSent)}
    assert len(pauses) == 5  # they do not all come back at once
    assert all(pause and 5 * 60 <= pause.total_seconds() <= 15 * 60 for pause in pauses)
    assert {getattr(one, "reason", "") for one in outcomes} == {f"{step.lower()} 450 4.2.0"}


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "CONTENT"])
def test_a_relay_that_goes_away_sent_nothing_and_is_connected_to_anew(
    email: Open, server: MailServer, step: str
) -> None:
    server.faults[step] = "421 4.3.2 Shutting down"
    channel = email()

    first = send(channel)
    server.faults.clear()
    second = send(channel)

    assert first == NotSent(f"{step.lower()} 421 4.3.2")
    assert isinstance(second, Accepted)
    assert server.asked["connection"] == 2


@pytest.mark.parametrize("fault", [DROP, "220 what", "nonsense"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_what_goes_wrong_before_the_content_sent_nothing(
    email: Open, server: MailServer, step: str, fault: str
) -> None:
    server.faults[step] = fault

    outcome = send(email())

    assert isinstance(outcome, NotSent)
    assert server.mails == []


@pytest.mark.parametrize("fault", [DROP, "354 what", "nonsense", "250 " + "x" * 10000])
def test_what_goes_wrong_after_the_content_is_uncertain_and_asked_once_only(
    email: Open, server: MailServer, fault: str
) -> None:
    server.faults["CONTENT"] = fault

    outcome = send(email())

    assert isinstance(outcome, Uncertain)
    assert len(server.mails) == 1
    assert server.asked["CONTENT"] == 1


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_a_relay_that_falls_silent_before_the_content_sent_nothing(
    email: Open, server: MailServer, step: str
) -> None:
    server.faults[step] = SILENT

    assert isinstance(send(email(connect_s=0.1, read_s=0.1)), NotSent)


def test_a_relay_that_falls_silent_after_the_content_leaves_it_uncertain(
    email: Open, server: MailServer
) -> None:
    server.faults["CONTENT"] = SILENT

    assert isinstance(send(email(read_s=0.1)), Uncertain)


def test_a_relay_that_never_greets_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        relay = SmtpRelay(f"smtp://127.0.0.1:{mute.getsockname()[1]}", SENDER)
        outcome = send(SmtpEmail(relay, connect_s=0.05, read_s=0.05))

    assert isinstance(outcome, NotSent)


def test_a_relay_nobody_runs_sent_nothing(email: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    assert send(email(port=port)) == NotSent("connect: ConnectionRefusedError")


def test_no_outcome_repeats_the_address(email: Open, server: MailServer) -> None:
    for step in ("MAIL", "RCPT", "DATA", "CONTENT"):
        for code in (250, 354, 421, 450, 550):
            server.faults = {step: f"{code} <{TO}> is not wanted"}

            assert TO not in repr(send(email()))


def test_one_refused_recipient_does_not_hold_up_the_next(email: Open, server: MailServer) -> None:
    channel = email()
    server.faults["RCPT"] = "550 5.1.1 Unknown"
    refused = send(channel, "nobody@example.com")
    server.faults.clear()

    taken = send(channel, "lisi@example.com")

    assert refused == Rejected("5.1.1")
    assert isinstance(taken, Accepted)
    assert [mail.rcpt_tos for mail in server.mails] == [["lisi@example.com"]]
    assert server.asked["connection"] == 1


def test_the_content_arrives_as_it_was_written(email: Open, server: MailServer) -> None:
    text = "．全角\n.\n..\n.点\nQUIT\n" + "长" * 3000 + "\n" + "x" * 3000 + "\n€𠮷 é\n"

    outcome = send(email(), text=text)

    content = server.mails[0].content
    assert isinstance(outcome, Accepted)
    assert isinstance(content, bytes)
    message = message_from_bytes(content, policy=default)
    assert message["Subject"] == "社保卡挂失补领期限"
    assert message.get_content().splitlines() == text.splitlines()


def test_plain_lines_that_begin_with_a_dot_keep_it(email: Open, server: MailServer) -> None:
    send(email(), text=".\n..a\n.b\n")

    content = server.mails[0].content
    assert isinstance(content, bytes)
    assert content.endswith(b"\r\n\r\n.\r\n..a\r\n.b\r\n")


def test_bounces_come_to_an_address_of_their_own_where_asked_for(
    email: Open, server: MailServer
) -> None:
    send(email(verp=True))

    assert server.mails[0].mail_from == f"bounce+{REF}@example.com"


def test_an_address_beyond_ascii_goes_to_a_relay_that_writes_it() -> None:
    with serving(enable_SMTPUTF8=True) as server:
        channel = SmtpEmail(SmtpRelay(f"smtp://127.0.0.1:{server.port}", SENDER))
        outcome = send(channel, "市民@example.com")
        channel.close()

    assert isinstance(outcome, Accepted)
    assert server.mails[0].rcpt_tos == ["市民@example.com"]
    assert "SMTPUTF8" in server.mails[0].mail_options


def test_an_address_beyond_ascii_is_refused_where_no_relay_writes_it(
    email: Open, server: MailServer
) -> None:
    channel = email()

    assert send(channel, "市民@example.com") == Rejected("5.6.7", "recipient")
    assert isinstance(send(channel), Accepted)
    assert server.asked["connection"] == 1


def test_a_planted_header_is_refused_before_and_at_the_relay(
    email: Open, server: MailServer
) -> None:
    channel = email()
    good = channel.prepare(SendRequest(to=TO, text="您好\n"))

    with pytest.raises(Unsendable):
        channel.prepare(SendRequest(to=TO, text="", subject="a\r\nBcc: x@example.com"))
    outcome = channel.submit(good, "ref\r\nBcc: x@example.com", now=NOW)

    assert outcome == Rejected("header_injection", "config")
    assert server.asked["connection"] == 0


def test_a_message_that_cannot_be_made_stops_no_other(email: Open) -> None:
    channel = email()
    entry = CalendarEntry("u@example.com", 0, date(9999, 12, 31), "最后一天", "")
    request = SendRequest(to=TO, text="您好\n", entry=entry)

    outcome = channel.submit(channel.prepare(request), REF, now=NOW)

    assert outcome == Rejected("message:OverflowError", "config")
    assert isinstance(send(channel), Accepted)


def test_a_lost_answer_is_looked_up_once_after_the_time_for_a_report(email: Open) -> None:
    channel = email()
    prepared = channel.prepare(SendRequest(to=TO, text="您好\n"))

    found = channel.find(prepared, REF, since=NOW, now=NOW)

    assert channel.caps.finds_after == (timedelta(minutes=15),)
    assert (found.complete, found.hits) == (True, ())
    assert channel.poll("Q1", now=NOW) is None
