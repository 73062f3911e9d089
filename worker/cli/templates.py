"""`qida templates`: every message in words, and whether it may be sent."""

from typing import Annotated, Literal

import typer

from worker.cli.output import Json, home_of, list_faults, print_json, say
from worker.domain.errors import Text


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Message templates.")
    group.command("preview")(preview)
    group.command("check")(check)
    app.add_typer(group, name="templates")


def preview(
    channel: Annotated[Literal["sms", "email"], typer.Option(help="By which means.")] = "sms",
    language: Annotated[Literal["zh", "en", "all"], typer.Option("--lang", help="Only this.")] = (
        "all"
    ),
    rule: Annotated[str | None, typer.Option(help="Only this rule.")] = None,
    as_data: Json = False,
) -> None:
    """Show each message with the longest data, its length and its parts."""
    from worker.runtime import require_knowledge
    from worker.templating import preview as previews

    known = require_knowledge(home_of())
    centre = next(iter(known.centres.values()))
    rows = [
        row
        for row in previews(known.templates, known.rulebook.procedures.values(), centre)
        if row.channel == channel and language in ("all", row.language) and rule in (None, row.rule)
    ]
    if as_data:
        print_json([row._asdict() for row in rows])
        return
    for row in rows:
        typer.echo(f"{row.rule}  {row.step}  {row.form}  {row.language}")
        typer.echo(f"  {row.units} 字 / {row.parts} 条  {row.text}\n")


def check() -> None:
    """Report every fault of every template at once."""
    from worker.runtime import load_knowledge
    from worker.templating import check as check_all

    known, faults = load_knowledge(home_of())
    found = check_all(known.templates, known.rulebook.procedures.values(), known.centres.values())
    everything = list(dict.fromkeys([*faults, *found]))
    if everything:
        list_faults(everything)
        say(Text(f"共 {len(everything)} 处错误", f"{len(everything)} faults"))
        raise typer.Exit(78)
    count = len(known.templates.sources)
    say(Text(f"{count} 个模板，没有错误", f"{count} templates, no faults"))
