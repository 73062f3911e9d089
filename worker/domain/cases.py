"""A case: its events in order, what they allow, and the deadlines that follow from them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest

from worker.domain.calendar import ONE_DAY, WorkingCalendar, in_china, midnight
from worker.domain.centres import Office
from worker.domain.contacts import event_word
from worker.domain.deadlines import Deadline, Terms, deadline
from worker.domain.delivery import DeadlineState
from worker.domain.errors import Text
from worker.domain.periods import Hours
from worker.domain.rules import NEEDS_EARLIER, Procedure, Rule, RuleKind

FUTURE_ALLOWED = timedelta(minutes=5)
"""Clocks differ; an event further ahead than this has not happened."""

_RECURRENCE_KEPT = timedelta(days=62)
"""How far back occurrences of a recurring rule are still told apart."""


@dataclass(frozen=True, slots=True)
class Event:
    """A fact about a case with its instant. `date_only`: the hour is not known, 00:00 stands."""

    name: str
    occurred_at: datetime
    date_only: bool = False

    @property
    def latest_at(self) -> datetime:
        """When it happened at the latest: who writes no hour means "that day", not "before all
        else that happened on it"."""
        if not self.date_only:
            return self.occurred_at
        return midnight(in_china(self.occurred_at).date() + ONE_DAY) - timedelta.resolution


@dataclass(frozen=True, slots=True)
class CaseDeadline:
    """One deadline of a case and what became of it. `occurrence` tells recurrences apart."""

    rule: Rule
    deadline: Deadline
    state: DeadlineState
    occurrence: str = ""
    settled_at: datetime | None = None
    answered: bool = False

    @property
    def key(self) -> tuple[str, datetime, str]:
        """What makes it the same deadline when the case is worked out again."""
        return self.rule.id, self.deadline.started_at, self.occurrence


def in_order(events: Iterable[Event]) -> list[Event]:
    """By when things happened, not by when they were told."""
    return sorted(events, key=lambda event: (event.occurred_at, event.name))


@dataclass(frozen=True, slots=True)
class Objection:
    """Why an event cannot stand and how to mend it. `about` is what to mend: `event` or
    `occurred_at`. `event.order`: it is at odds with what else is on record."""

    message: Text
    mend: Text
    about: str = "event"
    code: str = "event.order"

    @property
    def text(self) -> Text:
        """Both in one sentence."""
        return Text(f"{self.message.zh}；{self.mend.zh}", f"{self.message.en}; {self.mend.en}")


def refusals(
    procedure: Procedure,
    events: Sequence[Event],
    terms_of: Callable[[Rule], Terms],
    now: datetime,
) -> list[tuple[Event, Objection]]:
    """Every event of a case that cannot stand, with the reason and the mend."""
    ordered = in_order(events)
    found = []
    for position, event in enumerate(ordered):
        objection = (
            _unknown(procedure, event)
            or _in_future(event, now)
            or _too_early(procedure, event, ordered)
            or _found_too_late(procedure, event, ordered[:position])
            or _needs_an_hour(procedure, event, terms_of)
        )
        if objection:
            found.append((event, objection))
    return found


def _said(name: str) -> str:
    """An event in a Chinese sentence: 「书面挂失」（reported_in_writing）."""
    word = event_word(name)
    return f"「{word}」" if word == name else f"「{word}」（{name}）"


def _listed(names: Iterable[str], mark: str = "、") -> str:
    return mark.join(f"「{event_word(name)}」" for name in sorted(names))


def _unknown(procedure: Procedure, event: Event) -> Objection | None:
    if event.name in procedure.events:
        return None
    return Objection(
        Text(
            f"业务「{procedure.title.zh}」（{procedure.id}）没有事项{_said(event.name)}",
            f"procedure {procedure.id} has no event {event.name}",
        ),
        Text(
            f"请核对业务和事项；可用：{_listed(procedure.events)}",
            f"check both; it knows: {', '.join(sorted(procedure.events))}",
        ),
        code="event.unknown",
    )


