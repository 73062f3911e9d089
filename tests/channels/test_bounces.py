"""Delivery reports become receipts; whatever else comes by mail is nothing, and harmless."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.channels.bounces import MAX_BYTES, bounces, file_away, forget, read_bounce
from worker.domain.delivery import AttemptState, Receipt
from worker.domain.errors import Unavailable

REF = "0123456789abcdef0123456789abcdef"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

REPORT = """\
Return-Path: <>
Delivered-To: {to}
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
To: {to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="edge"

--edge
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system. Your message could not be delivered to <zhangsan@example.com>.

--edge
Content-Description: Delivery report
Content-Type: message/{kind}

Reporting-MTA: dns; mx.example.com
{envelope}X-Postfix-Queue-ID: 4XyZ1k2b3c
Arrival-Date: Fri, 20 Nov 2026 16:30:00 +0800 (CST)

Final-Recipient: rfc822; zhangsan@example.com
Original-Recipient: rfc822;zhangsan@example.com
Action: {action}
Status: {status}
Remote-MTA: dns; mail.example.com
Diagnostic-Code: smtp; 550 5.1.1
    <zhangsan@example.com>:   User unknown

--edge
Content-Description: Undelivered Message Headers
Content-Type: {returned}

{headers}
--edge--
"""


def a_report(**changed: str) -> bytes:
    values = {
        "to": "no-reply@example.com",
        "kind": "delivery-status",
        "envelope": f"Original-Envelope-Id: {REF}\n",
        "action": "failed",
        "status": "5.1.1",
        "returned": "text/rfc822-headers",
        "headers": "Message-ID: <reminder-7@example.com>\nSubject: =?utf-8?b?5o+Q6YaS?=\n",
    }
    return REPORT.format(**{**values, **changed}).encode()


@pytest.mark.parametrize(
    ("action", "status", "state", "is_transient"),
    [
        ("failed", "5.1.1", AttemptState.UNDELIVERED, False),
        ("failed", "5.2.2", AttemptState.UNDELIVERED, True),
        ("failed", "4.4.7", AttemptState.UNDELIVERED, True),
        ("failed", "5.7.1", AttemptState.UNDELIVERED, False),
        ("delivered", "2.0.0", AttemptState.DELIVERED, False),
        ("relayed", "2.0.0", AttemptState.SENT, False),
        ("expanded", "2.0.0", AttemptState.SENT, False),
        ("delayed", "4.4.1", None, True),
    ],
)
def test_a_report_says_what_became_of_one_attempt(
    action: str, status: str, state: AttemptState | None, is_transient: bool
) -> None:
    (receipt,) = read_bounce(a_report(action=action, status=status))

    assert receipt == Receipt("", action, state, code=status, ref=REF, is_transient=is_transient)


@pytest.mark.parametrize("action", ["invented", "fai\0led", "<zhangsan@example.com>", ""])
def test_an_action_nobody_knows_is_not_repeated(action: str) -> None:
    (receipt,) = read_bounce(a_report(action=action, status="5.0.0"))

    assert receipt == Receipt("", "unknown", None, code="5.0.0", ref=REF)


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ("Failed", AttemptState.UNDELIVERED),
        ("failed (rejected by filter)", AttemptState.UNDELIVERED),
    ],
)
def test_an_action_may_be_written_loosely(action: str, state: AttemptState) -> None:
    assert read_bounce(a_report(action=action))[0].state is state


@pytest.mark.parametrize("status", ["5.1.1 (bad destination mailbox)", "", "unknown"])
def test_the_status_may_stand_in_the_diagnosis_only(status: str) -> None:
    assert read_bounce(a_report(status=status))[0].code == "5.1.1"


def test_an_envelope_id_comes_back_as_xtext() -> None:
    (receipt,) = read_bounce(a_report(envelope="Original-Envelope-Id: a+2Db\n"))

    assert receipt.ref == "a-b"


@pytest.mark.parametrize("header", ["Delivered-To", "X-Original-To", "Envelope-To", "To"])
def test_without_an_envelope_id_the_return_path_names_the_attempt(header: str) -> None:
    report = a_report(envelope="").replace(
        b"Return-Path: <>", f"Return-Path: <>\n{header}: <bounce+{REF}@example.com>".encode()
    )

    assert [one.ref for one in read_bounce(report)] == [REF]


def test_the_original_recipient_may_be_the_return_path() -> None:
    report = a_report(envelope="").replace(
        b"Original-Recipient: rfc822;zhangsan@",
        f"Original-Recipient: rfc822;bounce+{REF}@".encode(),
    )

    assert [one.ref for one in read_bounce(report)] == [REF]


@pytest.mark.parametrize(
    ("returned", "headers"),
    [
        ("text/rfc822-headers", "Message-ID: <reminder-7@example.com>\n"),
        ("text/rfc822-headers", "Subject: x\nMessage-Id:\n <reminder-7@example.com>\n"),
        ("message/rfc822", "Message-ID: <reminder-7@example.com>\n\n您好\n"),
    ],
)
def test_failing_both_the_message_id_names_the_reminder(returned: str, headers: str) -> None:
    (receipt,) = read_bounce(a_report(envelope="", returned=returned, headers=headers))

    assert (receipt.ref, receipt.raw) == ("", "message-id:reminder-7")
    assert receipt.state is AttemptState.UNDELIVERED


def test_a_message_id_that_can_be_guessed_never_proves_delivery() -> None:
    (receipt,) = read_bounce(a_report(envelope="", action="delivered", status="2.0.0"))

    assert (receipt.status, receipt.state) == ("delivered", AttemptState.SENT)


def test_a_report_on_nobodys_message_is_nothing() -> None:
    assert read_bounce(a_report(envelope="", headers="Subject: x\n")) == []


def test_each_recipient_block_is_a_receipt() -> None:
    second = (
        b"\nFinal-Recipient: rfc822; lisi@example.com\nAction: delivered\nStatus: 2.1.5\n\n--edge"
    )
    report = a_report().replace(
        b"\n--edge\nContent-Description: Undel", second + b"\nContent-Description: Undel"
    )

    assert [(one.status, one.code) for one in read_bounce(report)] == [
        ("failed", "5.1.1"),
        ("delivered", "2.1.5"),
    ]


def test_reports_on_addresses_beyond_ascii_are_read_too() -> None:
    report = a_report(kind="global-delivery-status", returned="message/global-headers")

    assert [(one.ref, one.code) for one in read_bounce(report)] == [(REF, "5.1.1")]
    assert read_bounce(report.replace(b"Original-Envelope-Id", b"X"))[0].raw


def test_line_ends_may_be_those_of_the_wire() -> None:
    assert [one.ref for one in read_bounce(a_report().replace(b"\n", b"\r\n"))] == [REF]


def test_no_receipt_holds_an_address_or_the_servers_words() -> None:
    for report in (a_report(), a_report(envelope=""), a_report(action="x " * 100)):
        (receipt,) = read_bounce(report)

        assert "example.com" not in repr(receipt)
        assert "User" not in repr(receipt)
        assert "x x" not in repr(receipt)


@pytest.mark.parametrize("subject", [f"unsubscribe {REF}", f"Unsubscribe\n {REF.upper()}"])
def test_a_mail_to_unsubscribe_is_a_refusal(subject: str) -> None:
    raw = f"From: zhangsan@example.com\nSubject: {subject}\n\n".encode()

    assert read_bounce(raw) == [Receipt("", "unsubscribed", None, ref=REF, opted_out=True)]


ORDINARY = {
    "nothing": b"",
    "a letter": b"From: a@example.com\nSubject: hello\n\nhello\n",
    "a wish without a ref": b"Subject: unsubscribe\n\n",
    "an answer to a refusal": f"Subject: Re: unsubscribe {REF}\n\n".encode(),
    "an absence": b"Auto-Submitted: auto-replied\nSubject: away\n\nback on Monday\n",
    "a forwarded report": b'Content-Type: multipart/mixed; boundary="x"\n\n--x\n'
    b"Content-Type: message/rfc822\n\n" + a_report() + b"\n--x--\n",
    "a read receipt": a_report(kind="disposition-notification"),
    "a report cut short": a_report()[:700],
    "a report without parts": a_report().replace(b"--edge", b"--else"),
    "a report without an edge": a_report().replace(b'; boundary="edge"', b""),
    "a report of nobody": a_report().split(b"Final-Recipient")[0] + b"--edge--\n",
    "octets": bytes(range(256)) * 10,
    "nulls": b"\0" * 1000,
    "a deep nest": b"".join(
        b'Content-Type: multipart/report; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(5000)
    ),
    "many parts": b'Content-Type: multipart/report; boundary="x"\n\n'
    + b"--x\nContent-Type: message/delivery-status\n\n" * 20000,
    "one long header": b"Content-Type: multipart/report; " + b'a="(((" ' * 100000 + b"\n\n",
    "a report of ten megabytes": a_report() + b"x" * (10 * 2**20),
}


@pytest.mark.parametrize("raw", ORDINARY.values(), ids=ORDINARY.keys())
def test_what_is_no_report_is_nothing(raw: bytes) -> None:
    assert read_bounce(raw) == []


@given(st.binary(max_size=300), st.integers(0, 1500), st.integers(0, 300))
def test_a_damaged_report_is_read_or_not_but_never_fails(
    noise: bytes, at: int, length: int
) -> None:
    report = a_report()

    receipts = read_bounce(report[:at] + noise + report[at + length :])

    assert all(one.ref or one.raw for one in receipts)


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("tmp", "new", "cur"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def arrive(maildir: Path) -> Callable[..., Path]:
    """Let a mail arrive, `at` seconds of 2026-11-20."""

    def deliver(name: str, raw: bytes, at: int = 0) -> Path:
        path = maildir / "new" / name
        path.write_bytes(raw)
        arrived = (datetime(2026, 11, 20, tzinfo=UTC) + timedelta(seconds=at)).timestamp()
        os.utime(path, (arrived, arrived))
        return path

    return deliver


def test_mail_is_read_in_the_order_in_which_it_came(
    maildir: Path, arrive: Callable[..., Path]
) -> None:
    later = arrive("a", a_report(), at=2)
    letter = arrive("b", b"Subject: hello\n\nhello\n", at=1)

    found = list(bounces(maildir, LONG_AGO))

    assert [(path, len(receipts)) for path, receipts in found] == [(letter, 0), (later, 1)]


def test_mail_from_before_is_passed_over(maildir: Path, arrive: Callable[..., Path]) -> None:
    arrive("old", a_report(), at=-1)
    fresh = arrive("new", a_report(), at=0)

    found = bounces(maildir, datetime(2026, 11, 20, tzinfo=UTC))

    assert [path for path, _ in found] == [fresh]


def test_mail_comes_again_until_it_is_filed_away_or_forgotten(
    maildir: Path, arrive: Callable[..., Path]
) -> None:
    filed, gone, left = (arrive(name, a_report(), at) for at, name in enumerate("abc"))
    list(bounces(maildir, LONG_AGO))

    file_away(filed)
    forget(gone)

    assert [path for path, _ in bounces(maildir, LONG_AGO)] == [left]
    assert (maildir / "cur" / "a:2,S").read_bytes() == a_report()


def test_two_workers_may_file_the_same_mail(maildir: Path, arrive: Callable[..., Path]) -> None:
    path = arrive("a", a_report())

    file_away(path)
    file_away(path)
    forget(path)

    assert list(bounces(maildir, LONG_AGO)) == []


def test_mail_another_worker_took_meanwhile_is_passed_over(
    maildir: Path, arrive: Callable[..., Path]
) -> None:
    arrive("a", a_report(), at=0)
    taken = arrive("b", a_report(), at=1)
    walk = bounces(maildir, LONG_AGO)
    next(walk)

    forget(taken)

    assert list(walk) == []


def test_a_huge_mail_is_not_even_read(maildir: Path, arrive: Callable[..., Path]) -> None:
    path = arrive("a", a_report())
    os.truncate(path, MAX_BYTES + 1)

    assert list(bounces(maildir, LONG_AGO)) == [(path, [])]


def test_a_mail_that_cannot_be_read_stops_no_other_and_is_told(
    maildir: Path, arrive: Callable[..., Path]
) -> None:
    (maildir / "new" / "folder").mkdir()
    path = arrive("a", a_report(), at=2**30)
    walk = bounces(maildir, LONG_AGO)

    found = [next(walk)[0]]
    with pytest.raises(Unavailable) as told:
        next(walk)

    assert found == [path]
    assert "1 reports" in told.value.text.en


def test_a_folder_that_is_no_maildir_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as refused:
        next(bounces(tmp_path / "nowhere", LONG_AGO))

    assert "nowhere" in refused.value.text.zh
