"""The 23 rows of the catalogue, typed in by hand from the documents, without the shipped files."""

from worker.domain.deadlines import Terms
from worker.domain.errors import Text
from worker.domain.periods import Days, Hours, MonthlyOn, Period, Reading, Roll, WorkingDays, Years
from worker.domain.rules import Procedure, Rule, RuleKind, Source
from worker.domain.steps import NAMED_STEPS

LAPSE, READY, STEP = RuleKind.LAPSE, RuleKind.READY, RuleKind.STEP
EXPIRY, RECURRING = RuleKind.EXPIRY, RuleKind.RECURRING
NOTHING = Text("-", "-")
OF_A_BANK = Days(5)
"""What an invented bank stipulates for `zhuhai.phone-loss-report`."""

_REPORTED = "reported_in_writing replacement_applied"
_ROWS: list[tuple[str, RuleKind, str, str, Period | None]] = [
    ("national.phone-loss-report", LAPSE, "reported_by_phone", _REPORTED, WorkingDays(3)),
    ("national.written-pre-report", STEP, "pre_reported_in_writing", _REPORTED, None),
    ("national.replacement-pickup", READY, "replacement_applied", "collected", WorkingDays(15)),
    ("national.interim-treatment", STEP, "replacement_applied", "collected", None),
    (
        "chengdu.online-loss-report",
        LAPSE,
        "reported_online",
        "replacement_applied",
        Hours(72, Reading.ROLL_SAME_TIME),
    ),
    ("chengdu.phone-loss-report", STEP, "reported_by_phone", "replacement_applied", None),
    ("hotline-96102.pre-loss-report", LAPSE, "pre_reported", _REPORTED, Days(10, Roll.NONE)),
    (
        "hotline-96102.replacement-pickup",
        READY,
        "replacement_applied",
        "collected",
        WorkingDays(15),
    ),
    (
        "hotline-96102.damaged-card-pickup",
        READY,
        "damaged_replacement_applied",
        "collected",
        WorkingDays(7),
    ),
    (
        "nanjing-social-card.replacement",
        STEP,
        "reported_by_phone reported_in_writing",
        "replacement_applied",
        None,
    ),
    ("nanjing-social-card.pickup", READY, "replacement_applied", "collected", WorkingDays(3)),
    (
        "nanjing-citizen-card.phone-loss-report",
        LAPSE,
        "reported_by_phone",
        "replacement_applied",
        WorkingDays(3),
    ),
    ("nanjing-citizen-card.pickup", READY, "replacement_applied", "collected", WorkingDays(5)),
    ("nanjing-citizen-card.bank-activation", STEP, "collected", "bank_activated", None),
    ("zhuhai.phone-loss-report", LAPSE, "reported_by_phone", _REPORTED, OF_A_BANK),
    (
        "zhuhai.replacement",
        STEP,
        "reported_by_phone reported_in_writing",
        "replacement_applied",
        None,
    ),
    ("zhuhai.initial-password", STEP, "collected", "password_changed", None),
    ("laixi.oral-loss-report", STEP, "reported_by_phone", _REPORTED, None),
    (
        "laixi.validity",
        EXPIRY,
        "card_issued contribution_paid",
        "contribution_paid",
        Years(1, Roll.NONE),
    ),
    ("laixi.activation", STEP, "collected", "activated", None),
    ("shanghai.validity", EXPIRY, "card_issued", "replacement_applied", Years(10, Roll.NONE)),
    (
        "employer.monthly-reimbursement",
        RECURRING,
        "scheme_joined",
        "papers_handed_in",
        MonthlyOn(1),
    ),
    (
        "employer.papers-for-manual-reimbursement",
        STEP,
        "treated_without_card",
        "papers_handed_in",
        None,
    ),
]
_EARLIEST: dict[str, Period] = {
    "chengdu.online-loss-report": Hours(72, Reading.PLAIN),
    "hotline-96102.pre-loss-report": Days(10, Roll.NONE, start_counted=True),
    "zhuhai.phone-loss-report": Days(5, Roll.NONE, start_counted=True),
}
_LATEST: dict[str, tuple[Period, ...]] = {
    "chengdu.online-loss-report": (
        Hours(72, Reading.PAUSE_REST_DAYS),
        Hours(72, Reading.ROLL_END_OF_DAY),
    ),
    "hotline-96102.pre-loss-report": (Days(10),),
}
_ENDS_ON = {"employer.monthly-reimbursement": ("scheme_left",)}
_STEPS = {
    "nanjing-citizen-card.bank-activation": "at_once working_days_5_after working_days_15_after",
    "zhuhai.initial-password": "at_once working_days_5_after working_days_15_after",
    "laixi.activation": "at_once working_days_5_after working_days_15_after",
    "employer.papers-for-manual-reimbursement": "at_once december",
}
_FOUND_SETTLES = frozenset(
    {
        "national.phone-loss-report",
        "national.written-pre-report",
        "chengdu.online-loss-report",
        "chengdu.phone-loss-report",
        "hotline-96102.pre-loss-report",
        "nanjing-social-card.replacement",
        "nanjing-citizen-card.phone-loss-report",
        "zhuhai.phone-loss-report",
        "zhuhai.replacement",
        "laixi.oral-loss-report",
    }
)
_FOUND_TOO_LATE = {
    "national": frozenset({"reported_in_writing", "replacement_applied"}),
    "hotline-96102": frozenset({"reported_in_writing", "replacement_applied"}),
}


def _rule(rule_id: str, kind: RuleKind, starts: str, settled: str, period: Period | None) -> Rule:
    return Rule(
        id=rule_id,
        kind=kind,
        starts_on=tuple(starts.split()),
        settled_by=tuple(settled.split()),
        period=period,
        source=Source("source.txt", "1-2"),
        version="v1",
        act=NOTHING,
        place=NOTHING,
        papers=NOTHING,
        consequence=NOTHING,
        steps=tuple(NAMED_STEPS[kind][name] for name in _STEPS.get(rule_id, "").split()),
        earliest=_EARLIEST.get(rule_id),
        latest=_LATEST.get(rule_id, ()),
        ends_on=_ENDS_ON.get(rule_id, ()),
    )


RULES = {row[0]: _rule(*row) for row in _ROWS}


def terms(rule_id: str) -> Terms:
    """The readings of a rule, the bank's period included."""
    return terms_of(RULES[rule_id])


def terms_of(rule: Rule) -> Terms:
    """What a centre without any override applies."""
    return Terms(rule.id, rule.kind, rule.period, rule.earliest, rule.latest)


def procedure(procedure_id: str) -> Procedure:
    """The rules of one procedure, with where `found` leads."""
    rules = tuple(rule for rule in RULES.values() if rule.procedure == procedure_id)
    return Procedure(
        id=procedure_id,
        title=NOTHING,
        region=NOTHING,
        hotline="12333",
        hotline_of_bank=False,
        rules=rules,
        loss_rules=_FOUND_SETTLES & {rule.id for rule in rules},
        found_refused_after=_FOUND_TOO_LATE.get(procedure_id, frozenset({"replacement_applied"})),
    )


PROCEDURES = {rule.procedure: procedure(rule.procedure) for rule in RULES.values()}
