"""What every route works with: the configuration in force, and the instant of the request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from fastapi import Request

from worker.api.pace import Pace
from worker.clock import Clock
from worker.services.api_keys import TEST_KEY
from worker.services.context import Context

Rehearse = Callable[[Context], Context | None]
"""From what is live to what is rehearsed beside it, if there is anything."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The context as it is now, since a reload makes a new one, the clock, the keys' pace, and
    what test keys see instead where messages are sent for real."""

    current: Callable[[], Context]
    clock: Clock
    pace: Pace = field(default_factory=Pace)
    rehearse: Rehearse = lambda _: None

    @property
    def context(self) -> Context:
        """The context in force."""
        return self.current()

    def context_of(self, key: str) -> Context:
        """The context that a key asks about, by its kind."""
        is_test = key.startswith(TEST_KEY)
        return (self.rehearse(self.context) if is_test else None) or self.context

    @property
    def now(self) -> datetime:
        """The instant, aware."""
        return self.clock.now()


def desk_of(request: Request) -> Desk:
    """The desk of the application that serves this request."""
    desk: Desk = request.app.state.desk
    return desk
