"""Job runs over HTTP, for operators."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from worker.api import schemas
from worker.api.answers import Cursor, Limit, problems
from worker.api.callers import OperatorVisit
from worker.services.operations import DUTIES, run_listing

runs = APIRouter(prefix="/v1/job-runs", tags=["operators"])


@runs.get("", responses=problems())
def list_runs(
    visit: OperatorVisit,
    duty: Annotated[Literal[DUTIES] | None, Query()] = None,  # type: ignore[valid-type]
    before: Cursor = "",
    limit: Limit = 100,
) -> schemas.Runs:
    """What the duties did, newest first."""
    found = run_listing(visit.context, duty=duty, before=before, limit=limit + 1)
    items = found[:limit]
    following = items[-1]["id"] if len(found) > limit else None
    return schemas.Runs.model_validate({"items": items, "next": following})
