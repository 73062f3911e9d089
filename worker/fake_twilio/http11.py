"""Bytes in, requests out; answers in, bytes out: HTTP/1.1 on the stand-in's side.

The plain request every client of Twilio sends is read by hand, which is four times as fast;
whatever looks the least unusual goes to h11, and so does the rest of that connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import h11

from worker.fake_twilio.answers import Answer

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_LONGEST_HEAD = 64 * 1024
_UNUSUAL = {"transfer-encoding", "expect", "upgrade"}

BadRequest = h11.RemoteProtocolError
"""Raised for bytes that are no HTTP."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request's first line and headers; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request."""

    head: Head
    body: bytes


class Stream:
    """The requests of one connection: `head` and then `body`, in turn.

    Both return None until enough was fed, and raise BadRequest.
    """

    def __init__(self) -> None:
        self._unread = bytearray()
        self._length = 0
        self._h11: h11.Connection | None = None
        self._body = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what the client sent; empty when it will send no more."""
        if self._h11 is None:
            self._unread += data
        else:
            self._h11.receive_data(data)

    @property
    def closes(self) -> bool:
        """Whether the connection ends with the answer just written."""
        return self._h11 is not None and self._h11.our_state is not h11.IDLE

    @property
    def awaits_go_ahead(self) -> bool:
        """Whether the client waits for `100 Continue`."""
        return self._h11 is not None and self._h11.they_are_waiting_for_100_continue

    def go_ahead(self) -> bytes:
        """The bytes that tell it to go on."""
        return _sent(self._h11, h11.InformationalResponse(status_code=100, headers=[]))

    def head(self) -> Head | None:
        """The head of the next request."""
        if self._h11 is None:
            end = self._unread.find(b"\r\n\r\n")
            if end < 0 and len(self._unread) <= _LONGEST_HEAD:
                return None
            head = _plain_head(self._unread[: max(end, 0)])
            if head is not None:
                del self._unread[: end + 4]
                self._length = int(head.headers.get("content-length", "0"))
                return head
            self._h11 = h11.Connection(h11.SERVER)
            self._h11.receive_data(bytes(self._unread))
        event = self._h11.next_event()
        return _head_of(event) if isinstance(event, h11.Request) else None

    def body(self) -> bytes | None:
        """The body of the request whose head was read last."""
        if self._h11 is None:
            if len(self._unread) < self._length:
                return None
            body = bytes(self._unread[: self._length])
            del self._unread[: self._length]
            return body
        while isinstance(event := self._h11.next_event(), h11.Data):
            self._body += event.data
        if not isinstance(event, h11.EndOfMessage):
            return None
        body = bytes(self._body)
        self._body.clear()
        return body

    def written(self, answer: Answer) -> bytes:
        """An answer as bytes."""
        headers = [
            ("Content-Type", answer.kind),
            ("Content-Length", str(len(answer.body))),
            *answer.headers,
        ][0 if answer.body or answer.status != 204 else 2 :]  # RFC 9110, 8.6: none with a 204
        if self._h11 is None:
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
            line = f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, '')}\r\n"
            return f"{line}{lines}\r\n".encode("latin-1") + answer.body
        written = _sent(self._h11, h11.Response(status_code=answer.status, headers=headers))
        if answer.body:
            written += _sent(self._h11, h11.Data(data=answer.body))
        written += _sent(self._h11, h11.EndOfMessage())
        if (self._h11.our_state, self._h11.their_state) == (h11.DONE, h11.DONE):
            self._h11.start_next_cycle()
        return written


def _plain_head(raw: bytes | bytearray) -> Head | None:
    """The head of a request with nothing unusual about it, else None."""
    first, *lines = raw.decode("latin-1").split("\r\n")
    words = first.split(" ")
    pairs = [line.partition(":") for line in lines]
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    plain = (
        len(words) == 3
        and words[2] == "HTTP/1.1"
        and len(headers) == len(lines)  # a name that stands twice is not plain
        and "host" in headers
        and headers.get("connection", "keep-alive").lower() == "keep-alive"
        and headers.get("content-length", "0").isdecimal()
        and all(separator and name and name.strip() == name for name, separator, _ in pairs)
        and not _UNUSUAL & headers.keys()
    )
    return Head(words[0], words[1], headers) if plain else None


def _head_of(event: h11.Request) -> Head:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
    return Head(event.method.decode("ascii"), event.target.decode("latin-1"), headers)


def _sent(connection: h11.Connection | None, event: h11.Event) -> bytes:
    return (connection.send(event) if connection else None) or b""
