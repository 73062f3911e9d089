"""Imports over HTTP: a whole file handed in, looked at, approved or cancelled."""

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse
from starlette.requests import ClientDisconnect

from worker.api import import_schemas
from worker.api.answers import Cursor, IdempotencyKey, Limit, problems
from worker.api.callers import ApprovingVisit, ImportVisit, Visit
from worker.api.problems import Problem
from worker.domain.errors import Text
from worker.services.answering_once import Answer, answer_once
from worker.services.answering_once import Request as Once
from worker.services.approving import (
    approve,
    cancel,
    error_list,
    import_listing,
    import_report,
)
from worker.services.importing import check_now
from worker.services.uploads import MOST_BYTES, TooLarge, Upload

imports = APIRouter(prefix="/v1/imports", tags=["imports"])

ImportId = Annotated[str, Path(max_length=80, description="An import's id.")]
_CHECKED_AT_ONCE = 256 << 10
"""Bytes of a file that is read before the answer: a second's work, and a dry run's few."""

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_YAML = ("application/yaml", "application/x-yaml", "text/yaml")
_TYPES = ("text/csv", _XLSX, *_YAML, "application/octet-stream", "")
_OTHER_TYPE = Problem(
    415,
    "media_type",
    Text(
        "请求体须为文件本身，Content-Type 为 text/csv、XLSX 或 application/yaml；"
        "例如 curl -H 'Content-Type: text/csv' --data-binary @cases.csv",
        "the body is the file itself, as text/csv, XLSX or application/yaml; for instance "
        "curl -H 'Content-Type: text/csv' --data-binary @cases.csv",
    ),
)
_CUT_SHORT = Problem(400, "cut_short", Text("文件没有传完", "the file did not come in whole"))
_FILE = {"schema": {"type": "string", "format": "binary"}}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"The file itself, at most {MOST_BYTES >> 20} MB and 1,000,000 rows. CSV "
        "and workbooks are told apart by their content.",
        "content": {
            "text/csv": _FILE
            | {
                "example": "编号,业务,事项,发生时间,姓名,手机\n"
                "A-1,national,电话挂失,2026-11-20 16:20,张三,10000000001\n"
            },
            _XLSX: _FILE,
            "application/yaml": _FILE,
            "application/octet-stream": _FILE,
        },
    }
}
_TAKEN: dict[int | str, dict[str, Any]] = {
    200: {"description": "The same file is under way already, as this import."},
    202: {
        "description": "It was taken; `state` tells how far it is.",
        "model": import_schemas.ImportOut,
    },
}


@imports.post(
    "",
    summary="提交整个名单 · Hand in a roster",
    response_model=import_schemas.ImportOut,
    responses=_TAKEN | problems(409, 413, 415),
    openapi_extra=_BODY,
)
async def hand_in(
    request: Request,
    visit: ImportVisit,
    *,
    dry_run: Annotated[bool, Query(description="Check everything and change nothing.")] = False,
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Hand in a roster: it is checked whole, then applied by the worker, row by row. A file far
    above the centre's usual day is held until an operator approves it."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in _TYPES:
        raise _OTHER_TYPE
    if int(request.headers.get("Content-Length", 0)) > MOST_BYTES:
        raise TooLarge
    upload = await run_in_threadpool(
        Upload.begin,
        visit.context,
        visit.centre_id,
        visit.caller.actor,
        is_yaml=media_type in _YAML,
        dry_run=dry_run,
        now=visit.now,
    )
    try:
        async for content in request.stream():
            upload.add(content)
            if upload.is_full:
                await run_in_threadpool(upload.flush)
        return await run_in_threadpool(_taken, visit, upload, idempotency_key)
    except ClientDisconnect:
        raise _CUT_SHORT from None  # nobody hears it, and it is no fault of ours
    finally:
        await run_in_threadpool(upload.abandon)


def _taken(visit: Visit, upload: Upload, key: str | None) -> Response:
    """What became of the file, or the answer its key got before."""

    def take() -> Answer:
        row, is_new = upload.finish(now=visit.now)
        if row.size <= _CHECKED_AT_ONCE:
            check_now(visit.context, row.id, now=visit.now)
        report = import_report(visit.context, row.id, centre_id=visit.centre_id)
        body = import_schemas.ImportOut.model_validate(report).model_dump_json()
        return Answer(202 if is_new else 200, body, "", "")

    if key is None:
        answer = take()
    else:
        said = json.dumps(["import", upload.row.dry_run, upload.content_digest])
        request = Once(visit.centre_id, key, said)
        answer = answer_once(visit.context, request, take, now=visit.now)
    headers = {"Location": f"/v1/imports/{json.loads(answer.body)['id']}"}
    return Response(answer.body, answer.status, headers, "application/json")


@imports.get("", summary="列出导入 · List imports", responses=problems())
def list_imports(
    request: Request,
    response: Response,
    visit: ImportVisit,
    *,
    before: Cursor = "",
    limit: Limit = 100,
) -> import_schemas.ImportPage:
    """The centre's imports, newest first."""
    found = import_listing(visit.context, centre_id=visit.centre_id, before=before, limit=limit + 1)
    items = found[:limit]
    following = items[-1]["id"] if len(found) > limit else None
    if following is not None:
        address = request.url.include_query_params(before=following)
        response.headers["Link"] = f'<{address.path}?{address.query}>; rel="next"'
    return import_schemas.ImportPage.model_validate({"items": items, "next": following})


@imports.get("/{import_id}", summary="查看导入 · Show an import", responses=problems(404))
def show_import(import_id: ImportId, visit: ImportVisit) -> import_schemas.ImportOut:
    """How far an import is, what it did, and its first mistakes."""
    report = import_report(visit.context, import_id, centre_id=visit.centre_id)
    return import_schemas.ImportOut.model_validate(report)


_ERRORS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file with a last column that says what to mend; as CSV in UTF-8.",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}


@imports.get(
    "/{import_id}/errors.csv",
    summary="下载错误清单 · Get the roster with its mistakes",
    response_class=Response,
    responses=_ERRORS | problems(404),
)
def list_errors(
    import_id: ImportId,
    visit: ImportVisit,
    lang: Annotated[Literal["zh", "en"], Query(description="Language of the reasons.")] = "zh",
) -> Response:
    """The roster as it came, with what to mend beside each bad row: mend it and hand it in again.

    404 where nothing is wrong, and once the file is erased: seven days after the import ended.
    """
    blocks = error_list(visit.context, import_id, centre_id=visit.centre_id, language=lang)
    headers = {"Content-Disposition": 'attachment; filename="errors.csv"'}
    return StreamingResponse(blocks, headers=headers, media_type="text/csv")


@imports.post(
    "/{import_id}/cancel", summary="取消导入 · Cancel an import", responses=problems(404, 409)
)
def cancel_import(import_id: ImportId, visit: ImportVisit) -> import_schemas.ImportInShort:
    """End an import that is not done; what was applied of it stays."""
    done = cancel(visit.context, import_id, actor=visit.caller.actor, now=visit.now,
                  centre_id=visit.centre_id)  # fmt: skip
    return import_schemas.ImportInShort.model_validate(done)


@imports.post(
    "/{import_id}/approve", summary="批准导入 · Approve an import", responses=problems(404, 409)
)
def approve_import(import_id: ImportId, visit: ApprovingVisit) -> import_schemas.ImportInShort:
    """Let an import that is held be applied (an operator's key)."""
    done = approve(visit.context, import_id, actor=visit.caller.actor, now=visit.now)
    return import_schemas.ImportInShort.model_validate(done)
