"""What schemathesis is told about Qida (SCHEMATHESIS_HOOKS): keys, values a centre has, a tally.

Schema alone cannot know which procedures a centre offers or which cases it has. Of the cases that
fit the schema most are given such values, so that what lies behind the first refusal is exercised
too; the rest, and all that do not fit, stay as generated.
"""

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis

from worker.services.api_keys import OF_OPERATORS

Case = schemathesis.Case[Any]

_FOLDER = Path(os.environ["QIDA_CONTRACT"])
_KEYS = json.loads((_FOLDER / "keys.json").read_text("utf-8"))
_KNOWN = json.loads((_FOLDER / "cases.json").read_text("utf-8"))
_IMPORTS = json.loads((_FOLDER / "imports.json").read_text("utf-8"))
_ROWS = 1001
"""One more than a centre without a history may hand in at once: such a file is held."""

_OF_EARLIER_ONES = ("if-match", "idempotency-key")
"""Headers that rightly have a request refused for what went before it."""

_GIVEN = 0.75
"""The share of fitting cases that get a centre's own values."""


@schemathesis.auth(refresh_interval=None)
class Keys:
    """The key that a route takes; schemathesis leaves it out where it tests for that."""

    def get(self, case: Case, _context: schemathesis.AuthContext) -> str:
        """The centre's, or the operator's."""
        required = case.operation.definition.raw.get("security", [])
        scopes = {scope for one in required for scope in one["HTTPBearer"]}
        return str(_KEYS["operator" if scopes & {*OF_OPERATORS} else "centre"])

    def set(self, case: Case, data: str, _context: schemathesis.AuthContext) -> None:
        """As the description has it."""
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def map_case(_context: schemathesis.HookContext, case: Case) -> Case:
    """Give most fitting cases an id, an event or a procedure that this centre has."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    drawn = int(
        sha256(repr((case.path_parameters, case.body, case.query)).encode()).hexdigest(), 16
    )
    if drawn % 1000 >= _GIVEN * 1000:
        return case
    _name_what_is_there(case, drawn)
    if case.operation.label == "POST /v1/imports" and case.media_type == "text/csv":
        case.body = _roster().decode()  # bytes would be no string, as the schema has it
    if isinstance(case.body, dict):
        _fill(case.operation.label, case.body, drawn)
    for header in [name for name in case.headers or () if name.lower() in _OF_EARLIER_ONES]:
        del case.headers[header]
    return case


def _name_what_is_there(case: Case, drawn: int) -> None:
    """Ids of the centre in the address."""
    named = case.path_parameters or {}
    if "case_id" in named:
        known = _KNOWN[drawn % len(_KNOWN)]
        named["case_id"] = known["id"] if drawn % 2 else f"ref:{known['reference']}"
    if "event_id" in named:
        named |= _event_in_force()
    if "import_id" in named:
        named["import_id"] = _import_for(case.operation.label, drawn)


def _fill(label: str, body: dict[str, Any], drawn: int) -> None:
    instant = f"2026-0{1 + drawn % 9}-{10 + drawn % 18}T{10 + drawn % 10}:20:00+08:00"
    event = {"event": "reported_by_phone", "occurred_at": instant}
    match label:
        case "POST /v1/cases":
            body |= {"reference": f"C-{drawn % 10**9}", "procedure": "national", "events": [event]}
            body["contact"] = {"name": "张三", "phone": f"100000000{drawn % 90 + 10}"}
            for name in ("bank", "card_last4"):
                body.pop(name, None)
        case "POST /v1/cases/{case_id}/events":
            body |= event
        case "POST /v1/deadlines/preview":
            body.clear()
            body |= {"starts_at": instant, "period": {"working_days": 1 + drawn % 30}}


def _event_in_force() -> dict[str, str]:
    """An event that nobody took back: of a case made for this request."""
    event = {"event": "reported_by_phone", "occurred_at": "2026-11-20T16:20:00+08:00"}
    case = {"reference": _unused(), "procedure": "national", "events": [event],
            "contact": {"phone": "10000000007"}}  # fmt: skip
    made = _asked("/v1/cases", json.dumps(case).encode(), "application/json")
    return {"case_id": made["id"], "event_id": made["events"][0]["id"]}


def _import_for(label: str, drawn: int) -> str:
    """An import in the state that the operation needs: held or unfinished ones are made for it."""
    if label.endswith(("/approve", "/cancel")):
        return str(_asked("/v1/imports", _roster(_ROWS), "text/csv")["id"])
    return str(_IMPORTS[drawn % len(_IMPORTS)])


def _roster(rows: int = 1) -> bytes:
    """A file nobody handed in before: one case, told so many times over."""
    row = f"{_unused()},national,reported_by_phone,2026-11-20 16:20,李四,10000000002"
    heading = "reference,procedure,event,occurred_at,name,phone"
    return "\n".join([heading, *([row] * rows), ""]).encode()


def _unused() -> str:
    return f"V-{sha256(os.urandom(16)).hexdigest()[:12]}"


def _asked(path: str, body: bytes, media_type: str) -> Any:  # noqa: ANN401  # whatever it answers
    """A request of ours to the same server."""
    headers = {"Authorization": f"Bearer {_KEYS['centre']}", "Content-Type": media_type}
    url = os.environ["QIDA_CONTRACT_URL"] + path
    return requests.post(url, data=body, headers=headers, timeout=30).json()


@schemathesis.check
def tally(_context: schemathesis.CheckContext, response: schemathesis.Response, case: Case) -> None:
    """Write down what was answered to what kind of case."""
    mode = case.meta.generation.mode.value if case.meta else "none"
    phase = case.meta.phase.name.value if case.meta else "none"
    place = urlsplit(str(response.request.url)).path
    line = [case.operation.label, mode, phase, response.status_code, place]
    with (_FOLDER / "tally.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
