"""One e-mail as the bytes to hand over: text, HTML and the deadline as a calendar entry.

Nothing is sent here. Every value that goes into a header is refused if it could begin another
header, and the finished bytes are read back: they must hold the headers that were meant, no more.
"""

import re
import unicodedata
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import EmailPolicy, compat32
from email.utils import format_datetime, parseaddr
from urllib.parse import quote, urlsplit

from worker.domain.delivery import CalendarEntry, SendRequest, Unsendable
from worker.domain.hosts import is_loopback

_ATOM = r'[^\s\x00-\x20\x7f()<>\[\]:;@\\,."]+'
_LABEL = r"[^\W_](?:[^\W_]|-(?=[^\W_]|-)){0,62}"
_ADDRESS = re.compile(rf"(?P<local>{_ATOM}(?:\.{_ATOM})*)@(?P<domain>{_LABEL}(?:\.{_LABEL})+)")
_NAME = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")
_LONGEST_LOCAL = 64  # octets: RFC 5321, 4.5.3.1.1
_LONGEST_ADDRESS = 254  # octets: RFC 3696, erratum 1690
_BREAKING = frozenset({"Cc", "Cs", "Zl", "Zp"})  # all that str.splitlines breaks at, and NUL
_WORD = 42  # octets in one encoded word: 56 characters of base64, under the 75 of RFC 2047, 2
_PLAIN_LINE = 66  # characters of a subject that need no folding: RFC 5322, 2.1.1
_FILE_NAMES = {"zh": "社保卡期限.ics", "en": "card-deadline.ics"}
_LANGUAGES = {"zh": "zh-CN"}


