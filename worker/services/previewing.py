"""Working a deadline out without storing anything: what a centre asks before it enrols."""

from collections.abc import Mapping
from datetime import datetime

from worker.domain.deadlines import Deadline, Terms, deadline
from worker.domain.derivations import derivation_json, derive
from worker.domain.errors import BadData, Text
from worker.domain.periods import end_of
from worker.domain.rules import RuleKind
from worker.domain.written_periods import parse_period
from worker.rosters import Refusal, read_instant
from worker.services.context import Context
from worker.services.turning_away import refuse


def preview_of_rule(
    context: Context, centre_id: str, *, rule_id: str, bank: str, starts_at: str
) -> dict[str, object]:
    """The deadline of a rule at a centre, with its derivation. Raises Refused."""
    start = _start(starts_at)
    if rule_id not in context.rulebook.rules:
        raise refuse("/rule", "rule.unknown", _NO_RULE, _SEE_RULES)
    rule = context.rule(rule_id)
    try:
        terms = context.terms(rule, centre_id, bank)
    except BadData as error:
        raise refuse("/bank", "bank.missing", error.text, _NAME_A_BANK) from None
    calendar = context.calendar(centre_id)
    found = deadline(terms, start, calendar, context.office(centre_id))
    return derivation_json(derive(found, terms, calendar, rule))


def preview_of_period(
    context: Context, centre_id: str, *, period: Mapping[str, object], starts_at: str
) -> dict[str, object]:
    """The end of a bare period by the centre's calendar, with its derivation. Raises Refused."""
    start = _start(starts_at)
    try:
        parsed = parse_period(period)
    except BadData as error:
        raise refuse("/period", "period.invalid", error.text, _A_PERIOD) from None
    calendar = context.calendar(centre_id)
    found = Deadline("", start, *end_of(parsed, start, calendar), None, None)
    return derivation_json(derive(found, Terms("", RuleKind.STEP, parsed), calendar))


def _start(written: str) -> datetime:
    found = read_instant(written)
    if isinstance(found, Refusal):
        raise refuse("/starts_at", found.code, found.message, found.mend)
    return found


_NO_RULE = Text("没有这条规则", "there is no such rule")
_SEE_RULES = Text("全部规则见 qida rules list", "qida rules list names them all")
_NAME_A_BANK = Text("请写明本网点登记的银行", "name a bank that this centre's file holds")
_A_PERIOD = Text('例如 {"working_days": 3}', 'for instance {"working_days": 3}')
