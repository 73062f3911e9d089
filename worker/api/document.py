"""The OpenAPI document; `make openapi` writes it: python -m worker.api.document > openapi.json"""

import json
import sys

from worker.api.app import create_app
from worker.clock import SystemClock
from worker.services.context import Context


def document() -> str:
    """The description of every route for people and programs, as JSON."""
    described = create_app(_no_context, SystemClock()).openapi()
    return json.dumps(described, ensure_ascii=False, indent=1) + "\n"


def _no_context() -> Context:
    raise LookupError("describing the routes needs nothing they work with")


if __name__ == "__main__":
    sys.stdout.write(document())
