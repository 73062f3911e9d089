"""`qida enrol` and `qida cases`: rosters in, cases out, events on record."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from worker.cli.output import (
    BAD_DATA,
    Centre,
    Json,
    Now,
    instant,
    list_faults,
    opened,
    print_json,
    print_table,
    say,
)
from worker.domain.errors import Text

if TYPE_CHECKING:
    from worker.runtime import Runtime
    from worker.services.enrolment import Enrolment

_QUIET_UNTIL = 2000
_SHOWN = {
    "events": ("event", "occurred_at", "id", "void_reason"),
    "deadlines": ("rule", "state", "status", "act_by", "ready_on", "ends_at"),
    "reminders": ("rule", "step", "channel", "recipient", "due_at", "state", "reason"),
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("enrol")(enrol)
    group = typer.Typer(no_args_is_help=True, help="Cases.")
    group.command("list")(list_cases)
    group.command("show")(show)
    group.command("event")(event)
    app.add_typer(group, name="cases")


def enrol(
    file: Annotated[Path, typer.Argument(help="YAML, CSV or XLSX.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, and change nothing.")] = False,
    all_or_nothing: Annotated[
        bool, typer.Option("--all-or-nothing", help="Apply only if every row is good.")
    ] = False,
    now: Now = None,
    as_data: Json = False,
) -> None:
    """Enrol the cases of a roster. Good rows are applied, bad ones reported: exit code 65."""
    from worker.services.enrolment import enrol_file

    with opened(now) as runtime, _progress(file) as progress:
        report = enrol_file(
            runtime.context,
            file,
            now=runtime.clock.now(),
            dry_run=dry_run,
            all_or_nothing=all_or_nothing,
            progress=progress,
        )
    _say_notes(report)
    list_faults(report.faults)
    if rest := report.rest():
        say(rest)
    if report.faults and all_or_nothing:
        say(Text("有错误，一行也没有写入", "there are faults: nothing was written"))
    _report(report, dry_run=dry_run, as_data=as_data)
    if report.faults:
        raise typer.Exit(BAD_DATA)


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal for long files; what it gives is told how many rows are done."""
    lines = _lines(file) if sys.stderr.isatty() else 0
    if lines < _QUIET_UNTIL:
        yield lambda _: None
        return
    with typer.progressbar(length=lines, label="登记 enrolling", file=sys.stderr) as bar:
        yield lambda rows: bar.update(max(rows - bar.pos, 0))


def _lines(file: Path) -> int:
    """About how many rows a file has; 0 for what is not text or cannot be read."""
    if file.suffix.lower() == ".xlsx" or not file.is_file():
        return 0
    with file.open("rb") as content:
        return sum(block.count(b"\n") for block in iter(lambda: content.read(1 << 20), b""))


def _say_notes(report: "Enrolment") -> None:
    """What is no fault but should be known, once for all the rows it holds for."""
    for note, (place, rows) in report.notes.items():
        more = Text(f" 等 {rows} 行", f" and {rows - 1} more") if rows > 1 else Text("", "")
        say(Text(f"{place}{more.zh}: {note.zh}", f"{place}{more.en}: {note.en}"))


def _report(report: "Enrolment", *, dry_run: bool, as_data: bool) -> None:
    if as_data:
        print_json([{
            "rows": report.rows, "new": report.new, "changed": report.changed,
            "unchanged": report.unchanged, "events": report.events, "planned": report.planned,
            "bad": report.bad, "dry_run": dry_run,
            "notes": [{"place": where.place, "rows": where.rows, "zh": note.zh, "en": note.en}
                      for note, where in report.notes.items()],
            "errors": [{"place": one.place, "code": one.code, "zh": one.message.zh,
                        "en": one.message.en, "mend_zh": one.mend.zh, "mend_en": one.mend.en}
                       for one in report.faults],
        }])  # fmt: skip
        return
    tried = " (dry run)" if dry_run else ""
    typer.echo(
        f"{report.new} new, {report.unchanged} unchanged, {report.changed} changed{tried}; "
        f"{report.events} events, {report.planned} reminders planned, {report.bad} bad rows"
    )


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
