"""What wraps every request: its id, a cap on its body, and headers that keep answers private."""

import secrets

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.api.problems import Problem
from worker.domain.errors import Text

MOST_BYTES = 256 * 1024
_UNDER = "/v1/"
_STREAMED = "/v1/imports"
"""Takes whole files, and counts their bytes itself."""

_TOO_LARGE = Problem(
    413,
    "too_large",
    Text("请求超过 256 KB", "the request is larger than 256 KB"),
)
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Envelope:
    """ASGI middleware.

    The request id is always ours: one that a caller chose might be somebody's number, and it is
    written to logs.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless its body is too large."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answering = _with_headers(send)
        path = scope["path"]
        if not path.startswith(_UNDER) or path == _STREAMED:
            await self.app(scope, receive, answering)
            return
        body = await _read(receive)
        if body is None:
            await _TOO_LARGE.response()(scope, receive, answering)
            return
        await self.app(scope, _replayed(body, receive), answering)


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None beyond the cap, and where the caller hung up halfway."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_BYTES or message["type"] == "http.disconnect":
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body at once, then whatever else comes, as a hang-up does."""
    parts = [body]

    async def next_message() -> Message:
        if parts:
            return {"type": "http.request", "body": parts.pop(), "more_body": False}
        return await receive()

    return next_message


def _with_headers(send: Send) -> Send:
    request_id = secrets.token_hex(16)

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = request_id
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
