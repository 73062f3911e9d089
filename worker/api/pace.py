"""How fast one key may ask: enough for a centre's busiest day, too little for a runaway loop."""

from math import ceil

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from worker.clock import seconds_since

USUAL = "12000/minute"
"""200 a second, over any minute."""


class Pace:
    """A rate for each key, counted in this process: each of several that serve has its own."""

    def __init__(self, rate: str = USUAL) -> None:
        self._rate = parse(rate)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def seconds_to_wait(self, key_id: str) -> int:
        """Count one request; 0 where it may pass, else when to come again."""
        if self._limiter.hit(self._rate, key_id):
            return 0
        free_at = self._limiter.get_window_stats(self._rate, key_id).reset_time
        return max(1, ceil(-seconds_since(free_at)))
