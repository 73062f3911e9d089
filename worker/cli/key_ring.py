"""`qida keys rotate`: a new key for what is sealed, while the worker goes on."""

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.output import BAD_DATA, clock_at, opened_to_read, print_json, say
from worker.domain.errors import Text

if TYPE_CHECKING:
    from worker.services.context import Context


def rotate(
    verify: Annotated[
        bool, typer.Option("--verify", help="Change nothing: open every value, count by key.")
    ] = False,
    retire: Annotated[
        bool, typer.Option("--retire", help="Take out keys that seal nothing any more.")
    ] = False,
) -> None:
    """Seal all personal data with a new key; a broken-off rotation is finished instead."""
    from worker.runtime import calling_context

    with opened_to_read() as reading:
        context = calling_context(reading)
        if verify:
            _verify(context)
        elif retire:
            _retire(context)
        else:
            _rotate(context)


def _verify(context: "Context") -> None:
    from worker.services.key_rotation import key_report

    report = key_report(context)
    print_json([report])
    if report["unreadable"]:
        say(_UNREADABLE)
        raise typer.Exit(BAD_DATA)


def _retire(context: "Context") -> None:
    from worker.services.key_rotation import retire_keys

    gone = retire_keys(context, actor="cli", now=clock_at(None).now())
    say(Text(
        f"已移除旧密钥 {gone} 个；此前的备份再也无法解开",
        f"{gone} old keys taken out; what backups from before hold opens never again",
    ))  # fmt: skip


def _rotate(context: "Context") -> None:
    from worker.services.key_rotation import rotate_keys

    done = rotate_keys(context, actor="cli", now=clock_at(None).now())
    if done.begun:
        place = context.keys.path
        say(Text(f"新密钥已加入 {place}；请立即备份", f"a new key is in {place}; back it up now"))
    say(Text(
        f"已用当前密钥重新加密 {done.resealed} 个值",
        f"{done.resealed} values were sealed anew with the current key",
    ))  # fmt: skip
    if done.unreadable:
        say(_UNREADABLE)
        raise typer.Exit(BAD_DATA)


_UNREADABLE = Text(
    "有值无法解开，已原样保留；数据被改动过，或缺少旧密钥，请从备份恢复密钥文件",
    "some values do not open and were left alone: changed data, or a key is missing from the ring; "
    "restore the key file from its backup",
)
