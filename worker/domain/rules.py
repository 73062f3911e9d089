"""The catalogue's shapes: procedures, rules, reminder steps and what people are told of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from enum import StrEnum

from worker.domain.errors import Text
from worker.domain.periods import Period


class RuleKind(StrEnum):
    """What a rule's end means (RULES.md)."""

    LAPSE = "lapse"
    READY = "ready"
    EXPIRY = "expiry"
    RECURRING = "recurring"
    STEP = "step"


class Anchor(StrEnum):
    """What a reminder step is counted from."""

    START = "start"
    ACT_BY = "act_by"
    READY_ON = "ready_on"
    END = "end"
    LATEST_END = "latest_end"


@dataclass(frozen=True, slots=True)
class ReminderStep:
    """When one reminder of a rule comes: an anchor and at most one offset from it.

    Offsets: `working_days` and `days` (negative = before) at the time `at`; `open_hours` (counter
    hours before `act_by`); `month` = the first working day of that month. None of them = at once.
    """

    name: str
    anchor: Anchor
    working_days: int | None = None
    days: int | None = None
    open_hours: int | None = None
    month: int | None = None
    at: time = time(9, 0)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a rule is written: a file and its lines, and by which title people know it."""

    document: str
    lines: str
    title: Text | None = None

    @property
    def place(self) -> str:
        """File and lines, for who keeps the document."""
        return f"{self.document} L{self.lines}"

    def cited(self, language: str) -> str:
        """The title people know it by, then the place."""
        return f"{self.title.in_language(language)}  {self.place}" if self.title else self.place


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the catalogue.

    `period` is the official reading, `earliest` and `latest` the other readings that bound it
    (empty: the same). A rule with `period_of_bank` takes its period from the centre's file.
    The phrases `act`, `place`, `papers` and `consequence` are short enough for an SMS; `advice` is
    what there is more to say, for e-mail and pages. `ends_on` is the event that stops a recurring
    rule for good. `version` is a content hash.
    """

    id: str
    kind: RuleKind
    starts_on: tuple[str, ...]
    settled_by: tuple[str, ...]
    period: Period | None
    source: Source
    version: str
    act: Text
    place: Text
    papers: Text
    consequence: Text
    steps: tuple[ReminderStep, ...]
    earliest: Period | None = None
    latest: tuple[Period, ...] = ()
    period_of_bank: bool = False
    ends_on: tuple[str, ...] = ()
    approximate: bool = False
    holidays_may_extend: bool = False
    grace: Text | None = None
    advice: Text | None = None

    @property
    def procedure(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]


EVENTS_OF_ALL = frozenset({"found", "cancelled"})
"""Events that every procedure knows and no rule names."""


@dataclass(frozen=True, slots=True)
class Procedure:
    """The set of rules a case runs under, with what its events need and where `found` leads."""

    id: str
    title: Text
    region: Text
    hotline: str
    hotline_of_bank: bool
    rules: tuple[Rule, ...]
    loss_rules: frozenset[str]
    found_refused_after: frozenset[str]
    warning: Text | None = None

    @property
    def events(self) -> frozenset[str]:
        """Every event that means something to this procedure."""
        named = set(EVENTS_OF_ALL)
        for rule in self.rules:
            named.update(rule.starts_on, rule.settled_by, rule.ends_on)
        return frozenset(named)


NEEDS_EARLIER: Mapping[str, frozenset[str]] = {
    "collected": frozenset({"replacement_applied", "damaged_replacement_applied"}),
    "activated": frozenset({"collected"}),
    "bank_activated": frozenset({"collected"}),
    "password_changed": frozenset({"collected"}),
}
"""Events that make sense only after one of these (RULES.md, "Events of every procedure")."""
