"""`qida keys`: who may ask for what over HTTP."""

from typing import Annotated, Literal

import typer

from worker.cli.key_ring import rotate
from worker.cli.output import Centre, Json, opened, print_json, print_table, say, settings_of
from worker.domain.errors import Text

_SCOPES = (
    "cases:read, cases:write, imports, evidence of a centre's; job-runs, metrics of an operator's"
)
_COLUMNS = ("id", "centre", "name", "kind", "prefix", "scopes", "created_at", "expires_at",
            "last_used_at", "revoked_at")  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="API keys, and the key that seals.")
    group.command("create")(create)
    group.command("list")(list_keys)
    group.command("revoke")(revoke)
    group.command("rotate")(rotate)
    app.add_typer(group, name="keys")


def create(
    centre: Annotated[str | None, typer.Option(help="The centre whose cases it opens.")] = None,
    kind: Annotated[Literal["test", "team", "live"], typer.Option(help="Its kind.")] = "live",
    operator: Annotated[
        bool, typer.Option("--operator", help="An operator's key: job runs and metrics, no cases.")
    ] = False,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What it may do; may be repeated. All of its kind if not given: {_SCOPES}."
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="What it is for; no names of people.")] = "",
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="How long it holds; for good if not given.")
    ] = None,
) -> None:
    """Make a key and print it once, alone, on stdout."""
    from worker.services.api_keys import create_key

    if operator == (centre is not None):
        raise typer.BadParameter(
            "请写 --centre 或 --operator 之一 / give one of --centre and --operator"
        )
    with opened() as runtime:
        context = runtime.context
        if kind == "test" and runtime.rehearsal is not None:
            context = runtime.rehearsal.made(context)
            say(_REHEARSED)
        made = create_key(
            context,
            centre_id=centre,
            kind=kind,
            name=name,
            days=days,
            scopes=scope or (),
            now=runtime.clock.now(),
        )
    say(Text("请立即妥善保存，以后不再显示", "keep it safe now: it is not shown again"))
    typer.echo(made)


_REHEARSED = Text(
    "它的案件存放在 var/rehearsal，只发往沙箱，与正式案件完全分开",
    "its cases live in var/rehearsal and go to the sandbox alone, apart from those of citizens",
)


def list_keys(centre: Centre = None, as_data: Json = False) -> None:
    """List keys; their secrets are not kept."""
    from worker.runtime import open_everywhere_to_read
    from worker.services.api_keys import key_listing

    with open_everywhere_to_read(settings_of()) as readings:
        rows = [row for one in readings for row in key_listing(one, centre_id=centre)]
    if as_data:
        print_json(rows)
    else:
        print_table(rows, _COLUMNS)


def revoke(key: Annotated[str, typer.Argument(metavar="ID|PREFIX")]) -> None:
    """Revoke a key; from now on it opens nothing."""
    from worker.clock import SystemClock
    from worker.runtime import open_everywhere_to_read
    from worker.services.api_keys import has_key, revoke_key

    with open_everywhere_to_read(settings_of()) as readings:
        where = next((one for one in readings if has_key(one, key)), readings[0])
        revoke_key(where, key, now=SystemClock().now())
    say(Text("已吊销", "revoked"))
