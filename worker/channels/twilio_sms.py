"""SMS through Twilio: one wire attempt a message, and what Twilio says of it later.

Twilio's Messages know no idempotency key, and it says itself that repeating a request it answered
with 500 may deliver twice (https://www.twilio.com/docs/api/errors/20500). So nothing is repeated
here, and an answer that leaves a doubt is `Uncertain`.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from worker.channels.twilio_codes import meaning_of, receipt
from worker.channels.twilio_http import Exchange, OneAttemptHttp
from worker.domain.contacts import is_sandbox_number
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
from worker.domain.errors import Fault, Misconfigured, Text
from worker.domain.hosts import is_loopback
from worker.domain.sms import ROUTE_UNITS, count_parts

MOST_CHARACTERS = 1600
"""Twilio's own limit of a body (error 21617); our templates stay far below it."""

LONGEST_VALIDITY = timedelta(seconds=36_000)
"""The longest Twilio keeps a message in its queues, and its default."""

LEAST_VALIDITY = timedelta(seconds=5)
"""With less than this left a message would arrive after it is of use, so it is not sent."""

CALLBACK_RETRIES = "#ct=5000&rt=15000&tt=15000&rc=5&rp=all"
"""Time-outs and retries of a callback: five, also after a 5xx, all within 15 s
(https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides)."""

_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")
_SERVICE_SID = re.compile(r"MG[0-9a-fA-F]{32}")
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 +&_-]{1,11}")
"""A number, a short code, or a name (twilio.com/docs/glossary/what-alphanumeric-sender-id)."""
_MESSAGE_SID = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}")
_STATUS = re.compile(r"[a-z][a-z_-]{0,39}")
_MAINLAND_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_PAGE_OF_ONE = 50  # messages to one person
_PAGE_OF_ALL = 200  # messages of a day
_MOST_PAGES = 500
_LOOK_ALIKE = str.maketrans("‘’‚′“”„″‐‑‒–—―", "''''\"\"\"\"------")
_NOT_FROM_HERE = {"TWILIO_REGION": ""}  # or TWILIO_EDGE of the environment would move the server


@dataclass(frozen=True, slots=True)
class TwilioAccount:
    """Whose account sends, and as whom: `messaging_service_sid` goes before `sender`.

    `public_url` is our address as the internet sees it; without it no status is called back.
    """

    account_sid: str
    auth_token: str = field(repr=False)
    sender: str = ""
    messaging_service_sid: str = ""
    base_url: str = "https://api.twilio.com"
    public_url: str = ""


