"""Status callbacks: signed as Twilio signs them; lost, held, late, doubled or forged when told to.

They go to loopback only: a stand-in never calls anybody outside.
"""

import asyncio
import base64
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from urllib.parse import parse_qs, urlencode, urlsplit

import h11

from worker.fake_twilio.agenda import Agenda
from worker.fake_twilio.answers import VERSION, shown
from worker.fake_twilio.messages import Message
from worker.fake_twilio.plans import CallbackRule

_LONGEST_MS = 15_000
_MOST_RETRIES = 5


@dataclass(slots=True)
class Callback:
    """One callback on its way: `waiting`, `held` or `lost`, then `done` or `refused`.

    `results` has one entry a try: an HTTP status, `ct` (no connection) or `rt` (no answer).
    """

    url: str
    form: Mapping[str, str]
    token: str | None
    number: int = 0
    state: str = "waiting"
    results: list[str] = field(default_factory=list)

    @property
    def sid(self) -> str:
        """The message it speaks of, or claims to."""
        return self.form["MessageSid"]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a URL's fragment asks for: times in seconds, retries, and after what to retry.

    https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
    """

    connect: float = 5.0
    read: float = 15.0
    total: float = 15.0
    retries: int = 1
    after: tuple[str, ...] = ("ct",)


def overrides_of(fragment: str) -> Overrides:
    """The overrides of `#ct=..&rt=..&tt=..&rc=..&rp=..`; what is not a number is passed over."""
    given = {name: values[-1] for name, values in parse_qs(fragment).items()}

    def seconds(name: str, usual: float) -> float:
        milliseconds = given.get(name, "")
        return min(int(milliseconds), _LONGEST_MS) / 1000 if milliseconds.isdecimal() else usual

    retries = given.get("rc", "")
    return Overrides(
        connect=seconds("ct", 5.0),
        read=seconds("rt", 15.0),
        total=seconds("tt", 15.0),
        retries=min(int(retries), _MOST_RETRIES) if retries.isdecimal() else 1,
        after=tuple(given.get("rp", "ct").split(",")),
    )


def signature(token: str, url: str, form: Mapping[str, str]) -> str:
    """X-Twilio-Signature of a POST: HMAC-SHA1 over the URL and the sorted form.

    https://www.twilio.com/docs/usage/security#validating-requests
    """
    signed = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), "sha1")).decode()


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine by its very name."""
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def form_of(message: Message, at: datetime) -> dict[str, str]:
    """The form of a callback for the status the message has now."""
    seen = shown(message)
    form = {
        "MessageSid": message.sid,
        "MessageStatus": message.status,
        "SmsSid": message.sid,
        "SmsStatus": message.status,
        "To": message.to,
        "From": str(seen["from"] or ""),
        "AccountSid": message.account,
        "ApiVersion": VERSION,
    }
    if message.service:
        form["MessagingServiceSid"] = message.service
    if message.error_code and message.status in ("failed", "undelivered"):
        form["ErrorCode"] = str(message.error_code)
    if message.status in ("delivered", "undelivered"):
        form["RawDlrDoneDate"] = f"{at:%y%m%d%H%M}"
    return form


