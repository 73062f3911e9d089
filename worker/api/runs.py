"""Job runs over HTTP, for operators."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic.json_schema import SkipJsonSchema

from worker.api import schemas
from worker.api.answers import Cursor, Limit, problems
from worker.api.callers import RunsVisit
from worker.domain.errors import Text
from worker.services.operations import DUTIES, run_listing
from worker.services.turning_away import refuse

runs = APIRouter(prefix="/v1/job-runs", tags=["operators"])

_NO_DUTY = Text("没有这个任务", "there is no such duty")
_DUTIES = Text(f"共有：{'、'.join(DUTIES)}", f"there are: {', '.join(DUTIES)}")


@runs.get("", summary="任务运行记录 · List job runs", responses=problems())
def list_runs(
    visit: RunsVisit,
    duty: Annotated[str | SkipJsonSchema[None], Query(max_length=40)] = None,
    before: Cursor = "",
    limit: Limit = 100,
) -> schemas.Runs:
    """What the duties did, newest first."""
    if duty not in (None, *DUTIES):
        raise refuse("query:duty", "duty.unknown", _NO_DUTY, _DUTIES)
    found = run_listing(visit.context, duty=duty, before=before, limit=limit + 1)
    items = found[:limit]
    following = items[-1]["id"] if len(found) > limit else None
    return schemas.Runs.model_validate({"items": items, "next": following})
