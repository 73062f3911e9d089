"""Claiming: the transaction that decides what is sent, and writes it down before it leaves.

Reminders due become messages, one for a case and recipient; what is no longer wanted, too late,
refused or capped is named and put out of the way. What is left is claimed by compare-and-set, and
its attempt is on disk as `submitting` when this returns (DESIGN §5, step 1).
"""

import logging
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.crashpoints import crash_point
from worker.domain.delivery import (
    FINDS_AFTER,
    LEASE,
    Prepared,
    ReminderState,
    SendRequest,
    Unsendable,
)
from worker.domain.errors import QidaError
from worker.domain.pace import Bucket, Rest
from worker.domain.reminders import ENOUGH, Hours, hours_at, later
from worker.services.capping import Caps
from worker.services.context import Context
from worker.services.ladder import CAPPED, OVERTAKEN, RESTING, WAITING, climb, open_call_task
from worker.services.messages import compose, deadline_of
from worker.services.team import NOT_LISTED, team_of
from worker.store.attempts import NewAttempt, attempts_of, insert_attempts, opted_out
from worker.store.cases import reminders_of_deadline
from worker.store.database import Session, new_id
from worker.store.reminders import Due, claim, hold_the_claim, pick_due
from worker.store.senders import bucket_of, keep_bucket

log = logging.getLogger(__name__)

