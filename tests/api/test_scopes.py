"""What a key may do: every route takes one scope, tells which, and is closed without it."""

import json
from typing import NamedTuple

import pytest

from tests.api.office import Office
from worker.api.document import document
from worker.domain.errors import BadData
from worker.services.api_keys import OF_CENTRES, OF_OPERATORS, create_key, key_listing

EVERYTHING = {*OF_CENTRES, *OF_OPERATORS}


class Route(NamedTuple):
    """A route that takes a key."""

    method: str
    path: str
    scopes: tuple[str, ...]


def routes() -> list[Route]:
    """Every route of the description that takes a key."""
    return [
        Route(method.upper(), path, tuple(operation["security"][0]["HTTPBearer"]))
        for path, methods in json.loads(document())["paths"].items()
        for method, operation in methods.items()
        if "security" in operation
    ]


def asked(office: Office, route: Route) -> tuple[int, dict[str, object]]:
    path = route.path.format(case_id="ref:A-1", event_id="0", import_id="0")
    answer = office.ask(route.method, path, None)
    is_problem = answer.headers["Content-Type"] == "application/problem+json"
    return answer.status, answer.body if is_problem else {}


@pytest.mark.parametrize("route", routes(), ids=lambda route: f"{route.method} {route.path}")
def test_a_route_names_the_one_scope_it_takes_and_takes_it(anyone: Office, route: Route) -> None:
    (scope,) = route.scopes
    centre, all_of_its = ("demo", OF_CENTRES) if scope in OF_CENTRES else (None, OF_OPERATORS)
    without = anyone.holding(centre, "test", *({*all_of_its} - {scope}))
    with_it = anyone.holding(centre, "test", scope)

    status, problem = asked(without, route)

    assert (status, problem["code"], problem["scope"]) == (403, "key.scope", scope)
    assert scope in str(problem["detail_zh"])
    assert scope in str(problem["detail_en"])
    assert asked(with_it, route)[0] not in (401, 403)


def test_a_refusal_names_the_scope_in_its_header_too(anyone: Office) -> None:
    reader = anyone.holding("demo", "test", "cases:read")

    refused = reader.post("/v1/cases", {"reference": "B-1"})

    challenge = refused.headers["WWW-Authenticate"]
    assert challenge == 'Bearer error="insufficient_scope", scope="cases:write"'


def test_a_key_has_all_scopes_of_its_kind_unless_told(anyone: Office) -> None:
    for centre, kind in (("demo", "live"), ("demo", "team"), (None, "live")):
        create_key(anyone.desk.context, centre_id=centre, kind=kind, now=anyone.desk.now)  # type: ignore[arg-type]

    listed = key_listing(anyone.desk.context)

    assert {(key["centre"], key["kind"]): key["scopes"] for key in listed} == {
        ("demo", "live"): ["cases:read", "cases:write", "imports", "evidence"],
        ("demo", "team"): ["cases:read", "cases:write", "evidence"],
        (None, "live"): ["job-runs", "metrics", "imports:approve"],
    }


@pytest.mark.parametrize(
    ("centre", "kind", "scope"),
    [("demo", "live", "metrics"), (None, "live", "cases:read"), ("demo", "team", "imports"),
     ("demo", "live", "everything")],
)  # fmt: skip
def test_a_scope_that_the_kind_cannot_have_is_refused(
    anyone: Office, centre: str | None, kind: str, scope: str
) -> None:
    with pytest.raises(BadData, match=scope):
        anyone.holding(centre, kind, scope)  # type: ignore[arg-type]


def test_two_keys_of_a_centre_hold_while_one_replaces_the_other(anyone: Office) -> None:
    old, new = anyone.holding("demo", "live"), anyone.holding("demo", "live")

    assert [one.get("/v1/cases").status for one in (old, new)] == [200, 200]
