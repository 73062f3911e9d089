"""Sending what is due. The order of steps is the correctness (DESIGN §5):

1. Transaction 1, durable: claim by compare-and-set, check that it is still wanted, write the
   attempt as `submitting`.
2. Look at the lease again just before the provider is called; past it, give the claim back.
3. Exactly one wire attempt; no session is open meanwhile.
4. Transaction 2: write the outcome, if the attempt is still ours.

A batch is claimed, and recorded, in one commit. While more is due than a batch holds the next is
claimed ahead, so that the line to the provider does not run dry.
"""

import logging
import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import SimpleQueue
from threading import Event
from typing import NamedTuple

from worker.clock import monotonic, pause
from worker.crashpoints import crash_point
from worker.domain.delivery import LEASE, NotSent, Outcome, Rejected, Uncertain
from worker.domain.errors import Unavailable
from worker.domain.reminders import Hours, hours_at
from worker.services.claiming import Claimed, claim_due
from worker.services.context import Context
from worker.services.recording import Said, record
from worker.store.attempts import NewAttempt

log = logging.getLogger(__name__)

_CALL = timedelta(seconds=45)  # connect 5 s + read 35 s, and a little
_RECORD_AGAIN = (0.2, 1.0, 3.0)  # seconds; SQLite itself waits 10 for its turn
_FIRST_BATCH = 50
_QUICKEST = timedelta(milliseconds=1)
_MOST_GATHERING = 0.1  # seconds; a commit waits for the disk: answers close together share one
_FASTEST = 4000  # answers a second: gathering must not let the line run dry


def send_due(
    context: Context, *, now: datetime, keep_going: Callable[[], bool] = lambda: True
) -> Counter[str]:
    """Send everything due at `now`, in batches. Stops claiming once `keep_going` says no.

    Raises what kept an outcome from being written, once all others are.
    """
    counts: Counter[str] = Counter()
    _write_what_is_left(context, now, counts)
    with ThreadPoolExecutor(context.send_threads, "send") as pool:
        line = Line(context, pool, now, monotonic(), keep_going, counts)
        try:
            _claim_and_record(line, context)
        except Exception:  # what was handed over is written down all the same
            line.record_down_to(0)
            raise
        line.record_down_to(0)
    if line.unwritten is not None:
        raise line.unwritten
    return counts


def _write_what_is_left(context: Context, now: datetime, counts: Counter[str]) -> None:
    """Answers that an earlier pass could not write: before they are, nothing more is begun. Raises
    Unavailable."""
    left = context.senders.unwritten
    while left:
        owner, batch = left[0]
        counts.update(record(context, owner, batch, now))
        del left[0]


