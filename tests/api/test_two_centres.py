"""What belongs to another centre answers like what does not exist, on every route there is."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from tests.api.office import Answer, Office, a_case, reported
from worker.api.document import document

MISSING = "f" * 32
BODIES: Mapping[str, Any] = {
    "record_event": reported("reported_in_writing", "2026-11-20T16:25:00+08:00"),
    "void_event": {"reason": "填错"},
}
"""What to send to the routes that take a body."""

WITHOUT_IDS = {
    "enrol_case", "list_cases", "preview", "hand_in", "list_imports", "list_runs",
    "show_metrics", "healthz", "readyz",
}  # fmt: skip
"""Routes that name nothing of a centre; what they show is tested one by one below."""

WITHOUT_BODY = {"cancel_import", "approve_import"}
OF_OPERATORS = {"approve_import"}
"""Routes that no centre may use: told alike, too, whosever the id is."""

FAULTY = (
    "编号,业务,事项,发生时间,手机\n"
    "B-1,national,电话挂失,2026-11-20 16:20,10000000002\n"
    "B-2,,电话挂矢,2026-11-20 16:20,\n"
)


class Route(NamedTuple):
    """A route whose address names a case or more."""

    name: str
    method: str
    path: str


def routes() -> list[Route]:
    """Every route of the description that is not known to name nothing."""
    return [
        Route(operation["operationId"], method.upper(), path)
        for path, methods in json.loads(document())["paths"].items()
        for method, operation in methods.items()
        if operation["operationId"] not in WITHOUT_IDS
    ]


def asked(office: Office, route: Route, ids: Mapping[str, str]) -> Answer:
    """A route with these ids in its address; KeyError for a parameter that nobody thought of."""
    path = route.path.format_map(ids)
    has_body = route.method != "GET" and route.name not in WITHOUT_BODY
    body = BODIES[route.name] if has_body else None
    sent = json.dumps(body).encode() if body else None
    return office.ask(route.method, path, sent, **{"Content-Type": "application/json"})


def told(answer: Answer) -> tuple[int, str, dict[str, str]]:
    """All that an answer says, byte for byte, but when and under which request's id."""
    headers = {name: value for name, value in answer.headers.items()
               if name.lower() not in ("date", "x-request-id")}  # fmt: skip
    return answer.status, answer.text, headers


def ids_of(office: Office) -> dict[str, str]:
    """The ids of the one case that demo has, and of an import with mistakes."""
    case = office.get("/v1/cases/ref:A-1").body
    taken = office.ask("POST", "/v1/imports", FAULTY.encode(), **{"Content-Type": "text/csv"})
    assert taken.body["state"] == "queued"
    assert taken.body["errors"]
    return {
        "case_id": case["id"],
        "event_id": case["events"][0]["id"],
        "import_id": taken.body["id"],
    }


FORMS: Mapping[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "by id": lambda ids: ids,
    "by reference": lambda ids: ids | {"case_id": "ref:A-1"},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("route", routes(), ids=lambda route: route.name)
def test_another_centres_case_answers_like_a_missing_one(
    office: Office, other: Office, route: Route, form: str
) -> None:
    foreign = FORMS[form](ids_of(office))
    missing = dict.fromkeys(foreign, MISSING)

    theirs = asked(other, route, foreign)
    nobodys = asked(other, route, missing)
    ours = asked(office, route, foreign)

    assert told(theirs) == told(nobodys)
    if route.name in OF_OPERATORS:
        assert (theirs.status, ours.status) == (403, 403)
    else:
        assert theirs.status == 404
        assert ours.status in (200, 201)  # so the address was right


def test_another_centres_event_answers_like_a_missing_one(office: Office, other: Office) -> None:
    other.post("/v1/cases", a_case("A-1"))
    foreign = ids_of(office)["event_id"]

    theirs = other.post(f"/v1/cases/ref:A-1/events/{foreign}/void", {"reason": "x"})
    nobodys = other.post(f"/v1/cases/ref:A-1/events/{MISSING}/void", {"reason": "x"})

    assert told(theirs) == told(nobodys)
    assert theirs.status == 404
    assert office.get("/v1/cases/ref:A-1").body["events"][0]["voided_at"] is None


def test_the_same_reference_is_another_case_at_another_centre(
    office: Office, other: Office
) -> None:
    made = other.post("/v1/cases", a_case("A-1", contact={"phone": "10000000009"}))

    assert made.status == 201
    assert made.body["id"] != office.get("/v1/cases/ref:A-1").body["id"]
    assert office.get("/v1/cases/ref:A-1").body["contact"]["phone"] == "****0001"


def test_a_listing_shows_the_own_cases_alone(office: Office, other: Office) -> None:
    first = office.get("/v1/cases").body["items"]

    theirs = other.get("/v1/cases").body["items"]
    by_reference = other.get("/v1/cases?reference=A-1").body["items"]

    assert [case["reference"] for case in first] == ["A-1"]
    assert theirs == by_reference == []


def test_no_body_names_a_centre(other: Office) -> None:
    refused = other.post("/v1/cases", a_case("B-1", centre="demo"))

    assert (refused.status, other.pointers(refused)) == (422, [("/centre", "extra_forbidden")])
