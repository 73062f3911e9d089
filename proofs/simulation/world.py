"""Virtual time: a clock that jumps to the next event, and workers that may die or be paused.

Everything runs in one thread. Who waits (for an answer, or because it is paused) lets everything
else happen meanwhile, on top of its own stack; so of two that wait the later one goes on first.
"""

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Protocol

from worker.clock import FixedClock

Act = Callable[[], None]

_DEEPEST = 12
"""How many may wait on top of one another: beyond, time passes without events."""


class Died(BaseException):
    """A worker's process ends here: no `except Exception` of the product may outlive it."""


class Process(Protocol):
    """What can die."""

    is_dead: bool


@dataclass(slots=True)
class World:
    """One seed's time and chance. `is_calm` from the day on which nothing goes wrong any more."""

    clock: FixedClock
    rng: Random
    is_calm: bool = False
    running: list[Process] = field(default_factory=list)
    events: int = 0
    _agenda: list[tuple[datetime, int, Act]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)
    _depth: int = 0

    @property
    def now(self) -> datetime:
        """The present instant, in UTC."""
        return self.clock.now()

    def at(self, when: datetime, act: Act) -> None:
        """Put something down for an instant; what lies in the past happens next."""
        heapq.heappush(self._agenda, (when, next(self._numbers), act))

    def after(self, seconds: float, act: Act) -> None:
        """Put something down for later."""
        self.at(self.now + timedelta(seconds=seconds), act)

    def chance(self, probability: float) -> bool:
        """Whether something goes wrong this time."""
        return not self.is_calm and self.rng.random() < probability

    def run_until(self, end: datetime) -> None:
        """Let everything happen that is due by `end`."""
        while self._agenda and self._agenda[0][0] <= end:
            when, _, act = heapq.heappop(self._agenda)
            self._jump_to(when)
            self.events += 1
            act()
        self._jump_to(end)

    def wait(self, seconds: float) -> None:
        """Whoever runs waits; the others go on. Raises Died if it did not live to see the end."""
        end = self.now + timedelta(seconds=seconds)
        waiting, self.running = self.running, []
        self._depth += 1
        try:
            if self._depth <= _DEEPEST:
                self.run_until(end)
        finally:
            self._depth -= 1
            self.running = waiting
        self._jump_to(end)
        self.die_if_dead()

    @contextmanager
    def life_of(self, process: Process) -> Iterator[None]:
        """What is done inside is done by `process`."""
        self.running.append(process)
        try:
            yield
        finally:
            self.running.remove(process)

    @property
    def process(self) -> Process | None:
        """Who runs now."""
        return self.running[-1] if self.running else None

    def die_if_dead(self) -> None:
        """End whoever was killed while it waited. Raises Died."""
        if self.process is not None and self.process.is_dead:
            raise Died

    def _jump_to(self, when: datetime) -> None:
        if when > self.now:
            self.clock.advance(when - self.now)
