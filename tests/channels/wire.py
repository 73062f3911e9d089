"""A provider on loopback that answers each request as told, and remembers them all."""

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

ACCOUNT_SID = "AC" + "a" * 32
TOKEN = "the-token-of-a-test"  # noqa: S105 - nobody's
SID = "SM" + "1" * 32
TO = "+8613800000001"
TEXT = "【示例社保】测试甲：请于11月27日前办理。"
AT = "Fri, 20 Nov 2026 08:30:00 +0000"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of its body, or of its query."""
        row = self.body.decode() or urlsplit(self.target).query
        return {name: values[0] for name, values in parse_qs(row, keep_blank_values=True).items()}


class Line:
    """One connection, seen from the provider."""

    def __init__(self, sock: socket.socket, wire: "Wire") -> None:
        self.sock, self.wire = sock, wire

    def say(self, *pieces: bytes) -> None:
        """Write, or notice that nobody listens any more."""
        with suppress(OSError):
            for piece in pieces:
                self.sock.sendall(piece)

    def close(self) -> None:
        """Hang up, and let the test know."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.wire.is_done.set()


Answer = Callable[[Asked, Line], None]


def said(
    status: int, body: object, headers: Mapping[str, str] | None = None, *, closing: bool = False
) -> Answer:
    """An answer with a length; `body` is JSON unless bytes. `closing`: then hang up unannounced."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Length": str(len(content)), "Content-Type": "application/json"}
    head = "".join(f"{name}: {value}\r\n" for name, value in (fields | dict(headers or {})).items())

    def answer(_: Asked, line: Line) -> None:
        line.say(f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + content)
        if closing:
            line.close()

    return answer


def message(sid: str = SID, **changes: object) -> dict[str, object]:
    """A message as Twilio's API writes it."""
    return {
        "sid": sid,
        "account_sid": ACCOUNT_SID,
        "to": TO,
        "from": "+15005550006",
        "body": TEXT,
        "status": "queued",
        "direction": "outbound-api",
        "error_code": None,
        "num_segments": "1",
        "price": None,
        "price_unit": "USD",
        "date_created": AT,
        "date_sent": None,
        "date_updated": AT,
    } | changes


def created(sid: str = SID, **changes: object) -> Answer:
    """The answer to a message that was taken."""
    return said(201, message(sid, **changes), {"Twilio-Request-Id": "RQ1"})


def refused(status: int, code: int, headers: Mapping[str, str] | None = None) -> Answer:
    """A refusal in Twilio's own form."""
    said_so = {"code": code, "message": "no", "more_info": "", "status": status}
    return said(status, said_so, {"Twilio-Request-Id": "RQ1", **(headers or {})})


def raw(*pieces: bytes) -> Answer:
    """These bytes, then the end."""

    def answer(_: Asked, line: Line) -> None:
        line.say(*pieces)
        line.close()

    return answer


def cut(_: Asked, line: Line) -> None:
    """No answer: the connection ends."""
    line.close()


def reset(_: Asked, line: Line) -> None:
    """No answer: the connection is reset."""
    line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.close(line.sock.detach())  # at once, though somebody still reads from it


def silence(_: Asked, line: Line) -> None:
    """No answer until the test is over."""
    line.wire.is_over.wait(10)


def never_ending(_: Asked, line: Line) -> None:
    """Bytes without end, none of them an answer."""
    with suppress(OSError):
        while not line.wire.is_over.is_set():
            line.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


class Wire:
    """The provider. `answers` are given in turn; without any, every message is taken."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: list[Answer] = []
        self.asked: list[Asked] = []
        self.connections = 0
        self.is_done, self.is_over = threading.Event(), threading.Event()
        self._tls, self._lock = tls, threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lines: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Where it listens."""
        scheme, host = ("https", "localhost") if self._tls else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self._listener.getsockname()[1]}"

    @property
    def posts(self) -> list[Asked]:
        """Every POST that arrived whole."""
        return [asked for asked in self.asked if asked.method == "POST"]

    def close(self) -> None:
        """End every connection and thread."""
        self.is_over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(10)
        for sock in self._lines:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._lines.append(sock)
            self._threads.append(threading.Thread(target=self._serve, args=(sock,)))
            self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError, ValueError):  # the other side, or this test, has hung up
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with sock, sock.makefile("rb") as reader:
                while asked := _next(reader.readline, reader.read):
                    with self._lock:
                        self.asked.append(asked)
                        answer = self.answers.pop(0) if self.answers else created()
                    answer(asked, Line(sock, self))


def _next(readline: Callable[[], bytes], read: Callable[[int], bytes]) -> Asked | None:
    """The next whole request, or None at the end."""
    first = readline().decode("ascii", "replace").split()
    if len(first) != 3:
        return None
    headers = {}
    while line := readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", 0))
    body = read(length)
    return Asked(first[0], first[1], headers, body) if len(body) == length else None
