"""`qida erase` and `qida export`: what a citizen may ask of whoever keeps their data."""

from typing import Annotated

import typer

from worker.cli.output import Centre, clock_at, opened_to_read, print_json, say, worded
from worker.domain.errors import Text

Case = Annotated[str, typer.Argument(metavar="CASE", help="The centre's own reference.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("erase")(erase)
    app.command("export")(export)


def erase(
    reference: Case,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    centre: Centre = None,
) -> None:
    """Erase everything personal of a case at once; nothing more is sent. It cannot be undone."""
    from worker.runtime import calling_context
    from worker.services.erasing import erase_case
    from worker.services.operations import find_case

    with opened_to_read() as reading:
        case_id = find_case(reading, reference, centre_id=centre)
        if not yes and not typer.confirm(worded(_asked(reference)), err=True):
            say(_NOTHING_ERASED)
            raise typer.Exit(1)
        now = clock_at(None).now()
        erased = erase_case(calling_context(reading), case_id, actor="cli", now=now)
    say(Text(
        f"已删除；取消提醒 {erased.cancelled} 条，删除文件 {erased.files} 个",
        f"erased; {erased.cancelled} reminders cancelled, {erased.files} files deleted",
    ))  # fmt: skip
    for path in erased.left:
        say(Text(
            f"{path} 中仍有此人，请自行删去，否则会再次登记",
            f"{path} still names this person: take the rows out, or they are enrolled again",
        ))  # fmt: skip
    for import_id in erased.imports:
        say(Text(
            f"未完成的导入 {import_id} 中仍有此人：请先取消它，或待它完成后再删除一次",
            f"the import {import_id}, not done yet, names this person: cancel it, or erase again "
            "once it is done",
        ))  # fmt: skip
    if not erased.scrubbed:
        say(_LATER)


def _asked(reference: str) -> Text:
    return Text(
        f"删除 {reference} 的个人信息，不能恢复，确定吗？",
        f"erase everything personal of {reference}, for good?",
    )


_NOTHING_ERASED = Text("没有删除任何内容", "nothing was erased")
_LATER = Text(
    "数据库日志正被读取，其中的密文将在一小时内由 retain 任务清除",
    "the database's log is being read; the duty retain empties it of what was sealed",
)


def export(reference: Case, centre: Centre = None) -> None:
    """Print all that is held of a case, in the clear, as JSON. This is audited."""
    from worker.runtime import calling_context
    from worker.services.erasing import export_case
    from worker.services.operations import find_case

    with opened_to_read() as reading:
        case_id = find_case(reading, reference, centre_id=centre)
        now = clock_at(None).now()
        print_json([export_case(calling_context(reading), case_id, actor="cli", now=now)])
