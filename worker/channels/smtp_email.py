"""E-mail over SMTP: one recipient a message, handed to a relay on a connection that is kept.

The relay's 250 means that it took the message, never that anyone received it. What became of it
later comes back as a delivery report (RFC 3464), which `worker.channels.bounces` reads.
"""

import re
import ssl
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from worker.channels import mail_message
from worker.channels.smtp_conversation import (
    Conversation,
    Pace,
    answers,
    open_conversation,
    part,
    read_url,
)
from worker.clock import monotonic
from worker.domain.delivery import (
    Accepted,
    Caps,
    ChannelKind,
    Found,
    NotSent,
    Outcome,
    Prepared,
    Receipt,
    Rejected,
    SendRequest,
    Uncertain,
    Unsendable,
)
from worker.domain.errors import Misconfigured

Step = Literal["mail", "rcpt", "data", "content"]

_MESSAGES_A_CONNECTION = 100
_ENHANCED = re.compile(rb"([245]\.\d{1,3}\.\d{1,3})\b")  # RFC 3463, 2
_QUEUE_ID = re.compile(rb"queued as ([\w.-]+)|\bid=([\w.-]+)")  # Postfix and Sendmail alike; Exim
_MAILBOX = re.compile(r"5\.(?:1\.(?!7$|8$)|2\.|4\.|6\.7$)")  # what only the recipient can mend
_OURS = re.compile(r"5\.(?:[357]\.|1\.[78]$|6\.(?!7$))|50\d$|530$|535$|538$|555$")
_NO_SMTPUTF8 = "5.6.7"  # RFC 6531, 3.2: the address cannot be written for this relay
_GREYLISTED = timedelta(minutes=5)
_SPREAD_S = 600


@dataclass(frozen=True, slots=True)
class SmtpRelay:
    """Where mail is handed in, and as whom.

    `url`: `smtp://`, `smtps://` or `smtp+starttls://USER:PASS@HOST:PORT`, plain smtp on loopback
    only. `mail_from`: `Name <address>`. `verp`: bounces come to `bounce+REF@` its domain.
    """

    url: str = field(repr=False)
    mail_from: str
    public_url: str | None = None
    verp: bool = False


@dataclass(frozen=True, slots=True)
class _Letter:
    """What one conversation hands over."""

    ref: str
    sender: str
    to: str
    raw: bytes


