"""`qida cases evidence`: what can be shown to somebody who doubts a reminder."""

import json
from typing import Annotated

import typer

from worker.cli.output import Centre, clock_at, opened_to_read, say
from worker.domain.errors import Text


def evidence(
    reference: Annotated[str, typer.Argument(metavar="REF")],
    as_page: Annotated[bool, typer.Option("--html", help="A page to print.")] = False,
    centre: Centre = None,
) -> None:
    """Print derivations, texts, attempts and raw receipts, chained by hashes. This is audited."""
    from worker.runtime import calling_context
    from worker.services.evidence import evidence as gather
    from worker.services.evidence_page import evidence_page
    from worker.services.operations import find_case

    with opened_to_read() as reading:
        case_id = find_case(reading, reference, centre_id=centre)
        now = clock_at(None).now()
        found = gather(calling_context(reading), case_id, actor="cli", now=now)
    text = evidence_page(found) if as_page else json.dumps(found, ensure_ascii=False, indent=2)
    typer.echo(text)
    say(_CHECK)


_CHECK = Text(
    "可用 scripts/verify-evidence 核对（只需 Python，不需要期达）；请把 head 告知收件方",
    "scripts/verify-evidence checks it with Python alone; tell whoever gets it the head",
)
