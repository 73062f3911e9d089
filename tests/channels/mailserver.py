"""A mail server on loopback that fails as it is told, and keeps what it took."""

import asyncio
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

DROP = "drop"
"""Cut the connection instead of answering."""
SILENT = "silent"
"""Keep the connection and never answer."""
SLOW = "slow"
"""Answer as usual after a third of a second, in one go."""
DRIPPING = "dripping"
"""Answer as usual, line after line for a third of a second."""
_A_THIRD_S, _DRIPS = 0.33, 33


class MailServer(Controller):
    """Answers each step of SMTP with `faults[step]`, else as a relay that takes everything.

    Steps: MAIL, RCPT, RSET, DATA (the command), CONTENT (its dot). `together` holds connections
    at DATA until so many are there.
    """

    def __init__(self, *, inside_tls: ssl.SSLContext | None = None, **options: Any) -> None:
        self.faults: dict[str, str] = {}
        self.mails: list[Envelope] = []
        self.asked: Counter[str] = Counter()
        self.is_silent = threading.Event()
        self.together: asyncio.Barrier | None = None
        self._socket = socket.create_server(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        options = {"enable_SMTPUTF8": False, "ssl_context": inside_tls, **options}
        super().__init__(self, hostname="127.0.0.1", port=port, **options)

    def factory(self) -> SMTP:
        self.asked["connection"] += 1
        return _Line(self.handler, **self.SMTP_kwargs)

    def _create_server(self) -> Any:
        return self.loop.create_server(
            self._factory_invoker, sock=self._socket, ssl=self.ssl_context
        )

    def _trigger_server(self) -> None:
        """Controller looks whether it serves by a connection of its own, which is not counted."""
        super()._trigger_server()  # type: ignore[no-untyped-call]  # aiosmtpd's
        self.asked.clear()

    async def answer(self, server: SMTP, step: str) -> str | None:
        """The fault for one step, if there is one."""
        self.asked[step] += 1
        fault = self.faults.get(step)
        if fault == DROP and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        if fault == SILENT:
            self.is_silent.set()
            await asyncio.Event().wait()
        if fault == SLOW:
            await asyncio.sleep(_A_THIRD_S)
        if fault == DRIPPING:
            await self._drip(server, "354" if step == "DATA" else "250")
        if step == "DATA" and self.together:
            await self.together.wait()
        return None if fault in (SLOW, DRIPPING) else fault

    async def _drip(self, server: SMTP, code: str) -> None:
        for _ in range(_DRIPS):
            await server.push(f"{code}-wait")
            await asyncio.sleep(_A_THIRD_S / _DRIPS)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, _: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return await self.answer(server, "MAIL") or "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, _: Session, envelope: Envelope, address: str, *_options: Any
    ) -> str:
        reply = await self.answer(server, "RCPT")
        if reply is None:
            envelope.rcpt_tos.append(address)
        return reply or "250 2.1.5 Ok"

    async def handle_RSET(self, server: SMTP, *_: Any) -> str:  # noqa: N802 - aiosmtpd's name
        return await self.answer(server, "RSET") or "250 2.0.0 Ok"

    async def handle_QUIT(self, server: SMTP, *_: Any) -> str:  # noqa: N802 - aiosmtpd's name
        return await self.answer(server, "QUIT") or "221 2.0.0 Bye"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, _: Session, envelope: Envelope
    ) -> str:
        self.mails.append(envelope)
        number = len(self.mails)
        return await self.answer(server, "CONTENT") or f"250 2.0.0 Ok: queued as Q{number}"


class _Line(SMTP):
    """One connection; it can also refuse the command DATA, for which aiosmtpd has no hook."""

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        reply = await self.event_handler.answer(self, "DATA")
        if reply:
            await self.push(reply)
        else:
            await super().smtp_DATA(arg)


@contextmanager
def serving(**options: Any) -> Iterator[MailServer]:
    """A running mail server."""
    server = MailServer(**options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def only(user: str, password: str) -> Any:
    """An authenticator for exactly one account."""

    def check(*told: Any) -> AuthResult:
        said = told[-1]
        is_known = said == LoginPassword(user.encode(), password.encode())
        return AuthResult(success=is_known, handled=False)

    return check