class SmtpEmail:
    """A `Channel` for e-mail through one relay. Threads may share it."""

    name = "smtp"
    kind: ChannelKind = "email"
    caps = Caps(
        echoes_ref=True,  # as ENVID in delivery reports
        lookup_by_address=False,
        delivery_receipts=True,
        needs_registered_text=False,
        finds_after=(timedelta(minutes=15),),  # no list to look in: the time a report may take
    )

    def __init__(
        self,
        relay: SmtpRelay,
        *,
        connect_s: float = 5,
        read_s: float = 35,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Connects to nothing yet. Raises Misconfigured for a relay that could not be used."""
        self._relay = relay
        self._server = read_url(relay.url)
        self._sender = _checked_sender(relay)
        self._connect_s, self._read_s = connect_s, read_s
        self._tls = tls or ssl.create_default_context()
        self._lock = threading.Lock()
        self._kept: list[Conversation] = []
        self._busy: set[Conversation] = set()

    def prepare(self, request: SendRequest) -> Prepared:
        """Check the address, and every header for line breaks. Raises Unsendable."""
        mail_message.check(request)
        return Prepared(request)

    def submit(self, prepared: Prepared, ref: str, *, now: datetime) -> Outcome:
        """Hand the message to the relay once. Never retries, never raises."""
        try:
            letter = self._letter(prepared.request, ref, now)
        except Unsendable as refusal:
            return Rejected(refusal.code, refusal.scope)
        except Exception as error:  # noqa: BLE001 - nothing has left, and one must not stop others
            return Rejected(f"message:{type(error).__name__}", "config")
        ends = monotonic() + self._connect_s + self._read_s
        try:
            conversation = self._connection(ends)
        except Exception as error:  # noqa: BLE001 - no message has been begun
            return NotSent(_named("connect", error))
        outcome = _hand_over(conversation, letter, self._read_s)
        self._keep(conversation, outcome)
        return outcome

    def poll(self, provider_id: str, *, now: datetime) -> Receipt | None:
        """A relay cannot be asked: its reports come by mail."""
        return None

    def find(self, prepared: Prepared, ref: str, *, since: datetime, now: datetime) -> Found:
        """There is no list. When this is asked, the time for a report with our ref has passed."""
        return Found(complete=True)

    def redact(self, provider_id: str) -> bool:
        """A relay keeps nothing once it has passed a message on."""
        return True

    def listed(self, since: datetime, until: datetime) -> Found:
        """A relay has no list."""
        return Found(complete=False)

    def interrupt(self) -> None:
        """Break off what is on the wire: a message whose content had left ends uncertain."""
        for conversation in tuple(self._busy):
            conversation.break_off()

    def close(self) -> None:
        """Say goodbye on every kept connection."""
        for conversation in self._give_up_kept():
            part(conversation)

    def _letter(self, request: SendRequest, ref: str, now: datetime) -> _Letter:
        relay = self._relay
        raw = mail_message.build(
            request, ref, mail_from=relay.mail_from, public_url=relay.public_url, now=now
        )
        domain = self._sender.rpartition("@")[2]
        sender = f"bounce+{ref}@{domain}" if relay.verp else self._sender
        return _Letter(ref, sender, request.to, raw)

    def _connection(self, ends: float) -> Conversation:
        """One that answers now, so that a link the relay cut while idle loses no message.

        If the newest kept one is dead the older ones are too; asking each would take too long.
        """
        with self._lock:
            kept = self._kept.pop() if self._kept else None
        if kept is not None:
            self._busy.add(kept)
            if answers(kept, within_s=self._connect_s):
                kept.ends = ends
                return kept
            for older in self._give_up_kept():
                older.close()  # a goodbye might wait for an answer
        pace = Pace(self._connect_s, ends)
        return open_conversation(self._server, self._tls, pace, self._busy)

    def _give_up_kept(self) -> list[Conversation]:
        with self._lock:
            kept, self._kept = self._kept, []
        return kept

    def _keep(self, conversation: Conversation, outcome: Outcome) -> None:
        """Keep it for the next message, unless it is worn, cut or out of step."""
        conversation.messages += 1
        if conversation.sock is None or isinstance(outcome, Uncertain):
            conversation.close()
        elif conversation.messages >= _MESSAGES_A_CONNECTION:
            part(conversation)
        else:
            with self._lock:
                self._busy.discard(conversation)
                self._kept.append(conversation)


def _hand_over(conversation: Conversation, letter: _Letter, read_s: float) -> Outcome:
    """One transaction. Until the content leaves, nothing can have been sent.

    `conversation.ends` is when all before the content must be over; its answer has `read_s` more.
    """
    refusal = _offer(conversation, letter)
    if refusal is not None:
        return refusal
    conversation.ends = monotonic() + read_s
    try:
        conversation.send(_dotted(letter.raw))
        code, text = conversation.getreply()
    except Exception as error:  # noqa: BLE001 - whatever it was, the message may have arrived whole
        return Uncertain(_named("content", error))
    if 200 <= code < 300:
        return Accepted(_provider_id(text, letter.ref))
    return _refusal(conversation, letter, "content", code, text) or Uncertain(f"content: {code}")


def _offer(conversation: Conversation, letter: _Letter) -> NotSent | Rejected | None:
    """MAIL, RCPT, DATA, each answered as it should be (None), or what the relay said instead."""
    if not letter.to.isascii() and not conversation.has_extn("smtputf8"):
        return Rejected(_NO_SMTPUTF8)
    steps: tuple[tuple[Step, Callable[[], tuple[int, bytes]], tuple[int, ...]], ...] = (
        ("mail", lambda: conversation.mail(letter.sender, _mail(conversation, letter)), (250,)),
        ("rcpt", lambda: conversation.rcpt(letter.to, _rcpt(conversation, letter)), (250, 251)),
        ("data", lambda: conversation.docmd("DATA"), (354,)),
    )
    step: Step = "mail"
    try:
        for step, ask, wanted in steps:
            code, text = ask()
            if code not in wanted:
                return _refusal(conversation, letter, step, code, text) or _out_of_step(
                    conversation, step, code
                )
        _require_time_left(conversation)
    except Exception as error:  # noqa: BLE001 - whatever it was, the message had not left
        conversation.close()
        return NotSent(_named(step, error))
    return None


def _require_time_left(conversation: Conversation) -> None:
    """Past this instant the claim on the message may be somebody else's (DESIGN §5.2)."""
    if monotonic() > conversation.ends:
        raise TimeoutError


def _mail(conversation: Conversation, letter: _Letter) -> list[str]:
    """What MAIL FROM asks for, as far as the relay offers it."""
    options = []
    if conversation.has_extn("size"):
        options.append(f"SIZE={len(letter.raw)}")
    if conversation.has_extn("dsn"):
        options += ["RET=HDRS", f"ENVID={_xtext(letter.ref)}"]
    if not letter.to.isascii():
        options += ["BODY=8BITMIME", "SMTPUTF8"]
    return options


def _rcpt(conversation: Conversation, letter: _Letter) -> list[str]:
    """Ask for a report of success too: without one, silence says nothing."""
    if not conversation.has_extn("dsn"):
        return []
    origin = [f"ORCPT=rfc822;{_xtext(letter.to)}"] if letter.to.isascii() else []
    return ["NOTIFY=SUCCESS,FAILURE,DELAY", *origin]


def _refusal(
    conversation: Conversation, letter: _Letter, step: Step, code: int, text: bytes
) -> NotSent | Rejected | None:
    """A refusal by its class; None for an answer that belongs to another question.

    The relay's own words are left out: they repeat the address.
    """
    found = _ENHANCED.match(text)
    status = found[1].decode() if found else str(code)
    if code == 421:  # it closes the connection: RFC 5321, 3.8
        conversation.close()
        return NotSent(f"{step} {code} {status}")
    if 400 <= code < 500:
        spread = timedelta(seconds=zlib.crc32(letter.ref.encode()) % _SPREAD_S)
        return NotSent(f"{step} {code} {status}", _GREYLISTED + spread)
    return Rejected(status, _scope(step, status)) if 500 <= code < 600 else None


def _scope(step: Step, status: str) -> Literal["recipient", "config"]:
    """Whose fault a refusal is: policy, syntax, size and the sender's address are ours to mend."""
    if step == "rcpt":
        return "config" if _OURS.match(status) else "recipient"
    return "recipient" if step != "mail" and _MAILBOX.match(status) else "config"


def _out_of_step(conversation: Conversation, step: Step, code: int) -> NotSent:
    conversation.close()
    return NotSent(f"{step} {code}")


def _provider_id(text: bytes, ref: str) -> str:
    """The relay's queue id and our ref, `4XyZ1k2b3c/REF`, or the ref alone.

    Postfix uses its short queue ids again within days, so an id alone may be two messages'.
    """
    found = _QUEUE_ID.search(text)
    return f"{(found[1] or found[2]).decode()}/{ref}" if found else ref


def _dotted(raw: bytes) -> bytes:
    """The content as it goes over the wire (RFC 5321, 4.5.2)."""
    lines = re.sub(rb"(?m)^\.", b"..", raw)
    return lines + (b"" if lines.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _xtext(value: str) -> str:
    """RFC 3461, 4: what may not stand in a parameter is written `+XX`."""
    return "".join(one if "!" <= one <= "~" and one not in "+=" else f"+{ord(one):02X}"
                   for one in value)  # fmt: skip


def _named(step: str, error: Exception) -> str:
    """An error by its kind and number, without the relay's words."""
    code = getattr(error, "smtp_code", "")
    return f"{step}: {type(error).__name__} {code}".rstrip()


def _checked_sender(relay: SmtpRelay) -> str:
    """The bare sender address, once a message from it could be made. Raises Misconfigured."""
    probe = SendRequest(to="postmaster@example.com", text="-", subject="-")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    try:
        mail_message.build(
            probe, "0", mail_from=relay.mail_from, public_url=relay.public_url, now=at
        )
    except Unsendable as refusal:
        name = "QIDA_PUBLIC_URL" if refusal.code == "bad_public_url" else "QIDA_MAIL_FROM"
        raise Misconfigured(
            f"{name} 不能用于邮件；请写成 https://主机 或 单位名称 <地址@域名> 的形式",
            f"{name} cannot be used in mail; write it as https://HOST or as Name <address@domain>",
        ) from None
    return mail_message.sender_address(relay.mail_from)