def _claim_and_record(line: "Line", context: Context) -> None:
    """Small batches first, so that the line is busy at once; then up to whole ones, as long as the
    provider is quick enough to take them within their lease."""
    limit = min(max(context.send_threads, _FIRST_BATCH), context.send_batch)
    while line.is_open and (due := line.claim(limit)):
        is_last = due < limit  # what comes of it may make others due
        line.record_answered()
        limit = min(2 * limit, context.send_batch, max(1, line.room // 2))
        ahead = min(context.send_threads + limit, line.room - limit)
        line.record_down_to(0 if is_last else ahead)


class Answer(NamedTuple):
    """What became of a message, and how long that took."""

    said: Said
    took: timedelta


@dataclass(slots=True)
class Line:
    """The way to the provider and back. No session is open in a thread that calls it."""

    context: Context
    pool: ThreadPoolExecutor
    began_at: datetime
    begun: float
    keep_going: Callable[[], bool]
    counts: Counter[str]
    waiting: int = 0
    unwritten: Exception | None = None
    _usual: timedelta = timedelta()
    _held: Event = field(default_factory=Event)
    _owner: str = field(default_factory=lambda: secrets.token_hex(8))
    _answered: "SimpleQueue[Answer]" = field(default_factory=SimpleQueue)

    @property
    def now(self) -> datetime:
        """When it began, and the time since."""
        return self.began_at + timedelta(seconds=monotonic() - self.begun)

    @property
    def is_open(self) -> bool:
        """Whether anything more may be begun."""
        return self.keep_going() and not self._held.is_set()

    def claim(self, limit: int) -> int:
        """Claim a batch and hand it over; how many reminders were due for it."""
        crash_point("before_claim")
        claimed, due = claim_due(self.context, self._owner, self.now, self.counts, limit)
        crash_point("after_claim")
        for one in claimed:
            self.pool.submit(self._submit, one)
            self.waiting += 1
        return due

    @property
    def room(self) -> int:
        """How many messages may wait for the threads there are, by how long answers take: the last
        of them must begin within its lease, or it was claimed in vain."""
        usual = max(self._usual, _QUICKEST)
        return self.context.send_threads * max(1, (LEASE - _CALL) // usual)

    def record_answered(self) -> None:
        """Write down what is answered by now: it must not wait for what is claimed meanwhile."""
        if not self._answered.empty():
            self._record()

    def record_down_to(self, waiting: int) -> None:
        """Write down what is answered, until no more than `waiting` messages are on their way."""
        while self.waiting > waiting:
            self._record()

    def _record(self) -> None:
        """Wait for an answer, and write it down with all that are there by then."""
        answers = [self._answered.get()]
        pause(min(_MOST_GATHERING, (self.waiting - 1) / _FASTEST))
        while not self._answered.empty():
            answers.append(self._answered.get())
        self.waiting -= len(answers)
        took = sum((one.took for one in answers), timedelta()) / len(answers)
        self._usual = (self._usual + took) / 2
        self._keep([one.said for one in answers])

    def _keep(self, batch: list[Said]) -> None:
        """Record a batch, again where the database was busy: an answer thrown away must be looked
        up, and where no look-up exists it is sent twice. Meanwhile nothing more is begun; what no
        database would take is left for the next pass."""
        for seconds in (*_RECORD_AGAIN, None):
            try:
                crash_point("before_record")
                self.counts.update(record(self.context, self._owner, batch, self.now))
                crash_point("after_record")
            except Exception as error:
                self._held.set()
                log.exception("outcomes.not_recorded", extra={"count": len(batch)})
                if seconds is not None:
                    pause(seconds)
                    continue
                self.unwritten = self.unwritten or error
                if isinstance(error, Unavailable):  # another error might come again for ever
                    self.context.senders.unwritten.append((self._owner, batch))
            else:
                return

    def _submit(self, one: Claimed) -> None:
        """A channel never raises; if it does, nobody knows what left."""
        outcome: Outcome
        began_at = self.now
        try:
            outcome = self.outcome(one)
        except Exception as error:  # noqa: BLE001 - one message must not stop the others
            outcome = Uncertain(type(error).__name__)
        self._answered.put(Answer(Said(one, outcome), self.now - began_at))

    def outcome(self, one: Claimed) -> Outcome:
        """The one wire attempt, or why it was not begun."""
        now = self.now
        if not self.is_open:
            return NotSent("the worker is stopping")
        if why := _no_longer(one, now):
            return NotSent(why)
        if rest := self.context.senders.resting(one.attempt.kind, now):
            return NotSent(f"the channel rests: {rest.code}", rest.until_at - now)
        crash_point("before_submit")
        channel = self.context.channel(one.attempt.kind)
        outcome = channel.submit(one.prepared, one.attempt.ref, now=now)
        crash_point("after_submit")
        if isinstance(outcome, Rejected) and outcome.scope != "recipient":
            self._let_rest(one.attempt, outcome.code, now)
        return outcome

    def _let_rest(self, attempt: NewAttempt, code: str, began_at: datetime) -> None:
        """The provider refuses us, and not the person (DESIGN §5.4). At once and not when it is
        recorded, so that what waits in line is spared the same answer."""
        if self.context.senders.refused(attempt.kind, code, began_at, self.now):
            log.error("channel.rests", extra={"channel": attempt.channel_name, "code": code})


def _no_longer(one: Claimed, now: datetime) -> str:
    """Why a message that waited for its turn must not leave any more, or nothing."""
    if now > one.attempt.lease_until_at - _CALL:
        return "the lease ran out before the call"
    useless_at = one.prepared.request.useless_after_at
    if useless_at is not None and useless_at <= now:
        return "too late to be of use"
    hours = hours_at(now)
    is_new = hours is not Hours.ALLOWED and hours is not hours_at(one.attempt.started_at)
    return "outside the allowed hours" if is_new else ""
