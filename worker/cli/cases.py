"""`qida cases`: what is on file of each case, and its events."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from worker.cli.output import Centre, Json, Now, instant, opened, print_json, print_table, say
from worker.domain.errors import Text

if TYPE_CHECKING:
    from worker.runtime import Runtime

_SHOWN = {
    "events": ("event", "occurred_at", "id", "void_reason"),
    "deadlines": ("rule", "state", "status", "act_by", "ready_on", "ends_at"),
    "reminders": ("rule", "step", "channel", "recipient", "due_at", "state", "reason"),
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Cases.")
    group.command("list")(list_cases)
    group.command("show")(show)
    group.command("event")(event)
    app.add_typer(group, name="cases")


def list_cases(
    centre: Centre = None,
    state: Annotated[Literal["open", "closed"] | None, typer.Option(help="In this state.")] = None,
    as_data: Json = False,
) -> None:
    """List cases."""
    from worker.services.operations import case_listing

    with opened() as runtime:
        rows = case_listing(runtime.context, centre_id=centre, state=state)
    if as_data:
        print_json(rows)
    else:
        print_table(rows, ["centre", "reference", "procedure", "state", "created_at"])


def show(
    reference: Annotated[str, typer.Argument(metavar="REF")],
    centre: Centre = None,
    as_data: Json = False,
) -> None:
    """Show one case: its events, deadlines, reminders and attempts."""
    from worker.services.operations import case_report

    with opened() as runtime:
        report = case_report(runtime.context, _case_id(runtime, reference, centre))
    if as_data:
        print_json([report])
        return
    for part, columns in _SHOWN.items():
        rows = report[part]
        if isinstance(rows, list) and rows:
            typer.echo(f"{part}:")
            print_table(rows, columns)
            typer.echo()


def _case_id(runtime: "Runtime", reference: str, centre: str | None) -> str:
    from worker.services.operations import find_case

    return find_case(runtime.context, reference, centre_id=centre)


def event(
    reference: Annotated[str, typer.Argument(metavar="REF")],
    name: Annotated[str | None, typer.Argument(metavar="EVENT")] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="ISO", help="When it happened, with an offset.")
    ] = None,
    void: Annotated[
        str | None, typer.Option("--void", metavar="ID", help="Take back this event instead.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why it is taken back.")] = "",
    centre: Centre = None,
    now: Now = None,
) -> None:
    """Record an event of a case, or void one with a reason."""
    from worker.services.enrolment import record_event, void_event
    from worker.services.operations import find_case

    with opened(now) as runtime:
        at_now = runtime.clock.now()
        case_id = find_case(runtime.context, reference, centre_id=centre)
        if void is not None:
            void_event(runtime.context, void, reason, case_id=case_id, actor="cli", now=at_now)
            say(Text("已作废，期限与提醒已重新计算", "voided; everything was worked out anew"))
        elif name is None or at is None:
            raise typer.BadParameter(
                "请写明事项和 --at 时间 / name an event and its time with --at"
            )
        else:
            report = record_event(runtime.context, case_id, name, instant(at), now=at_now)
            typer.echo(f"{report.events} recorded, {report.planned} reminders planned")
