"""One HTTP request over a kept connection, in the shape `twilio.rest.Client` asks of its client.

The library's own client cannot tell whether a request may have left, drops the headers of a
refusal, waits for ever, looks for proxies, logs telephone numbers and keeps the last request
(measured with twilio 9.13). This one sends each request at most once and follows no redirect.
"""

import io
import select
import socket
import ssl
import threading
from base64 import b64encode
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, urlencode, urlsplit

from worker.clock import monotonic
from worker.domain.errors import Misconfigured
from worker.domain.hosts import is_loopback

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MOST_BYTES = 1024 * 1024
"""The longest answer that is read: a page of 200 messages has about 250 kB."""

_LONGEST_PAUSE = timedelta(hours=1)


class Answer(NamedTuple):
    """What the server said, under the names the library reads."""

    status_code: int
    text: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class Exchange:
    """What one call saw on the wire. `may_have_left` turns true just before the first byte is
    written; `status` is 0 until a status line was read; `date` is the server's own clock."""

    may_have_left: bool = False
    status: int = 0
    retry_after: str = ""
    request_id: str = ""
    date: str = ""

    def pause(self, now: datetime) -> timedelta | None:
        """Retry-After as RFC 9110 §10.2.3 has it, seconds or a date; an hour at most."""
        if self.retry_after.isdecimal():
            pause = timedelta(seconds=min(int(self.retry_after[:9]), 3600))
        elif at := _date(self.retry_after):
            pause = at - now
        else:
            return None
        return min(max(pause, timedelta()), _LONGEST_PAUSE)

    def behind(self, now: datetime) -> timedelta:
        """How far the server's clock is behind ours (negative: ahead); nothing where it does not
        say."""
        at = _date(self.date)
        return now - at if at else timedelta()


def _date(written: str) -> datetime | None:
    """A date of HTTP, if it is one."""
    try:
        at = parsedate_to_datetime(written)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else None


class OneAttemptHttp:
    """An HTTP client for one server: kept connections, bounded waits and answers, no retries.

    Safe for many threads at once: a connection is lent to one call at a time.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connect_seconds: float = 5.0,
        read_seconds: float = 35.0,
        idle_seconds: float = 20.0,
    ) -> None:
        """`read_seconds` bounds the whole answer. A connection idle for longer than `idle_seconds`
        is not used again: routers forget silent ones without a word, and a message written into
        one is in doubt. Raises Misconfigured for an unusable address."""
        self._base = require_origin(base_url)
        self._origin = f"{self._base.scheme}://{self._base.netloc}"
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._idle_seconds = idle_seconds
        self._tls = ssl.create_default_context() if self._base.scheme == "https" else None
        self._idle: deque[tuple[HTTPConnection, float]] = deque()
        self._lent: dict[HTTPConnection, socket.socket] = {}
        self._watched = threading.local()
        self._is_closed = False

    def watch(self) -> Exchange:
        """A fresh record that this thread's next call fills in."""
        exchange = self._watched.exchange = Exchange()
        return exchange

    def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        **_unused: object,  # time-out and redirects: settled here once for all
    ) -> Answer:
        """Send one request, once. Raises OSError, HTTPException or ValueError where no whole
        answer came; the watched Exchange says how far it got."""
        exchange: Exchange = getattr(self._watched, "exchange", None) or self.watch()
        target = self._target(url, params)
        body = urlencode(data, doseq=True).encode() if data is not None else None
        connection = self._lend()
        self._lent[connection] = connection.sock  # a last answer is read after it is let go
        try:
            connection.sock.settimeout(self._connect_seconds)
            exchange.may_have_left = True
            connection.request(method, target, body, {**(headers or {}), **_authorization(auth)})
            answer = _read(connection.getresponse(), exchange)
        except BaseException:
            connection.close()
            raise
        finally:
            self._lent.pop(connection, None)
        self._take_back(connection)
        return answer

    def interrupt(self) -> None:
        """Break off every call that is on the wire, from any thread: each ends with an error."""
        for wire in tuple(self._lent.values()):
            with suppress(OSError):  # it ended by itself meanwhile
                socket.socket.shutdown(wire, socket.SHUT_RDWR)  # TLS asks no farewell

    def close(self) -> None:
        """Close what is idle now, and every other connection when its call ends."""
        self._is_closed = True
        while self._idle:
            self._idle.pop()[0].close()

    def _target(self, url: str, params: Mapping[str, object] | None) -> str:
        """Path and query. A list names its next page: it must not lead our password elsewhere."""
        if not url.startswith(self._origin + "/"):
            raise ValueError("an address on another server")
        target = url.removeprefix(self._origin)
        if not params:
            return target
        return f"{target}{'&' if '?' in target else '?'}{urlencode(params, doseq=True)}"

    def _lend(self) -> HTTPConnection:
        """A connection nobody else uses. One the server closed meanwhile is never written to."""
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if monotonic() - since < self._idle_seconds and not _has_input(connection.sock):
                return connection
            connection.close()
        return self._connect()

    def _connect(self) -> HTTPConnection:
        host, port = self._base.hostname or "", self._base.port
        seconds = self._connect_seconds
        connection = (
            HTTPSConnection(host, port, timeout=seconds, context=self._tls)
            if self._tls
            else HTTPConnection(host, port, timeout=seconds)
        )
        connection.auto_open = 0  # or it would connect again by itself, past our time limit
        connection.response_class = self._answering  # type: ignore[assignment]  # only called
        try:
            _open(connection, seconds)
        except BaseException:
            connection.close()
            raise
        return connection

    def _answering(self, sock: socket.socket, method: str | None = None) -> HTTPResponse:
        reader = _UntilDeadline(sock, monotonic() + self._read_seconds)
        return HTTPResponse(reader, method=method)  # type: ignore[arg-type]  # uses makefile only

    def _take_back(self, connection: HTTPConnection) -> None:
        if self._is_closed:
            connection.close()
        elif connection.sock is not None:  # the server did not ask to close it
            self._idle.append((connection, monotonic()))


