"""How fast one key may ask: enough for a centre's busiest day, too little for a runaway loop."""

from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from threading import Lock

PER_SECOND = 200.0
BURST = 12_000.0
"""What a key may save up: a minute's worth."""


@dataclass(slots=True)
class Pace:
    """A token bucket a key, in this process. The clock is ours, so that tests need not wait."""

    per_second: float = PER_SECOND
    burst: float = BURST
    _left: dict[str, tuple[float, datetime]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def seconds_to_wait(self, key_id: str, now: datetime) -> int:
        """Draw one request; 0 where it may pass, else when to come again."""
        with self._lock:
            left, at = self._left.get(key_id, (self.burst, now))
            gained = max((now - at).total_seconds(), 0.0) * self.per_second
            left = min(left + gained, self.burst)
            self._left[key_id] = (left - 1 if left >= 1 else left, now)
        return 0 if left >= 1 else ceil((1 - left) / self.per_second)