class TwilioSms:
    """A `Channel` for SMS over one Twilio account. Safe for many threads at once."""

    name = "twilio"
    kind: ChannelKind = "sms"

    def __init__(
        self, account: TwilioAccount, *, connect_seconds: float = 5.0, read_seconds: float = 35.0
    ) -> None:
        """Check the account's settings; nothing is asked of Twilio yet.

        35 s because Twilio itself gives up after about 30: most slow requests end in an answer.
        Raises Misconfigured with every wrong setting.
        """
        require_usable(account)
        self._account = account
        self._callback = f"{account.public_url.rstrip('/')}/hooks/twilio/"
        self.caps = Caps(
            echoes_ref=bool(account.public_url),
            lookup_by_address=True,
            delivery_receipts=True,
            needs_registered_text=False,
            can_redact=True,
            can_list=True,
            route_adds_units=ROUTE_UNITS,
        )
        self._http = OneAttemptHttp(
            account.base_url, connect_seconds=connect_seconds, read_seconds=read_seconds
        )
        client = Client(
            account.account_sid,
            account.auth_token,
            http_client=self._http,
            environment=_NOT_FROM_HERE,
        )
        client.api.base_url = account.base_url.rstrip("/")
        self._messages = client.messages

    def prepare(self, request: SendRequest) -> Prepared:
        """A number and a text that Twilio takes. Raises Unsendable.

        The number stays as it is stored: caps and refusals know an address by that form.
        """
        e164(request.to)
        if not request.text.strip():
            raise Unsendable("no_text", "config")
        if len(request.text) > MOST_CHARACTERS:
            raise Unsendable("text_too_long", "config")
        parts = count_parts(request.text, reserved=ROUTE_UNITS).parts
        return Prepared(request, parts)

    def submit(self, prepared: Prepared, ref: str, *, now: datetime) -> Outcome:
        """Exactly one POST, unless the message could only arrive too late."""
        left = _time_left(prepared.request, now)
        if left is not None and left < LEAST_VALIDITY:
            return NotSent("too_late")
        exchange = self._http.watch()
        try:
            message = self._messages.create(**self._form(prepared.request, ref, left))
        except Exception as error:  # noqa: BLE001 - what the wire saw decides, not the error's kind
            return _judged(exchange, error, now)
        if not _is_message(message.sid):
            return Uncertain(f"{exchange.status} without a message id")
        return Accepted(message.sid, _status(message) or "accepted")

    def poll(self, provider_id: str, *, now: datetime) -> Receipt | None:
        """Twilio's present word; `missing` if it has no such message, None if nothing was said."""
        if not _is_message(provider_id):
            return None
        exchange = self._http.watch()
        try:
            message = self._messages(provider_id).fetch()
        except Exception as error:  # noqa: BLE001 - a poll is asked again; no trouble ends it
            is_gone = exchange.status == 404 and _is_twilios(exchange, error)
            return receipt(provider_id, "missing", "") if is_gone else None
        return _receipt(message) if message.sid == provider_id and _status(message) else None

    def find(self, prepared: Prepared, ref: str, *, since: datetime, now: datetime) -> Found:
        """Every message to this person since then with this text, or with none (redacted).

        Asked by recipient alone: a message not sent yet has no DateSent to ask by. Its time counts
        as it stands and by how far the server's clock is from ours: one that is wrong by minutes
        must not have a message taken for lost and sent again.
        """
        number, text = e164(prepared.request.to), comparable(prepared.request.text)
        if not text:
            return Found(complete=False)
        exchange = self._http.watch()

        def created_at(message: Any) -> datetime | None:  # noqa: ANN401 - the library has no types
            return _since(since, message.date_created, exchange.behind(now))

        query = {"to": number, "page_size": _PAGE_OF_ONE}
        complete, messages = self._listed(query, lambda message: created_at(message) is None)
        hits = [
            replace(_receipt(message), created_at=created_at(message))
            for message in messages
            if message.to == number
            and message.direction == "outbound-api"
            and created_at(message) is not None
            and (not message.body or text in comparable(message.body))
        ]
        return Found(complete, tuple(hits))

    def redact(self, provider_id: str) -> bool:
        """Have Twilio empty the body; the record stays. False while it is not final (20009)."""
        if not _is_message(provider_id):
            return False
        try:
            message = self._messages(provider_id).update(body="")
        except Exception:  # noqa: BLE001 - asked again later, whatever it was
            return False
        return message.sid == provider_id and not message.body

    def listed(self, since: datetime, until: datetime) -> Found:
        """Every outbound message created in the span, asked for by whole days of DateSent.

        One not sent by the time of asking is in no such list.
        """
        query = {
            "date_sent_after": _midnight(since),
            "date_sent_before": _midnight(until + LONGEST_VALIDITY) + timedelta(days=1),
            "page_size": _PAGE_OF_ALL,
        }
        complete, messages = self._listed(query, lambda _: False)
        hits = [
            message
            for message in messages
            if str(message.direction).startswith("outbound")
            and since <= message.date_created < until
        ]
        return Found(complete, tuple(_receipt(message) for message in hits))

    def interrupt(self) -> None:
        """Break off the calls on the wire: a message among them ends uncertain."""
        self._http.interrupt()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _form(self, request: SendRequest, ref: str, left: timedelta | None) -> dict[str, object]:
        form: dict[str, object] = {"to": e164(request.to), "body": request.text}
        if self._account.messaging_service_sid:
            form["messaging_service_sid"] = self._account.messaging_service_sid
        else:
            form["from_"] = self._account.sender
        if self._account.public_url:
            form["status_callback"] = f"{self._callback}{ref}{CALLBACK_RETRIES}"
        if left is not None:
            form["validity_period"] = int(min(left, LONGEST_VALIDITY).total_seconds())
        return form

    def _listed(
        self, query: dict[str, object], is_enough: Callable[[Any], bool]
    ) -> tuple[bool, list[Any]]:
        """A list, newest first, and whether it was read to its end.

        It may stop after a page that is `is_enough` throughout. Any trouble ends it incomplete.
        """
        complete = True
        messages: dict[str, Any] = {}  # a list grows while it is read, and repeats itself
        try:
            for page in self._pages(query):
                fresh = list(page)
                whole = [message for message in fresh if _is_whole(message)]
                complete &= len(whole) == len(fresh)
                messages |= {message.sid: message for message in whole}
                if whole and all(is_enough(message) for message in whole):
                    break
        except Exception:  # noqa: BLE001 - a list read in part proves nothing, whatever broke it
            complete = False
        return complete, list(messages.values())

    def _pages(self, query: dict[str, object]) -> Iterator[Any]:
        page = self._messages.page(**query)
        for _ in range(_MOST_PAGES):
            yield page
            if "next_page_uri" not in page._payload:  # noqa: SLF001 - no public sign of a cut page
                raise TwilioException("a page that does not say whether it is the last")
            if page.next_page_url is None:
                return
            page = self._messages.get_page(page.next_page_url)
        raise TwilioException("too many pages")


