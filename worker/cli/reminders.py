"""`qida reminders`: what is planned, what was sent, and what became of it."""

from typing import Annotated

import typer

from worker.cli.output import Centre, Json, opened_to_read, print_json, print_table
from worker.domain.delivery import ReminderState


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Reminders.")
    group.command("list")(list_reminders)
    app.add_typer(group, name="reminders")


def list_reminders(
    centre: Centre = None,
    state: Annotated[ReminderState | None, typer.Option(help="In this state.")] = None,
    reference: Annotated[str | None, typer.Option("--case", help="Only this case.")] = None,
    as_data: Json = False,
) -> None:
    """List reminders by due instant."""
    from worker.services.operations import reminder_listing

    with opened_to_read() as reading:
        rows = reminder_listing(reading, centre_id=centre, state=state, reference=reference)
    if as_data:
        print_json(rows)
    else:
        columns = ["centre", "reference", "rule", "step", "channel", "due_at", "state", "attempts",
                   "reason"]  # fmt: skip
        print_table(rows, columns)