class _UntilDeadline(io.RawIOBase):
    """A socket to read from until one instant, however slowly the bytes drip."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open until it is read

    def makefile(self, mode: str) -> io.BufferedReader:
        """What HTTPResponse asks of a socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _open(connection: HTTPConnection, seconds: float) -> None:
    started = monotonic()
    connection.connect()
    if monotonic() - started > seconds:  # looking the name up and several addresses add up
        raise TimeoutError("connecting took too long")


def _read(response: HTTPResponse, exchange: Exchange) -> Answer:
    if response.status < HTTPStatus.OK:  # http.client passes over 100 alone (RFC 9110 §15.2): the
        raise HTTPException("an interim answer")  # answer to come must not answer the next message
    exchange.status = response.status
    exchange.retry_after = response.headers.get("Retry-After", "")
    exchange.request_id = response.headers.get("Twilio-Request-Id", "")
    exchange.date = response.headers.get("Date", "")
    body = response.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise HTTPException("the answer is too long")
    if response.length:  # http.client says nothing when an answer read in part ends early
        raise IncompleteRead(b"", response.length)
    return Answer(response.status, body.decode("utf-8"), dict(response.getheaders()))


def _authorization(auth: tuple[str, str] | None) -> dict[str, str]:
    if auth is None:
        return {}
    return {"Authorization": "Basic " + b64encode(":".join(auth).encode()).decode()}


def _has_input(sock: socket.socket) -> bool:
    """Whether an idle connection has something to read: its end, or bytes nobody asked for."""
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return bool(poller.poll(0))


def require_origin(base_url: str) -> SplitResult:
    """The parts of `scheme://host[:port]`. Raises Misconfigured unless https, or on loopback."""
    parts = urlsplit(base_url.rstrip("/"))
    bare = f"{parts.scheme}://{parts.netloc}" == base_url.rstrip("/") and "@" not in parts.netloc
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
    if not (bare and parts.hostname and is_safe):
        raise Misconfigured(
            "QIDA_TWILIO_BASE_URL 须为 https://主机[:端口]；http 只能用于本机",
            "QIDA_TWILIO_BASE_URL must be https://host[:port]; http is for loopback only",
        )
    return parts
