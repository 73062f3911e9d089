"""The stand-in at an address: a thread of its own, from `with` to the end of its block."""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from worker.fake_twilio.account import FakeTwilio
from worker.fake_twilio.callbacks import is_loopback
from worker.fake_twilio.wire import Connection

_PULSE_SECONDS = 0.02
"""How often it looks whether something is due when nobody asks."""


class NotLoopback(ValueError):
    """A host that others could reach: the stand-in has no lock on its control API."""


@contextmanager
def running(fake: FakeTwilio, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve it and yield its base URL; a port of 0 is any free one.

    It may be run again afterwards and still knows its messages: that is a provider that was down.
    Raises NotLoopback, and OSError when the port is taken or the ledger cannot be written.
    """
    if not is_loopback(host):
        raise NotLoopback(host)
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="fake-twilio", daemon=True)
    thread.start()
    server = _Server(fake)
    try:
        yield asyncio.run_coroutine_threadsafe(server.open(host, port), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Server:
    """What runs in the loop's thread."""

    def __init__(self, fake: FakeTwilio) -> None:
        self._fake = fake
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._pulse: asyncio.Task[None] | None = None

    async def open(self, host: str, port: int) -> str:
        """Listen, and return the base URL."""
        self._fake.ledger.open()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._fake, self._connections), host, port
        )
        self._pulse = loop.create_task(self._beat())
        bound = self._server.sockets[0].getsockname()[1]
        return f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"

    async def _beat(self) -> None:
        while True:
            self._fake.catch_up()
            await asyncio.sleep(_PULSE_SECONDS)

    async def close(self) -> None:
        """Drop every connection and callback, and let go of port and ledger."""
        if self._server is not None:
            self._server.close()
        if self._pulse is not None:
            self._pulse.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pulse
        for connection in list(self._connections):
            connection.close()
        await self._fake.callbacks.stop()
        await asyncio.sleep(0)
        self._fake.ledger.close()
