"""`qida run`, `demo`, `tick`, `jobs`, `migrate`: the worker itself."""

import json
import signal
from datetime import timedelta
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.output import (
    Json,
    Now,
    opened,
    opened_to_read,
    print_json,
    print_table,
    say,
    settings_of,
)
from worker.domain.errors import Text

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping
    from types import FrameType


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run")(run)
    app.command("worker")(worker)
    app.command("serve")(serve)
    app.command("demo")(demo)
    app.command("tick")(tick)
    app.command("jobs")(jobs)
    app.command("migrate")(migrate)


Host = Annotated[str, typer.Option(help="Address to listen on; loopback only.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")]


def run(host: Host = "127.0.0.1", port: Port = 8080) -> None:
    """Run the worker and its HTTP side until SIGTERM or Ctrl-C."""
    from worker.api.app import create_app
    from worker.api.server import check_host, served
    from worker.engines.duties import Duties
    from worker.engines.embedded import run_until

    check_host(host)
    stop = stop_on_signals()
    with opened() as runtime:
        duties = Duties(runtime, keep_going=lambda: not stop.is_set())
        app = create_app(
            lambda: duties.context, runtime.clock, runtime.callbacks, rehearse=runtime.rehearse
        )
        with served(app, host, port) as chosen:
            say(Text(f"期达已启动：http://{host}:{chosen}，按 Ctrl-C 停止",
                     f"Qida is running at http://{host}:{chosen}, Ctrl-C stops it"))  # fmt: skip
            run_until(stop, duties.all(), first_run=runtime.clock.now(), hurry=runtime.interrupt)
    say(Text("已停止", "stopped"))


def worker() -> None:
    """Run the worker alone: duties and sending, nothing listens."""
    from worker.engines.duties import Duties
    from worker.engines.embedded import run_until

    stop = stop_on_signals()
    with opened() as runtime:
        duties = Duties(runtime, keep_going=lambda: not stop.is_set())
        say(Text("期达已启动，按 Ctrl-C 停止", "Qida is running, Ctrl-C stops it"))
        run_until(stop, duties.all(), first_run=runtime.clock.now(), hurry=runtime.interrupt)
    say(Text("已停止", "stopped"))


def serve(host: Host = "127.0.0.1", port: Port = 8080) -> None:
    """Serve the HTTP side alone: callbacks and unsubscribing."""
    from worker.api.app import create_app
    from worker.api.server import check_host, served

    check_host(host)
    stop = stop_on_signals()
    with opened() as runtime:
        app = create_app(
            lambda: runtime.context, runtime.clock, runtime.callbacks, rehearse=runtime.rehearse
        )
        with served(app, host, port) as chosen:
            say(Text(f"正在监听 http://{host}:{chosen}", f"listening at http://{host}:{chosen}"))
            stop.wait()
    say(Text("已停止", "stopped"))


def stop_on_signals() -> Event:
    """An event that SIGTERM and SIGINT set.

    Not from the signal's handler itself: it may have interrupted this very event's `wait`, and
    would wait for ever for the lock that is held there. A queue's `put` is made for handlers.
    """
    stop, asked = Event(), SimpleQueue[None]()

    def stopped(_number: int, _frame: "FrameType | None") -> None:
        asked.put(None)

    def pass_on() -> None:
        asked.get()
        stop.set()

    Thread(target=pass_on, name="stop", daemon=True).start()
    signal.signal(signal.SIGTERM, stopped)
    signal.signal(signal.SIGINT, stopped)
    return stop


def demo(
    seconds: Annotated[int, typer.Option(help="How long it may take at most.")] = 60,
    step: Annotated[float, typer.Option(help="Demo minutes a tick.")] = 30.0,
    pace: Annotated[float, typer.Option(help="Real seconds between ticks.")] = 0.15,
) -> None:
    """Watch sample cases of every rule, from enrolment to recorded delivery, on a demo clock."""
    from worker.cli.demo import show_demo

    stop = stop_on_signals()
    show_demo(stop, step=timedelta(minutes=step), pace=pace, seconds=seconds)


def tick(now: Now = None, as_data: Json = False) -> None:
    """One pass of every duty, then exit."""
    from worker.engines.duties import Duties
    from worker.services.operations import waiting_for_hours

    with opened(now) as runtime:
        counts = Duties(runtime).tick()
        waiting, opens = waiting_for_hours(runtime.context, runtime.clock.now())
    rows = [{"duty": name, **found} for name, found in counts.items()]
    if as_data:
        print_json(rows)
    else:
        _print_counts(counts)
    if waiting:
        say(Text(
            f"{waiting} 条提醒等到 {opens:%m-%d %H:%M}（20:00 至次日 09:00 不发送）",
            f"{waiting} reminders wait for {opens:%H:%M} on {opens:%m-%d} (quiet 20:00 to 09:00)",
        ))  # fmt: skip
    failed = [name for name, found in counts.items() if found["error"]]
    if failed:
        listed = ", ".join(failed)
        say(Text(f"失败：{listed}；见上面的日志", f"failed: {listed}; see the log above"))
        raise typer.Exit(1)


def _print_counts(counts: "Mapping[str, Counter[str]]") -> None:
    for name, found in counts.items():
        said = " ".join(f"{key}={count}" for key, count in sorted(found.items()) if count)
        typer.echo(f"{name:12} {said or '-'}")


def jobs(
    duty: Annotated[str | None, typer.Option(help="Only this duty.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many runs.")] = 50,
    as_data: Json = False,
) -> None:
    """List job runs, newest first."""
    from worker.services.operations import run_listing

    with opened_to_read() as reading:
        rows = run_listing(reading, duty=duty, limit=limit)
    if as_data:
        print_json(rows)
    else:
        rows = [row | {"counts": json.dumps(row["counts"])} for row in rows]
        columns = ["duty", "state", "started_at", "seconds", "runs", "counts", "error"]
        print_table(rows, columns)


def migrate() -> None:
    """Bring the database to the newest schema."""
    from worker.runtime import upgrade_database

    upgrade_database(settings_of())
    say(Text("数据库已是最新", "the database is up to date"))
