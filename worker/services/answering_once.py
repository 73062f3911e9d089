"""One answer to one request, however often it comes: Idempotency-Key.

A request with a key that was answered with success gets that answer again for a day; one that was
refused is worked on afresh, for it changed nothing.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.services.context import Context
from worker.services.turning_away import KeyTaken, Underway
from worker.store.answers import AnswerRow, begin_answer, drop_answer
from worker.store.database import Session

_KEPT = timedelta(hours=24)
_LEASE = timedelta(minutes=1)
"""Far longer than a request takes; after a crash the next one may begin."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to a caller, as JSON, about one case."""

    status: int
    body: str
    etag: str
    case_id: str


@dataclass(frozen=True, slots=True)
class Request:
    """What may come again: the caller's key, and all that the request says."""

    centre_id: str
    key: str
    content: str


def answer_once(
    context: Context, request: Request, act: Callable[[], Answer], *, now: datetime
) -> Answer:
    """The answer of `act`, or the one given before. Raises KeyTaken, Underway, and what
    `act` raises."""
    held = _begun(context, request, now)
    if held is not None:
        return held
    try:
        answer = act()
    except BaseException:
        with context.db.transaction() as session:
            drop_answer(session, _id(context, request))
        raise
    with context.db.transaction() as session:
        _keep(context, session, _id(context, request), answer)
    return answer


def _begun(context: Context, request: Request, now: datetime) -> Answer | None:
    """The answer there is; None where the request is ours to work on."""
    row = {
        "id": _id(context, request),
        "centre_id": request.centre_id,
        "fingerprint": context.keys.digest(request.content),
        "status": 0,
        "etag": "",
        "lease_until_at": now + _LEASE,
        "expires_at": now + _KEPT,
    }
    with context.db.transaction() as session:
        held = begin_answer(session, row, now=now)
        if held is None:
            return None
        if held.fingerprint != row["fingerprint"]:
            raise KeyTaken
        if held.status:
            return _opened(context, held)
        if now < held.lease_until_at:
            raise Underway
        held.lease_until_at = now + _LEASE
    return None


def _id(context: Context, request: Request) -> str:
    return context.keys.digest(json.dumps([request.centre_id, request.key]))


def _keep(context: Context, session: Session, answer_id: str, answer: Answer) -> None:
    row = session.get(AnswerRow, answer_id)
    if row is None:  # expired meanwhile, on a clock that was put forward
        return
    row.status, row.etag, row.case_id = answer.status, answer.etag, answer.case_id
    row.body_sealed = context.keys.seal(answer.body, **_place(row))


def _opened(context: Context, row: AnswerRow) -> Answer:
    body = context.keys.open(row.body_sealed or b"", **_place(row))
    return Answer(row.status, body, row.etag, row.case_id or "")


def _place(row: AnswerRow) -> dict[str, str]:
    return {
        "table": "answer",
        "column": "body_sealed",
        "row_id": row.id,
        "centre_id": row.centre_id,
    }
