"""Made-up matters with the longest data a rule can meet: what templates are checked and shown with.

Nothing here is sent. The name, the card and the dates are invented; phrases, hotline and signature
are the rule's and the centre's own.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time
from typing import NamedTuple

from worker.domain.calendar import CHINA, ONE_DAY, midnight
from worker.domain.centres import Centre
from worker.domain.deadlines import Deadline
from worker.domain.delivery import ChannelKind
from worker.domain.periods import Period
from worker.domain.rules import Procedure, Rule, RuleKind
from worker.domain.steps import LAST_DAYS, NAMED_STEPS, steps_of
from worker.domain.wording import Matter, variables

LANGUAGES = ("zh", "en")
CHANNELS: tuple[ChannelKind, ...] = ("sms", "email")

_NOW = datetime(2026, 11, 20, 16, 20, tzinfo=CHINA)
_THIS_YEAR, _NEXT_YEAR = date(2026, 12, 30), date(2027, 12, 30)  # two-digit months and days
_NEW_YEAR = date(2027, 1, 15)  # a lapse or a ready date crosses the year by weeks, not by months
_ON_THE_DAY = ("today", "today_provisional")
_FIRM_TWIN = {
    "provisional": "firm_next_year",
    "no_counter_provisional": "no_counter",
    "today_provisional": "today",
}


class Sample(NamedTuple):
    """A rule's step in one form, channel and language, with the words of it.

    `certain` are the words if the day of a provisional form were firm; empty for other forms.
    """

    rule: Rule
    step: str
    form: str
    channel: ChannelKind
    language: str
    words: Mapping[str, str]
    certain: Mapping[str, str]


def samples(procedures: Iterable[Procedure], centre: Centre) -> Iterator[Sample]:
    """Every message a centre's rules can send, in every form, channel and language."""
    for procedure in procedures:
        if centre.procedures and procedure.id not in centre.procedures:
            continue
        for rule in procedure.rules:
            yield from _samples_of(rule, sample_matters(rule, procedure, centre))


def _samples_of(rule: Rule, matters: Mapping[str, Matter]) -> Iterator[Sample]:
    centre = next(iter(matters.values())).centre
    for language in LANGUAGES:
        words = {
            form: variables(matter, language=language, now=_told_at(form))
            for form, matter in matters.items()
        }
        for channel in CHANNELS:
            for step in steps_known(rule, centre):
                for form, said in words.items():
                    certain = words.get(_FIRM_TWIN.get(form, ""), {})
                    yield Sample(rule, step, form, channel, language, said, certain)


def _told_at(form: str) -> datetime:
    return datetime.combine(_THIS_YEAR, time(9), CHINA) if form in _ON_THE_DAY else _NOW


def occurs(sample: Sample, centre: Centre) -> bool:
    """Whether a reminder may really be such: its step is in use, a last day is told on the day."""
    on_the_day = sample.form in _ON_THE_DAY
    return sample.step in steps_in_use(sample.rule, centre) and on_the_day == (
        sample.step in LAST_DAYS
    )


def steps_known(rule: Rule, centre: Centre) -> tuple[str, ...]:
    """Every step a reminder of this rule may have at a centre, if only by a change of its files."""
    return tuple(dict.fromkeys([*NAMED_STEPS[rule.kind], *steps_in_use(rule, centre)]))


def steps_in_use(rule: Rule, centre: Centre) -> tuple[str, ...]:
    """The steps that reminders of this rule have at a centre, whichever bank the case is with."""
    periods: list[Period | None] = [rule.period]
    if rule.period_of_bank and centre.banks:
        periods = [bank.period for bank in centre.banks.values()]
    own = [step.name for period in periods for step in steps_of(rule, centre, period)]
    moved = [] if rule.kind is RuleKind.STEP else ["moved"]
    return tuple(dict.fromkeys([*own, *moved]))


def sample_matters(rule: Rule, procedure: Procedure, centre: Centre) -> dict[str, Matter]:
    """The forms of a matter: `undated` for a step, else `firm`, `firm_next_year`, `provisional`
    (the same day as `firm_next_year`); for a lapse also `no_counter` and
    `no_counter_provisional`, and `today` and `today_provisional`, told on the day itself.
    """
    bank = max(centre.banks.values(), key=lambda bank: len(bank.hotline), default=None)
    opening = datetime.combine(_NEW_YEAR, time(9), CHINA)
    return {
        form: Matter(
            rule, procedure, due, centre, "欧阳测试", "1234", bank.name if bank else "", opening
        )
        for form, due in _deadlines(rule).items()
    }


def _deadlines(rule: Rule) -> dict[str, Deadline]:
    if rule.kind is RuleKind.STEP:
        return {"undated": _deadline(rule, None)}
    near = rule.kind in (RuleKind.LAPSE, RuleKind.READY)
    next_year = _deadline(rule, _NEW_YEAR if near else _NEXT_YEAR)
    deadlines = {
        "firm": _deadline(rule, _THIS_YEAR),
        "firm_next_year": next_year,
        "provisional": next_year._replace(firm=False),
    }
    if rule.kind is RuleKind.LAPSE:
        deadlines["no_counter"] = next_year._replace(act_by=None)
        deadlines["no_counter_provisional"] = next_year._replace(act_by=None, firm=False)
        deadlines["today"] = deadlines["firm"]
        deadlines["today_provisional"] = deadlines["firm"]._replace(firm=False)
    return deadlines


def _deadline(rule: Rule, day: date | None) -> Deadline:
    if day is None:
        return Deadline(rule.id, _NOW, None, None, None, None, True, None, None, None)
    ends_at, closing = midnight(day + ONE_DAY), datetime.combine(day, time(17), CHINA)
    act_by = closing if rule.kind is RuleKind.LAPSE else None
    ready_on = day if rule.kind is RuleKind.READY else None
    return Deadline(
        rule.id, _NOW, ends_at, day, ends_at, ends_at, True, day, act_by, ready_on
    )  # fmt: skip
