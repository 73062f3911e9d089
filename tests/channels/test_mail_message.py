"""A message holds exactly the headers that were meant, and reads the same in any mail program."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from worker.channels.mail_message import build, calendar_file, check, refuse_breaks, split_address
from worker.domain.delivery import CalendarEntry, SendRequest, Unsendable

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
REF = "0123456789abcdef0123456789abcdef"
SENDER = "示例市社保卡中心 <no-reply@example.com>"
ENTRY = CalendarEntry(
    "deadline-1@example.com", 2, date(2026, 11, 23), "社保卡书面挂失", "请到卡中心\n带身份证原件"
)
HEADERS = [
    "Auto-Submitted",
    "Content-Language",
    "Content-Transfer-Encoding",
    "Content-Type",
    "Date",
    "From",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "MIME-Version",
    "Message-ID",
    "Subject",
    "To",
]

# What a value may not hold: every end of a line that Python or a mail server knows, and the
# encoded word that Python 3.11.7 turns into one.
ENDS = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x1d",
    "\x1e",
    "\x85",
    "\u2028",
    "\u2029",
]
PLANTED = [
    *(f"a{end}Bcc: x@example.com" for end in ENDS),
    *(f"{end}Bcc: x@example.com" for end in ENDS),
    *(f"a{end}" for end in ENDS),
    "=?utf-8?q?a=0ABcc:_x@example.com?=",
    "=?utf-8?q?a=0D=0ABcc:_x@example.com?=",
    "=?utf-8?b?YQpCY2M6IHhAZXhhbXBsZS5jb20=?=",
    "a =?us-ascii?q?=0A?=",
]
FIELDS = ["to", "subject", "message_id", "language", "ref"]


def a_request(**changed: object) -> SendRequest:
    values = {"to": "zhangsan@example.com", "text": "您好\n", "subject": "社保卡挂失补领期限"}
    return SendRequest(**{**values, **changed})  # type: ignore[arg-type]  # values are by name


def built(request: SendRequest, ref: str = REF, public_url: str | None = None) -> bytes:
    url = public_url or "https://qida.example.com"
    return build(request, ref, mail_from=SENDER, public_url=url, now=NOW)


def read(raw: bytes) -> EmailMessage:
    return BytesParser(EmailMessage, policy=default).parsebytes(raw)


def test_a_message_carries_the_headers_of_a_reminder_and_no_others() -> None:
    message = read(built(a_request(message_id="reminder-7")))

    assert sorted(message.keys()) == HEADERS
    assert message["From"] == SENDER
    assert message["To"] == "zhangsan@example.com"
    assert message["Subject"] == "社保卡挂失补领期限"
    assert message["Message-ID"] == "<reminder-7@example.com>"
    assert message["Date"].datetime == NOW
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "zh-CN"


def test_a_message_sent_again_keeps_its_message_id() -> None:
    request = a_request(message_id="reminder-7")

    ids = {read(built(request, ref))["Message-ID"] for ref in ("first", "second")}

    assert ids == {"<reminder-7@example.com>"}


def test_without_a_reminders_id_the_attempts_ref_names_the_message() -> None:
    assert read(built(a_request()))["Message-ID"] == f"<{REF}@example.com>"


def test_whoever_reads_it_can_unsubscribe_with_one_click() -> None:
    message = read(built(a_request(), public_url="https://qida.example.com/cards/"))

    assert message["List-Unsubscribe"] == (
        f"<https://qida.example.com/cards/u/{REF}>, "
        f"<mailto:no-reply@example.com?subject=unsubscribe%20{REF}>"
    )
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize(
    "public_url", ["http://127.0.0.1:8080", "http://[::1]", "http://localhost"]
)
def test_one_click_can_be_tried_out_on_one_machine(public_url: str) -> None:
    assert "List-Unsubscribe-Post" in read(built(a_request(), public_url=public_url))


@pytest.mark.parametrize("public_url", [None, "http://qida.example.com", "http://127.0.0.1.x.com"])
def test_without_an_https_address_unsubscribing_is_by_mail(public_url: str | None) -> None:
    raw = build(a_request(), REF, mail_from=SENDER, public_url=public_url, now=NOW)

    message = read(raw)
    assert message["List-Unsubscribe"].startswith("<mailto:")
    assert "List-Unsubscribe-Post" not in message


def test_long_addresses_to_unsubscribe_stay_readable_addresses() -> None:
    url = "https://social-security-cards.services.example-city.example.com/reminders/of/cards"

    raw = built(a_request(), public_url=url)

    assert f"List-Unsubscribe: <{url}/u/{REF}>,\r\n <mailto:".encode() in raw


@pytest.mark.parametrize(
    "public_url", ["https://x.example.com/\r\nBcc: a", "https://x/>, <y", "https://期达"]
)
def test_an_address_to_unsubscribe_that_could_break_out_is_refused(public_url: str) -> None:
    with pytest.raises(Unsendable) as refused:
        built(a_request(), public_url=public_url)

    assert refused.value.scope == "config"


def test_text_and_html_are_alternatives() -> None:
    message = read(built(a_request(html="<p>您好</p>")))

    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert text.get_content().splitlines() == ["您好"]
    assert html is not None
    assert html.get_content().splitlines() == ["<p>您好</p>"]
    assert message.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize(
    ("language", "name"), [("zh", "社保卡期限.ics"), ("en", "card-deadline.ics")]
)
def test_the_deadline_is_attached_for_the_citizens_calendar(language: str, name: str) -> None:
    message = read(built(a_request(entry=ENTRY, language=language)))

    (part,) = message.iter_attachments()
    assert part.get_filename() == name
    assert part.get_content_type() == "text/calendar"
    assert part.get_param("method") == "PUBLISH"
    assert part.get_content_charset() == "utf-8"
    assert part.get_payload(decode=True) == calendar_file(ENTRY, now=NOW)


def test_the_entry_is_a_whole_day_with_an_alarm_the_day_before() -> None:
    calendar = Calendar.from_ical(
        calendar_file(ENTRY, now=NOW.astimezone(timezone(timedelta(hours=8))))
    )

    (event,) = calendar.walk("VEVENT")
    (alarm,) = calendar.walk("VALARM")
    assert (calendar["METHOD"], calendar["VERSION"]) == ("PUBLISH", "2.0")
    assert event.decoded("DTSTART") == date(2026, 11, 23)
    assert event.decoded("DTEND") == date(2026, 11, 24)
    assert (event["UID"], event["SEQUENCE"]) == ("deadline-1@example.com", 2)
    assert event.decoded("DTSTAMP") == NOW
    assert event["SUMMARY"] == "社保卡书面挂失"
    assert event["DESCRIPTION"] == "请到卡中心\n带身份证原件"
    assert alarm.decoded("TRIGGER") == timedelta(hours=-15)


def test_an_entry_cannot_break_out_of_its_lines() -> None:
    entry = CalendarEntry(
        "u@example.com", 0, date(2026, 11, 23), "a;b,c\\d", "x\r\nEND:VEVENT\nATTENDEE:y"
    )

    (event,) = Calendar.from_ical(calendar_file(entry, now=NOW)).walk("VEVENT")

    assert event["SUMMARY"] == "a;b,c\\d"
    assert "ATTENDEE" not in event
    assert "END:VEVENT" in str(event["DESCRIPTION"])


def test_a_message_is_seven_bits_in_lines_of_moderate_length() -> None:
    raw = built(a_request(text="长" * 5000 + "\n" + "x" * 3000, html="<p>é</p>", entry=ENTRY))

    lines = raw.split(b"\r\n")
    assert raw.isascii()
    assert b"\n" not in b"".join(lines)
    assert max(len(line) for line in lines) <= 100


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=200))
def test_any_subject_is_read_as_it_was_written(subject: str) -> None:
    raw = built(a_request(subject=subject.replace("=?", "")))

    (header,) = re.findall(rb"(?m)^Subject: (.*(?:\r\n .*)*)", raw)
    words = header.split(b"\r\n ")
    assert max(len(word) for word in words) <= 75
    assert str(read(raw)["Subject"]) == subject.replace("=?", "")


@pytest.mark.parametrize("payload", PLANTED)
@pytest.mark.parametrize("field", FIELDS)
def test_no_value_begins_another_header(field: str, payload: str) -> None:
    ref = payload if field == "ref" else REF
    changed = {} if field == "ref" else {field: payload}

    with pytest.raises(Unsendable) as refused:
        built(a_request(**changed), ref)

    assert refused.value.code == "header_injection"
    assert refused.value.scope == "config"


@pytest.mark.parametrize("payload", PLANTED)
@pytest.mark.parametrize("field", ["to", "subject", "message_id", "language"])
def test_a_planted_header_is_refused_before_anything_is_stored(field: str, payload: str) -> None:
    with pytest.raises(Unsendable):
        check(a_request(**{field: payload}))


@pytest.mark.parametrize("payload", PLANTED)
def test_the_sender_begins_no_other_header_either(payload: str) -> None:
    with pytest.raises(Unsendable):
        build(a_request(), REF, mail_from=f"{payload} <a@example.com>", public_url=None, now=NOW)


def test_every_character_at_which_python_breaks_lines_is_refused() -> None:
    breaking = [one for one in map(chr, range(0x110000)) if len(f"a{one}b".splitlines()) > 1]

    for one in breaking:
        with pytest.raises(Unsendable):
            refuse_breaks(f"a{one}b")

    assert len(breaking) == 10


def test_a_header_that_would_not_come_back_as_it_was_is_refused() -> None:
    with pytest.raises(Unsendable) as refused:
        built(a_request(language=" en"))

    assert refused.value.scope == "config"


@given(st.sampled_from(FIELDS), st.text(max_size=60))
def test_whatever_a_value_holds_the_headers_are_those_meant_or_none(field: str, value: str) -> None:
    ref = value if field == "ref" else REF
    changed = {} if field == "ref" else {field: value}

    try:
        headers = sorted(read(built(a_request(**changed), ref)).keys())
    except Unsendable:
        headers = HEADERS

    assert headers == HEADERS


@pytest.mark.parametrize(
    "address",
    [
        "",
        "zhangsan",
        "@example.com",
        "zhangsan@",
        "zhangsan@example",
        "a@example.com,b@example.com",
        "<a@example.com>,<b@example.com>",
        "张三 <a@example.com>",
        "a@example.com ",
        "a b@example.com",
        '"a b"@example.com',
        "a@b@example.com",
        ".a@example.com",
        "a..b@example.com",
        "a@-x.example.com",
        "a@x-.example.com",
        "a@[127.0.0.1]",
        "a@example.com>",
        "(a)b@example.com",
        f"{'a' * 65}@example.com",
        f"a@{'b' * 64}.example.com",
        f"a@{'b.' * 130}com",
    ],
)
def test_what_is_not_one_bare_address_is_refused(address: str) -> None:
    with pytest.raises(Unsendable) as refused:
        split_address(address)

    assert (refused.value.code, refused.value.scope) == ("bad_address", "recipient")


@pytest.mark.parametrize(
    "address", ["zhang.san+card@mail.example.com", "o'neil@example.com", "市民@例子.example.com"]
)
def test_an_address_people_have_is_taken_as_it_is(address: str) -> None:
    assert "@".join(split_address(address)) == address
    assert read(built(a_request(to=address)))["To"] == address


@pytest.mark.parametrize(
    "sender", ["", "示例中心", "a@example.com, b@example.com", "市民@example.com"]
)
def test_a_sender_that_is_not_one_ascii_address_is_refused(sender: str) -> None:
    with pytest.raises(Unsendable) as refused:
        build(a_request(), REF, mail_from=sender, public_url=None, now=NOW)

    assert (refused.value.code, refused.value.scope) == ("bad_sender", "config")
