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
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import SimpleQueue
from typing import assert_never

from worker.clock import monotonic
from worker.crashpoints import crash_point
from worker.domain.delivery import (
    LEASE,
    Accepted,
    AttemptState,
    NotSent,
    Outcome,
    Prepared,
    Rejected,
    ReminderState,
    SendRequest,
    Uncertain,
    Unsendable,
    next_find_at,
    next_poll_at,
)
from worker.domain.errors import QidaError
from worker.domain.limits import Sent, wait_for_room
from worker.domain.reminders import later, within_allowed_hours, within_urgent_hours
from worker.services.context import Context
from worker.services.ladder import climb, climb_with_carried, open_call_task
from worker.services.messages import compose, note_told
from worker.store.attempts import (
    Seen,
    add_event,
    insert_attempts,
    opted_out,
    record_outcome,
    sent_since,
)
from worker.store.database import Session, new_id
from worker.store.reminders import Due, claim, pick_due, reminders_by_id, set_state
from worker.store.tables import AttemptRow

log = logging.getLogger(__name__)

_CALL = timedelta(seconds=45)  # connect 5 s + read 35 s, and a little
_BACK_OFF = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 15, 30, 60))
_DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that is ours to submit: one attempt, already durable."""

    attempt: AttemptRow
    prepared: Prepared
    act_by: datetime | None


def send_due(
    context: Context, *, now: datetime, keep_going: Callable[[], bool] = lambda: True
) -> Counter[str]:
    """Send everything due at `now`, in batches. Stops claiming once `keep_going` says no."""
    counts: Counter[str] = Counter()
    started = monotonic()
    owner = secrets.token_hex(8)
    with ThreadPoolExecutor(context.send_threads, "send") as pool:
        while keep_going():
            at = now + timedelta(seconds=monotonic() - started)
            crash_point("before_claim")
            claimed, seen = _claim(context, owner, at, counts)
            crash_point("after_claim")
            if not seen:
                break
            _submit(context, pool, owner, claimed, at, counts)
    return counts


def _claim(
    context: Context, owner: str, now: datetime, counts: Counter[str]
) -> tuple[list[Claimed], bool]:
    """Transaction 1. Also says whether anything was due at all; at night nothing is."""
    if not within_urgent_hours(now):
        return [], False
    with context.db.transaction() as session:
        urgent_only = not within_allowed_hours(now)
        picked = pick_due(session, now, context.send_batch, urgent_only=urgent_only)
        crash_point("in_claim")
        desk = _Desk(session, context, owner, now, counts)
        return desk.claim(picked), bool(picked)


@dataclass(slots=True)
class _Desk:
    """One claiming transaction: sorts what was picked into messages, or out of the way."""

    session: Session
    context: Context
    owner: str
    now: datetime
    counts: Counter[str]

    def claim(self, picked: Sequence[Due]) -> list[Claimed]:
        wanted = [due for due in picked if self._is_wanted(due)]
        groups = [_led(group) for group in _by_recipient(wanted)]
        ready = [(group, request) for group in groups
                 if (request := self._composed(group)) is not None]  # fmt: skip
        allowed = self._within_limits(ready)
        return self._taken([(group, request, one) for group, request in allowed
                            if (one := self._prepared(group, request)) is not None])  # fmt: skip

    def _is_wanted(self, due: Due) -> bool:
        """Still open, still useful? Otherwise name what became of it."""
        reminder, deadline = due.reminder, due.deadline
        expected = ("open", "lapsed") if reminder.step == "lapsed" else ("open",)
        if due.case.state != "open" or deadline.state not in expected:
            self._end(due, ReminderState.CANCELLED, f"deadline_{deadline.state}")
            return False
        if reminder.useless_after_at <= self.now:
            self._end(due, ReminderState.EXPIRED, "too_late")
            if deadline.kind == "lapse" and reminder.step != "lapsed":
                open_call_task(self.session, deadline, reason="too_late_to_write", now=self.now,
                               reminder=reminder)  # fmt: skip
            return False
        return True

    def _end(self, due: Due, state: ReminderState, reason: str) -> None:
        due.reminder.state = state
        due.reminder.reason = reason
        due.reminder.updated_at = self.now
        self.counts[str(state)] += 1

    def _composed(self, group: Sequence[Due]) -> SendRequest | None:
        """The message; one that cannot be written goes to a person and stops nobody else's."""
        try:
            self.context.channel(group[0].reminder.channel)  # refuses one that is not configured
            request = compose(self.context, group, now=self.now)
        except QidaError as error:
            log.exception("reminder.not_composed", extra={"reminder_id": group[0].reminder.id})
            reason = f"not_composed: {error.text.en[:80]}"
        else:
            if request.to:
                return request
            reason = "no_address"
        for due in group:
            self._end(due, ReminderState.NEEDS_PERSON, reason)
        open_call_task(self.session, group[0].deadline, reason=reason, now=self.now,
                       reminder=group[0].reminder)  # fmt: skip
        return None

    def _within_limits(
        self, ready: Sequence[tuple[list[Due], SendRequest]]
    ) -> list[tuple[list[Due], SendRequest]]:
        """Leave out who refused messages, and let wait what an address has had too many of."""
        keys = self.context.keys  # address keys without a centre: caps and refusals hold for all
        addresses = {keys.index(request.to, centre_id="") for _, request in ready}
        refused = opted_out(self.session, addresses)
        history = sent_since(self.session, addresses, self.now - _DAY)
        allowed = []
        for group, request in ready:
            address = keys.index(request.to, centre_id="")
            leader = group[0]
            if {(address, None), (address, leader.case.centre_id)} & refused:
                self._climb(group, "opted_out")
                continue
            sent = history.setdefault(address, [])
            mine = Sent(keys.digest(request.text), self.now)
            is_lapse = leader.deadline.kind == "lapse"
            is_sms = leader.reminder.channel == "sms"
            until = wait_for_room(sent, mine, is_lapse=is_lapse) if is_sms else None
            if until is None:
                sent.append(mine)
                allowed.append((group, request))
            else:
                self._wait(group, later(until))
        return allowed

    def _climb(self, group: Sequence[Due], why: str) -> None:
        for due in group:
            self._end(due, ReminderState.UNDELIVERED, why)
            climb(self.session, due.case, due.deadline, due.reminder, why=why, now=self.now)

    def _wait(self, group: Sequence[Due], until: datetime) -> None:
        """A capped message waits; past its use it becomes a call (RULES.md, "When to remind")."""
        for due in group:
            if until < due.reminder.useless_after_at:
                due.reminder.due_at = until
                due.reminder.reason = "capped: too many messages to this address in 24 hours"
                self.counts["capped"] += 1
            else:
                self._end(due, ReminderState.NEEDS_PERSON, "capped past its use")
                open_call_task(self.session, due.deadline, reason="capped", now=self.now,
                               reminder=due.reminder)  # fmt: skip

    def _prepared(self, group: Sequence[Due], request: SendRequest) -> Prepared | None:
        channel = self.context.channel(group[0].reminder.channel)
        try:
            return channel.prepare(request)
        except Unsendable as refusal:
            self._climb(group, f"unsendable:{refusal.code}")
            return None

    def _taken(
        self, messages: Sequence[tuple[Sequence[Due], SendRequest, Prepared]]
    ) -> list[Claimed]:
        """Claim by compare-and-set and write the attempts."""
        self.session.flush()
        claims = {
            due.reminder.id: None if due is group[0] else group[0].reminder.id
            for group, _, _ in messages
            for due in group
        }
        lease = self.now + LEASE
        won = claim(self.session, claims, owner=self.owner, lease_until=lease, now=self.now)
        claimed = [
            Claimed(self._attempt(group[0], prepared, lease), prepared, group[0].deadline.act_by_at)
            for group, _, prepared in messages
            if group[0].reminder.id in won
        ]
        insert_attempts(self.session, [one.attempt.model_dump() for one in claimed])
        return claimed

    def _attempt(self, leader: Due, prepared: Prepared, lease: datetime) -> AttemptRow:
        reminder, request, keys = leader.reminder, prepared.request, self.context.keys
        attempt_id, centre = new_id(self.now), reminder.centre_id

        def seal(value: str, column: str) -> bytes:
            return keys.seal(
                value, table="attempt", column=column, row_id=attempt_id, centre_id=centre
            )

        channel = self.context.channel(reminder.channel)
        return AttemptRow(
            id=attempt_id,
            centre_id=centre,
            case_id=reminder.case_id,
            reminder_id=reminder.id,
            number=reminder.attempts + 1,
            ref=secrets.token_hex(16),
            channel_name=channel.name,
            kind=channel.kind,
            state=AttemptState.SUBMITTING,
            owner=self.owner,
            lease_until_at=lease,
            address_sealed=seal(request.to, "address_sealed"),
            address_index=keys.index(request.to, centre_id=""),
            body_sealed=seal(request.text, "body_sealed"),
            body_hash=keys.digest(request.text),
            template=request.template,
            parts=prepared.parts,
            provider_id=None,
            provider_status="",
            code="",
            started_at=self.now,
            finished_at=None,
            misses=0,
            polls=0,
            next_check_at=None,
            simulated=self.context.simulated,
        )


