"""Sending what is due. The order of steps is the correctness (DESIGN §5):

1. Transaction 1, durable: claim by compare-and-set, check that it is still wanted, write the
   attempt as `submitting`.
2. Look at the lease again just before the provider is called; past it, give the claim back.
3. Exactly one wire attempt; no session is open meanwhile.
4. Transaction 2: write the outcome, if the attempt is still ours.
"""

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import SimpleQueue
from threading import Event
from typing import assert_never

from worker.clock import monotonic, pause
from worker.crashpoints import crash_point
from worker.domain.delivery import (
    LEASE,
    Accepted,
    AttemptState,
    NotSent,
    Outcome,
    Rejected,
    ReminderState,
    Uncertain,
    next_find_at,
    next_poll_at,
)
from worker.domain.pace import RESTS, Rest
from worker.domain.reminders import ENOUGH, Hours, hours_at, later
from worker.services.claiming import Claimed, claim_due
from worker.services.context import Context
from worker.services.ladder import climb_with_carried
from worker.store.attempts import (
    Seen,
    add_event,
    bound_elsewhere,
    move_attempt,
    record_outcome,
)
from worker.store.database import Session
from worker.store.receipts import add_opt_out
from worker.store.reminders import Due, reminders_by_id, set_state
from worker.store.tables import AttemptRow, ReminderRow

log = logging.getLogger(__name__)

_RECORD_AGAIN = (0.2, 1.0, 3.0)  # seconds; SQLite itself waits 10 for its turn
_CALL = timedelta(seconds=45)  # connect 5 s + read 35 s, and a little
_BACK_OFF = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 15, 30, 60))


def send_due(
    context: Context, *, now: datetime, keep_going: Callable[[], bool] = lambda: True
) -> Counter[str]:
    """Send everything due at `now`, in batches. Stops claiming once `keep_going` says no."""
    counts: Counter[str] = Counter()
    started = monotonic()
    owner = secrets.token_hex(8)
    with ThreadPoolExecutor(context.send_threads, "send") as pool:
        while keep_going():
            begun = monotonic()  # before the claim: its lease runs from here
            at = now + timedelta(seconds=begun - started)
            crash_point("before_claim")
            claimed, seen = claim_due(context, owner, at, counts)
            crash_point("after_claim")
            if not seen:
                break
            line = Line(context, at, begun, keep_going)
            unwritten = [error for batch in line.submitted(pool, claimed)
                         if (error := _kept(line, owner, batch, counts)) is not None]  # fmt: skip
            if unwritten:
                raise unwritten[0]
    return counts


def _kept(
    line: "Line", owner: str, batch: Sequence[tuple[Claimed, Outcome]], counts: Counter[str]
) -> Exception | None:
    """Record a batch, again where the database was busy: an answer thrown away must be looked up,
    and where no look-up exists it is sent twice. Meanwhile nothing more is begun."""
    for seconds in (*_RECORD_AGAIN, 0.0):
        try:
            crash_point("before_record")
            _record(line.context, owner, batch, line.now + _since(line.begun), counts)
            crash_point("after_record")
        except Exception as error:
            line.held.set()
            log.exception("outcomes.not_recorded", extra={"count": len(batch)})
            if not seconds:
                return error
            pause(seconds)
        else:
            return None
    return None


def _since(begun: float) -> timedelta:
    return timedelta(seconds=monotonic() - begun)


