"""`qida audit`: who did what, chained by hashes so that a change shows."""

from typing import Annotated

import typer

from worker.cli.output import Json, opened_to_read, print_facts, print_json, say
from worker.domain.errors import Text


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="The audit trail.")
    group.command("verify")(verify)
    group.callback()(_group)
    app.add_typer(group, name="audit")


def _group() -> None:
    """The audit trail."""


def verify(
    expect: Annotated[
        str,
        typer.Option(metavar="SEQ:HASH", help="The head as an earlier run showed it."),
    ] = "",
    as_data: Json = False,
) -> None:
    """Walk the whole chain and name the first broken link; show the head, to be kept elsewhere."""
    from worker.services.trail import trail_report

    with opened_to_read() as reading:
        report = trail_report(reading, expected=expect)
    if as_data:
        print_json([report])
    else:
        print_facts(report)
        say(_KEEP if not expect else _HOLDS)


_KEEP = Text(
    "链条完整。请把 head 另存他处：没有它，末尾被删看不出来（下次用 --expect 核对）",
    "the chain holds. Keep the head elsewhere: without it a removed tail does not show (--expect)",
)
_HOLDS = Text("链条完整，上次的 head 仍在", "the chain holds, and the head kept elsewhere is in it")
