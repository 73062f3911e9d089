"""The description of the API is the committed one, and nothing of it is a secret."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest

from tests.api.office import Office
from tests.cli.command import ROOT
from worker.api.app import operations
from worker.api.document import document

NO_KEY = {"/healthz", "/readyz"}
DESCRIBED = json.loads(document())
SCHEMAS = DESCRIBED["components"]["schemas"]


def fits(example: object, schema: dict[str, Any]) -> None:
    """Raises where an example is not as its schema has it."""
    whole = schema | {"components": DESCRIBED["components"]}
    jsonschema_rs.validator_for(whole).validate(example)


@pytest.mark.parametrize("operation", operations(DESCRIBED), ids=lambda one: one["operationId"])
def test_every_operation_is_told_in_both_languages_with_examples(
    operation: dict[str, Any],
) -> None:
    zh, _, en = operation["summary"].partition(" · ")
    good = [answer for status, answer in operation["responses"].items() if status[0] == "2"]

    assert re.search(r"[\u4e00-\u9fff]", zh)
    assert re.match(r"[A-Z][a-z]", en)
    for answer in good:
        shown = [one for one in answer["content"].values() if "example" in one]
        assert shown, f"add {operation['operationId']} to worker/api/examples.py"
        for one in shown:
            fits(one["example"], one["schema"])


def test_every_example_of_a_schema_fits_it() -> None:
    schemas = DESCRIBED["components"]["schemas"]

    shown = [(schema, one) for schema in schemas.values() for one in schema.get("examples", [])]

    assert len(shown) >= 5
    for schema, example in shown:
        fits(example, schema)


def test_every_body_that_is_asked_for_has_an_example() -> None:
    for operation in operations(DESCRIBED):
        bodies = operation.get("requestBody", {}).get("content", {}).values()
        named = [body["schema"].get("$ref", "").rpartition("/")[2] for body in bodies]
        shown = [name for name in named if name and SCHEMAS[name]["examples"]]
        files = [body for body in bodies if "example" in body]
        assert len(shown) == len(bodies) or files, operation["operationId"]


def test_the_committed_description_is_that_of_the_routes() -> None:
    committed = (ROOT / "openapi.json").read_text("utf-8")

    assert committed == document(), "run `make openapi`"


def test_it_is_served_without_a_key(anyone: Office) -> None:
    served = anyone.get("/openapi.json")

    assert served.status == 200
    assert served.body == json.loads(document())


def test_every_route_but_the_health_of_the_worker_takes_a_key(anyone: Office) -> None:
    described = json.loads(document())["paths"]

    open_to_all = {
        path
        for path, methods in described.items()
        if not all("security" in operation for operation in methods.values())
    }

    assert open_to_all == NO_KEY
    for path in described.keys() - NO_KEY:
        for method in described[path]:
            assert anyone.ask(method.upper(), path, b"{}").status == 401, (method, path)


def test_every_schema_that_is_named_is_there() -> None:
    described = document()

    names = {part.split('"')[0] for part in described.split("#/components/schemas/")[1:]}

    assert names <= json.loads(described)["components"]["schemas"].keys()
