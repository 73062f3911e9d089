"""Phrases that rule files and centre files share: periods, reminder steps and times of day."""

from collections.abc import Mapping
from datetime import time

from worker.configfile import Item
from worker.domain.errors import Text
from worker.domain.periods import Period
from worker.domain.rules import Anchor, ReminderStep, RuleKind
from worker.domain.steps import NAMED_STEPS
from worker.domain.written_periods import InvalidPeriod, parse_period

SEE_DOCS = Text("写法见 docs/rules.md", "docs/rules.md shows how it is written")

CLOCK_TIME = r"([01]\d|2[0-3]):[0-5]\d"

_OFFSETS = ("working_days", "days", "open_hours", "month")
_ANCHORS: Mapping[RuleKind, tuple[Anchor, ...]] = {
    RuleKind.LAPSE: (Anchor.START, Anchor.ACT_BY, Anchor.END, Anchor.LATEST_END),
    RuleKind.READY: (Anchor.START, Anchor.READY_ON),
    RuleKind.EXPIRY: (Anchor.START, Anchor.END),
    RuleKind.RECURRING: (Anchor.START, Anchor.END),
    RuleKind.STEP: (Anchor.START,),
}


def read_period(item: Item) -> Period | None:
    """A period such as `{working_days: 3}`; None if absent or wrong."""
    if not item.given:
        return None
    faults_before = len(item.faults)
    written = item.scalars()
    if len(item.faults) > faults_before:
        return None
    if not isinstance(written.get("start_counted", False), bool):
        item.fault(
            "bad_period",
            Text("start_counted 应是 true 或 false", "start_counted is true or false"),
            SEE_DOCS,
        )
        return None
    try:
        return parse_period(written)
    except InvalidPeriod as error:
        item.fault("bad_period", error.text, SEE_DOCS)
        return None


def read_steps(item: Item, kind: RuleKind) -> tuple[ReminderStep, ...]:
    """Reminder steps of a rule of `kind`: names of known steps, or steps written out in full."""
    steps: list[ReminderStep] = []
    for one in item.some():
        step = _step(one, kind)
        if step.name and step.name in [earlier.name for earlier in steps]:
            one.fault(
                "duplicate_step",
                Text("同名的提醒写了两次", "this step is listed twice"),
                Text("改名或删去一个", "rename it or remove it"),
            )
        steps.append(step)
    return tuple(steps)


def _step(item: Item, kind: RuleKind) -> ReminderStep:
    if item.written:
        known = NAMED_STEPS[kind]
        return known.get(item.one_of(known), ReminderStep("", Anchor.START))
    given = item.fields(("name", "anchor"), (*_OFFSETS, "at"))
    anchor = given["anchor"].one_of(_ANCHORS[kind])
    _check_offset(item, given, anchor)
    return ReminderStep(
        name=given["name"].match("[a-z0-9_]+", "working_days_2_before"),
        anchor=Anchor(anchor or Anchor.START),
        working_days=_offset(given["working_days"], -250, 250),
        days=_offset(given["days"], -400, 400),
        open_hours=_offset(given["open_hours"], 1, 40),
        month=_offset(given["month"], 1, 12),
        at=read_time(given["at"]),
    )


def _offset(item: Item, least: int, most: int) -> int | None:
    return item.whole(least, most) if item.given else None


def _check_offset(item: Item, given: Mapping[str, Item], anchor: str) -> None:
    offsets = [name for name in _OFFSETS if given[name].given]
    if len(offsets) > 1:
        item.fault(
            "contradiction",
            Text(f"只能写一种间隔，现有 {offsets}", f"one offset at most, not {offsets}"),
            SEE_DOCS,
        )
    if "open_hours" in offsets and anchor not in ("", Anchor.ACT_BY):
        given["open_hours"].fault(
            "contradiction",
            Text("open_hours 只能从 act_by 倒数", "open_hours counts back from act_by only"),
            SEE_DOCS,
        )


def read_time(item: Item) -> time:
    """A time of day such as `"09:30"`; 09:00 if absent."""
    written = item.match(CLOCK_TIME, "09:30")
    return time.fromisoformat(written) if written else time(9)