class Callbacks:
    """Every callback of an account. Those of one message go out one after the other."""

    def __init__(self, account: str, token: str, agenda: Agenda) -> None:
        self._account = account
        self._token = token
        self._agenda = agenda
        self._last: dict[str, asyncio.Task[None]] = {}
        self.all: list[Callback] = []

    def tell(self, message: Message, rule: CallbackRule | None, at: datetime) -> None:
        """Tell of a status, as the rule will have it."""
        callback = Callback(message.callback, form_of(message, at), self._token)
        if rule is None:
            self._send(callback)
            return
        match rule.do:
            case "lose" | "hold":
                callback.state = "lost" if rule.do == "lose" else "held"
                self._keep(callback)
            case "delay":
                self._keep(callback)
                later = at + timedelta(seconds=rule.seconds)
                self._agenda.put(later, lambda _: self._start(callback))
            case "repeat":
                for _ in range(rule.copies):
                    self._send(replace(callback, results=[]))
            case "forge":
                self._send(self._forged(callback, rule.forged))

    def _forged(self, callback: Callback, how: str) -> Callback:
        """As a stranger would send it, or as Twilio would for another message or account."""
        match how:
            case "token":
                return replace(callback, token=secrets.token_hex(16))
            case "unsigned":
                return replace(callback, token=None)
            case "account":
                other = {"AccountSid": "AC" + secrets.token_hex(16)}
            case _:
                sid = "SM" + secrets.token_hex(16)
                other = {"MessageSid": sid, "SmsSid": sid}
        return replace(callback, form={**callback.form, **other})

    def _send(self, callback: Callback) -> None:
        self._keep(callback)
        self._start(callback)

    def _keep(self, callback: Callback) -> None:
        callback.number = len(self.all)
        self.all.append(callback)

    def _start(self, callback: Callback) -> None:
        """Set off once the one before it for the same message has come to its end."""
        before = self._last.get(callback.sid)
        task = asyncio.get_running_loop().create_task(_after(before, callback))
        self._last[callback.sid] = task
        task.add_done_callback(lambda done: self._ended(callback.sid, done))

    def _ended(self, sid: str, task: asyncio.Task[None]) -> None:
        if self._last.get(sid) is task:
            del self._last[sid]

    async def release(self, numbers: Iterable[int]) -> None:
        """Send held callbacks in the order given, each after the one before was answered.

        Raises IndexError for a number nobody has, ValueError for one that is not held.
        """
        chosen = [self.all[number] for number in numbers]
        if any(callback.state != "held" for callback in chosen):
            raise ValueError("only held callbacks can be released")
        for callback in chosen:
            callback.state = "waiting"
        for callback in chosen:
            await _post(callback)

    async def settle(self) -> None:
        """Wait until every callback that set off has come to its end."""
        while self._last:
            await asyncio.gather(*self._last.values(), return_exceptions=True)

    async def stop(self) -> None:
        """Drop what is on its way."""
        for task in list(self._last.values()):
            task.cancel()
        await self.settle()


async def _after(before: asyncio.Task[None] | None, callback: Callback) -> None:
    if before is not None:
        await asyncio.wait([before])
    await _post(callback)


async def _post(callback: Callback) -> None:
    """Post it, again as often as its URL's fragment asks; then it is done, or refused."""
    parts = urlsplit(callback.url)
    if parts.scheme != "http" or not is_loopback(parts.hostname):
        callback.state = "refused"
        return
    asked = overrides_of(parts.fragment)
    try:
        async with asyncio.timeout(asked.total):
            for _ in range(1 + asked.retries):
                result = await _try(callback, asked)
                callback.results.append(result)
                if not _is_retried(result, asked.after):
                    break
    except TimeoutError:
        callback.results.append("tt")
    callback.state = "done"


def _is_retried(result: str, after: tuple[str, ...]) -> bool:
    failed = f"{result[0]}xx" if result.isdecimal() else result
    return failed in after or ("all" in after and failed in ("4xx", "5xx", "ct", "rt"))


async def _try(callback: Callback, asked: Overrides) -> str:
    """One try: an HTTP status, `ct` or `rt`."""
    parts = urlsplit(callback.url)
    try:
        async with asyncio.timeout(asked.connect):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    except (OSError, TimeoutError):
        return "ct"
    try:
        async with asyncio.timeout(asked.read):
            connection = h11.Connection(h11.CLIENT)
            writer.write(_request(connection, callback))
            return await _status(connection, reader)
    except (OSError, TimeoutError, h11.RemoteProtocolError):
        return "rt"
    finally:
        writer.close()


def _request(connection: h11.Connection, callback: Callback) -> bytes:
    parts = urlsplit(callback.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    body = urlencode(callback.form).encode()
    headers = [
        ("Host", parts.netloc),
        ("User-Agent", "TwilioProxy/1.1"),
        ("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
        ("I-Twilio-Idempotency-Token", secrets.token_hex(16)),
    ]
    if callback.token is not None:
        requested = parts._replace(fragment="").geturl()  # a fragment is never sent, nor signed
        signed = signature(callback.token, requested, callback.form)
        headers.append(("X-Twilio-Signature", signed))
    events = (
        h11.Request(method="POST", target=target, headers=headers),
        h11.Data(data=body),
        h11.EndOfMessage(),
    )
    return b"".join(connection.send(event) or b"" for event in events)


async def _status(connection: h11.Connection, reader: asyncio.StreamReader) -> str:
    while not isinstance(event := connection.next_event(), h11.Response):
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(4096))
    return str(event.status_code)
