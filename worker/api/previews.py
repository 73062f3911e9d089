"""Deadlines worked out on request, with nothing stored."""

from fastapi import APIRouter

from worker.api import schemas
from worker.api.answers import problems
from worker.api.callers import ReadingVisit
from worker.domain.errors import Text
from worker.services.previewing import preview_of_period, preview_of_rule
from worker.services.turning_away import refuse

previews = APIRouter(prefix="/v1/deadlines", tags=["deadlines"])

_ONE_OF_TWO = Text("rule 与 period 须恰好写一个", "give exactly one of rule and period")
_KEEP_ONE = Text("请保留其中一个", "keep one of them")


@previews.post("/preview", summary="试算期限 · Preview a deadline", responses=problems(413))
def preview(asked: schemas.PreviewIn, visit: ReadingVisit) -> schemas.DerivationOut:
    """When a rule's deadline or a bare period ends at this centre, day by day."""
    if (asked.rule is None) == (asked.period is None):
        raise refuse("", "preview.one_of", _ONE_OF_TWO, _KEEP_ONE)
    if asked.period is not None:
        period = asked.period.model_dump(exclude_none=True)
        found = preview_of_period(
            visit.context, visit.centre_id, period=period, starts_at=asked.starts_at
        )
    else:
        found = preview_of_rule(
            visit.context,
            visit.centre_id,
            rule_id=asked.rule or "",
            bank=asked.bank or "",
            starts_at=asked.starts_at,
        )
    return schemas.DerivationOut.model_validate(found)
