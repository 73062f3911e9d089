"""Evidence over HTTP: for programs, or as a page to print."""

import re
from base64 import b64encode
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import HTMLResponse, JSONResponse, Response

from worker.api import schemas
from worker.api.answers import CaseId, problems
from worker.api.callers import EvidenceVisit
from worker.services.casebook import case_of
from worker.services.evidence import evidence
from worker.services.evidence_page import STYLE, evidence_page

proof = APIRouter(prefix="/v1/cases", tags=["cases"])

_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'"
_FOUND: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "As JSON, or as a page to print.",
        "content": {"text/html": {"schema": {"type": "string"}}},
    }
}


@proof.get(
    "/{case_id}/evidence",
    summary="提醒证据 · Show what proves a case's reminders",
    response_model=schemas.EvidenceOut,
    responses=_FOUND | problems(404),
)
def show_evidence(
    case_id: CaseId,
    visit: EvidenceVisit,
    accept: Annotated[str, Header(max_length=1000, include_in_schema=False)] = "",
) -> Response:
    """What proves a case's reminders: derivations, texts, attempts and raw receipts, chained by
    hashes. That it was asked for is in the audit trail; the sandbox proves nothing."""
    case = case_of(visit.context, visit.caller, case_id)
    found = evidence(visit.context, case, actor=visit.caller.actor, now=visit.now)
    if not _prefers_a_page(accept):
        return JSONResponse(found, headers={"Vary": "Accept"})
    headers = {"Vary": "Accept", "Content-Security-Policy": _POLICY}
    return HTMLResponse(evidence_page(found), headers=headers)


def _prefers_a_page(accept: str) -> bool:
    """Whether an Accept header names HTML, and JSON no more than it (RFC 9110 §12.5.1)."""
    return _quality(accept, "text/html") > _quality(accept, "application/json")


def _quality(accept: str, media_type: str) -> float:
    """The weight of a media type that is named; nothing for one that a wildcard lets in."""
    found = re.search(
        rf"(?:^|,)\s*{media_type}\s*(?:;\s*q=([01](?:\.\d{{0,3}})?)\s*)?(?:,|$)", accept
    )
    return float(found[1] or 1) if found else 0.0
