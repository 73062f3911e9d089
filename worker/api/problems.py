"""Errors as RFC 9457 problems, in Chinese and English; none repeats what was handed in."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from worker.domain.errors import Fault, Misconfigured, QidaError, Text, Unavailable
from worker.services.turning_away import KeyTaken, Moved, NotThere, Refused, Underway
from worker.services.uploads import TooLarge, TooMany

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "Bad request",
    401: "No valid key",
    403: "Not for this key",
    404: "Not found",
    405: "Method not allowed",
    409: "At odds with what is on record",
    412: "Changed since",
    413: "Too large",
    415: "Not a file that can be read",
    422: "Cannot be taken as it is",
    429: "Too many requests",
    500: "Our mistake",
    503: "Out of reach for now",
}


class Problem(Exception):
    """An answer that is no success. `code` is for programs, `said` for people."""

    def __init__(
        self,
        status: int,
        code: str,
        said: Text,
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status, self.code, self.said = status, code, said
        self.faults, self.headers = faults, dict(headers or {})

    def body(self) -> dict[str, object]:
        """The problem document; `errors` points at each fault of the request."""
        document: dict[str, object] = {
            "type": f"urn:qida:problem:{self.code}",
            "title": _TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": str(self.said),
            "code": self.code,
            "detail_zh": self.said.zh,
            "detail_en": self.said.en,
        }
        return document | ({"errors": [_error(one) for one in self.faults]} if self.faults else {})

    def response(self) -> Response:
        """The problem as an answer."""
        return JSONResponse(self.body(), self.status, self.headers, MEDIA_TYPE)


def _error(fault: Fault) -> dict[str, object]:
    return {
        "pointer": fault.place,
        "code": fault.code,
        "detail_zh": fault.message.zh,
        "detail_en": fault.message.en,
        "mend_zh": fault.mend.zh,
        "mend_en": fault.mend.en,
    }


def problem_of(error: QidaError) -> Problem:
    """The problem an error of ours is told as; what is out of reach says no more than that."""
    if isinstance(error, Unavailable | Misconfigured):
        log.warning("request.unavailable", extra={"reason": error.text.en})
        return Problem(503, "unavailable", _LATER, headers=_SOON)
    if isinstance(error, Refused):
        status, code = (409, "state") if error.is_of_state else (422, "refused")
        return Problem(status, code, error.text, faults=error.faults)
    status, code = _OF_OURS.get(type(error), (409, "state"))
    return Problem(status, code, error.text, headers=_SOON if type(error) is Underway else None)


_OF_OURS: Mapping[type[QidaError], tuple[int, str]] = {
    NotThere: (404, "not_found"),
    Moved: (412, "changed"),
    TooLarge: (413, "too_large"),
    TooMany: (409, "imports.many"),
    KeyTaken: (422, "idempotency_key.taken"),
    Underway: (409, "idempotency_key.underway"),
}
_SOON = {"Retry-After": "5"}
_LATER = Text("暂时无法处理，请稍后再试", "out of reach for now; try again shortly")
_OURS = Text("服务端意外错误，已记入日志", "an unforeseen error on our side; it is in the log")


def add_problems(app: FastAPI) -> None:
    """Answer every error of the application with a problem."""
    app.add_exception_handler(Problem, _told)
    app.add_exception_handler(QidaError, _told)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unforeseen)


def _told(_: Request, error: Exception) -> Response:
    return (
        error if isinstance(error, Problem) else problem_of(cast("QidaError", error))
    ).response()


def _unforeseen(_: Request, error: Exception) -> Response:
    """Our mistake: its kind is logged, not its text, which may repeat what was handed in."""
    log.error("request.failed", extra={"error": type(error).__name__})
    return Problem(500, "internal", _OURS).response()


def _http(request: Request, error: Exception) -> Response:
    refused = cast("HTTPException", error)
    said = _OF_HTTP.get(refused.status_code, _OTHERWISE)
    allowed = _allowed(request) if refused.status_code == 405 else {}
    headers = allowed or refused.headers
    return Problem(refused.status_code, "http", said, headers=headers).response()


def _allowed(request: Request) -> dict[str, str]:
    """Every method of an address (RFC 9110 §10.2.1): each route by itself knows only its own."""
    described = request.app.openapi()["paths"]
    path = request.url.path
    found = {
        method.upper()
        for address, methods in described.items()
        if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", address), path)
        for method in methods
    }
    return {"Allow": ", ".join(sorted(found))} if found else {}


_OTHERWISE = Text("请求无法处理", "the request cannot be handled")
_OF_HTTP = {
    400: Text("请求不是有效的 JSON", "the request is not valid JSON"),
    404: Text("没有这个地址", "there is nothing at this address"),
    405: Text("此地址不支持该方法", "this address does not take that method"),
}


def _invalid(_: Request, error: Exception) -> Response:
    faults = [_fault(one) for one in cast("RequestValidationError", error).errors()]
    said = Text(f"有 {len(faults)} 处需要更正", f"{len(faults)} to mend")
    return Problem(422, "invalid", said, faults=faults).response()


def _fault(error: Mapping[str, Any]) -> Fault:
    """Where and what, never the value: it may be somebody's number."""
    message = _OF_VALUES.get(error["type"], _UNFIT)
    return Fault(_pointer(error["loc"]), message, _SEE, code=str(error["type"]))


_NAMED = re.compile(r"(?!.*\d{4})[A-Za-z_][A-Za-z0-9_-]{0,39}")


def _pointer(place: Sequence[str | int]) -> str:
    """`/contact/phone` in the body, `query:limit` in the query; a strange name is left out."""
    where, *parts = place
    if where != "body":
        return f"{where}:{parts[0]}" if parts and _NAMED.fullmatch(str(parts[0])) else str(where)
    known = [str(part) for part in parts if isinstance(part, int) or _NAMED.fullmatch(part)]
    return "".join(f"/{part}" for part in known)


_SEE = Text("字段和写法见 /openapi.json", "/openapi.json lists the fields and how they are written")
_UNFIT = Text("内容不符合要求", "this does not fit")
_OF_VALUES: Mapping[str, Text] = {
    "missing": Text("缺少此项", "this is missing"),
    "extra_forbidden": Text("没有这个字段", "there is no such field"),
    "json_invalid": Text("不是有效的 JSON", "this is not valid JSON"),
    "string_type": Text("须为字符串", "this must be a string"),
    "list_type": Text("须为数组", "this must be an array"),
    "model_attributes_type": Text("须为对象", "this must be an object"),
    "dict_type": Text("须为对象", "this must be an object"),
    "int_type": Text("须为整数", "this must be a whole number"),
    "int_parsing": Text("须为整数", "this must be a whole number"),
    "literal_error": Text("不在可选值之中", "this is none of the allowed values"),
    "string_too_long": Text("太长", "this is too long"),
    "string_too_short": Text("不能为空", "this must not be empty"),
    "too_long": Text("项数太多", "there are too many of these"),
    "string_pattern_mismatch": Text("写法不对", "this is not written as it must be"),
}