def _by_recipient(picked: Iterable[Due]) -> list[list[Due]]:
    """One group for each case, recipient and channel, in the order picked."""
    groups: dict[tuple[str, str, str], list[Due]] = {}
    for due in picked:
        key = (due.case.id, due.reminder.recipient, due.reminder.channel)
        groups.setdefault(key, []).append(due)
    return list(groups.values())


def _led(group: Sequence[Due]) -> list[Due]:
    """The group with its leader first: the dated rule, the nearest end, the latest step of it.

    Of several steps of one deadline only the first here has anything to say, so the news that a
    date moved comes before its other steps; those ride along.
    """
    nearest: dict[str, datetime] = {}
    for due in group:
        useless_at = due.reminder.useless_after_at
        nearest[due.deadline.id] = min(nearest.get(due.deadline.id, useless_at), useless_at)
    return sorted(
        group,
        key=lambda due: (
            due.reminder.priority,
            nearest[due.deadline.id],
            due.deadline.id,
            due.reminder.step != "moved",
            -due.reminder.due_at.timestamp(),
        ),
    )


def _submit(
    context: Context,
    pool: ThreadPoolExecutor,
    owner: str,
    claimed: Sequence[Claimed],
    now: datetime,
    counts: Counter[str],
) -> None:
    """Call the provider for each message at once, and write outcomes as they come in, grouped."""
    answered: SimpleQueue[tuple[Claimed, Outcome]] = SimpleQueue()
    begun = monotonic()
    for one in claimed:
        pool.submit(_attempt, context, one, now, begun, answered)
    left = len(claimed)
    while left:
        batch = [answered.get()]
        while not answered.empty():
            batch.append(answered.get())
        left -= len(batch)
        crash_point("before_record")
        _record(context, owner, batch, now + timedelta(seconds=monotonic() - begun), counts)
        crash_point("after_record")


