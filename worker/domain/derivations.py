"""The derivation of a deadline: how it was counted, day by day, and by whose word.

One object feeds text, JSON, pages and evidence, so that they cannot disagree.
"""

from datetime import date, datetime
from typing import NamedTuple, assert_never

from worker.domain.calendar import ONE_DAY, WORKED, Day, WorkingCalendar
from worker.domain.deadlines import Deadline, Terms, as_json
from worker.domain.periods import (
    Days,
    Hours,
    MonthlyOn,
    Period,
    Reading,
    WorkingDays,
    Years,
    end_of,
    nominal_last_day,
)
from worker.domain.rules import Rule, RuleKind, Source
from worker.domain.written_periods import as_mapping


class Counted(NamedTuple):
    """One day on the way. `number` is its place among the days counted, 0 where it is not."""

    day: Day
    number: int


class OtherReading(NamedTuple):
    """What another reading of the same words gives."""

    period: Period
    ends_at: datetime


class Derivation(NamedTuple):
    """Everything needed to defend a date."""

    deadline: Deadline
    kind: RuleKind
    period: Period | None
    counted: tuple[Counted, ...]
    readings: tuple[OtherReading, ...]
    notices: tuple[str, ...]
    calendar_version: str
    rule_version: str
    source: Source | None


def derive(
    deadline: Deadline, terms: Terms, calendar: WorkingCalendar, rule: Rule | None = None
) -> Derivation:
    """How `deadline` came about. Pure: the same inputs give the same derivation."""
    start, period, asked_to = deadline.started_at, terms.period, deadline.consulted_to
    others = terms.latest if terms.earliest is None else (terms.earliest, *terms.latest)
    return Derivation(
        deadline,
        terms.kind,
        period,
        _counted(period, start, deadline, calendar),
        tuple([OtherReading(other, end_of(other, start, calendar).ends_at) for other in others]),
        calendar.titles(start.year, asked_to.year) if asked_to else (),
        calendar.version,
        rule.version if rule else "",
        rule.source if rule else None,
    )


def _counted(
    period: Period | None, start: datetime, deadline: Deadline, calendar: WorkingCalendar
) -> tuple[Counted, ...]:
    asked_to = deadline.consulted_to
    if period is None or asked_to is None:
        return ()
    match period:
        case WorkingDays(count, start_counted):
            return _numbered(calendar.days(start.date(), asked_to), count, start_counted)
        case Hours(_, Reading.PAUSE_REST_DAYS):
            days = calendar.days(start.date(), asked_to)
        case Hours():
            days = calendar.days(nominal_last_day(period, start), asked_to)
        case Days() | Years() | MonthlyOn():
            nominal = nominal_last_day(period, start)
            first, last = sorted((nominal, deadline.last_date or nominal))
            days = calendar.days(first, last)
        case _:  # pragma: no cover
            assert_never(period)
    return tuple([Counted(day, 0) for day in days])


def _numbered(days: list[Day], count: int, start_counted: bool) -> tuple[Counted, ...]:
    """Number the working days; the start day's number is 0 unless it counts."""
    numbers: list[int] = []
    number = 0
    for day in days:
        counts = day.kind in WORKED and number < count and (start_counted or numbers)
        number += 1 if counts else 0
        numbers.append(number if counts else 0)
    return tuple(map(Counted, days, numbers))


def derivation_json(derivation: Derivation) -> dict[str, object]:
    """For programs: the deadline's own fields plus every step."""
    return {
        "started_at": derivation.deadline.started_at.isoformat(),
        **as_json(derivation.deadline),
        "period": as_mapping(derivation.period) if derivation.period else None,
        "days": [
            {
                "date": step.day.on.isoformat(),
                "kind": step.day.kind,
                "name": step.day.name,
                "counted": step.number or None,
                "firm": step.day.firm,
            }
            for step in derivation.counted
        ],
        "other_readings": [
            {"period": as_mapping(other.period), "ends_at": other.ends_at.isoformat()}
            for other in derivation.readings
        ],
        "notices": list(derivation.notices),
        "calendar_version": derivation.calendar_version,
        "rule_version": derivation.rule_version,
        "source": derivation.source.place if derivation.source else "",
    }


