"""A connection to one mail relay: opened, encrypted, logged in, and on time.

Nothing here knows a message. Whatever goes wrong here went wrong before one was begun.
"""

import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from worker.clock import monotonic
from worker.domain.errors import Misconfigured
from worker.domain.hosts import is_loopback

_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_QUIT_S = 1.0  # a goodbye nobody depends on
_LEAST_S = 0.001  # a socket timeout of 0 would mean "do not block"


@dataclass(frozen=True, slots=True)
class Server:
    """One relay as its URL names it."""

    scheme: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long connecting may take, and the instant (monotonic) by which all must be answered."""

    connect_s: float
    ends: float


class Conversation(smtplib.SMTP):
    """An SMTP connection whose replies are all due by one instant, however many they are.

    It is among `busy` until it is closed or kept, so that it can be broken off at any time.
    """

    def __init__(self, server: Server, pace: Pace, busy: set["Conversation"], **tls: Any) -> None:  # noqa: ANN401 - smtplib's own
        self.ends = pace.ends
        self.messages = 0
        self._busy = busy
        busy.add(self)
        try:
            super().__init__(server.host, server.port, _own_name(), timeout=pace.connect_s, **tls)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close without a goodbye."""
        self._busy.discard(self)
        super().close()

    def break_off(self) -> None:
        """End whatever waits on it, from another thread: that ends with an error."""
        sock = self.sock
        if sock is not None:
            with suppress(OSError):  # it ended by itself meanwhile
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # TLS asks no farewell

    def getreply(self) -> tuple[int, bytes]:
        """The next reply, or SMTPServerDisconnected."""
        if self.sock is not None:
            self.sock.settimeout(max(self.ends - monotonic(), _LEAST_S))
        return super().getreply()


class _TlsConversation(Conversation, smtplib.SMTP_SSL):
    """The same inside TLS from the first byte."""


def open_conversation(
    server: Server, tls: ssl.SSLContext, pace: Pace, busy: set[Conversation]
) -> Conversation:
    """Connect, encrypt and log in. Raises whatever goes wrong."""
    if server.scheme == "smtps":
        opened: Conversation = _TlsConversation(server, pace, busy, context=tls)
    else:
        opened = Conversation(server, pace, busy)
    try:
        if server.scheme == "smtp+starttls":
            opened.starttls(context=tls)  # raises where it is not offered: never in the clear
        opened.ehlo_or_helo_if_needed()
        if server.user:
            opened.login(server.user, server.password)
    except BaseException:
        opened.close()
        raise
    return opened


def answers(kept: Conversation, within_s: float) -> bool:
    """Whether a kept connection still serves; RSET also ends what a refused message left open."""
    kept.ends = monotonic() + within_s
    try:
        is_alive = kept.rset()[0] == 250
    except (smtplib.SMTPException, OSError):
        is_alive = False
    if not is_alive:
        kept.close()
    return is_alive


def part(conversation: Conversation) -> None:
    """Say goodbye and close, whatever comes back."""
    conversation.ends = monotonic() + _QUIT_S
    with suppress(smtplib.SMTPException, OSError):
        conversation.quit()
    conversation.close()


def _own_name() -> str:
    """A name for EHLO without asking the DNS, which may take longer than the whole call."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"


def read_url(url: str) -> Server:
    """The parts of a relay's URL; what is wrong is said without repeating it, for the password."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise _bad_url() from None
    if (
        parts.scheme not in _PORTS
        or not host
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
    ):
        raise _bad_url()
    if parts.scheme == "smtp" and not is_loopback(host):
        raise Misconfigured(
            "QIDA_SMTP_URL 须加密：请用 smtps:// 或 smtp+starttls://；smtp:// 只限本机",
            "QIDA_SMTP_URL must encrypt: use smtps:// or smtp+starttls://; smtp:// is for this "
            "machine only",
        )
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Server(parts.scheme, host, port or _PORTS[parts.scheme], user, password)


def _bad_url() -> Misconfigured:
    return Misconfigured(
        "QIDA_SMTP_URL 应为 smtp+starttls://用户:口令@主机:端口、smtps://… 或本机的 "
        "smtp://127.0.0.1:25；口令中的 @ : / # % 须写成 %40 等",
        "QIDA_SMTP_URL must be smtp+starttls://USER:PASSWORD@HOST:PORT, smtps://... or "
        "smtp://127.0.0.1:25 on this machine; write @ : / # % in a password as %40 and so on",
    )
