"""`qida calls`: whom to telephone, what to say, and what came of it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from worker.cli.output import (
    Centre,
    Json,
    clock_at,
    heading,
    opened_to_read,
    print_facts,
    print_json,
    print_table,
    say,
    worded,
)
from worker.domain.errors import Text

_OPEN = ["id", "centre", "reference", "rule", "act_by", "opened_at", "why"]
_DONE = ["id", "centre", "reference", "rule", "done_at", "result", "why"]
_TRIED = ["channel", "recipient", "step", "number", "state", "started_at", "accepted_at",
          "delivered_at", "code"]  # fmt: skip

Task = Annotated[str, typer.Argument(metavar="ID", help="As qida calls list shows it.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="The call list: whom a person must telephone.")
    group.command("list")(list_calls)
    group.command("show")(show)
    group.command("done")(done)
    app.add_typer(group, name="calls")


def list_calls(
    centre: Centre = None,
    state: Annotated[Literal["open", "done"], typer.Option(help="In this state.")] = "open",
    as_data: Json = False,
) -> None:
    """List call tasks, most urgent first. No name and no number is shown."""
    from worker.services.calling import call_list

    with opened_to_read() as reading:
        rows = call_list(reading, centre_id=centre, state=state)
    if as_data:
        print_json(rows)
    else:
        print_table([_worded(row) for row in rows], _OPEN if state == "open" else _DONE)


def _worded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "why": worded(Text(**row["why"]))}


def show(task_id: Task, as_data: Json = False) -> None:
    """Show what the caller needs: name, phones, what to say, what was tried. This is audited."""
    from worker.runtime import calling_context
    from worker.services.calling import call_report

    with opened_to_read() as reading:
        now = clock_at(None).now()
        report = call_report(calling_context(reading), task_id, actor="cli", now=now)
    if as_data:
        print_json([report])
    else:
        _print_report(_worded(report))


def _print_report(report: Mapping[str, Any]) -> None:
    contact, words, tried = report["contact"], report["say"], report["tried"]
    task = ("reference", "centre", "procedure", "rule", "state", "act_by", "opened_at", "done_at",
            "why", "note")  # fmt: skip
    print_facts({name: report[name] for name in task})
    typer.echo()
    print_facts(contact)
    typer.echo(f"\n{heading('say')}:")
    print_facts({name: worded(Text(**text)) for name, text in words.items()})
    if not words:
        say(Text(
            "规则或网点文件有误，无法给出要说的话；见 qida rules check",
            "what to say is in a file that is wrong or gone; see qida rules check",
        ))  # fmt: skip
    typer.echo(f"\n{heading('tried')}:")
    print_table(tried, _TRIED)


def done(
    task_id: Task,
    note: Annotated[
        str, typer.Option(help="What came of it, without anyone's name or number.")
    ] = "",
    reached: Annotated[
        bool | None, typer.Option("--reached/--not-reached", help="Whether someone answered.")
    ] = None,
) -> None:
    """Take a call task off the list once the call was made."""
    from worker.services.calling import finish_call

    with opened_to_read() as reading:
        now = clock_at(None).now()
        finish_call(reading, task_id, reached=reached, note=note, actor="cli", now=now)
    say(Text("已完成，不再列出", "done: it is off the list"))
