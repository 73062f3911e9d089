"""Deadlines: a rule applied to a start, under one calendar and one office."""

from datetime import date, datetime, timedelta
from typing import NamedTuple

from worker.domain.calendar import CHINA, PeriodEnd, WorkingCalendar, in_china
from worker.domain.centres import Centre, Office
from worker.domain.errors import BadData
from worker.domain.periods import (
    Days,
    Hours,
    Period,
    Reading,
    Roll,
    WorkingDays,
    end_of,
)
from worker.domain.rules import Rule, RuleKind

# Python 3.11 looks up a member of an enum four times as slowly as a name.
_LAPSE, _READY = RuleKind.LAPSE, RuleKind.READY


class Deadline(NamedTuple):
    """When something lapses, is ready, expires or recurs. Instants at UTC+8, ends exclusive.

    For people, a lapse is `act_by` (None when no counter minute lies inside), a ready date is
    `ready_on`. A step has no dates at all: every instant is None.
    """

    rule_id: str
    started_at: datetime
    ends_at: datetime | None
    last_date: date | None
    earliest_at: datetime | None
    latest_at: datetime | None
    firm: bool
    consulted_to: date | None
    act_by: datetime | None
    ready_on: date | None

    @property
    def status(self) -> str:
        """`firm`, or `provisional` when an unpublished notice may still move it."""
        return "firm" if self.firm else "provisional"

    @property
    def told(self) -> str:
        """The date people are told, as text: what must be corrected aloud when it changes."""
        if self.ends_at is None:
            return ""
        if self.ready_on is not None:
            return self.ready_on.isoformat()
        return (self.act_by or self.earliest_at or self.ends_at).isoformat()

    @property
    def day(self) -> date | None:
        """The day to keep in a calendar: the last at the counter, when it is ready, or the end."""
        return self.act_by.date() if self.act_by is not None else self.ready_on or self.last_date


class Terms(NamedTuple):
    """What a rule's dates are computed from at one centre: its kind and its readings."""

    rule_id: str
    kind: RuleKind
    period: Period | None
    earliest: Period | None = None
    latest: tuple[Period, ...] = ()


def terms_of(rule: Rule, centre: Centre, bank: str = "") -> Terms:
    """The readings a centre applies to a rule. Raises BadData where the bank's period is missing.

    A centre may count the start day of a lapse to be stricter; the bank's period of a rule is the
    centre's, never a guess (RULES.md row 15).
    """
    period, earliest = rule.period, rule.earliest
    if rule.period_of_bank:
        if bank not in centre.banks:
            known = "、".join(centre.banks) or "-"
            raise BadData(
                f"规则 {rule.id} 的期限由银行规定；请填写本网点已登记的银行（{known}）",
                f"the period of {rule.id} is the bank's; name a bank of this centre ({known})",
            )
        period = centre.banks[bank].period
        earliest = _earliest_of_bank(period)
    if isinstance(period, WorkingDays) and centre.counts_start_of(rule.id):
        period = WorkingDays(period.count, start_counted=True)
    return Terms(rule.id, rule.kind, period, earliest, rule.latest)


def _earliest_of_bank(period: Period) -> Period | None:
    """A bank's timer may count the start day, and waits for no Monday (as row 7's timer)."""
    match period:
        case Days(count):
            return Days(count, Roll.NONE, start_counted=True)
        case Hours(count):
            return Hours(count, Reading.PLAIN)
        case _:
            return None


def deadline(
    terms: Terms, started_at: datetime, calendar: WorkingCalendar, office: Office
) -> Deadline:
    """The full deadline, without its derivation. Raises NaiveInstant, OutsideCalendar."""
    start = started_at if started_at.tzinfo is CHINA else in_china(started_at)
    rule_id, kind, period, earliest, latest = terms
    if period is None:
        return Deadline(rule_id, start, None, None, None, None, True, None, None, None)
    end = end_of(period, start, calendar)
    if earliest is not None or latest:
        end = _bounded(end, terms, start, calendar)
    ends_at, last_date, earliest_at, latest_at, firm, asked_to = end
    act_by = ready_on = None
    if kind is _LAPSE:
        if last_date is not None and earliest_at is ends_at:
            act_by, counter_on = office.last_closing(last_date, start), last_date
        else:
            act_by = office.last_open_minute(earliest_at, start)
            counter_on = (earliest_at - timedelta.resolution).date()
        if counter_on > calendar.firm_to and type(period) is not WorkingDays:
            # The early bound of working days allows for it (decision 0006); other ends do not.
            act_by = office.last_sure_minute(earliest_at, start)
        if asked_to is not counter_on and (asked_to is None or asked_to < counter_on):
            # The counter's days are asked about where the period's are not.
            asked_to, firm = counter_on, firm and calendar.is_firm(counter_on)
    elif kind is _READY and last_date is not None:
        ready_on = asked_to = _ready_on(last_date, office)
        firm = firm and calendar.is_firm(ready_on)
    return Deadline(
        rule_id, start, ends_at, last_date, earliest_at, latest_at, firm, asked_to, act_by,
        ready_on,
    )  # fmt: skip


def _bounded(
    official: PeriodEnd, terms: Terms, start: datetime, calendar: WorkingCalendar
) -> PeriodEnd:
    """The official end between its earliest and latest readings."""
    ends_at, last_date, earliest_at, latest_at, firm, asked_to = official
    for reading in terms.latest if terms.earliest is None else (terms.earliest, *terms.latest):
        other = end_of(reading, start, calendar)
        earliest_at = min(earliest_at, other.earliest_at)
        latest_at = max(latest_at, other.latest_at)
        firm = firm and other.firm
        if asked_to is None or (other.consulted_to is not None and asked_to < other.consulted_to):
            asked_to = other.consulted_to
    return PeriodEnd(ends_at, last_date, earliest_at, latest_at, firm, asked_to)


def _ready_on(last: date, office: Office) -> date:
    opening = office.opening_after(last)
    if opening is None:
        raise BadData(
            f"网点在 {last} 之后 60 天内都不开门；请检查其 hours 与 closures",
            f"the office never opens within 60 days of {last}; check its hours and closures",
        )
    return opening


def as_json(deadline: Deadline) -> dict[str, object]:
    """The fields of the batch contract (DESIGN §7), instants as ISO 8601 at +08:00."""
    return {
        "ends_at": _iso(deadline.ends_at),
        "last_date": _iso(deadline.last_date),
        "earliest_at": _iso(deadline.earliest_at),
        "latest_at": _iso(deadline.latest_at),
        "status": deadline.status,
        "consulted_to": _iso(deadline.consulted_to),
        "act_by": _iso(deadline.act_by),
        "ready_on": _iso(deadline.ready_on),
    }


def _iso(value: date | datetime | None) -> str | None:
    return None if value is None else value.isoformat()


__all__ = ["Deadline", "Terms", "as_json", "deadline", "terms_of"]
