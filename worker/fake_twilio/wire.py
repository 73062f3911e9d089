"""One connection: read a request, answer it, or fail it the way the plan says."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from worker.fake_twilio import api
from worker.fake_twilio.account import FakeTwilio
from worker.fake_twilio.answers import HTML, JSON, Answer, refusal
from worker.fake_twilio.control import CONTROL, controlled
from worker.fake_twilio.http11 import BadRequest, Head, Request, Stream
from worker.fake_twilio.plans import Fault

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time at all: closing sends a reset (socket(7))."""

_DRIPS = 100
_HUGE = 10 * 1024 * 1024
_CODES = {401: 20003, 404: 20404, 409: 20009, 429: 20429, 503: 20503}


class Connection(asyncio.Protocol):
    """A client's connection: one request at a time, in order."""

    def __init__(self, fake: FakeTwilio, connections: "set[Connection]") -> None:
        self._fake = fake
        self._connections = connections
        self._stream = Stream()
        self._head: Head | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is here."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # asyncio promises it
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """The client is gone: whatever it was to wait for is not waited for."""
        self._connections.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Bytes are here."""
        self._stream.feed(data)
        self._go_on()

    def close(self) -> None:
        """End it now."""
        self._transport.abort()

    def _go_on(self) -> None:
        """Serve whole requests for as long as there are any, and none of them keeps us busy."""
        try:
            while self._task is None and not self._transport.is_closing():
                request = self._next()
                if request is None:
                    return
                self._serve(request)
        except BadRequest:
            self._transport.write(Stream().written(refusal(20001)))
            self._transport.close()

    def _next(self) -> Request | None:
        if self._head is None:
            self._head = self._stream.head()
            if self._head is None:
                return None
            if not _is_control(self._head) and self._is_cut(api.kind_of(self._head)):
                self._reset()
                return None
        if self._stream.awaits_go_ahead:
            self._transport.write(self._stream.go_ahead())
        body = self._stream.body()
        if body is None:
            return None
        head, self._head = self._head, None
        return Request(head, body)

    def _is_cut(self, kind: str) -> bool:
        self._fake.requests[kind or "other"] += 1
        return self._fake.cuts_before_reading(kind)

    def _serve(self, request: Request) -> None:
        if _is_control(request.head):
            self._attend(self._control(request))
            return
        self._fake.catch_up()
        call = api.understood(request)
        fault = self._fake.fault_for(call.kind, call.given.get("To"), call.page)
        if fault is None:
            self._write(api.answered(self._fake, call))
        else:
            self._attend(self._fail(call, fault))

    def _attend(self, work: "Awaitable[None]") -> None:
        """Do what takes a while; the connection's next request waits for it."""
        self._task = asyncio.ensure_future(work)
        self._task.add_done_callback(self._attended)

    def _attended(self, task: "asyncio.Future[None]") -> None:
        self._task = None
        if task.cancelled():
            return
        if task.exception() is not None:
            self._transport.abort()
        task.result()
        self._go_on()

    async def _control(self, request: Request) -> None:
        self._write(await controlled(self._fake, request))

    async def _fail(self, call: api.Call, fault: Fault) -> None:
        """Do the request or not, then keep the client from hearing what became of it."""
        done = fault.stored or fault.do in ("slow", "drip") or fault.at == "in_answer"
        answer = api.answered(self._fake, call) if done else None
        match fault.do:
            case "answer":
                self._write(_told(fault, answer))
            case "cut":
                self._cut(answer if fault.at == "in_answer" else None)
            case "hang":
                await asyncio.sleep(fault.seconds)
                self._transport.abort()
            case "slow":
                await asyncio.sleep(fault.seconds)
                self._write(answer or Answer(500))
            case "drip":
                await self._drip(answer or Answer(500), fault.seconds)

    def _cut(self, answer: Answer | None) -> None:
        """Reset the connection, or end it in the middle of an answer."""
        if answer is None:
            self._reset()
            return
        written = self._stream.written(answer)
        self._transport.write(written[: len(written) - len(answer.body) // 2])
        self._transport.close()

    def _reset(self) -> None:
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    async def _drip(self, answer: Answer, seconds: float) -> None:
        """The answer in pieces over so many seconds."""
        written = self._stream.written(answer)
        size = len(written) // _DRIPS + 1
        for at in range(0, len(written), size):
            self._transport.write(written[at : at + size])
            await asyncio.sleep(seconds / _DRIPS)

    def _write(self, answer: Answer) -> None:
        self._transport.write(self._stream.written(answer))
        if self._stream.closes:
            self._transport.close()


def _is_control(head: Head) -> bool:
    return head.target.startswith(CONTROL)


_BODIES: dict[str, Callable[[bytes], tuple[bytes, str]]] = {
    "html": lambda _: (b"<html><body><h1>Bad Gateway</h1></body></html>", HTML),
    "empty": lambda _: (b"", JSON),
    "object": lambda _: (b"{}", JSON),
    "truncated": lambda whole: (whole[: len(whole) // 2], JSON),
    "wrong_type": lambda _: (b'{"sid": 5, "status": ["queued"], "error_code": {}}', JSON),
    "huge": lambda _: (b'{"body": "' + b"x" * _HUGE + b'"}', JSON),
}


def _told(fault: Fault, answer: Answer | None) -> Answer:
    """The answer a fault gives. One that is not Twilio's own bears no Twilio-Request-Id."""
    extra = () if fault.retry_after is None else (("Retry-After", str(fault.retry_after)),)
    if fault.body == "error":
        code = fault.code or _CODES.get(fault.status or 500, 20500)
        told = refusal(code, fault.status)
        return Answer(told.status, told.body, told.headers + extra)
    whole = answer or refusal(20500)
    body, kind = _BODIES[fault.body](whole.body)
    headers = () if fault.body == "html" else whole.headers
    return Answer(fault.status or 201, body, headers + extra, kind)
