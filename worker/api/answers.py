"""What routes share: parameters, and the problems each may answer with."""

from typing import Annotated, Any

from fastapi import Header, Path, Query
from pydantic.json_schema import SkipJsonSchema

from worker.api.problems import MEDIA_TYPE
from worker.api.schemas import ProblemOut

CaseId = Annotated[
    str,
    Path(
        max_length=80,
        description="A case's id, or `ref:` and its reference.",
        examples=["ref:A-1"],
    ),
]
EventId = Annotated[
    str,
    Path(
        max_length=80,
        description="An event's id, as the case shows it.",
        examples=["01a1f813a7403f298327d79cbc09ddba"],
    ),
]
IfMatch = Annotated[
    str | SkipJsonSchema[None],
    Header(max_length=1000, description="Entity tags of the case as last seen, or `*`."),
]
IdempotencyKey = Annotated[
    str | SkipJsonSchema[None],
    Header(
        min_length=1,
        max_length=255,
        description="The same key with the same request gets the same answer for 24 hours.",
    ),
]
Limit = Annotated[int, Query(ge=1, le=500, description="How many at most.")]
Cursor = Annotated[
    str, Query(pattern="^([0-9a-f]{32})?$", description="Where to go on: `next` of the last page.")
]

_SAID = {
    400: "The body is not text in UTF-8.",
    401: "No valid key.",
    403: "A key that is not for this.",
    404: "No such case, event or import; another centre's is answered alike.",
    409: "At odds with what is on record.",
    412: "The case is not as If-Match says.",
    413: "Larger than 256 KB, or a file larger than 200 MB.",
    415: "Neither CSV, XLSX nor YAML.",
    422: "Cannot be taken; `errors` tells each thing to mend.",
    429: "Too many requests; Retry-After tells when to come again.",
    503: "Out of reach for now; Retry-After tells when to come again.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems of a route for its description, besides those that any route may have.

    A body may be too large (413), or no text at all (400).
    """
    of_body = {400} if 413 in statuses else set()
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemOut.__name__}"}}}
    return {
        status: {"description": _SAID[status], "content": content}
        for status in sorted({401, 403, 422, 429, 503, *statuses, *of_body})
    }


def seen_of(if_match: str | None) -> frozenset[str] | None:
    """The entity tags of an If-Match header; weak ones never match (RFC 9110 §13.1.1)."""
    if if_match is None:
        return None
    tags = (tag.strip() for tag in if_match.split(","))
    return frozenset(tag.strip('"') for tag in tags if not tag.startswith("W/"))