def _in_future(event: Event, now: datetime) -> Objection | None:
    if event.occurred_at <= now + FUTURE_ALLOWED:
        return None
    at = f"{in_china(event.occurred_at):%Y-%m-%d %H:%M}"
    return Objection(
        Text(
            f"{_said(event.name)}的时间 {at} 在未来",
            f"event {event.name} lies in the future ({at} in Beijing)",
        ),
        Text(
            "请核对年月日和时刻；还没发生的事，发生后再登记",
            "check day and hour; enrol it when it has happened",
        ),
        "occurred_at",
        "time.future",
    )


def _too_early(procedure: Procedure, event: Event, ordered: Sequence[Event]) -> Objection | None:
    """At the same instant counts as earlier: of two bare dates the order is not known."""
    needed = NEEDS_EARLIER.get(event.name)
    if not needed or any(other.name in needed and _not_before(event, other) for other in ordered):
        return None
    names = sorted(needed & procedure.events)
    return Objection(
        Text(
            f"{_said(event.name)}之前没有{_listed(names, '或')}",
            f"event {event.name} needs an earlier {' or '.join(names)}",
        ),
        Text(
            f"请先补录{_listed(names, '或')}，再登记这一事项；如已补录，请核对两者的时间",
            f"record {' or '.join(names)} first; if it is there, check both times",
        ),
    )


def _found_too_late(
    procedure: Procedure, event: Event, before: Sequence[Event]
) -> Objection | None:
    """After the formal report or the replacement a block cannot be taken back (RULES.md)."""
    if event.name != "found":
        return None
    starts = {name for rule in procedure.rules if rule.id in procedure.loss_rules
              for name in rule.starts_on}  # fmt: skip
    for earlier in reversed(before):
        if earlier.name in procedure.found_refused_after:
            return Objection(
                Text(
                    f"已有{_said(earlier.name)}，不能再记「找回」（found）：正式挂失或补卡后不能撤销挂失",
                    f"{earlier.name} is on record: the report cannot be withdrawn by found",
                ),
                Text(
                    "请不要登记「找回」；如时间写错，请更正；不再办理时记「撤案」",
                    "do not record found; mend its time if that is wrong; end a case by cancelled",
                ),
            )
        if earlier.name in starts:
            return None
    return None


def _needs_an_hour(
    procedure: Procedure, event: Event, terms_of: Callable[[Rule], Terms]
) -> Objection | None:
    if not event.date_only:
        return None
    for rule in procedure.rules:
        if event.name in rule.starts_on and isinstance(terms_of(rule).period, Hours):
            return Objection(
                Text(
                    f"{_said(event.name)}的期限按小时计算（{rule.id}），只写日期不够",
                    f"{rule.id} counts hours: give the time of day of {event.name}",
                ),
                Text("请写明时刻，例如 2026-11-20 16:20", "write for instance 2026-11-20 16:20"),
                "occurred_at",
                "time.hour",
            )
    return None


def deadlines_of(
    procedure: Procedure,
    events: Iterable[Event],
    terms_of: Callable[[Rule], Terms],
    calendar: WorkingCalendar,
    office: Office,
    now: datetime,
) -> list[CaseDeadline]:
    """Every deadline that follows from a case's events, with its state at `now`."""
    history = _History(procedure, in_order(events), calendar, office, now)
    found: list[CaseDeadline] = []
    for rule in procedure.rules:
        starts = _starts(rule, history.events)
        for start, again in zip_longest(starts, starts[1:]):
            if rule.kind is RuleKind.RECURRING:
                found += history.occurrences(rule, terms_of(rule), start, again)
            else:
                found.append(history.judged(rule, terms_of(rule), start, again))
    return found


def _starts(rule: Rule, ordered: Sequence[Event]) -> list[Event]:
    """What starts the rule, one event an instant: two bare dates of one day are one start."""
    starts: dict[datetime, Event] = {}
    for event in ordered:
        if event.name in rule.starts_on:
            starts.setdefault(event.occurred_at, event)
    return list(starts.values())


