"""`qida imports`: files handed in over HTTP, and an operator's word on those that are held."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from worker.cli.output import (
    Centre,
    Json,
    clock_at,
    opened_to_read,
    print_facts,
    print_json,
    print_table,
    say,
)
from worker.domain.errors import Text
from worker.domain.imports import ImportState

_COLUMNS = ["id", "centre", "state", "created_at", "rows", "rows_done", "bad_rows", "new",
            "unchanged", "held_above", "nearest_act_by"]  # fmt: skip

Import = Annotated[str, typer.Argument(metavar="ID", help="As qida imports list shows it.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Files handed in over the API.")
    group.command("list")(list_imports)
    group.command("show")(show)
    group.command("approve")(approve)
    group.command("cancel")(cancel)
    app.add_typer(group, name="imports")


def list_imports(
    centre: Centre = None,
    state: Annotated[ImportState | None, typer.Option(help="In this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_data: Json = False,
) -> None:
    """List imports, newest first."""
    from worker.services.approving import import_listing

    with opened_to_read() as reading:
        rows = import_listing(reading, centre_id=centre, state=state, limit=limit)
    if as_data:
        print_json(rows)
    else:
        print_table(rows, _COLUMNS)


def show(import_id: Import, as_data: Json = False) -> None:
    """Show an import: how far it is, what it did, its first mistakes."""
    from worker.runtime import calling_context
    from worker.services.approving import import_report

    with opened_to_read() as reading:
        report: Mapping[str, Any] = import_report(calling_context(reading), import_id)
    if as_data:
        print_json([report])
        return
    print_facts({name: said for name, said in report.items() if name not in ("notes", "errors")})
    for note in report["notes"]:
        say(Text(f"第 {note['row']} 行：{note['zh']}", f"row {note['row']}: {note['en']}"))
    for one in report["errors"]:
        say(Text(
            f"{one['place']}: {one['detail_zh']} -> {one['mend_zh']}",
            f"{one['place']}: {one['detail_en']} -> {one['mend_en']}",
        ))  # fmt: skip


def approve(import_id: Import) -> None:
    """Let an import that is held be applied."""
    from worker.services.approving import approve as let_it

    with opened_to_read() as reading:
        let_it(reading, import_id, actor="cli", now=clock_at(None).now())
    say(Text("已放行，由 worker 登记", "approved: the worker applies it"))


def cancel(import_id: Import) -> None:
    """End an import that is not done and erase its file; what was applied of it stays."""
    from worker.services.approving import cancel as end

    with opened_to_read() as reading:
        end(reading, import_id, actor="cli", now=clock_at(None).now())
    say(Text("已取消，文件已删除", "cancelled, its file is erased"))
