"""The pace of a sender: how much it may send now, and what cannot make it at that pace.

A sender's limit counts SMS parts a second (one for a long code, a hundred for a short one). What
is due is sent earliest useless-after first, so what is late at this pace is late in any order that
favours nobody.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush

from worker.domain.reminders import later

LONGEST = 8
"""Parts of the longest text the mainland route carries; a bucket holds at least as many."""

BURST = timedelta(seconds=2)
"""How much a bucket may save up: what the sender takes while a duty rests."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket in SMS parts. `rate` is parts a second, 0 for no limit; the level may sink
    below nothing by one message, which the next one waits for."""

    rate: float
    level: float
    at: datetime

    @classmethod
    def full(cls, rate: float, now: datetime) -> "Bucket":
        """A bucket nobody drew from yet."""
        return cls(rate, max(rate * BURST.total_seconds(), LONGEST), now)

    def refilled(self, now: datetime) -> "Bucket":
        """The bucket at `now`; a clock that went back refills nothing."""
        gained = max((now - self.at).total_seconds(), 0.0) * self.rate
        return replace(
            self, level=min(self.level + gained, self.full(self.rate, now).level), at=now
        )

    def drawn(self, parts: int) -> "Bucket":
        """The bucket after `parts` left."""
        return replace(self, level=self.level - parts)

    @property
    def is_empty(self) -> bool:
        """Whether the next message must wait."""
        return bool(self.rate) and self.level <= 0


RESTS = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15))
"""How long a channel rests whose provider refuses our account or set-up, one time after another:
a wrong password is no reason to burn everybody's reminders."""


@dataclass(frozen=True, slots=True)
class Rest:
    """A channel that is not used until `until_at`, for a provider's `code`, the `count`-th time."""

    until_at: datetime
    code: str
    count: int = 1

    @classmethod
    def after(cls, last: "Rest | None", code: str, now: datetime) -> "Rest":
        """The next rest: longer than the last one, if that was just now."""
        is_again = last is not None and now - last.until_at < RESTS[-1]
        count = last.count + 1 if last is not None and is_again else 1
        return cls(now + RESTS[min(count, len(RESTS)) - 1], code, count)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message to be: who it is, when it is due, when it is useless, how many parts it takes."""

    id: str
    due_at: datetime
    useless_after_at: datetime
    parts: int


@dataclass(frozen=True, slots=True)
class Late:
    """A message that cannot make it: when it would leave at this pace."""

    id: str
    sends_at: datetime
    useless_after_at: datetime


def forecast(waiting: Iterable[Waiting], rate: float, now: datetime) -> list[Late]:
    """Which messages are useless before their turn comes, at `rate` parts a second.

    Goes through time as the sender will: of what is due the earliest useless-after first, inside
    the allowed hours. A message that is late takes nobody's turn, since it is not sent.
    """
    todo = sorted(waiting, key=lambda one: one.due_at)
    queue: list[tuple[datetime, str, Waiting]] = []
    found: list[Late] = []
    at, position = now, 0
    while position < len(todo) or queue:
        if not queue:
            at = max(at, todo[position].due_at)
        at = later(at)
        position = _take_due(todo, position, queue, at)
        _, _, one = heappop(queue)
        if at >= one.useless_after_at:
            found.append(Late(one.id, at, one.useless_after_at))
        elif rate:
            at += timedelta(seconds=one.parts / rate)
    return found


def _take_due(
    todo: Sequence[Waiting],
    position: int,
    queue: list[tuple[datetime, str, Waiting]],
    at: datetime,
) -> int:
    """Move what is due by `at` into the queue; returns how far that went."""
    while position < len(todo) and todo[position].due_at <= at:
        one = todo[position]
        heappush(queue, (one.useless_after_at, one.id, one))
        position += 1
    return position