def _attempt(
    context: Context,
    one: Claimed,
    now: datetime,
    begun: float,
    answered: "SimpleQueue[tuple[Claimed, Outcome]]",
) -> None:
    """The one wire attempt. A channel never raises; if it does, nobody knows what left."""
    outcome: Outcome
    try:
        elapsed = timedelta(seconds=monotonic() - begun)
        if elapsed > LEASE - _CALL:
            outcome = NotSent("the lease ran out before the call")
        else:
            crash_point("before_submit")
            channel = context.channel(one.attempt.kind)
            outcome = channel.submit(one.prepared, one.attempt.ref, now=now + elapsed)
            crash_point("after_submit")
    except Exception as error:  # noqa: BLE001 - one message must not stop the others
        outcome = Uncertain(type(error).__name__)
    answered.put((one, outcome))


def _record(
    context: Context,
    owner: str,
    batch: Sequence[tuple[Claimed, Outcome]],
    now: datetime,
    counts: Counter[str],
) -> None:
    """Transaction 2: what the provider said, for each attempt that is still ours."""
    with context.db.transaction() as session:
        for one, outcome in batch:
            attempt = one.attempt
            state, values = _verdict(one, outcome, now)
            add_event(session, attempt, "submit", _seen(outcome), now=now)
            if record_outcome(session, attempt.id, owner, {**values, "state": state}):
                _follow(session, attempt, outcome, now)
                counts[str(state)] += 1
        crash_point("in_record")
    for one, outcome in batch:
        log.info(
            "attempt.submitted",
            extra={
                "attempt_id": one.attempt.id,
                "reminder_id": one.attempt.reminder_id,
                "channel": one.attempt.channel_name,
                "state": type(outcome).__name__.lower(),
            },
        )


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
            find_at = next_find_at(started_at, 0, one.act_by)
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
            note_told(session, due.reminder)
        case Uncertain():
            set_state(session, [due.reminder.id], ReminderState.UNCERTAIN, now=now)
            note_told(session, due.reminder)
        case NotSent(_, retry_after):
            pause = retry_after or _BACK_OFF[min(attempt.number, len(_BACK_OFF)) - 1]
            at = later(now + pause)
            set_state(session, [due.reminder.id], ReminderState.PLANNED, now=now, due_at=at)
        case Rejected(code):
            set_state(session, [due.reminder.id], ReminderState.UNDELIVERED, now=now)
            session.refresh(due.reminder)
            climb_with_carried(session, due, why=f"rejected:{code}", now=now)
