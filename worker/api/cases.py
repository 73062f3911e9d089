"""Cases over HTTP: enrolled, looked at, and events recorded or taken back."""

import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic.json_schema import SkipJsonSchema

from worker.api import schemas
from worker.api.answers import (
    CaseId,
    Cursor,
    EventId,
    IdempotencyKey,
    IfMatch,
    Limit,
    problems,
    seen_of,
)
from worker.api.callers import ReadingVisit, Visit, WritingVisit
from worker.domain.errors import Text
from worker.rosters import JsonCase
from worker.services.answering_once import Answer, answer_once
from worker.services.answering_once import Request as Once
from worker.services.casebook import (
    case_of,
    case_page,
    case_view,
    deadline_views,
    reminder_views,
)
from worker.services.submitting import Submitted, submit_case, submit_event, take_event_back

cases = APIRouter(prefix="/v1/cases", tags=["cases"])

_TAKEN: dict[int | str, dict[str, Any]] = {
    200: {"description": "It was there; `outcome` tells whether anything changed."},
    201: {"description": "It was recorded.", "model": schemas.Submitted},
}


@cases.post(
    "",
    summary="登记或更新案件 · Enrol a case",
    response_model=schemas.Submitted,
    responses=_TAKEN | problems(409, 412, 413),
)
def enrol_case(
    case: schemas.CaseIn,
    visit: WritingVisit,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Enrol a case, or bring the one of this reference up to date; all of it or nothing."""

    def enrol() -> Answer:
        seen = seen_of(if_match)
        read = _as_read(case)
        done = submit_case(visit.context, visit.caller, read, now=visit.now, seen=seen)
        return _submitted(done, 201 if done.outcome == "new" else 200)

    return _once(visit, idempotency_key, ("enrol", case.model_dump_json()), enrol)


def _once(
    visit: Visit, key: str | None, said: tuple[str, ...], act: Callable[[], Answer]
) -> Response:
    """The answer of `act`, or the one its key got before; `said` is all that the request says."""
    if key is None:
        return _response(act())
    request = Once(visit.centre_id, key, json.dumps(said))
    return _response(answer_once(visit.context, request, act, now=visit.now))


def _response(answer: Answer) -> Response:
    headers = {"ETag": f'"{answer.etag}"', "Location": f"/v1/cases/{answer.case_id}"}
    return Response(answer.body, answer.status, headers, "application/json")


def _as_read(case: schemas.CaseIn) -> JsonCase:
    """The case by column, as rosters are read."""
    given = case.model_dump(exclude_none=True)
    events, contact = given.pop("events", []), given.pop("contact", {})
    return JsonCase(given | contact, events)


def _submitted(done: Submitted, status: int) -> Answer:
    said = done.seen.view | {
        "outcome": done.outcome,
        "events_recorded": done.events,
        "reminders_planned": done.planned,
        "notes": [_note(text) for text in done.notes],
    }
    body = schemas.Submitted.model_validate(said).model_dump_json()
    return Answer(status, body, done.seen.etag, done.case_id)


def _note(text: Text) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}


@cases.get("", summary="案件列表 · List cases", responses=problems())
def list_cases(  # noqa: PLR0913  # each filter is a parameter of the request
    request: Request,
    response: Response,
    visit: ReadingVisit,
    *,
    state: schemas.CaseState | SkipJsonSchema[None] = None,
    reference: Annotated[str | SkipJsonSchema[None], Query(max_length=64)] = None,
    after: Cursor = "",
    limit: Limit = 100,
) -> schemas.CasePage:
    """The centre's cases, oldest first."""
    items, following = case_page(
        visit.context, visit.caller, after=after, state=state, reference=reference, limit=limit
    )
    if following is not None:
        address = request.url.include_query_params(after=following)
        response.headers["Link"] = f'<{address.path}?{address.query}>; rel="next"'
    return schemas.CasePage.model_validate({"items": items, "next": following})


@cases.get("/{case_id}", summary="查看案件 · Show a case", responses=problems(404))
def show_case(case_id: CaseId, response: Response, visit: ReadingVisit) -> schemas.CaseOut:
    """One case with its events; the contact is masked."""
    view, etag = case_view(visit.context, _case(visit, case_id))
    response.headers["ETag"] = f'"{etag}"'
    return schemas.CaseOut.model_validate(view)


def _case(visit: Visit, written: str) -> str:
    return case_of(visit.context, visit.caller, written)


@cases.get(
    "/{case_id}/deadlines",
    summary="期限与推算过程 · List deadlines with their derivation",
    responses=problems(404),
)
def list_deadlines(case_id: CaseId, visit: ReadingVisit) -> schemas.Deadlines:
    """The deadlines of a case, each with its derivation."""
    items = deadline_views(visit.context, _case(visit, case_id))
    return schemas.Deadlines.model_validate({"items": items})


@cases.get(
    "/{case_id}/reminders",
    summary="提醒与发送情况 · List reminders with their attempts",
    responses=problems(404),
)
def list_reminders(case_id: CaseId, visit: ReadingVisit) -> schemas.Reminders:
    """The reminders of a case, each with its attempts."""
    items = reminder_views(visit.context, _case(visit, case_id))
    return schemas.Reminders.model_validate({"items": items})


@cases.post(
    "/{case_id}/events",
    summary="记录事项 · Record an event",
    response_model=schemas.Submitted,
    responses=_TAKEN | problems(404, 409, 412, 413),
)
def record_event(
    case_id: CaseId,
    event: schemas.EventIn,
    visit: WritingVisit,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record an event of a case; the same one again changes nothing."""

    def record() -> Answer:
        done = submit_event(
            visit.context,
            visit.caller,
            _case(visit, case_id),
            event.model_dump(),
            now=visit.now,
            seen=seen_of(if_match),
        )
        return _submitted(done, 201 if done.events else 200)

    return _once(visit, idempotency_key, ("record", case_id, event.model_dump_json()), record)


@cases.post(
    "/{case_id}/events/{event_id}/void",
    summary="作废事项 · Take an event back",
    response_model=schemas.CaseOut,
    responses=problems(404, 409, 412, 413),
)
def void_event(  # path, body, key and two headers of the request
    case_id: CaseId,
    event_id: EventId,
    void: schemas.VoidIn,
    visit: WritingVisit,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Take an event back; dates and reminders are worked out anew, the audit trail keeps both."""

    def take_back() -> Answer:
        found, seen = _case(visit, case_id), seen_of(if_match)
        place = (found, event_id)
        take_event_back(visit.context, visit.caller, place, void.reason, now=visit.now, seen=seen)
        view, etag = case_view(visit.context, found)
        return Answer(200, schemas.CaseOut.model_validate(view).model_dump_json(), etag, found)

    said = ("void", case_id, event_id, void.reason)
    return _once(visit, idempotency_key, said, take_back)
