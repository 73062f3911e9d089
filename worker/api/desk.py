"""What every route works with: the configuration in force, and the instant of the request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from fastapi import Request

from worker.api.pace import Pace
from worker.clock import Clock
from worker.services.context import Context


@dataclass(frozen=True, slots=True)
class Desk:
    """The context as it is now, since a reload makes a new one, the clock, and the keys' pace."""

    current: Callable[[], Context]
    clock: Clock
    pace: Pace = field(default_factory=Pace)

    @property
    def context(self) -> Context:
        """The context in force."""
        return self.current()

    @property
    def now(self) -> datetime:
        """The instant, aware."""
        return self.clock.now()


def desk_of(request: Request) -> Desk:
    """The desk of the application that serves this request."""
    desk: Desk = request.app.state.desk
    return desk
