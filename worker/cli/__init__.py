"""The `qida` command. Each file holds a group: parse, call one function, print, exit code.

Commands import what is heavy inside themselves, so that `qida --help` stays quick.
"""

import os
import sys
import threading
import traceback
from io import TextIOWrapper
from typing import Annotated

import typer

from worker import __version__
from worker.cli import (
    audit,
    calendar,
    calls,
    cases,
    deadlines,
    enrolling,
    fake_twilio,
    imports,
    keys,
    privacy,
    reminders,
    rules,
    running,
    templates,
)
from worker.cli.output import EXIT_CODES, complain, exit_code, say
from worker.domain.errors import QidaError, Text

app = typer.Typer(
    name="qida",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="期达 Qida: reminders that arrive before the deadline does.",
    epilog=EXIT_CODES,
)
deadlines.register(app)
enrolling.register(app)
cases.register(app)
calls.register(app)
reminders.register(app)
rules.register(app)
calendar.register(app)
templates.register(app)
running.register(app)
fake_twilio.register(app)
imports.register(app)
keys.register(app)
audit.register(app)
privacy.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"qida {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """期达 Qida: reminders that arrive before the deadline does."""


def _drop_output() -> None:
    """What is left in the buffer cannot be written: let Python not try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run the command line; every error a person can mend ends in one clear text, no traceback."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal's encoding may lack a character, and JSON may hold half of a surrogate pair
        sys.stdout.reconfigure(errors="backslashreplace")
    threading.excepthook = _thread_died
    try:
        app()
    except QidaError as error:
        complain(error)
        sys.exit(exit_code(error))
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        _drop_output()
        sys.exit(1)
    except OSError as error:  # a full disk under a redirected stdout, most of the time
        where = f" {error.filename}" if error.filename else ""
        say(Text(
            f"读写失败{where}：{error.strerror}；请检查磁盘空间与权限",
            f"cannot read or write{where}: {error.strerror}; check disk space and permissions",
        ))  # fmt: skip
        _drop_output()
        sys.exit(69)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - whatever it is, it may quote what was handed in
        say(_UNFORESEEN)
        sys.stderr.write(_where(error))
        sys.exit(1)


def _thread_died(what: threading.ExceptHookArgs) -> None:
    """Python would print what the error says."""
    if what.exc_value is not None:
        sys.stderr.write(_where(what.exc_value))


_UNFORESEEN = Text(
    "程序出错，未能完成；请把下面几行交给开发者，其中没有个人信息",
    "an error nobody foresaw: it was not finished; give these lines to a developer, "
    "they hold nothing personal",
)


def _where(error: BaseException) -> str:
    """A traceback without what the errors said, which may be a name or a number."""
    came_before = error.__cause__ or error.__context__
    before = _where(came_before) if came_before else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{before}{frames}{type(error).__name__}\n"
