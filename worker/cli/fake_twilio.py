"""`qida fake-twilio`: a stand-in for Twilio on this machine, to try Qida and to judge it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.domain.errors import Fault, Misconfigured, Text, Unavailable

if TYPE_CHECKING:
    from worker.fake_twilio import Plan

Port = Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")]
Ledger = Annotated[
    Path | None,
    typer.Option(help="Every accepted message, a JSON line each, written before the answer."),
]
Faults = Annotated[
    str, typer.Option(metavar="FILE|JSON", help="What is to go wrong: docs/fake-twilio.md.")
]
Fsync = Annotated[
    bool, typer.Option("--fsync/--no-fsync", help="Sync the ledger; off to measure speed.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fake-twilio")(fake_twilio)


def fake_twilio(
    port: Port = 4010,
    host: Annotated[str, typer.Option(help="A loopback address, and no other.")] = "127.0.0.1",
    ledger: Ledger = None,
    account: Annotated[str | None, typer.Option(help="Account SID it knows.")] = None,
    token: Annotated[str | None, typer.Option(help="Auth token it knows.")] = None,
    faults: Faults = "{}",
    fsync: Fsync = True,
) -> None:
    """Stand in for Twilio on loopback: keeps messages, sends signed callbacks, fails as told."""
    from worker.cli.running import stop_on_signals
    from worker.fake_twilio import ACCOUNT, TOKEN, FakeTwilio, NotLoopback, running

    fake = FakeTwilio(
        account=account or ACCOUNT,
        token=token or TOKEN,
        ledger=ledger,
        fsync=fsync,
        plan=_plan(faults),
    )
    stop = stop_on_signals()
    try:
        with running(fake, host, port) as url:
            _say_ready(url, fake.account, "(--token)" if token else fake.token)
            stop.wait()
    except NotLoopback:
        raise Misconfigured(
            f"{host} 不是本机地址：fake-twilio 的控制接口 /_fake 没有密码，只能监听本机；"
            "请用 127.0.0.1",
            f"fake-twilio listens on loopback only, {host} is not: its control API /_fake has no "
            "password; use 127.0.0.1",
        ) from None
    except OSError as error:
        raise Unavailable(
            f"无法监听 {host}:{port} 或写入账本（{error.strerror}）；"
            "请换端口（--port）或账本（--ledger）",
            f"cannot listen on {host}:{port} or write the ledger ({error.strerror}); "
            "choose another --port or --ledger",
        ) from error


def _say_ready(url: str, account: str, token: str) -> None:
    """One line, whatever the language: programs wait for it."""
    where = f"{url} account={account} token={token}"
    typer.echo(f"假 Twilio 就绪 fake Twilio is ready: {where}", err=True)


def _plan(faults: str) -> "Plan":
    """The plan in a file, or written out. Raises Misconfigured with every mistake in it."""
    from worker.fake_twilio import BadPlan, read_plan

    written_out = faults.lstrip().startswith("{")
    place = "--faults" if written_out else faults
    try:
        written = faults if written_out else Path(faults).read_text("utf-8")
        return read_plan(json.loads(written))
    except json.JSONDecodeError as error:
        where = f"{place}:{error.lineno}:{error.colno}"
        raise Misconfigured(
            f"{where}：不是 JSON（{error.msg}）", f"{where}: not JSON ({error.msg})"
        ) from None
    except (OSError, UnicodeDecodeError):
        raise Misconfigured(
            f"读不出 {place}；请给出 JSON 文件或 JSON 本身",
            f"cannot read {place}; give a JSON file or JSON",
        ) from None
    except BadPlan as error:
        mend = Text("见 docs/fake-twilio.md", "see docs/fake-twilio.md")
        wrong = tuple(
            Fault(f"{place}{one.place}", Text(one.zh, one.en), mend) for one in error.problems
        )
        raise Misconfigured(
            f"{place} 有 {len(wrong)} 处错误", f"{place} has {len(wrong)} mistakes", wrong
        ) from None
