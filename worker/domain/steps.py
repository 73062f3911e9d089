"""When people are reminded unless a rule or a centre says otherwise (docs/rules.md lists it).

Names of steps are part of the contract: templates and reminder rows carry them. The step `moved`
is not listed, because nothing but a change of a told date calls for it.
"""

from collections.abc import Mapping
from datetime import time

from worker.domain.centres import Centre
from worker.domain.periods import Hours, Period, WorkingDays
from worker.domain.rules import Anchor, ReminderStep, Rule, RuleKind

_HALF_PAST_NINE = time(9, 30)  # counters have opened by then

_AT_ONCE = ReminderStep("at_once", Anchor.START)
_OPEN_HOURS_8 = ReminderStep("open_hours_8", Anchor.ACT_BY, open_hours=8)
_OPEN_HOURS_3 = ReminderStep("open_hours_3", Anchor.ACT_BY, open_hours=3)
_WORKING_DAYS_3_BEFORE = ReminderStep("working_days_3_before", Anchor.ACT_BY, working_days=-3)
_WORKING_DAY_BEFORE = ReminderStep("working_day_before", Anchor.ACT_BY, working_days=-1)
_LAST_DAY = ReminderStep("last_day", Anchor.ACT_BY, working_days=0)
_LAST_WORKING_DAY = ReminderStep("last_working_day", Anchor.ACT_BY, working_days=0)
_LAPSED = ReminderStep("lapsed", Anchor.LATEST_END)

LAST_DAYS = (_LAST_DAY.name, _LAST_WORKING_DAY.name)
"""Steps whose reminder comes on the day of `act_by` itself."""

_LAPSE_IN_WORKING_DAYS = (_AT_ONCE, _WORKING_DAY_BEFORE, _LAST_DAY, _OPEN_HOURS_3, _LAPSED)
_LAPSE_IN_HOURS = (_AT_ONCE, _OPEN_HOURS_8, _OPEN_HOURS_3, _LAPSED)
_LAPSE_IN_CALENDAR_DAYS = (
    _AT_ONCE,
    _WORKING_DAYS_3_BEFORE,
    _WORKING_DAY_BEFORE,
    _LAST_WORKING_DAY,
    _LAPSED,
)
_READY = (
    _AT_ONCE,
    ReminderStep("ready_day", Anchor.READY_ON, working_days=0, at=_HALF_PAST_NINE),
    ReminderStep("working_days_5_after", Anchor.READY_ON, working_days=5, at=_HALF_PAST_NINE),
    ReminderStep("working_days_10_after", Anchor.READY_ON, working_days=10, at=_HALF_PAST_NINE),
)
_EXPIRY = (
    ReminderStep("days_90_before", Anchor.END, days=-90),
    ReminderStep("days_30_before", Anchor.END, days=-30),
    ReminderStep("days_7_before", Anchor.END, days=-7),
)
_RECURRING = (
    ReminderStep("working_days_3_before", Anchor.END, working_days=-3),
    ReminderStep("working_day_before", Anchor.END, working_days=-1),
)
_ADVICE_AGAIN = (
    ReminderStep("working_days_5_after", Anchor.START, working_days=5),
    ReminderStep("working_days_15_after", Anchor.START, working_days=15),
    ReminderStep("december", Anchor.START, month=12),
)

NAMED_STEPS: Mapping[RuleKind, Mapping[str, ReminderStep]] = {
    kind: {step.name: step for step in steps}
    for kind, steps in {
        RuleKind.LAPSE: (
            *_LAPSE_IN_WORKING_DAYS,
            *_LAPSE_IN_HOURS,
            *_LAPSE_IN_CALENDAR_DAYS,
        ),
        RuleKind.READY: _READY,
        RuleKind.EXPIRY: (_AT_ONCE, *_EXPIRY),
        RuleKind.RECURRING: (_AT_ONCE, *_RECURRING),
        RuleKind.STEP: (_AT_ONCE, *_ADVICE_AGAIN),
    }.items()
}
"""Every step a file may call by its name, for each kind of rule."""


def default_steps(kind: RuleKind, period: Period | None) -> tuple[ReminderStep, ...]:
    """The steps of a kind of rule; those of a lapse follow how its period is counted."""
    match kind:
        case RuleKind.LAPSE:
            return _steps_of_lapse(period)
        case RuleKind.READY:
            return _READY
        case RuleKind.EXPIRY:
            return _EXPIRY
        case RuleKind.RECURRING:
            return _RECURRING
        case RuleKind.STEP:
            return (_AT_ONCE,)


def _steps_of_lapse(period: Period | None) -> tuple[ReminderStep, ...]:
    match period:
        case WorkingDays():
            return _LAPSE_IN_WORKING_DAYS
        case Hours():
            return _LAPSE_IN_HOURS
        case _:
            return _LAPSE_IN_CALENDAR_DAYS


def steps_of(rule: Rule, centre: Centre, period: Period | None) -> tuple[ReminderStep, ...]:
    """The steps a centre takes for a rule: its own, else the rule's, else those of the kind.

    `period` is the one in force (`Terms.period`): a bank's period decides the steps of its rule.
    """
    override = centre.overrides.get(rule.id)
    if override is not None and override.steps:
        return override.steps
    return rule.steps or default_steps(rule.kind, period)