@dataclass(frozen=True, slots=True)
class Line:
    """The way of one batch to the provider; no session is open while anything is on it."""

    context: Context
    now: datetime
    begun: float
    keep_going: Callable[[], bool]
    answered: "SimpleQueue[tuple[Claimed, Outcome]]" = field(default_factory=SimpleQueue)
    held: Event = field(default_factory=Event)

    def submitted(
        self, pool: ThreadPoolExecutor, claimed: Sequence[Claimed]
    ) -> Iterator[list[tuple[Claimed, Outcome]]]:
        """Call the provider for each message at once; yield the outcomes at hand as they come."""
        for one in claimed:
            pool.submit(self._submit, one)
        left = len(claimed)
        while left:
            batch = [self.answered.get()]
            while not self.answered.empty():
                batch.append(self.answered.get())
            left -= len(batch)
            yield batch

    def _submit(self, one: Claimed) -> None:
        """A channel never raises; if it does, nobody knows what left."""
        outcome: Outcome
        try:
            outcome = self.outcome(one)
        except Exception as error:  # noqa: BLE001 - one message must not stop the others
            outcome = Uncertain(type(error).__name__)
        self.answered.put((one, outcome))

    def outcome(self, one: Claimed) -> Outcome:
        """The one wire attempt, or why it was not begun."""
        elapsed = _since(self.begun)
        if elapsed > LEASE - _CALL:
            return NotSent("the lease ran out before the call")
        if self.held.is_set() or not self.keep_going():
            return NotSent("the worker is stopping")
        if why := self._no_longer(one, self.now + elapsed):
            return NotSent(why)
        if rest := self.context.senders.resting(one.attempt.kind, self.now + elapsed):
            return NotSent(f"the channel rests: {rest.code}", rest.until_at - self.now - elapsed)
        crash_point("before_submit")
        channel = self.context.channel(one.attempt.kind)
        outcome = channel.submit(one.prepared, one.attempt.ref, now=self.now + elapsed)
        crash_point("after_submit")
        return outcome

    def _no_longer(self, one: Claimed, at: datetime) -> str:
        """Why a message that waited for its turn must not leave any more, or nothing."""
        useless_at = one.prepared.request.useless_after_at
        if useless_at is not None and useless_at <= at:
            return "too late to be of use"
        hours = hours_at(at)
        is_new = hours is not Hours.ALLOWED and hours is not hours_at(self.now)
        return "outside the allowed hours" if is_new else ""


def _record(
    context: Context,
    owner: str,
    batch: Sequence[tuple[Claimed, Outcome]],
    now: datetime,
    counts: Counter[str],
) -> None:
    """Transaction 2: what the provider said, for each attempt that is still ours."""
    with context.db.transaction() as session:
        bound = _bound(session, batch)
        for one, answered in sorted(batch, key=lambda each: each[0].attempt.reminder_id):
            outcome = _believed(answered, bound)
            try:
                with session.begin_nested():
                    counts[_write(session, owner, one, outcome, now)] += 1
                _note_refusal(context, one, outcome, now)
            except Exception:  # this one is left to the rescue, the others are not
                log.exception("reminder.not_recorded", extra={"attempt_id": one.attempt.id})
        crash_point("in_record")
    for one, outcome in batch:
        log.info(
            "reminder.submitted",
            extra={
                "attempt_id": one.attempt.id,
                "reminder_id": one.attempt.reminder_id,
                "channel": one.attempt.channel_name,
                "state": type(outcome).__name__.lower(),
            },
        )


def _note_refusal(context: Context, one: Claimed, outcome: Outcome, now: datetime) -> None:
    """Let a channel rest whose provider refuses us, and not the person (DESIGN §5.4)."""
    if not isinstance(outcome, Rejected) or outcome.scope == "recipient":
        return
    kind, senders = one.attempt.kind, context.senders
    if senders.resting(kind, now) is None:
        senders.rests[kind] = Rest.after(senders.rests.get(kind), outcome.code, now)
        extra = {"channel": one.attempt.channel_name, "code": outcome.code}
        log.error("channel.rests", extra=extra)


def _write(session: Session, owner: str, one: Claimed, outcome: Outcome, now: datetime) -> str:
    """One outcome, if the attempt is still ours; an id that came too late for that is kept too."""
    attempt = one.attempt
    state, values = _verdict(one, outcome, now)
    add_event(session, attempt, "submit", _seen(outcome), now=now)
    if record_outcome(session, attempt.id, owner, {**values, "state": state}):
        _follow(session, attempt, outcome, now)
        return str(state)
    accepted = {**values, "state": state}
    if isinstance(outcome, Accepted) and move_attempt(
        session, attempt.id, AttemptState.UNCERTAIN, accepted
    ):
        set_state(session, [attempt.reminder_id], ReminderState.ACCEPTED, now=now)
        return str(state)
    return "overtaken"


