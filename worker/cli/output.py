"""What every command shares: data on stdout, people's text on stderr, exit codes, options."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.words import CELLS, COLUMNS, HEADS
from worker.domain.calendar import in_china
from worker.domain.errors import BadData, Fault, Misconfigured, QidaError, Text, Unavailable

if TYPE_CHECKING:
    from worker.clock import Clock
    from worker.runtime import Reading, Runtime
    from worker.settings import Settings

EXIT_CODES = "Exit codes: 0 ok, 1 failure, 2 usage, 65 bad data, 69 unavailable, 78 configuration."
BAD_DATA = 65
_YEARS = range(2005, 2060)
"""Where the calendar has days to look back on and days to come."""

Json = Annotated[bool, typer.Option("--json", help="For programs: a JSON array on stdout.")]
Now = Annotated[
    str | None,
    typer.Option("--now", metavar="ISO", help="Act at this instant (test databases only)."),
]
Centre = Annotated[str | None, typer.Option("--centre", help="Only this centre.")]


def exit_code(error: QidaError) -> int:
    """The exit code of an error."""
    match error:
        case Misconfigured():
            return 78
        case Unavailable():
            return 69
        case BadData():
            return BAD_DATA
        case _:
            return 1


def say(text: Text) -> None:
    """A sentence for people, on stderr, in the language of QIDA_LANG (both unless set)."""
    for line in _in_languages(text):
        typer.echo(line, err=True)


def worded(text: Text) -> str:
    """A text inside a line, in the language of QIDA_LANG."""
    return " / ".join(_in_languages(text))


def _in_languages(text: Text) -> list[str]:
    language = _language()
    lines = [text.zh, text.en] if language == "both" else [text.in_language(language)]
    return list(dict.fromkeys(lines))


def one_language() -> str:
    """The language of what is told in one only: English if QIDA_LANG says so, else Chinese."""
    return "en" if _language() == "en" else "zh"


def only_chinese() -> bool:
    """Whether QIDA_LANG asks for Chinese alone; results and tables are English otherwise."""
    return _language() == "zh"


def result(text: Text) -> str:
    """A text on stdout, where two languages would be in the way."""
    return text.in_language("zh" if only_chinese() else "en")


def _language() -> str:
    return os.environ.get("QIDA_LANG") or "both"


def complain(error: QidaError) -> None:
    """An error with every fault it carries."""
    say(error.text)
    if isinstance(error, Misconfigured):
        list_faults(error.faults)


def list_faults(faults: Iterable[Fault], most: int = 200) -> None:
    """Faults on stderr, one a line and language."""
    listed = list(faults)
    for fault in listed[:most]:
        say(Text(fault.in_language("zh"), fault.in_language("en")))
    if len(listed) > most:
        rest = len(listed) - most
        say(Text(f"……还有 {rest} 处", f"... and {rest} more"))


def print_json(rows: object) -> None:
    """Data for programs."""
    typer.echo(json.dumps(rows, ensure_ascii=False, indent=2, default=str))


def print_table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> None:
    """Data for people: columns as wide as their content; wide characters count twice."""
    heads = [heading(name, COLUMNS) for name in columns]
    cells = [heads, *([_cell(name, row.get(name)) for name in columns] for row in rows)]
    widths = [max(_width(line[at]) for line in cells) for at in range(len(columns))]
    for line in cells:
        padded = (
            cell + " " * (wide - _width(cell)) for cell, wide in zip(line, widths, strict=True)
        )
        typer.echo("  ".join(padded).rstrip())


def print_facts(facts: Mapping[str, object]) -> None:
    """One thing for people: a fact a line, those there are."""
    told = {heading(name): _cell(name, value) for name, value in facts.items() if value}
    widest = max(map(_width, told), default=0)
    for name, value in told.items():
        typer.echo(f"{name}{' ' * (widest - _width(name))}  {value}")


def heading(name: str, heads: Mapping[str, str] = HEADS) -> str:
    """The name of a fact, or of a column of COLUMNS, in Chinese where only that is wanted."""
    return heads.get(name, name) if only_chinese() else name


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if name == "reason":
        from worker.services.reasons import why

        return result(why(str(value)))
    return CELLS.get(name, {}).get(str(value), str(value)) if only_chinese() else str(value)


def _width(text: str) -> int:
    return sum(2 if ord(character) > 0x2E7F else 1 for character in text)


def settings_of(environment: Mapping[str, str] | None = None) -> "Settings":
    """The settings in force. Raises Misconfigured."""
    from worker.settings import read_settings

    here = Path.cwd()
    return read_settings(environment or os.environ, here=here, user_home=Path.home())


def home_of() -> Path:
    """QIDA_HOME alone, for commands that need no other setting."""
    from worker.settings import default_home

    named = os.environ.get("QIDA_HOME")
    return Path(named) if named else default_home(Path.cwd(), Path.home())


def clock_at(now: str | None) -> "Clock":
    """The machine's clock, or one that stands at `--now`. Raises BadData."""
    from worker.clock import FixedClock, SystemClock

    if not now:
        return SystemClock()
    at = instant(now)
    if at.year not in _YEARS:
        raise BadData(
            f"--now 须在 {_YEARS[0]} 至 {_YEARS[-1]} 年之间，现为 {now}",
            f"--now must lie in the years {_YEARS[0]} to {_YEARS[-1]}, not {now}",
        )
    return FixedClock(at)


def instant(written: str) -> datetime:
    """An ISO 8601 instant with its offset, at UTC+8. Raises BadData."""
    try:
        read = datetime.fromisoformat(written)
    except ValueError:
        raise BadData(
            f"看不懂时间「{written}」；请写成 2026-11-20T16:20:00+08:00",
            f"cannot read the time {written!r}; write 2026-11-20T16:20:00+08:00",
        ) from None
    return in_china(read)


def no_such_rule(rule_id: object) -> BadData:
    """What to say of a rule that the catalogue does not hold."""
    return BadData(
        f"没有规则 {rule_id}；全部规则见 qida rules list",
        f"no rule {rule_id}; qida rules list names them all",
    )


@contextmanager
def opened(now: str | None = None) -> "Iterator[Runtime]":
    """The runtime of a command, logging set up. Raises QidaError."""
    from worker.logs import set_up_logging
    from worker.runtime import open_runtime

    settings = settings_of()
    set_up_logging("plain" if sys.stderr.isatty() else settings.log)
    with open_runtime(settings, clock_at(now)) as runtime:
        if now and not runtime.is_test:
            raise Misconfigured(
                "--now 只能用于测试库：全部渠道为沙箱或在本机",
                "--now works only where every channel is the sandbox or on loopback",
            )
        if runtime.new_keys is not None:
            path = runtime.new_keys
            say(Text(
                f"已生成密钥文件 {path}；请立即备份，丢失后已存的个人信息无法解开",
                f"made the key file {path}; back it up, without it stored personal data is lost",
            ))  # fmt: skip
        yield runtime


@contextmanager
def opened_to_read() -> "Iterator[Reading]":
    """What is on record, for a command that only looks. Raises QidaError."""
    from worker.logs import set_up_logging
    from worker.runtime import open_to_read

    settings = settings_of()
    set_up_logging("plain" if sys.stderr.isatty() else settings.log)
    with open_to_read(settings) as reading:
        yield reading