_SAID = (
    ReminderState.SUBMITTING,
    ReminderState.UNCERTAIN,
    ReminderState.ACCEPTED,
    ReminderState.SENT,
    ReminderState.DELIVERED,
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that is ours to submit: one attempt, already durable."""

    attempt: NewAttempt
    prepared: Prepared
    act_by: datetime | None
    finds_after: tuple[timedelta, ...] = FINDS_AFTER


def claim_due(
    context: Context, owner: str, now: datetime, counts: Counter[str]
) -> tuple[list[Claimed], int]:
    """Transaction 1. Also says how many reminders were due for it; at night none is.

    `counts` takes up what was ended instead: expired, capped, for a person.
    """
    hours = hours_at(now)
    if hours is Hours.NIGHT:
        return [], 0
    with context.db.transaction() as session:
        hold_the_claim(session)
        pace = Pace.of(session, context, now)
        kinds = ("email",) if pace.bucket.is_empty else ("sms", "email")
        picked = pick_due(session, now, context.send_batch, hours, kinds)
        crash_point("in_claim")
        if not picked:
            return [], 0
        desk = Desk(session, context, owner, now, counts, pace, Caps(context, session, now))
        return desk.claim(picked), len(picked)


@dataclass(slots=True)
class Pace:
    """What the SMS sender has room for, as every worker sees it."""

    sender: str
    bucket: Bucket

    @classmethod
    def of(cls, session: Session, context: Context, now: datetime) -> "Pace":
        """As it is at `now`."""
        sms = context.channels.get("sms")
        name, rate = sms.name if sms else "", context.senders.parts_per_second
        return cls(name, bucket_of(session, name, rate, now))


@dataclass(slots=True)
class Desk:
    """One claiming transaction: sorts what was picked into messages, or out of the way."""

    session: Session
    context: Context
    owner: str
    now: datetime
    counts: Counter[str]
    pace: Pace
    caps: Caps

    def claim(self, picked: Sequence[Due]) -> list[Claimed]:
        wanted = [due for due in picked if self._is_wanted(due)]
        groups = [_led(group) for group in self._by_recipient(wanted)]
        ready = [message for group in groups for message in self._composed(group)]
        prepared = [(group, one) for group, request in self._permitted(ready)
                    if (one := self._prepared(group, request)) is not None]  # fmt: skip
        return self._taken(self._paced(self._within_caps(prepared)))

    def _by_recipient(self, picked: Iterable[Due]) -> list[list[Due]]:
        """One group for each case, recipient and channel; alone where the text is registered
        word for word, since nothing can be added to it."""
        groups: dict[tuple[str, str, str, str], list[Due]] = {}
        for due in picked:
            reminder = due.reminder
            alone = reminder.id if self._is_registered(reminder.channel) else ""
            key = (due.case.id, reminder.recipient, reminder.channel, alone)
            groups.setdefault(key, []).append(due)
        return list(groups.values())

    def _is_registered(self, kind: str) -> bool:
        channels = self.context.channels.values()
        return any(one.caps.needs_registered_text for one in channels if one.kind == kind)

    def _is_wanted(self, due: Due) -> bool:
        """Still open, still useful? Otherwise name what became of it."""
        reminder, deadline = due.reminder, due.deadline
        expected = ("open", "lapsed") if reminder.step == "lapsed" else ("open",)
        if due.case.state != "open" or deadline.state not in expected:
            self._end(due, ReminderState.CANCELLED, f"deadline_{deadline.state}")
            return False
        if reminder.useless_after_at <= self.now:
            self._end(due, ReminderState.EXPIRED, "too_late")
            if deadline.kind == "lapse" and reminder.step != "lapsed" and not self._reached(due):
                open_call_task(self.session, deadline, reason="too_late_to_write", now=self.now,
                               reminder=reminder)  # fmt: skip
            return False
        if reminder.plan_version < deadline.plan_version and reminder.step != "lapsed":
            self._end(due, ReminderState.CANCELLED, "date_moved")
            return False
        if reminder.attempts and self._is_overtaken(due):
            self._end(due, ReminderState.CANCELLED, OVERTAKEN)
            return False
        return True

    def _is_overtaken(self, due: Due) -> bool:
        """Whether a later step of the same plan left while this one waited to be tried again: it
        told the same date, so this one would say it twice."""
        reminder = due.reminder
        tried = attempts_of(self.session, [reminder.id])
        return bool(tried) and any(
            row.state in _SAID
            and (row.recipient, row.channel) == (reminder.recipient, reminder.channel)
            and row.plan_version == reminder.plan_version
            and row.due_at > tried[0].started_at
            for row in reminders_of_deadline(self.session, due.deadline.id)
            if row is not reminder
        )

    def _reached(self, due: Due) -> bool:
        """Whether a message of the plan in force was delivered: the person knows."""
        return any(
            row.state == ReminderState.DELIVERED and row.plan_version == due.reminder.plan_version
            for row in reminders_of_deadline(self.session, due.deadline.id)
        )

    def _end(self, due: Due, state: ReminderState, reason: str) -> None:
        due.reminder.state = state
        due.reminder.reason = reason
        due.reminder.updated_at = self.now
        self.counts[str(state)] += 1

    def _composed(self, group: list[Due]) -> list[tuple[list[Due], SendRequest]]:
        """The message of a group. Where it cannot be written each reminder is tried alone, so
        that one fault takes nobody else's message with it; what is left goes to a person."""
        kind = group[0].reminder.channel
        if not any(channel.kind == kind for channel in self.context.channels.values()):
            self._climb(group, f"no_{kind}_channel")
            return []
        if rest := self.context.senders.resting(kind, self.now):
            self._rest(group, rest)
            return []
        try:
            request = compose(self.context, group, now=self.now)
        except Exception as error:
            if len(group) > 1:
                return [message for due in group for message in self._composed([due])]
            log.exception("reminder.not_composed", extra={"reminder_id": group[0].reminder.id})
            said = error.text.en[:80] if isinstance(error, QidaError) else type(error).__name__
            self._for_a_person(group, f"not_composed: {said}")
            return []
        if not request.to:
            self._for_a_person(group, "no_address")
            return []
        return [(group, request)]

    def _rest(self, group: Sequence[Due], rest: Rest) -> None:
        """The channel rests: wait with it, or take the next means where that would be too late."""
        until = later(rest.until_at)
        for due in group:
            if until + ENOUGH < due.reminder.useless_after_at:
                due.reminder.due_at = until
                due.reminder.reason = f"{RESTING}:{rest.code}"
                self.counts[RESTING] += 1
            else:
                self._climb([due], f"{RESTING}:{rest.code}")

    def _for_a_person(self, group: Sequence[Due], reason: str) -> None:
        for due in group:
            self._end(due, ReminderState.NEEDS_PERSON, reason)
            open_call_task(self.session, due.deadline, reason=reason, now=self.now,
                           reminder=due.reminder)  # fmt: skip

    def _permitted(
        self, ready: Sequence[tuple[list[Due], SendRequest]]
    ) -> list[tuple[list[Due], SendRequest]]:
        """Leave out who refused messages, and whom a trial may not be sent to."""
        keys = self.context.keys  # address keys without a centre: a refusal may hold for all
        addresses = [keys.index(request.to, centre_id="") for _, request in ready]
        refused = opted_out(self.session, addresses)
        permitted = []
        for address, (group, request) in zip(addresses, ready, strict=True):
            leader = group[0]
            if {(address, None), (address, leader.case.centre_id)} & refused:
                self._climb(group, "opted_out")
            elif leader.case.team_only and not self._is_of_the_team(leader, request):
                self._climb(group, NOT_LISTED)
            else:
                permitted.append((group, request))
        return permitted

    def _within_caps(
        self, messages: Sequence[tuple[list[Due], Prepared]]
    ) -> list[tuple[list[Due], Prepared]]:
        """Let wait what a number or a centre has had too many of."""
        self.caps.look_up((group[0], one) for group, one in messages if _is_sms(group))
        allowed = []
        for group, prepared in messages:
            held = self.caps.draw(group[0], prepared) if _is_sms(group) else None
            if held is not None:
                self._wait(group, later(held.until), held.why)
                continue
            allowed.append((group, prepared))
            self._let_go(group)
        return allowed

    def _is_of_the_team(self, leader: Due, request: SendRequest) -> bool:
        return request.to in team_of(self.context, leader.case.centre_id)

    @staticmethod
    def _let_go(group: Sequence[Due]) -> None:
        for due in group:
            if due.reminder.reason.startswith(WAITING):
                due.reminder.reason = ""

    def _climb(self, group: Sequence[Due], why: str) -> None:
        for due in group:
            self._end(due, ReminderState.UNDELIVERED, why)
            climb(self.session, due.case, due.deadline, due.reminder, why=why, now=self.now)

    def _wait(self, group: Sequence[Due], until: datetime, why: str) -> None:
        """A capped message waits; past its use it becomes a call (RULES.md, "When to remind")."""
        for due in group:
            if until < due.reminder.useless_after_at:
                due.reminder.due_at = until
                due.reminder.reason = f"{CAPPED}: {why}"
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
        except Exception as error:  # a channel's own check: it must not stop everybody else's
            log.exception("reminder.not_prepared", extra={"reminder_id": group[0].reminder.id})
            self._climb(group, f"unsendable:{type(error).__name__}")
        return None

    def _paced(
        self, messages: Sequence[tuple[list[Due], Prepared]]
    ) -> list[tuple[list[Due], Prepared]]:
        """Those the SMS sender has room for, in parts; the others stay planned and come next."""
        pace, kept = self.pace, []
        full = pace.bucket
        for group, prepared in messages:
            if _is_sms(group):
                if pace.bucket.is_empty:
                    continue
                pace.bucket = pace.bucket.drawn(prepared.parts)
            kept.append((group, prepared))
        if pace.bucket is not full:
            keep_bucket(self.session, pace.sender, pace.bucket)
        return kept

    def _taken(self, messages: Sequence[tuple[list[Due], Prepared]]) -> list[Claimed]:
        """Claim by compare-and-set and write the attempts."""
        self.session.flush()
        claims = {
            due.reminder.id: None if due is group[0] else group[0].reminder.id
            for group, _ in messages
            for due in group
        }
        lease = self.now + LEASE
        won = claim(self.session, claims, owner=self.owner, lease_until=lease, now=self.now)
        claimed = [
            Claimed(
                self._attempt(group, prepared, lease),
                prepared,
                group[0].deadline.act_by_at,
                self.context.channel(group[0].reminder.channel).caps.finds_after,
            )
            for group, prepared in messages
            if group[0].reminder.id in won
        ]
        for group, _ in messages:
            if group[0].reminder.id in won:
                _note_told(group)
        insert_attempts(self.session, [one.attempt.row() for one in claimed])
        self.caps.keep(one.attempt for one in claimed)
        return claimed

    def _attempt(self, group: Sequence[Due], prepared: Prepared, lease: datetime) -> NewAttempt:
        reminder, request, keys = group[0].reminder, prepared.request, self.context.keys
        attempt_id, centre = new_id(self.now), reminder.centre_id

        def seal(value: str, column: str) -> bytes:
            return keys.seal(
                value, table="attempt", column=column, row_id=attempt_id, centre_id=centre
            )

        channel = self.context.channel(reminder.channel)
        return NewAttempt(
            id=attempt_id,
            centre_id=centre,
            case_id=reminder.case_id,
            reminder_id=reminder.id,
            number=reminder.attempts + 1,
            ref=secrets.token_hex(16),
            channel_name=channel.name,
            kind=channel.kind,
            owner=self.owner,
            lease_until_at=lease,
            address_sealed=seal(request.to, "address_sealed"),
            address_index=keys.index(request.to, centre_id=""),
            body_sealed=seal(request.text, "body_sealed"),
            body_hash=keys.digest(request.text),
            template=request.template,
            parts=prepared.parts,
            carries=" ".join(due.reminder.id for due in group[1:]),
            started_at=self.now,
            simulated=channel.caps.simulated,
        )


def _is_sms(group: Sequence[Due]) -> bool:
    return group[0].reminder.channel == "sms"


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


def _note_told(group: Sequence[Due]) -> None:
    """Remember which date each deadline is about to announce: if it moves, people are told.

    Here and not with the answer: the text holds the date of this moment, and a date that moves
    while the message is on its way must find what was announced.
    """
    for due in group:
        if due.reminder.recipient == "citizen" and due.reminder.step != "lapsed":
            due.deadline.told = deadline_of(due.deadline).told