class _Wire(EmailPolicy):
    """The standard policy in 7 bits, where no relay recodes and breaks a DKIM signature.

    It writes some headers itself: Python 3.11 loses blanks when it folds a long subject that mixes
    scripts, and turns a long List-Unsubscribe into encoded words that no mailbox provider reads.
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        """One header with its line ends."""
        if name == "Subject":
            return f"{name}: {_encoded(value)}\r\n".encode("ascii")
        if name in ("List-Unsubscribe", "Message-ID"):
            return _one_address_a_line(name, value)
        return super().fold_binary(name, value)


def build(
    request: SendRequest, ref: str, *, mail_from: str, public_url: str | None, now: datetime
) -> bytes:
    """The whole message, lines ended by CRLF.

    Message-ID is that of the reminder, so a second attempt carries the same one. Raises Unsendable
    with code `header_injection` where a value could begin another header, and `bad_address`.
    """
    check(request)
    if not _NAME.fullmatch(ref):
        raise Unsendable("header_injection", "config")
    local, domain = split_address(request.to)
    message = EmailMessage(policy=_Wire(linesep="\r\n", cte_type="7bit", utf8=not local.isascii()))
    message["From"] = _sender(mail_from)
    message["To"] = Address(username=local, domain=domain)
    for name, value in _headers(request, ref, mail_from, public_url, now):
        message[name] = value
    _fill(message, request, now)
    # last, for set_content drops every Content- header
    message["Content-Language"] = _LANGUAGES.get(request.language, request.language)
    return _proved(message)


def check(request: SendRequest) -> None:
    """What can be told of a request without making the message. Raises Unsendable."""
    split_address(request.to)
    refuse_breaks(request.subject, request.message_id, request.language)
    if request.message_id and not _NAME.fullmatch(request.message_id):
        raise Unsendable("header_injection", "config")
    if request.entry is not None:
        refuse_breaks(request.entry.uid, request.entry.summary)


def refuse_breaks(*values: str) -> None:
    """Raises Unsendable for whatever could end a header, or be decoded into its end.

    `=?` because Python before 3.11.10 decodes an encoded line break into a real one on writing
    (CVE-2024-6923).
    """
    for value in values:
        if "=?" in value or any(unicodedata.category(one) in _BREAKING for one in value):
            raise Unsendable("header_injection", "config")


def split_address(address: str) -> tuple[str, str]:
    """Local part and domain of one bare address. Raises Unsendable.

    Stricter than RFC 5321: no quoted local part and no address literal, which no citizen has and
    in which a second recipient could hide.
    """
    refuse_breaks(address)
    found = _ADDRESS.fullmatch(address)
    if found is None or len(address.encode()) > _LONGEST_ADDRESS:
        raise Unsendable("bad_address")
    if len(found["local"].encode()) > _LONGEST_LOCAL:
        raise Unsendable("bad_address")
    return found["local"], found["domain"]


def sender_address(mail_from: str) -> str:
    """The bare address of `Name <address>`. Raises Unsendable."""
    return _sender(mail_from).addr_spec


def _sender(mail_from: str) -> Address:
    refuse_breaks(mail_from)
    name, address = parseaddr(mail_from)
    found = _ADDRESS.fullmatch(address)
    if found is None or not address.isascii() or mail_from.count("@") != 1:
        raise Unsendable("bad_sender", "config")
    return Address(name, found["local"], found["domain"])


def _headers(
    request: SendRequest, ref: str, mail_from: str, public_url: str | None, now: datetime
) -> Iterator[tuple[str, str]]:
    sender = sender_address(mail_from)
    yield "Subject", request.subject
    yield "Date", format_datetime(now)
    yield "Message-ID", f"<{request.message_id or ref}@{sender.rpartition('@')[2]}>"
    yield "Auto-Submitted", "auto-generated"  # RFC 3834, 5: nobody's holiday reply answers it
    by_mail = f"<mailto:{quote(sender, safe='@+')}?subject=unsubscribe%20{ref}>"
    if public_url and _takes_posts(public_url):
        yield "List-Unsubscribe", f"<{public_url.rstrip('/')}/u/{ref}>, {by_mail}"
        yield "List-Unsubscribe-Post", "List-Unsubscribe=One-Click"  # RFC 8058, 3.1
    else:
        yield "List-Unsubscribe", by_mail


def _takes_posts(public_url: str) -> bool:
    """RFC 8058, 3.1 wants an https address; plain http only to try it out on one machine."""
    if not public_url.isascii() or re.search(r'[\s<>,"]', public_url):
        raise Unsendable("bad_public_url", "config")
    parts = urlsplit(public_url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))


def _fill(message: EmailMessage, request: SendRequest, now: datetime) -> None:
    message.set_content(request.text)
    if request.html:
        message.add_alternative(request.html, subtype="html")
    if request.entry is not None:
        message.add_attachment(
            calendar_file(request.entry, now=now),
            maintype="text",
            subtype="calendar",
            filename=_FILE_NAMES.get(request.language, _FILE_NAMES["zh"]),
            params={"method": "PUBLISH", "charset": "utf-8"},
        )


def calendar_file(entry: CalendarEntry, *, now: datetime) -> bytes:
    """The deadline as an all-day entry of an iCalendar file, with an alarm one day before."""
    from icalendar import Alarm, Calendar, Event  # heavy, and only some messages carry an entry

    event = Event()
    event.add("uid", entry.uid)
    event.add("sequence", entry.sequence)
    event.add("dtstamp", now.astimezone(UTC))
    event.add("dtstart", entry.on)
    event.add("dtend", entry.on + timedelta(days=1))  # exclusive: RFC 5545, 3.6.1
    event.add("summary", entry.summary)
    event.add("description", entry.description)
    event.add("transp", "TRANSPARENT")  # a deadline makes nobody busy
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", entry.summary)
    alarm.add("trigger", timedelta(hours=-15))  # 09:00 of the day before
    event.add_component(alarm)
    calendar = Calendar()
    calendar.add("prodid", "-//Qida//Qida//ZH")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def _encoded(subject: str) -> str:
    """A subject as it is, or in folded encoded words of whole characters (RFC 2047, 5)."""
    if subject.isascii() and len(subject) <= _PLAIN_LINE and subject == subject.strip():
        return subject
    words: list[bytes] = [b""]
    for character in subject:
        octets = character.encode()
        if len(words[-1]) + len(octets) > _WORD:
            words.append(b"")
        words[-1] += octets
    return "\r\n ".join(f"=?utf-8?b?{b64encode(word).decode()}?=" for word in words)


def _one_address_a_line(name: str, value: str) -> bytes:
    return f"{name}: {value}\r\n".replace(">, <", ">,\r\n <").encode("ascii")


def _proved(message: EmailMessage) -> bytes:
    """The bytes, once they are seen to hold the meant headers in every part and no other."""
    raw = message.as_bytes()
    back = BytesParser(policy=compat32).parsebytes(raw)  # reads no values: a third of the time
    names = [part.keys() for part in back.walk()]
    values = [(name, str(message.policy.header_fetch_parse(name, value)))
              for name, value in back.raw_items()]  # fmt: skip
    meant = [(name, str(value)) for name, value in message.items()]
    if names != [part.keys() for part in message.walk()] or values != meant:
        raise Unsendable("header_injection", "config")
    return raw
