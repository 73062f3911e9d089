"""`qida reminders`: what is planned, what was sent, and what became of it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from worker.cli.output import (
    Centre,
    Json,
    Now,
    clock_at,
    opened_to_read,
    print_json,
    print_table,
    say,
)
from worker.domain.delivery import ReminderState
from worker.domain.errors import Text


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Reminders.")
    group.command("list")(list_reminders)
    group.command("forecast")(forecast)
    app.add_typer(group, name="reminders")


def list_reminders(
    centre: Centre = None,
    state: Annotated[ReminderState | None, typer.Option(help="In this state.")] = None,
    reference: Annotated[str | None, typer.Option("--case", help="Only this case.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Only those sent again after a lost attempt.")
    ] = False,
    as_data: Json = False,
) -> None:
    """List reminders by due instant; with `--again` each lost attempt and the one in its place."""
    from worker.services.operations import reminder_listing
    from worker.services.second_messages import second_messages

    with opened_to_read() as reading:
        if again:
            pairs = second_messages(reading, centre_id=centre, state=state, reference=reference)
            _print_again(pairs, as_data=as_data)
            return
        rows = reminder_listing(reading, centre_id=centre, state=state, reference=reference)
    if as_data:
        print_json(rows)
    else:
        columns = ["centre", "reference", "rule", "step", "channel", "due_at", "state", "attempts",
                   "reason"]  # fmt: skip
        print_table(rows, columns)


def _print_again(pairs: Sequence[Mapping[str, Any]], *, as_data: bool) -> None:
    if as_data:
        print_json(pairs)
        return
    rows = [
        {**pair, **pair["first"], "again_at": pair["again"]["started_at"],
         "again_id": pair["again"]["provider_id"], "again_state": pair["again"]["state"]}
        for pair in pairs
    ]  # fmt: skip
    columns = ["centre", "reference", "rule", "step", "channel", "started_at", "given_up_at",
               "provider_id", "state", "again_at", "again_id", "again_state"]  # fmt: skip
    print_table(rows, columns)
    for why in {str(pair["why"]): Text(**pair["why"]) for pair in pairs}.values():
        say(why)
    say(Text(f"{len(rows)} 条提醒发了第二次", f"sent a second time: {len(rows)}"))


_NO_LIMIT = Text(
    "没有设置发送速度（QIDA_SMS_PARTS_PER_SECOND），按不限速推算",
    "no pace is set (QIDA_SMS_PARTS_PER_SECOND): reckoned as if there were no limit",
)


def forecast(
    centre: Centre = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0, help="SMS parts a second instead of QIDA_SMS_PARTS_PER_SECOND."),
    ] = None,
    now: Now = None,
    as_data: Json = False,
) -> None:
    """List the planned SMS that cannot make it at the sender's pace or within their centre's parts
    a day, most urgent first."""
    from worker.runtime import load_knowledge
    from worker.services.forecasting import caps_of, reminder_forecast

    with opened_to_read() as reading:
        at_pace = reading.settings.sms_parts_per_second if rate is None else rate
        known, _ = load_knowledge(reading.settings.home)
        caps, at = caps_of(known.centres), clock_at(now).now()
        rows = reminder_forecast(reading, rate=at_pace, caps=caps, centre_id=centre, now=at)
    if not at_pace:
        say(_NO_LIMIT)
    if as_data:
        print_json(rows)
        return
    columns = ["centre", "reference", "rule", "step", "due_at", "its_turn_at", "useless_after",
               "why"]  # fmt: skip
    print_table(rows, columns)
    say(Text(f"{len(rows)} 条来不及发送", f"cannot make it: {len(rows)}"))
