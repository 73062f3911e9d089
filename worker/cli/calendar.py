"""`qida calendar`: what the working calendar says, and whether its sources agree."""

from datetime import date, timedelta
from typing import Annotated

import typer

from worker.cli.output import Json, home_of, list_faults, print_json, print_table, say
from worker.domain.calendar import Day, WorkingCalendar
from worker.domain.errors import BadData, Text

_LOOK_AHEAD = 45
_KINDS = {"working": "", "weekend": "周末", "holiday": "放假", "make_up": "调休上班"}


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="The working calendar.")
    group.command("show")(show)
    group.command("check")(check)
    app.add_typer(group, name="calendar")


def show(
    year: Annotated[int | None, typer.Argument(help="A year; all notices if left out.")] = None,
    as_data: Json = False,
) -> None:
    """Show a year's days off and make-up days, or the notices in force."""
    from worker.runtime import national_calendar

    calendar = national_calendar(home_of())
    rows = _notices(calendar) if year is None else _days(calendar, year)
    if as_data:
        print_json(rows)
        return
    print_table(rows, [name for name in rows[0] if name != "kind_zh"] if rows else [])
    say(Text(
        f"日历版本 {calendar.version}；已公布到 {calendar.covered_to}，"
        f"确定到 {calendar.firm_to}（含）",
        f"version {calendar.version}; covered through {calendar.covered_to}, "
        f"firm through {calendar.firm_to}",
    ))  # fmt: skip


def _notices(calendar: WorkingCalendar) -> list[dict[str, object]]:
    return [
        {"year": notice.year, "region": notice.region, "title": notice.title,
         "rest": len(notice.rest), "work": len(notice.work), "published_on": notice.published_on}
        for notice in calendar.notices
    ]  # fmt: skip


def _days(calendar: WorkingCalendar, year: int) -> list[dict[str, object]]:
    try:
        days = calendar.days(date(year, 1, 1), date(year, 12, 31))
    except ValueError:
        raise BadData(f"没有 {year} 年", f"there is no year {year}") from None
    return [_row(day) for day in days if day.kind in ("holiday", "make_up")]


def _row(day: Day) -> dict[str, object]:
    weekday = "一二三四五六日"[day.on.weekday()]
    status = "firm" if day.firm else "estimate"
    return {"date": day.on.isoformat(), "weekday": f"周{weekday}", "kind": day.kind,
            "kind_zh": _KINDS[day.kind], "name": day.name, "status": status}  # fmt: skip


def check(as_data: Json = False) -> None:
    """Check the notices in config/calendar and how far the calendar reaches."""
    from worker.clock import SystemClock
    from worker.holidays import incomplete
    from worker.rulebook import read_notices
    from worker.runtime import folder, national_calendar

    home = home_of()
    notices, faults = read_notices(folder(home, "config/calendar"))
    if faults:
        list_faults(faults)
        raise typer.Exit(78)
    calendar = national_calendar(home)
    missing = [day for _, days in incomplete(notices) for day in days]
    reach = calendar.firm_to - SystemClock().now().date()
    if as_data:
        print_json([{
            "version": calendar.version, "covered_to": calendar.covered_to.isoformat(),
            "firm_to": calendar.firm_to.isoformat(), "days_left": reach.days,
            "statutory_days_missing": [day.isoformat() for day in missing],
        }])  # fmt: skip
    say(Text(
        f"日历确定到 {calendar.firm_to}（含），还有 {reach.days} 天",
        f"the calendar is firm through {calendar.firm_to}, {reach.days} days ahead",
    ))  # fmt: skip
    if missing:
        listed = ", ".join(day.isoformat() for day in missing)
        say(Text(
            f"通知文件漏列了法定节日（仍按放假计算，请核对）：{listed}",
            f"the notice file leaves out days off by law (taken as rest, please check): {listed}",
        ))  # fmt: skip
    if reach < timedelta(days=_LOOK_AHEAD):
        year = calendar.covered_to.year + 1
        say(Text(
            f"{year} 年放假通知尚未载入；公布后请写入 config/calendar/{year}.yaml",
            f"no notice for {year} yet; when it is published add config/calendar/{year}.yaml",
        ))  # fmt: skip
