"""Which reminder steps hold: the centre's, the rule's, or those of the kind."""

from pathlib import Path

import pytest

from worker.domain.centres import Centre, RuleOverride
from worker.domain.periods import Days, Hours, Period, Reading, WorkingDays
from worker.domain.rules import Anchor, ReminderStep, RuleKind
from worker.domain.steps import NAMED_STEPS, default_steps, steps_of
from worker.rulebook import Rulebook, load_rulebook, require

HOME = Path(__file__).parents[2]
OF_BANK = "zhuhai.phone-loss-report"


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return require(load_rulebook(HOME / "config/rules"))


def a_centre(override: RuleOverride | None = None) -> Centre:
    overrides = {OF_BANK: override} if override else {}
    return Centre("city", "示例中心", "示例", "示例", overrides=overrides)


@pytest.mark.parametrize(
    ("period", "names"),
    [
        (WorkingDays(3), "at_once working_day_before last_day open_hours_3 lapsed"),
        (Hours(48, Reading.PLAIN), "at_once open_hours_8 open_hours_3 lapsed"),
        (
            Days(5),
            "at_once working_days_3_before working_day_before last_working_day lapsed",
        ),
    ],
)
def test_steps_of_a_banks_period_follow_how_it_is_counted(
    period: Period, names: str, rulebook: Rulebook
) -> None:
    steps = steps_of(rulebook.rules[OF_BANK], a_centre(), period)

    assert " ".join(step.name for step in steps) == names


def test_a_centres_own_steps_come_first(rulebook: Rulebook) -> None:
    own = ReminderStep("at_once", Anchor.START)
    centre = a_centre(RuleOverride(steps=(own,)))

    steps = steps_of(rulebook.rules[OF_BANK], centre, WorkingDays(3))

    assert steps == (own,)


def test_an_override_without_steps_leaves_them(rulebook: Rulebook) -> None:
    centre = a_centre(RuleOverride(start_counted=True))

    steps = steps_of(rulebook.rules[OF_BANK], centre, WorkingDays(3))

    assert steps == default_steps(RuleKind.LAPSE, WorkingDays(3))


def test_a_rules_own_steps_come_before_those_of_its_kind(rulebook: Rulebook) -> None:
    rule = rulebook.rules["laixi.activation"]

    steps = steps_of(rule, a_centre(), None)

    assert [step.name for step in steps] == [
        "at_once",
        "working_days_5_after",
        "working_days_15_after",
    ]


@pytest.mark.parametrize(
    ("kind", "name", "step"),
    [
        (RuleKind.LAPSE, "working_day_before", "act_by -1 09:00"),
        (RuleKind.LAPSE, "working_days_3_before", "act_by -3 09:00"),
        (RuleKind.LAPSE, "last_day", "act_by 0 09:00"),
        (RuleKind.LAPSE, "last_working_day", "act_by 0 09:00"),
        (RuleKind.READY, "ready_day", "ready_on 0 09:30"),
        (RuleKind.READY, "working_days_5_after", "ready_on 5 09:30"),
        (RuleKind.READY, "working_days_10_after", "ready_on 10 09:30"),
        (RuleKind.RECURRING, "working_days_3_before", "end -3 09:00"),
        (RuleKind.RECURRING, "working_day_before", "end -1 09:00"),
        (RuleKind.STEP, "working_days_5_after", "start 5 09:00"),
        (RuleKind.STEP, "working_days_15_after", "start 15 09:00"),
    ],
)
def test_steps_counted_in_working_days(kind: RuleKind, name: str, step: str) -> None:
    named = NAMED_STEPS[kind][name]

    assert f"{named.anchor} {named.working_days} {named.at:%H:%M}" == step


def test_steps_counted_otherwise() -> None:
    lapse, step = NAMED_STEPS[RuleKind.LAPSE], NAMED_STEPS[RuleKind.STEP]
    expiry = default_steps(RuleKind.EXPIRY, None)

    assert (lapse["open_hours_8"].open_hours, lapse["open_hours_3"].open_hours) == (8, 3)
    assert lapse["lapsed"] == ReminderStep("lapsed", Anchor.LATEST_END)
    assert step["december"].month == 12
    assert [(one.anchor, one.days) for one in expiry] == [("end", -90), ("end", -30), ("end", -7)]
