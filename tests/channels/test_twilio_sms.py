"""Twilio: what is asked of it, and what each of its answers means. One POST, whatever happens."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.channels.wire import (
    ACCOUNT_SID,
    SID,
    TEXT,
    TO,
    TOKEN,
    Answer,
    Wire,
    created,
    cut,
    message,
    never_ending,
    raw,
    refused,
    reset,
    said,
    silence,
)
from worker.channels.twilio_sms import TwilioAccount, TwilioSms, comparable
from worker.domain.delivery import (
    Accepted,
    NotSent,
    Outcome,
    Prepared,
    Rejected,
    SendRequest,
    Uncertain,
    Unsendable,
)
from worker.domain.errors import Misconfigured

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
REF = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://qida.example.com/base/"
HTML = b"<html>gateway</html>"
Open = Callable[..., TwilioSms]


def prepared(to: str = TO, text: str = TEXT, useless: datetime | None = None) -> Prepared:
    return Prepared(SendRequest(to=to, text=text, useless_after_at=useless))


# What is asked of Twilio


def test_a_message_is_asked_for_in_twilios_form(wire: Wire, twilio: Open) -> None:
    channel = twilio(public_url=PUBLIC)

    outcome = channel.submit(prepared(useless=NOW + timedelta(hours=2)), REF, now=NOW)

    (asked,) = wire.asked
    assert outcome == Accepted(SID, "queued")
    assert (asked.method, asked.target) == (
        "POST", f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json",
    )  # fmt: skip
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["authorization"].startswith("Basic ")
    assert asked.form == {
        "To": TO,
        "From": "+15005550006",
        "Body": TEXT,
        "ValidityPeriod": "7200",
        "StatusCallback": f"https://qida.example.com/base/hooks/twilio/{REF}"
        "#ct=5000&rt=15000&tt=15000&rc=5&rp=all",
    }


def test_a_messaging_service_goes_before_a_sender(wire: Wire, twilio: Open) -> None:
    twilio(messaging_service_sid="MG" + "b" * 32).submit(prepared(), REF, now=NOW)

    assert wire.asked[0].form == {
        "To": TO, "Body": TEXT, "MessagingServiceSid": "MG" + "b" * 32,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("left", "validity"),
    [
        (timedelta(seconds=5), "5"),
        (timedelta(seconds=59, milliseconds=900), "59"),
        (timedelta(hours=10), "36000"),
        (timedelta(days=30), "36000"),
    ],
)
def test_a_message_is_valid_while_it_is_of_use(
    wire: Wire, twilio: Open, left: timedelta, validity: str
) -> None:
    at_eight = timezone(timedelta(hours=8))

    twilio().submit(prepared(useless=(NOW + left).astimezone(at_eight)), REF, now=NOW)

    assert wire.asked[0].form["ValidityPeriod"] == validity


@pytest.mark.parametrize("left", [4.9, 0, -60])
def test_what_could_only_arrive_too_late_is_not_sent(wire: Wire, twilio: Open, left: float) -> None:
    useless = NOW + timedelta(seconds=left)

    outcome = twilio().submit(prepared(useless=useless), REF, now=NOW)

    assert outcome == NotSent("too_late")
    assert wire.asked == []


def test_the_environment_neither_redirects_nor_proxies(
    twilio: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    monkeypatch.setenv("TWILIO_REGION", "au1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert twilio().submit(prepared(), REF, now=NOW) == Accepted(SID, "queued")


def test_nothing_is_logged_and_the_token_is_not_shown(
    twilio: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    channel = twilio()

    channel.submit(prepared(), REF, now=NOW)
    channel.find(prepared(), REF, since=NOW, now=NOW)

    assert caplog.records == []
    assert TOKEN not in repr(TwilioAccount(ACCOUNT_SID, TOKEN))


# What is refused before anything is asked


@pytest.mark.parametrize(
    ("phone", "number"),
    [(TO, TO), ("13800000001", TO), ("+85251234567", "+85251234567")],
)
def test_numbers_go_out_as_e164_and_are_kept_as_stored(
    wire: Wire, twilio: Open, phone: str, number: str
) -> None:
    channel = twilio()
    ready = channel.prepare(SendRequest(to=phone, text=TEXT))

    channel.submit(ready, REF, now=NOW)
    channel.find(ready, REF, since=NOW, now=NOW)

    assert ready.request.to == phone  # caps and refusals know an address by its stored form
    assert [asked.form["To"] for asked in wire.asked] == [number, number]


@pytest.mark.parametrize(
    ("phone", "text", "code", "scope"),
    [
        ("", TEXT, "no_address", "recipient"),
        ("10000000001", TEXT, "sandbox_number", "recipient"),
        ("10000000099", TEXT, "sandbox_number", "recipient"),
        ("+8610000000005", TEXT, "sandbox_number", "recipient"),
        ("02812345678", TEXT, "invalid_number", "recipient"),
        ("+0", TEXT, "invalid_number", "recipient"),
        (f"{TO}&To=+1", TEXT, "invalid_number", "recipient"),
        (TO, " \n", "no_text", "config"),
        (TO, "测" * 1601, "text_too_long", "config"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_a_reason(
    wire: Wire, twilio: Open, phone: str, text: str, code: str, scope: str
) -> None:
    with pytest.raises(Unsendable) as refusal:
        twilio().prepare(SendRequest(to=phone, text=text))

    assert (refusal.value.code, refusal.value.scope) == (code, scope)
    assert wire.asked == []


def test_the_routes_signature_counts_as_part_of_a_message(twilio: Open) -> None:
    parts = [twilio().prepare(SendRequest(to=TO, text="测" * n)).parts for n in (58, 59, 1600)]

    assert parts == [1, 2, 25]


# What the answers mean (the table of research/channels.md, in order)

PROBLEM = {"type": "https://example.com", "title": "no", "status": 400, "code": 21211}
TWILIOS = {"Twilio-Request-Id": "RQ1"}
FULL = said(201, b"{" + b" " * 1024 * 1024 + b"}")

ANSWERS: list[tuple[str, Answer, Outcome]] = [
    ("429 alone", said(429, b""), NotSent("429")),
    ("429", refused(429, 20429), NotSent("20429")),
    (
        "429 with seconds",
        refused(429, 20429, {"Retry-After": "7"}),
        NotSent("20429", timedelta(seconds=7)),
    ),
    (
        "429 with a date",
        refused(429, 20429, {"Retry-After": "Fri, 20 Nov 2026 08:31:30 GMT"}),
        NotSent("20429", timedelta(seconds=90)),
    ),
    (
        "429 for ages",
        refused(429, 20429, {"Retry-After": "9" * 5000}),
        NotSent("20429", timedelta(hours=1)),
    ),
    (
        "429 since yesterday",
        refused(429, 20429, {"Retry-After": "Thu, 19 Nov 2026 08:30:00 GMT"}),
        NotSent("20429", timedelta()),
    ),
    ("429 in words", refused(429, 20429, {"Retry-After": "soon"}), NotSent("20429")),
    ("queue full", refused(400, 21611), NotSent("21611")),
    ("bad number", refused(400, 21211), Rejected("21211", "recipient")),
    ("bad number, RFC 9457", said(400, PROBLEM, TWILIOS), Rejected("21211", "recipient")),
    ("landline", refused(400, 21614), Rejected("21614", "recipient")),
    ("opted out", refused(400, 21610), Rejected("21610", "recipient", opted_out=True)),
    ("region", refused(400, 21408), Rejected("21408", "config")),
    ("token", refused(401, 20003), Rejected("20003", "account")),
    ("no account", refused(404, 20404), Rejected("20404", "account")),
    ("code nobody knows", refused(400, 29999), Rejected("29999", "config")),
    ("moved, by a proxy", said(307, HTML, {"Location": "/elsewhere"}), NotSent("proxy:307")),
    ("refused by a proxy", said(403, HTML), NotSent("proxy:403")),
    ("refused by a proxy in JSON", said(407, {"code": 407}), NotSent("proxy:407")),
    ("refused by Twilio without words", said(403, HTML, TWILIOS), Rejected("403", "config")),
    ("408", refused(408, 20408), Uncertain("408: TwilioRestException")),
    ("500", refused(500, 20500), Uncertain("500: TwilioRestException")),
    ("503", said(503, HTML), Uncertain("503: TwilioRestException")),
    ("103", said(103, b""), Uncertain("no answer: HTTPException")),
    ("cut", cut, Uncertain("no answer: RemoteDisconnected")),
    ("reset", reset, Uncertain("no answer: ConnectionResetError")),
    ("silence", silence, Uncertain("no answer: TimeoutError")),
    ("never ending", never_ending, Uncertain("no answer: TimeoutError")),
    ("junk", raw(b"\x00\xff\r\n\r\n"), Uncertain("no answer: BadStatusLine")),
    (
        "silence after the status",
        raw(b"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{"),
        Uncertain("201: IncompleteRead"),
    ),
    (
        "a chunk cut off",
        raw(b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"),
        Uncertain("400: IncompleteRead"),
    ),
    ("201 and a page", said(201, HTML), Uncertain("201: JSONDecodeError")),
    ("201 and nothing", said(201, b""), Uncertain("201 without a message id")),
    ("201 and a list", said(201, []), Uncertain("201: AttributeError")),
    ("201 and no id", said(201, {}), Uncertain("201 without a message id")),
    ("201 and an odd id", created(sid="../Calls"), Uncertain("201 without a message id")),
    ("201, not text", said(201, b"\xff\xfe"), Uncertain("201: UnicodeDecodeError")),
    ("201, too long", FULL, Uncertain("201: HTTPException")),
    ("201", created(), Accepted(SID, "queued")),
    ("200", said(200, message()), Accepted(SID, "queued")),
    ("201 by a service", created(status="accepted"), Accepted(SID, "accepted")),
    ("201 and an odd status", created(status="<b>"), Accepted(SID, "accepted")),
    ("201, a status nobody knows", created(status="pondering"), Accepted(SID, "pondering")),
]


@pytest.mark.parametrize(
    ("answer", "outcome"), [case[1:] for case in ANSWERS], ids=[case[0] for case in ANSWERS]
)
def test_each_answer_means_one_thing_and_nothing_is_sent_twice(
    wire: Wire, twilio: Open, answer: Answer, outcome: Outcome
) -> None:
    wire.answers = [answer]

    seen = twilio(read_seconds=0.3).submit(prepared(), REF, now=NOW)

    assert seen == outcome
    assert len(wire.posts) == len(wire.asked) == 1


def test_a_provider_that_is_not_there_was_told_nothing(twilio: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    outcome = twilio(base_url=f"http://127.0.0.1:{port}").submit(prepared(), REF, now=NOW)

    assert outcome == NotSent("not_reached:ConnectionRefusedError")


def test_a_name_that_cannot_be_looked_up_was_told_nothing(twilio: Open) -> None:
    channel = twilio(base_url=f"https://{'a' * 70}.example")

    assert channel.submit(prepared(), REF, now=NOW) == NotSent("not_reached:UnicodeError")


def test_a_provider_that_does_not_answer_the_door_was_told_nothing(twilio: Open) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        crowd = [socket.socket() for _ in range(8)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(address)
        channel = twilio(connect_seconds=0.1, base_url=f"http://127.0.0.1:{address[1]}")

        outcome = channel.submit(prepared(), REF, now=NOW)
        for one in crowd:
            one.close()

    assert outcome == NotSent("not_reached:TimeoutError")


# What Twilio says later


@pytest.mark.parametrize(
    ("status", "code", "state", "is_transient", "opted_out"),
    [
        ("scheduled", None, "accepted", False, False),
        ("accepted", None, "accepted", False, False),
        ("queued", None, "accepted", False, False),
        ("sending", None, "accepted", False, False),
        ("sent", None, "sent", False, False),
        ("partially_delivered", None, "sent", False, False),
        ("delivered", None, "delivered", False, False),
        ("read", None, "delivered", False, False),
        ("canceled", None, "canceled", False, False),
        ("undelivered", 30003, "undelivered", True, False),
        ("undelivered", 30005, "undelivered", False, False),
        ("undelivered", 30007, "undelivered", False, False),
        ("undelivered", 39999, "undelivered", False, False),
        ("failed", 30001, "failed", True, False),
        ("failed", 21610, "failed", False, True),
        ("failed", None, "failed", False, False),
        ("delivered", 30003, "delivered", False, False),
        ("pondering", 30003, None, False, False),
        ("received", None, None, False, False),
    ],
)
def test_a_status_reads_as_one_of_our_states_or_as_none(  # noqa: PLR0913, PLR0917 - a table's row
    wire: Wire,
    twilio: Open,
    status: str,
    code: int | None,
    state: str | None,
    is_transient: bool,
    opted_out: bool,
) -> None:
    wire.answers = [said(200, message(status=status, error_code=code, price="-0.05"))]

    receipt = twilio().poll(SID, now=NOW)

    assert receipt is not None
    assert (receipt.provider_id, receipt.status, receipt.state) == (SID, status, state)
    assert (receipt.is_transient, receipt.opted_out) == (is_transient, opted_out)
    assert receipt.code == str(code or "")
    assert receipt.created_at == NOW
    assert receipt.raw == '{"segments": "1", "price": "-0.05", "unit": "USD"}'


@pytest.mark.parametrize(
    "answer",
    [
        cut, reset, silence, said(200, HTML), said(200, {}), said(200, []), said(429, b""),
        refused(500, 20500), refused(401, 20003), said(404, HTML), said(302, message()["sid"]),
        said(200, message("SM" + "2" * 32)), said(200, message(status=None)),
        said(200, message(date_created="Fri, 32 Nov 2026 08:30:00 +0000")),
    ],
)  # fmt: skip
def test_a_poll_that_is_not_answered_says_nothing(wire: Wire, twilio: Open, answer: Answer) -> None:
    wire.answers = [answer]

    receipt = twilio(read_seconds=0.2).poll(SID, now=NOW)

    assert receipt is None
    assert wire.asked[0].target == f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{SID}.json"


def test_a_message_twilio_does_not_have_is_missing(wire: Wire, twilio: Open) -> None:
    wire.answers = [refused(404, 20404)]

    receipt = twilio().poll(SID, now=NOW)

    assert receipt is not None
    assert (receipt.status, receipt.state) == ("missing", None)


@pytest.mark.parametrize("sid", ["", "SB" + "1" * 32, "SM1/../../Accounts", SID + "?x"])
def test_only_ids_of_messages_are_asked_about(wire: Wire, twilio: Open, sid: str) -> None:
    assert twilio().poll(sid, now=NOW) is None
    assert twilio().redact(sid) is False
    assert wire.asked == []


@pytest.mark.parametrize(
    ("answer", "is_redacted"),
    [
        (said(200, message(body="")), True),
        (said(200, message()), False),
        (refused(400, 20009), False),
        (refused(404, 20404), False),
        (said(200, HTML), False),
        (cut, False),
        (said(429, b""), False),
    ],
)
def test_a_text_is_redacted_only_when_twilio_says_so(
    wire: Wire, twilio: Open, answer: Answer, is_redacted: bool
) -> None:
    wire.answers = [answer]

    assert twilio().redact(SID) is is_redacted
    assert wire.posts[0].form == {"Body": ""}
    assert wire.posts[0].target.endswith(f"/Messages/{SID}.json")


# Settings


def test_every_wrong_setting_is_named_and_none_is_shown() -> None:
    with pytest.raises(Misconfigured) as wrong:
        TwilioSms(TwilioAccount("AC1", " ", public_url="https://a_b.example", sender=""))

    assert [fault.place for fault in wrong.value.faults] == [
        "QIDA_TWILIO_ACCOUNT_SID",
        "QIDA_TWILIO_AUTH_TOKEN",
        "QIDA_TWILIO_FROM",
        "QIDA_PUBLIC_URL",
    ]
    assert {fault.value for fault in wrong.value.faults} == {""}


@pytest.mark.parametrize("sender", ["+15005550006", "12345", "Qida", "My Centre 1"])
def test_a_number_a_short_code_or_a_name_may_send(sender: str) -> None:
    TwilioSms(TwilioAccount(ACCOUNT_SID, TOKEN, sender=sender)).close()


@pytest.mark.parametrize(
    "sender", ["12", "+1", "15005550006", "A name far too long", "a\nb", "期达"]
)
def test_what_cannot_send_is_refused_at_the_start(sender: str) -> None:
    with pytest.raises(Misconfigured) as wrong:
        TwilioSms(TwilioAccount(ACCOUNT_SID, TOKEN, sender=sender))

    assert [fault.place for fault in wrong.value.faults] == ["QIDA_TWILIO_FROM"]


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.twilio.com", "ftp://127.0.0.1", "https://", "127.0.0.1:80",
        "https://me:secret@api.twilio.com", "https://api.twilio.com/v1", "http://127.0.0.1.nip.io",
    ],
)  # fmt: skip
def test_a_plain_or_odd_address_of_twilio_is_refused(base_url: str) -> None:
    account = TwilioAccount(ACCOUNT_SID, TOKEN, sender="+15005550006", base_url=base_url)

    with pytest.raises(Misconfigured):
        TwilioSms(account)


@pytest.mark.parametrize(
    ("url", "is_usable"),
    [
        ("https://qida.example.com", True),
        ("https://qida.example.com:8443/base", True),
        ("http://127.0.0.1:8080", True),
        ("http://qida.example.com", False),
        ("https://me:secret@qida.example.com", False),
        ("https://qida.example.com/?a=1", False),
        ("https://qida.example.com/#a", False),
        ("qida.example.com", False),
    ],
)
def test_a_callback_goes_only_where_nobody_reads_along(url: str, is_usable: bool) -> None:
    account = TwilioAccount(ACCOUNT_SID, TOKEN, sender="+15005550006", public_url=url)

    try:
        TwilioSms(account).close()
        accepted = True
    except Misconfigured:
        accepted = False

    assert accepted is is_usable


def test_texts_compare_without_what_routes_change() -> None:
    assert comparable("请于 11月27日前办理，“谢谢”") in comparable(
        '【示例】请于11月27日前办理, "谢谢" 退订回T'
    )
