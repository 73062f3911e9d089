"""The demo: sample cases of every rule on a demo clock, in a scratch folder, sandboxed."""

import logging
import tempfile
from collections import Counter
from datetime import datetime, time, timedelta
from pathlib import Path
from threading import Event

import typer

from worker.clock import FixedClock, SystemClock, monotonic
from worker.domain.calendar import CHINA, WorkingCalendar, in_china
from worker.domain.errors import QidaError
from worker.engines.duties import Duties
from worker.engines.embedded import run_until
from worker.runtime import Runtime, folder, national_calendar, open_runtime
from worker.services.calling import call_list
from worker.services.enrolment import enrol_file, record_event
from worker.services.operations import deadline_listing, find_case, reminder_listing
from worker.services.reasons import why
from worker.settings import Settings

_VISITS = (("S-101", "reported_in_writing", timedelta(days=1, hours=1, minutes=30)),)
"""What citizens of the demo do, counted from its start: someone goes to the counter in time."""

_AT_LEAST = timedelta(days=3, hours=12)
_PROMISED = ("delivered", "undelivered", "call_task", "settled", "lapsed")

_WORDS = {
    "accepted": "已交运营商 accepted",
    "sent": "已发出 sent",
    "delivered": "已送达 delivered",
    "undelivered": "未送达 undelivered",
    "uncertain": "答复丢失，查询中 uncertain",
    "unconfirmed": "无回执 unconfirmed",
    "needs_person": "须人工联系 needs a person",
    "expired": "已过时 expired",
    "settled": "按时办结 settled in time",
    "lapsed": "逾期 lapsed",
    "call_task": "电话任务 call tasks",
}
_QUIET = ("planned", "submitting", "open", "cancelled", "superseded")


def show_demo(stop: Event, *, step: timedelta, pace: float, seconds: int) -> None:
    """Run the demo until it has shown what it promises, or `seconds` are over, or `stop`."""
    with tempfile.TemporaryDirectory(prefix="qida-demo-") as scratch:
        home = Path(scratch)
        settings = Settings(home=home, sms="sandbox", email="sandbox", log="plain")
        logging.getLogger("worker").setLevel(logging.ERROR)
        start = _monday(national_calendar(home), SystemClock().now())
        clock = FixedClock(start)
        with open_runtime(settings, clock) as runtime:
            _banner(start, home)
            _enrol(runtime, home)
            stage = _Stage(runtime, clock, stop, start, monotonic() + seconds, step)
            every = {"demo": (stage.tick, timedelta(seconds=pace))}
            run_until(stage.over, every, first_run=SystemClock().now())
            stage.close()


def _monday(calendar: WorkingCalendar, now: datetime) -> datetime:
    """09:00 of the last Monday that is worked with the whole week after it firm."""
    day = in_china(now).date()
    day -= timedelta(days=day.weekday())
    while not calendar.is_working_day(day) or not calendar.is_firm(day + timedelta(days=7)):
        day -= timedelta(days=7)
    return datetime.combine(day, time(9), CHINA)


def _banner(start: datetime, home: Path) -> None:
    typer.echo("期达 Qida · 演示 demo")
    typer.echo("  演示时钟与沙箱渠道，不会真的发出任何短信或邮件；三天半约放半分钟。")
    typer.echo("  A demo clock and the sandbox: no SMS or e-mail leaves this machine.")
    typer.echo("  Three and a half days pass in half a minute.")
    typer.echo(f"  {start:%Y-%m-%d %H:%M} 周一 Monday, Beijing time · QIDA_HOME={home}\n")


def _enrol(runtime: Runtime, home: Path) -> None:
    samples = folder(home, "config/samples")
    for name in ("cases.yaml", "cases.csv"):
        report = enrol_file(runtime.context, samples / name, now=runtime.clock.now())
        typer.echo(
            f"  登记 enrolled {name}: {report.new} 案 cases, {report.planned} 条提醒 reminders"
        )
        for fault in report.faults:
            typer.echo(f"  ! {fault.in_language('zh')}")
    typer.echo()


class _Stage:
    """The demo under way: moves the clock, runs every duty, and tells what changed."""

    def __init__(
        self,
        runtime: Runtime,
        clock: FixedClock,
        stop: Event,
        start: datetime,
        ends: float,
        step: timedelta,
    ) -> None:
        self.over = stop
        self._runtime = runtime
        self._clock = clock
        self._start = start
        self._ends = ends
        self._step = step
        self._duties = Duties(runtime)
        self._known: dict[object, object] = {}
        self._shown: Counter[str] = Counter()
        self._visits = list(_VISITS)

    def tick(self) -> None:
        """One step of the demo clock and one pass of every duty."""
        if self.over.is_set():
            return
        now = self._clock.now()
        self._visit(now)
        self._duties.tick()
        self._tell(in_china(now))
        done = now - self._start >= _AT_LEAST and all(self._shown[one] for one in _PROMISED)
        if done or monotonic() > self._ends:
            self.over.set()
            return
        self._clock.advance(self._step)

    def _visit(self, now: datetime) -> None:
        for visit in list(self._visits):
            reference, event, after = visit
            if now - self._start < after:
                continue
            self._visits.remove(visit)
            try:
                case_id = find_case(self._runtime.context, reference)
                record_event(self._duties.context, case_id, event, now, now=now)
            except QidaError as error:
                typer.echo(f"  ! {error.text.zh}")
                continue
            self._say(in_china(now), reference, "", f"本人到网点办理 {event}")

    def _tell(self, now: datetime) -> None:
        context = self._duties.context
        for row in reminder_listing(context):
            what = f"{row['rule']} · {row['step']} · {row['channel']}"
            self._changed(now, row, str(row["state"]), what, _because(str(row["reason"] or "")))
        for row in deadline_listing(context):
            self._changed(now, row, str(row["state"]), str(row["rule"]), "")
        for row in call_list(context):
            key = ("call", row["reference"], row["rule"])
            if key not in self._known:
                self._known[key] = True
                self._shown["call_task"] += 1
                self._say(now, row["reference"], "☎ 电话任务 call task",
                          f"{row['rule']} {_because(str(row['reason']))}")  # fmt: skip

    def _changed(
        self, now: datetime, row: dict[str, object], state: str, what: str, why: str
    ) -> None:
        if self._known.get(row["id"]) == state:
            return
        self._known[row["id"]] = state
        self._shown[state] += 1
        if state not in _QUIET:
            self._say(now, row["reference"], _WORDS.get(state, state), f"{what} {why}".rstrip())

    @staticmethod
    def _say(now: datetime, reference: object, state: str, what: str) -> None:
        weekday = "一二三四五六日"[now.weekday()]
        typer.echo(f"{now:%m-%d} 周{weekday} {now:%H:%M}  {reference!s:7} {state}  {what}")

    def close(self) -> None:
        """Say what was seen."""
        shown = {state: count for state, count in self._shown.items() if state not in _QUIET}
        typer.echo("\n演示结束 done. 共看到 seen:")
        for state, count in shown.items():
            typer.echo(f"  {count:3}  {_WORDS.get(state, state)}")
        typer.echo(
            "下一步：README.md「登记第一个案件」 · next: README.en.md, Enrol your first case"
        )


def _because(reason: str) -> str:
    """A reason in words, in brackets."""
    if not reason:
        return ""
    told = why(reason)
    return f"({told.zh} {told.en})"
