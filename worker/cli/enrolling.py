"""`qida enrol`: a roster in, the cases, notes and refused rows out."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.output import BAD_DATA, Json, Now, list_faults, opened, print_json, result, say
from worker.domain.errors import Text, worded_place

if TYPE_CHECKING:
    from worker.services.enrolment import Enrolment

_QUIET_UNTIL = 2000
_NOTHING_WRITTEN = Text("有错误，一行也没有写入", "there are faults: nothing was written")
_EMPTY = Text("文件里没有数据行", "the file holds no rows")
_HAND_IN_AGAIN = Text(
    "改好以上各行后，把整个文件再登记一次；已登记的内容不会重复",
    "mend these rows and enrol the whole file again: what is enrolled already stays as it is",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("enrol")(enrol)


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
    if report.faults:
        say(_NOTHING_WRITTEN if all_or_nothing else _HAND_IN_AGAIN)
    if not report.rows and not report.faults:
        say(_EMPTY)
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
        there = worded_place(place)
        say(Text(f"{there.zh}{more.zh}: {note.zh}", f"{there.en}{more.en}: {note.en}"))


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
    typer.echo(result(_summary(report, dry_run=dry_run)))


def _summary(report: "Enrolment", *, dry_run: bool) -> Text:
    """What the roster did, in one line."""
    tried = Text("（试运行，没有写入）", " (dry run)") if dry_run else Text("", "")
    return Text(
        f"新登记 {report.new} 件，未变 {report.unchanged} 件，更新 {report.changed} 件{tried.zh}；"
        f"事项 {report.events} 项，安排提醒 {report.planned} 条，有误 {report.bad} 行",
        f"{report.new} new, {report.unchanged} unchanged, {report.changed} changed{tried.en}; "
        f"{_counted(report.events, 'event')}, {_counted(report.planned, 'reminder')} planned, "
        f"{_counted(report.bad, 'bad row')}",
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