def _bound(session: Session, batch: Sequence[tuple[Claimed, Outcome]]) -> set[str]:
    bound: set[str] = set()
    for name in {one.attempt.channel_name for one, _ in batch}:
        ours = {outcome.provider_id: one.attempt.id for one, outcome in batch
                if isinstance(outcome, Accepted) and one.attempt.channel_name == name}  # fmt: skip
        bound |= bound_elsewhere(session, name, ours)
    return bound


def _believed(outcome: Outcome, bound: set[str]) -> Outcome:
    """An answer with the id of another message says nothing of this one: it is looked up."""
    if not isinstance(outcome, Accepted):
        return outcome
    if outcome.provider_id in bound:
        log.error("attempt.id_of_another", extra={"code": outcome.provider_id})
        return Uncertain("the provider's id belongs to another message")
    bound.add(outcome.provider_id)
    return outcome


def _verdict(
    one: Claimed, outcome: Outcome, now: datetime
) -> tuple[AttemptState, dict[str, object]]:
    """An outcome as the attempt's next state and columns."""
    values: dict[str, object] = {"finished_at": now}
    started_at = one.attempt.started_at
    match outcome:
        case Accepted(provider_id, status):
            poll_at = next_poll_at(started_at, one.act_by, now)
            values |= {"provider_id": provider_id, "provider_status": status,
                       "next_check_at": poll_at}  # fmt: skip
            return AttemptState.ACCEPTED, values
        case NotSent(reason):
            return AttemptState.NOT_SENT, values | {"code": reason[:100]}
        case Rejected(code):
            return AttemptState.REJECTED, values | {"code": code[:100]}
        case Uncertain():
            find_at = next_find_at(started_at, 0, one.act_by, one.finds_after)
            return AttemptState.UNCERTAIN, {"next_check_at": find_at}
        case _:  # pragma: no cover
            assert_never(outcome)


def _seen(outcome: Outcome) -> Seen:
    match outcome:
        case Accepted(provider_id, status):
            return Seen(status, provider_id)
        case NotSent(reason):
            return Seen("not_sent", code=reason[:100])
        case Rejected(code):
            return Seen("rejected", code=code[:100])
        case Uncertain(why):
            return Seen("uncertain", code=why[:100])
        case _:  # pragma: no cover
            assert_never(outcome)


def _follow(session: Session, attempt: AttemptRow, outcome: Outcome, now: datetime) -> None:
    """What an outcome means for the reminder."""
    due = reminders_by_id(session, [attempt.reminder_id])[attempt.reminder_id]
    match outcome:
        case Accepted():
            set_state(session, [due.reminder.id], ReminderState.ACCEPTED, now=now)
        case Uncertain():
            set_state(session, [due.reminder.id], ReminderState.UNCERTAIN, now=now)
        case NotSent(_, retry_after):
            usual = _BACK_OFF[min(attempt.number, len(_BACK_OFF)) - 1]
            wait = max(usual, retry_after or usual)  # a provider's clock may lag behind ours
            at = _again_at(due.reminder, now + wait)
            set_state(session, [due.reminder.id], ReminderState.PLANNED, now=now, due_at=at)
        case Rejected(code, scope) if scope != "recipient":
            at = _again_at(due.reminder, now + RESTS[min(attempt.number, len(RESTS)) - 1])
            if at + ENOUGH < due.reminder.useless_after_at:
                set_state(session, [due.reminder.id], ReminderState.PLANNED, now=now, due_at=at,
                          reason=f"refused:{code}")  # fmt: skip
            else:
                _give_up(session, due, f"refused:{code}", now)
        case Rejected(code, _, opted_out):
            if opted_out:
                add_opt_out(session, attempt.address_index, None, attempt.channel_name, now)
            _give_up(session, due, f"rejected:{code}", now)


def _give_up(session: Session, due: Due, why: str, now: datetime) -> None:
    """This means will not reach the person in time: take the next one."""
    set_state(session, [due.reminder.id], ReminderState.UNDELIVERED, now=now)
    session.refresh(due.reminder)
    climb_with_carried(session, due, why=why, now=now)


def _again_at(reminder: ReminderRow, at: datetime) -> datetime:
    """When to try again: what was planned for outside the allowed hours may use them still."""
    if reminder.reason.startswith("outside_hours") and hours_at(at) is not Hours.NIGHT:
        return at
    return later(at)
