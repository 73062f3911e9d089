"""What is asked of us without a key: status callbacks and unsubscribing. Each proves itself."""

import logging
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from worker.api.desk import Desk, desk_of
from worker.channels.twilio_hook import MOST_BYTES, Forged, read_callback
from worker.domain.delivery import Receipt
from worker.runtime import Callbacks
from worker.services.opt_outs import opt_out_by_link
from worker.services.receipts import take_receipt

log = logging.getLogger(__name__)

unsubscribing = APIRouter(include_in_schema=False)

Ref = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


@unsubscribing.get("/u/{ref}")
def ask_before_opting_out() -> HTMLResponse:
    """Asking is all that a GET does: mail scanners follow links (RFC 8058 §3.1)."""
    return HTMLResponse(_ASK)


@unsubscribing.post("/u/{ref}")
def opt_out(ref: Ref, request: Request) -> Response:
    """One click (RFC 8058); a ref nobody knows is answered alike: there is nothing to learn."""
    desk = desk_of(request)
    done = HTMLResponse(_DONE)
    return _answered(lambda: opt_out_by_link(desk.context, ref, now=desk.now), done)


def hook(callbacks: Callbacks) -> APIRouter:
    """Twilio's status callbacks, checked against `callbacks`."""
    router = APIRouter(include_in_schema=False)

    @router.post("/hooks/twilio/{ref}")
    async def twilio_status(request: Request) -> Response:
        """204 for all that is genuine, late, repeated or unknown; 403 forged; 503 come again."""
        body = await _body(request)
        try:
            receipt = read_callback(
                public_url=callbacks.public_url,
                path=request.scope["raw_path"].decode("latin-1"),
                query=request.scope["query_string"].decode("latin-1"),
                headers=dict(request.headers),
                body=body,
                tokens=callbacks.tokens,
                account_sid=callbacks.account_sid,
            )
        except Forged as refusal:
            log.warning("callback.forged", extra={"reason": str(refusal)})
            return Response(status_code=403)
        return await run_in_threadpool(_taken, desk_of(request), receipt)

    return router


def _taken(desk: Desk, receipt: Receipt) -> Response:
    def take() -> None:
        said = take_receipt(
            desk.context, receipt, source="callback", channel_name="twilio", now=desk.now
        )
        log.info("callback.taken", extra={"state": said})

    return _answered(take, Response(status_code=204))


def _answered(act: Callable[[], object], good: Response) -> Response:
    """The good answer, or 503 where it could not be kept: whoever asks comes again."""
    try:
        act()
    except Exception:
        log.exception("request.not_kept")
        return Response(status_code=503, headers={"Retry-After": "5"})
    return good


async def _body(request: Request) -> bytes:
    """The body, cut where it is longer than any callback: then its signature is wrong."""
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > MOST_BYTES:
            break
    return bytes(read)


_PAGE = """<!doctype html><html lang="zh"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>期达</title><body style="font: 18px/1.6 sans-serif; max-width: 32em; margin: 3em auto">
{}</body></html>"""
_ASK = _PAGE.format(
    "<p>不再接收这个网点发给本邮箱的提醒？案件本身不受影响，网点会改用其他方式通知您。</p>"
    "<p>No more reminders from this centre to this address? Your case stays as it is; the centre "
    "will reach you by other means.</p>"
    '<form method="post"><button style="font: inherit">确认退订 Unsubscribe</button></form>'
)
_DONE = _PAGE.format(
    "<p>已退订。今后不会再向本邮箱发送提醒。</p><p>Done. No more reminders go to this address.</p>"
)
