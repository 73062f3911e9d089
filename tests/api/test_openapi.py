"""The description of the API is the committed one, and nothing of it is a secret."""

import json

from tests.api.office import Office
from tests.cli.command import ROOT
from worker.api.document import document

NO_KEY = {"/healthz", "/readyz"}


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
