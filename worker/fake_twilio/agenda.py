"""What is to happen later, by the stand-in's own clock."""

import heapq
from collections.abc import Callable
from datetime import datetime
from itertools import count

Action = Callable[[datetime], None]


class Agenda:
    """Actions by the instant they are due; those of one instant in the order they were put down."""

    def __init__(self) -> None:
        self._due: list[tuple[datetime, int, Action]] = []
        self._numbers = count()

    def put(self, at: datetime, action: Action) -> None:
        """Put an action down."""
        heapq.heappush(self._due, (at, next(self._numbers), action))

    def catch_up(self, now: datetime) -> None:
        """Do all that is due by now; each is told when it should have been, not when it is."""
        while self._due and self._due[0][0] <= now:
            at, _, action = heapq.heappop(self._due)
            action(at)

    def clear(self) -> None:
        """Drop everything."""
        self._due.clear()