@dataclass(frozen=True, slots=True)
class _History:
    procedure: Procedure
    events: list[Event]
    calendar: WorkingCalendar
    office: Office
    now: datetime

    def judged(self, rule: Rule, terms: Terms, start: Event, again: Event | None) -> CaseDeadline:
        """The deadline that `start` opened, and what came of it before `again` restarts it."""
        due = deadline(terms, start.occurred_at, self.calendar, self.office)
        answered = any(event.occurred_at > start.occurred_at for event in self.events)
        end, state = _first_end(again, self._settling(rule, start))
        over_at = due.latest_at if rule.kind in (RuleKind.LAPSE, RuleKind.EXPIRY) else None
        if over_at is not None and (end.occurred_at if end else self.now) >= over_at:
            return CaseDeadline(rule, due, DeadlineState.LAPSED, "", over_at, answered)
        settled_at = max(end.occurred_at, start.occurred_at) if end else None
        return CaseDeadline(rule, due, state, "", settled_at, answered)

    def _settling(self, rule: Rule, start: Event) -> Event | None:
        """The first event after the start that settles the rule."""
        settling = {*rule.settled_by, *rule.ends_on, "cancelled"}
        if rule.id in self.procedure.loss_rules:
            settling.add("found")
        return next(
            (
                event
                for event in self.events
                if event.name in settling and event is not start and _not_before(event, start)
            ),
            None,
        )

    def occurrences(
        self, rule: Rule, terms: Terms, start: Event, again: Event | None
    ) -> list[CaseDeadline]:
        """The recent occurrences of a recurring rule up to the next open one, each on its own.

        Counted through from the start, so that an occurrence is the same one whenever asked.
        """
        stop = self._stop(rule, start, again)
        found: list[CaseDeadline] = []
        begins = in_china(start.occurred_at)
        while True:
            due = deadline(terms, begins, self.calendar, self.office)
            if due.ends_at is None or due.last_date is None:
                return found
            state, at = self._state_of_occurrence(rule, begins, due.ends_at, stop)
            if due.ends_at > self.now - _RECURRENCE_KEPT:
                found.append(CaseDeadline(rule, due, state, due.last_date.isoformat(), at))
            if state is DeadlineState.OPEN or (stop is not None and due.ends_at > stop[0]):
                return found
            begins = due.ends_at

    def _stop(
        self, rule: Rule, start: Event, again: Event | None
    ) -> tuple[datetime, DeadlineState] | None:
        stops = [
            (max(event.occurred_at, start.occurred_at), DeadlineState.CANCELLED)
            for event in self.events
            if event.name in {*rule.ends_on, "cancelled"} and event.latest_at >= start.occurred_at
        ]
        if again is not None:
            stops.append((again.occurred_at, DeadlineState.SUPERSEDED))
        return min(stops, default=None)

    def _state_of_occurrence(
        self,
        rule: Rule,
        begins: datetime,
        ends_at: datetime,
        stop: tuple[datetime, DeadlineState] | None,
    ) -> tuple[DeadlineState, datetime | None]:
        over_at = ends_at if stop is None else min(stop[0], ends_at)
        for event in self.events:
            if event.name not in rule.settled_by:
                continue
            if begins <= event.latest_at and event.occurred_at < over_at:
                return DeadlineState.SETTLED, max(event.occurred_at, begins)
        if stop is not None and stop[0] < ends_at:
            return stop[1], stop[0]
        over = self.now >= ends_at
        return (DeadlineState.LAPSED, ends_at) if over else (DeadlineState.OPEN, None)


def _not_before(event: Event, start: Event) -> bool:
    """At the same instant another fact settles, the same fact does not settle itself."""
    if event.name == start.name:
        return event.occurred_at > start.occurred_at
    return event.latest_at >= start.occurred_at


def _first_end(again: Event | None, ends: Event | None) -> tuple[Event | None, DeadlineState]:
    """What closed it first: an event that settles or cancels, or its own start coming again."""
    if ends is not None and (again is None or ends.occurred_at <= again.occurred_at):
        cancelled = ends.name == "cancelled"
        return ends, DeadlineState.CANCELLED if cancelled else DeadlineState.SETTLED
    if again is not None:
        return again, DeadlineState.SUPERSEDED
    return None, DeadlineState.OPEN