def e164(phone: str) -> str:
    """A stored number as +8613800138000. Raises Unsendable; sandbox numbers are never sent to."""
    if not phone:
        raise Unsendable("no_address")
    if is_sandbox_number(phone.removeprefix("+86")):
        raise Unsendable("sandbox_number")
    if _MAINLAND_MOBILE.fullmatch(phone):
        return "+86" + phone
    if not _E164.fullmatch(phone):
        raise Unsendable("invalid_number")
    return phone


def comparable(text: str) -> str:
    """A text without what routes change: quotes, dashes, width and spaces."""
    return "".join(unicodedata.normalize("NFKC", text.translate(_LOOK_ALIKE)).split()).casefold()


def _judged(exchange: Exchange, error: Exception, now: datetime) -> Outcome:
    """What a failed create means (decision 0003): in doubt, uncertain."""
    status, code = exchange.status, _code(getattr(error, "code", None))
    if not exchange.may_have_left:
        return NotSent(f"not_reached:{type(error).__name__}")
    if not isinstance(error, TwilioException) or not 300 <= status < 500 or status == 408:
        return Uncertain(f"{status or 'no answer'}: {type(error).__name__}")
    if status == 429:  # "never processed, always safe to retry": twilio.com/docs/api/errors/20429
        return NotSent(code or "429", exchange.pause(now))
    if code is None:  # something between us and Twilio may have spoken
        is_twilios = bool(exchange.request_id)
        return Rejected(str(status), "config") if is_twilios else NotSent(f"proxy:{status}")
    meaning = meaning_of(code)
    if meaning.scope == "overload":
        return NotSent(code, exchange.pause(now))
    return Rejected(code, meaning.scope, meaning.opted_out)


def _code(said: object) -> str | None:
    """One of Twilio's codes, all of five digits; without one the library repeats the status."""
    return str(said) if re.fullmatch(r"[1-9][0-9]{4,5}", str(said)) else None


def _is_twilios(exchange: Exchange, error: Exception) -> bool:
    return bool(exchange.request_id) or _code(getattr(error, "code", None)) is not None