_ZH = {
    "start": "起算  {0}（{1}）",
    "hours": "从这一刻起算",
    "counted": "当日计入",
    "not_counted": "当日不计，民法典第201条",
    "period": "期限  {0}",
    "no_period": "期限  来源没有写明，只作提示，不设日期",
    "number": "第{0}个工作日",
    "no_notice": "（尚无通知）",
    "about": "约 ",
    "before": "{0} 前",
    "at_latest": "最迟 {0}",
    "end": "截止  {0}",
    "act_by": "办理  {0}（此前网点最后一次有人受理）",
    "no_counter": "办理  期限之内没有网点受理时间，请拨打热线",
    "no_sure_counter": "办理  期限之内网点不一定有人受理，请拨打热线",
    "ready_on": "可领  {0} 开门起",
    "other": "另一种读法  {0}：{1}",
    "estimate": "暂定  放假通知尚未发布，日期会变动：最早 {0}，最迟 {1}",
    "counter_moves": "暂定  放假通知尚未发布，网点开门的日子会变动",
    "source": "依据  {0}  规则版本 {1}",
    "calendar": "日历  {0}  版本 {1}",
    "not_asked": "未涉及工作日",
    "day_end": "{0} 24:00",
    "working": "工作日",
    "make_up": "调休上班",
    "weekend": "周末休息",
    "holiday": "放假",
    "working_days": "{0}个工作日",
    "days": "{0}天",
    "hours_": "{0}小时",
    "years": "{0}年",
    "monthly_on": "每月{0}日",
    "none": "末日遇休息不顺延",
    "forward": "末日遇休息顺延",
    "back": "末日遇休息提前",
    "plain": "不顺延",
    "roll_same_time": "到期遇休息日，顺延至下一工作日同一时刻",
    "roll_end_of_day": "到期遇休息日，顺延至下一工作日 24:00",
    "pause_rest_days": "只在工作日计时",
    "start_counted": "当日计入",
}
_EN = {
    "start": "start     {0} ({1})",
    "hours": "runs from this moment",
    "counted": "counted",
    "not_counted": "not counted, Civil Code art. 201",
    "period": "period    {0}",
    "no_period": "period    none in the source: advice only, no date",
    "number": "working day {0}",
    "no_notice": " (no notice yet)",
    "about": "about ",
    "before": "{0}",
    "at_latest": "at the latest {0}",
    "end": "end       {0}",
    "act_by": "act by    {0} (the counter is last open before it)",
    "no_counter": "act by    no counter is open inside the period: telephone the hotline",
    "no_sure_counter": "act by    no counter is sure to be open inside the period: telephone the "
    "hotline",
    "ready_on": "ready on  {0} at opening",
    "other": "otherwise {0}: {1}",
    "estimate": "estimate  no holiday notice yet, the date may move: between {0} and {1}",
    "counter_moves": "estimate  no holiday notice yet, the days the counter opens may move",
    "source": "source    {0}  rule version {1}",
    "calendar": "calendar  {0}  version {1}",
    "not_asked": "no working day asked about",
    "day_end": "{0} 24:00",
    "working": "working day",
    "make_up": "make-up working day",
    "weekend": "weekend",
    "holiday": "day off",
    "working_days": "{0} working days",
    "days": "{0} days",
    "hours_": "{0} hours",
    "years": "{0} years",
    "monthly_on": "day {0} of each month",
    "none": "no roll",
    "forward": "rolled forward from a day off",
    "back": "rolled back from a day off",
    "plain": "not extended",
    "roll_same_time": "rolled from a day off to the same time of the next working day",
    "roll_end_of_day": "rolled from a day off to 24:00 of the next working day",
    "pause_rest_days": "the clock runs only on working days",
    "start_counted": "start day counted",
}
_WORDS = {"zh": _ZH, "en": _EN}
_WEEKDAYS = {
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}


