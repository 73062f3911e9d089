"""Serving the application beside the duties, in a thread of its own."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from fastapi import FastAPI

from worker.domain.errors import Misconfigured, Unavailable

log = logging.getLogger(__name__)

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_GRACE = 5  # seconds in which open requests may end


@contextmanager
def served(app: FastAPI, host: str, port: int) -> Iterator[int]:
    """Serve `app` until the block ends; gives the port, chosen by the system for 0.

    Raises Misconfigured for an address that others can reach, Unavailable for one that is taken.
    """
    check_host(host)
    listener = _bound(host, port)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=_GRACE
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, args=([listener],), name="http", daemon=True)
    thread.start()
    chosen = listener.getsockname()[1]
    log.info("http.started", extra={"place": f"http://{host}:{chosen}"})
    try:
        yield chosen
    finally:
        server.should_exit = True
        thread.join(_GRACE + 1)
        listener.close()


def check_host(host: str) -> None:
    """Raises Misconfigured for an address that others can reach."""
    if host not in _LOOPBACK:
        raise Misconfigured(
            f"--host {host} 会让外部访问；在有操作员帐号之前只能监听本机，请用反向代理转发",
            f"--host {host} can be reached from outside; until an operator exists Qida listens "
            "on loopback only: put a reverse proxy in front",
        )


def _bound(host: str, port: int) -> socket.socket:
    try:
        listener = socket.create_server((host, port), backlog=128)
    except OSError as error:
        raise Unavailable(
            f"无法监听 {host}:{port}（{error.strerror}）；请用 --port 换一个端口",
            f"cannot listen on {host}:{port} ({error.strerror}); choose another with --port",
        ) from error
    # asyncio sets it only where the protocol is named, as it is not here; without it each answer
    # waits up to 40 ms for the acknowledgement of its headers (RFC 1122 §4.2.3.2, §4.2.3.4)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
