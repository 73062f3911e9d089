"""`qida cases`: what is on file of each case, and its events."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from worker.cli.evidence import evidence
from worker.cli.output import (
    Centre,
    Json,
    Now,
    heading,
    instant,
    opened,
    opened_to_read,
    print_facts,
    print_json,
    print_table,
    result,
    say,
)
from worker.domain.errors import Text

_SHOWN = {
    "events": ("event", "occurred_at", "id", "void_reason"),
    "deadlines": ("rule", "state", "status", "act_by", "ready_on", "ends_at"),
    "reminders": ("rule", "step", "channel", "recipient", "due_at", "state", "reason"),
    "attempts": ("rule", "step", "channel", "number", "state", "started_at", "accepted_at",
                 "delivered_at", "provider_id", "code"),
}  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Cases.")
    group.command("list")(list_cases)
    group.command("show")(show)
    group.command("event")(event)
    group.command("opt-out")(opt_out)
    group.command("evidence")(evidence)
    app.add_typer(group, name="cases")


def list_cases(
    centre: Centre = None,
    state: Annotated[Literal["open", "closed"] | None, typer.Option(help="In this state.")] = None,
    as_data: Json = False,
) -> None:
    """List cases."""
    from worker.services.operations import case_listing

    with opened_to_read() as reading:
        rows = case_listing(reading, centre_id=centre, state=state)
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
    from worker.services.operations import case_report, find_case

    with opened_to_read() as reading:
        report = case_report(reading, find_case(reading, reference, centre_id=centre))
    if as_data:
        print_json([report])
        return
    _print_report({**report, "attempts": _attempts(report)})


def _print_report(report: Mapping[str, Any]) -> None:
    print_facts({name: report[name] for name in ("reference", "centre", "procedure", "state")})
    for part, columns in _SHOWN.items():
        if report[part]:
            typer.echo(f"\n{heading(part)}:")
            print_table(report[part], columns)


def _attempts(report: Mapping[str, Any]) -> list[dict[str, object]]:
    """Each attempt once, under the reminder whose message it was."""
    return [
        {**attempt, "rule": reminder["rule"], "step": reminder["step"]}
        for reminder in report["reminders"]
        for attempt in reminder["attempts"]
        if attempt["reminder"] == reminder["id"]
    ]


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
            said = Text(
                f"登记事项 {report.events} 项，安排提醒 {report.planned} 条",
                f"{report.events} recorded, {report.planned} reminders planned",
            )
            typer.echo(result(said))


def opt_out(
    reference: Annotated[str, typer.Argument(metavar="REF")],
    channel: Annotated[Literal["sms", "email"], typer.Option(help="What is refused.")] = "sms",
    undo: Annotated[bool, typer.Option("--undo", help="They may write again after all.")] = False,
    centre: Centre = None,
    now: Now = None,
) -> None:
    """Record that the citizen refuses messages of this centre; the case goes on by other means."""
    from worker.services.operations import find_case
    from worker.services.opt_outs import opt_out_at_counter

    with opened(now) as runtime:
        case_id = find_case(runtime.context, reference, centre_id=centre)
        opt_out_at_counter(
            runtime.context, case_id, channel, undo=undo, actor="cli", now=runtime.clock.now()
        )
    if undo:
        say(Text("已恢复，可以再发送", "taken back: messages may be sent again"))
    else:
        say(Text("已记录拒收，改用其他方式联系", "recorded: other means are used from now on"))