def derivation_text(derivation: Derivation, language: str) -> str:
    """For people: one line a step, in `zh` or `en`."""
    words = _WORDS[language]
    deadline = derivation.deadline
    lines = [
        words["start"].format(_start(deadline, language), _start_words(derivation.period, words))
    ]
    if derivation.period is None:
        lines.append(words["no_period"])
    else:
        lines.append(words["period"].format(period_text(derivation.period, language)))
    lines += [_step_line(step, language) for step in derivation.counted]
    lines += _end_lines(derivation, language)
    for other in derivation.readings:
        end = _moment(other.ends_at, language)
        lines.append(words["other"].format(period_text(other.period, language), end))
    cited = derivation.source.cited(language) if derivation.source else "-"
    lines.append(words["source"].format(cited, derivation.rule_version or "-"))
    notices = "；".join(derivation.notices) or words["not_asked"]
    lines.append(words["calendar"].format(notices, derivation.calendar_version))
    return "\n".join(lines)


def _end_lines(derivation: Derivation, language: str) -> list[str]:
    words, deadline = _WORDS[language], derivation.deadline
    about, by = ("", "before") if deadline.firm else (words["about"], "at_latest")
    lines = []
    if deadline.ends_at is not None:
        certain = deadline.earliest_at == deadline.latest_at
        lines.append(words["end"].format(("" if certain else about) + _end(deadline, language)))
    if deadline.act_by is not None:
        by_then = words[by].format(_moment(deadline.act_by, language))
        lines.append(words["act_by"].format(by_then))
    elif derivation.kind is RuleKind.LAPSE:
        lines.append(words["no_counter" if deadline.firm else "no_sure_counter"])
    if deadline.ready_on is not None:
        lines.append(words["ready_on"].format(about + _date(deadline.ready_on, language)))
    return lines + _estimate_lines(deadline, language)


def _estimate_lines(deadline: Deadline, language: str) -> list[str]:
    """Between which instants the end may still move, or that only the counter's days may."""
    earliest_at, latest_at = deadline.earliest_at, deadline.latest_at
    if deadline.firm or earliest_at is None or latest_at is None:
        return []
    if earliest_at == latest_at:
        return [_WORDS[language]["counter_moves"]]
    bounds = [_moment(at, language) for at in (earliest_at, latest_at)]
    return [_WORDS[language]["estimate"].format(*bounds)]


def _start(deadline: Deadline, language: str) -> str:
    at = deadline.started_at
    return f"{_date(at.date(), language)} {at:%H:%M:%S}"


def _start_words(period: Period | None, words: dict[str, str]) -> str:
    if isinstance(period, Hours):
        return words["hours"]
    counted = isinstance(period, WorkingDays | Days) and period.start_counted
    return words["counted" if counted else "not_counted"]


def period_text(period: Period, language: str) -> str:
    """A period for people: `10天，末日遇休息不顺延` or `10 days, no roll`."""
    words = _WORDS[language]
    (kind, count), *options = as_mapping(period).items()
    length = words["hours_" if kind == "hours" else kind].format(count)
    length = length.removesuffix("s") if count == 1 else length  # 1 year
    said = [words[key if value is True else str(value)] for key, value in options]
    return (", " if language == "en" else "，").join([length, *said])


def _step_line(step: Counted, language: str) -> str:
    words = _WORDS[language]
    reason = " ".join(part for part in (words[step.day.kind], step.day.name) if part)
    reason += "" if step.day.firm else words["no_notice"]
    number = f"  {words['number'].format(step.number)}" if step.number else ""
    return f"  {_date(step.day.on, language)}  {reason}{number}"


def _end(deadline: Deadline, language: str) -> str:
    if deadline.last_date is not None:
        return _WORDS[language]["day_end"].format(_date(deadline.last_date, language))
    return _moment(deadline.ends_at, language) if deadline.ends_at else "-"


def _moment(at: datetime, language: str) -> str:
    """An instant; midnight is said as 24:00 of the day it closes."""
    if (at.hour, at.minute, at.second) == (0, 0, 0):
        return _WORDS[language]["day_end"].format(_date(at.date() - ONE_DAY, language))
    return f"{_date(at.date(), language)} {at:%H:%M}" + (f":{at:%S}" if at.second else "")


def _date(day: date, language: str) -> str:
    return f"{day.isoformat()} {_WEEKDAYS[language][day.weekday()]}"
