"""What is to go wrong: rules that say which request, message or callback meets which fate.

A plan comes as JSON (plan_reading.py); the types of the fields here are also its checks.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from random import Random
from typing import Literal, TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When it strikes: recipients by pattern, the n-th that fit, by chance, so many times."""

    to: str = "*"
    nth: tuple[int, ...] = ()
    probability: float = 1.0
    times: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Rule):
    """What goes wrong with a request. `seconds` are real ones: sockets know no other time."""

    do: Literal["answer", "cut", "hang", "slow", "drip"]
    on: Literal["create", "list", "fetch", "update", "delete", "any"] = "create"
    page: int | None = None
    stored: bool = False
    status: int | None = None
    code: int | None = None
    body: Literal["error", "html", "empty", "object", "truncated", "wrong_type", "huge"] = "error"
    retry_after: int | None = None
    at: Literal["before_reading", "before_answer", "in_answer"] = "before_answer"
    seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate(Rule):
    """What becomes of a message; `pace` is the time between two statuses, both in seconds."""

    end: str = "delivered"
    code: int | None = None
    pace: float | None = None
    list_lag: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRule(Rule):
    """What becomes of a status callback."""

    do: Literal["lose", "hold", "delay", "repeat", "forge"]
    status: str = "*"
    seconds: float = 60.0
    copies: int = 2
    forged: Literal["token", "unsigned", "sid", "account"] = "token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that is to go wrong, and how fast messages move when nothing does."""

    seed: int = 0
    pace: float = 1.0
    list_lag: float = 0.0
    faults: tuple[Fault, ...] = ()
    fates: tuple[Fate, ...] = ()
    callbacks: tuple[CallbackRule, ...] = ()


_NUMBER = "+861??000000"
FAULTS_BY_NUMBER = (
    Fault(to=f"{_NUMBER}03", do="answer", code=21614),
    Fault(to=f"{_NUMBER}05", do="cut", stored=True),
    Fault(to=f"{_NUMBER}10", do="answer", code=21610),
    Fault(to=f"{_NUMBER}11", do="answer", code=21211),
)
FATES_BY_NUMBER = (
    Fate(to=f"{_NUMBER}02", end="undelivered", code=30003),
    Fate(to=f"{_NUMBER}04", end="sent"),
    Fate(to=f"{_NUMBER}06", end="undelivered", code=30006),
    Fate(to=f"{_NUMBER}07", end="undelivered", code=30007),
    Fate(to=f"{_NUMBER}08", end="undelivered", code=30008),
    Fate(to=f"{_NUMBER}09", end="failed", code=30005),
)
"""Numbers such as +8613800000002 meet these without any plan; a plan's own rules come first.

The first five are those of Qida's sandbox: 1 delivered, 2 undelivered, 3 refused, 4 without a
receipt, 5 with its answer lost.
"""


_R = TypeVar("_R", bound=Rule)


class Dice:
    """Chooses rules, and remembers how often each fitted and struck; one seed, one sequence."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311  # a seeded sequence of faults is no secret
        self._fitted: Counter[int] = Counter()
        self._struck: Counter[int] = Counter()

    def choose(
        self, rules: Sequence[_R], to: str | None, fits: Callable[[_R], bool] = lambda _: True
    ) -> _R | None:
        """The first rule that strikes. Every rule that fits counts this one, chosen or not."""
        striking = [
            rule for rule in rules if _is_for(rule, to) and fits(rule) and self._strikes(rule)
        ]
        if not striking:
            return None
        self._struck[id(striking[0])] += 1
        return striking[0]

    def _strikes(self, rule: Rule) -> bool:
        """By identity: two rules that read alike are still two."""
        self._fitted[id(rule)] += 1
        if rule.times is not None and self._struck[id(rule)] >= rule.times:
            return False
        if rule.nth and self._fitted[id(rule)] not in rule.nth:
            return False
        return rule.probability >= 1 or self._random.random() < rule.probability


def _is_for(rule: Rule, to: str | None) -> bool:
    if rule.to == "*":
        return True
    return to is not None and _pattern(rule.to).match(to) is not None


@lru_cache(maxsize=1024)
def _pattern(shell: str) -> re.Pattern[str]:
    return re.compile(translate(shell))
