"""The pace of a sender: how much it may send now, and what cannot make it at that pace.

A sender's limit counts SMS parts a second (one for a long code, a hundred for a short one). What
is due is sent earliest useless-after first, so what is late at this pace is late in any order that
favours nobody.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush

from worker.domain.reminders import Hours, hours_at, later

LONGEST = 8
"""Parts of the longest text the mainland route carries; a bucket holds at least as many."""

BURST = timedelta(seconds=2)
"""How much a bucket may save up: what the sender takes while a duty rests."""

CLOCKS_DIFFER = timedelta(minutes=2)
"""By how much the clocks of two workers may differ."""


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
        """The bucket at `now`. A clock that went back refills nothing; one a little behind is
        another machine's, and the time between the two is not filled twice."""
        if now < self.at <= now + CLOCKS_DIFFER:
            return self
        gained = max((now - self.at).total_seconds(), 0.0) * self.rate
        return replace(
            self, level=min(self.level + gained, self.full(self.rate, now).level), at=now
        )

    def drawn(self, parts: int) -> "Bucket":
        """The bucket after `parts` left."""
        return replace(self, level=self.level - parts)

    @property
    def is_empty(self) -> bool:
        """Whether the next message must wait: there is not one whole part left."""
        return bool(self.rate) and self.level < 1

    @property
    def ready_at(self) -> datetime:
        """When the next message need not wait."""
        return self.at + timedelta(seconds=(1 - self.level) / self.rate if self.is_empty else 0)


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

    Goes through time as the sender will, its bucket full at `now`: of what is due the earliest
    useless-after first, inside the allowed hours. A message that is late takes nobody's turn,
    since it is not sent.
    """
    competing = (one for one in waiting if not _goes_outside_hours(one, now))
    todo = sorted(competing, key=lambda one: one.due_at)
    queue: _Queue = []
    found: list[Late] = []
    bucket, position = Bucket.full(rate, now), 0
    while position < len(todo) or queue:
        at = bucket.ready_at if queue else max(bucket.ready_at, todo[position].due_at)
        bucket = bucket.refilled(later(at))
        position = _take_due(todo, position, queue, bucket.at)
        one = heappop(queue)[-1]
        if bucket.at >= one.useless_after_at:
            found.append(Late(one.id, bucket.at, one.useless_after_at))
        else:
            bucket = bucket.drawn(one.parts)
    return found


def _goes_outside_hours(one: Waiting, now: datetime) -> bool:
    """Whether it was planned for the early morning or the evening, where nobody waits before it,
    and may still use it."""
    return all(hours_at(at) is Hours.URGENT for at in (one.due_at, max(one.due_at, now)))


_Queue = list[tuple[datetime, datetime, str, Waiting]]


def _take_due(todo: Sequence[Waiting], position: int, queue: _Queue, at: datetime) -> int:
    """Move what is due by `at` into the queue; returns how far that went."""
    while position < len(todo) and todo[position].due_at <= at:
        one = todo[position]
        heappush(queue, (one.useless_after_at, one.due_at, one.id, one))
        position += 1
    return position