def _since(since: datetime, created_at: datetime, behind: timedelta) -> datetime | None:
    """When a message was created, by the server's clock or by ours, the earlier one that is not
    before `since`; None where both are."""
    return min((at for at in (created_at, created_at + behind) if at >= since), default=None)


def _time_left(request: SendRequest, now: datetime) -> timedelta | None:
    return request.useless_after_at - now if request.useless_after_at else None


def _is_message(sid: object) -> bool:
    return isinstance(sid, str) and _MESSAGE_SID.fullmatch(sid) is not None


def _is_whole(message: Any) -> bool:  # noqa: ANN401 - the library ships no types
    return _is_message(message.sid) and message.date_created is not None


def _status(message: Any) -> str:  # noqa: ANN401 - the library ships no types
    status = message.status
    return status if isinstance(status, str) and _STATUS.fullmatch(status) else ""


def _receipt(message: Any) -> Receipt:  # noqa: ANN401 - the library ships no types
    """A message as a receipt, without number and text."""
    kept = {
        "segments": message.num_segments,
        "price": message.price,
        "unit": message.price_unit,
        "sent": message.date_sent and message.date_sent.isoformat(),
    }
    raw = json.dumps({name: str(value)[:40] for name, value in kept.items() if value is not None})
    code = _code(message.error_code) or ""
    return receipt(message.sid, _status(message), code, created_at=message.date_created, raw=raw)


def _midnight(at: datetime) -> datetime:
    """The start of its day in UTC: Twilio's days are GMT, and the library writes any hour as Z."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def require_usable(account: TwilioAccount) -> None:
    """Raises Misconfigured with every wrong setting; values are not shown, some are secret."""
    sender, service = account.sender, account.messaging_service_sid
    checks = [
        ("ACCOUNT_SID", _ACCOUNT_SID.fullmatch(account.account_sid), _ACCOUNT_FORM),
        ("AUTH_TOKEN", account.auth_token.strip(), _TOKEN_NEEDED),
        ("FROM", service or _SENDER.fullmatch(sender), _SENDER_NEEDED),
        ("MESSAGING_SERVICE_SID", not service or _SERVICE_SID.fullmatch(service), _SERVICE_FORM),
    ]
    faults = [
        Fault(f"QIDA_TWILIO_{name}", _WRONG, mend) for name, is_good, mend in checks if not is_good
    ]
    if account.public_url and not _is_public(account.public_url):
        faults.append(Fault("QIDA_PUBLIC_URL", _WRONG, _PUBLIC_FORM))
    if faults:
        raise Misconfigured("Twilio 设置有误", "the Twilio settings are wrong", tuple(faults))


def _is_public(url: str) -> bool:
    """Usable as a callback: Twilio refuses host names with an underscore (its API document)."""
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
    is_bare = not (parts.query or parts.fragment or "@" in parts.netloc)
    return bool(is_safe and is_bare and parts.hostname and "_" not in parts.hostname)


_WRONG = Text("缺失或格式不对", "it is missing or malformed")
_ACCOUNT_FORM = Text("填 AC 开头的34位账户编号", "the account's id: AC and 32 digits")
_TOKEN_NEEDED = Text("填账户的 Auth Token", "the account's auth token")
_SENDER_NEEDED = Text(
    "填号码（如 +15005550006）、短号或发送名（至多11字符），或设 QIDA_TWILIO_MESSAGING_SERVICE_SID",
    "a number like +15005550006, a short code or a sender's name of 11 characters at most; or set "
    "QIDA_TWILIO_MESSAGING_SERVICE_SID",
)
_SERVICE_FORM = Text("填 MG 开头的34位消息服务编号", "the service's id: MG and 32 digits")
_PUBLIC_FORM = Text(
    "填 https://主机[/路径]，主机名不含下划线，不带用户名、查询和片段",
    "https://host[/path]; no underscore in the host, no user, query or fragment",
)
