"""`qida templates`: every message in words, and whether it may be sent."""

from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from worker.cli.output import Json, home_of, list_faults, print_json, say
from worker.domain.errors import BadData, Text

if TYPE_CHECKING:
    from worker.templating import Preview


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
    step: Annotated[str | None, typer.Option(help="Only this step, such as last_day.")] = None,
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
        if row.channel == channel and language in ("all", row.language)
    ]
    chosen = _only("step", step, _only("rule", rule, rows))
    if as_data:
        print_json([row._asdict() for row in chosen])
        return
    for row in chosen:
        typer.echo(f"{row.rule}  {row.step}  {row.form}  {row.language}")
        typer.echo(indent(_in_words(row), "  ") + "\n")


def _only(
    column: Literal["rule", "step"], wanted: str | None, rows: "list[Preview]"
) -> "list[Preview]":
    """The rows of one rule or step, all if none is wanted. Raises BadData naming those there are.

    A rule of a procedure that the centre does not offer is not there.
    """
    found = [row for row in rows if wanted in (None, getattr(row, column))]
    if found:
        return found
    known = dict.fromkeys(getattr(row, column) for row in rows)
    what = {"rule": "规则", "step": "提醒节点"}[column]
    raise BadData(
        f"没有{what} {wanted}；现有：{'、'.join(known)}",
        f"no {column} {wanted}; there are {', '.join(known)}",
    )


def _in_words(row: "Preview") -> str:
    chinese = row.language == "zh"
    if row.channel == "email":
        return f"{'主题：' if chinese else 'Subject: '}{row.subject}\n\n{row.text.rstrip()}"
    units, parts = row.units, row.parts
    size = f"{units} 字 / {parts} 条" if chinese else f"units: {units}, parts: {parts}"
    return f"{size}  {row.text}"


def check() -> None:
    """Report every fault of every template at once."""
    from worker.runtime import load_knowledge
    from worker.templating import check as check_all

    known, faults = load_knowledge(home_of())
    found = check_all(known.templates, known.rulebook.procedures.values(), known.centres.values())
    everything = list(dict.fromkeys([*faults, *found]))
    if everything:
        list_faults(everything)
        say(Text(f"共 {len(everything)} 处错误", f"faults: {len(everything)}"))
        raise typer.Exit(78)
    count = len(known.templates.sources)
    say(Text(f"模板 {count} 个，没有错误", f"templates: {count}, no faults"))
