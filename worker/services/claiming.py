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
from typing import NamedTuple

from worker.crashpoints import crash_point
from worker.domain.delivery import (
    FINDS_AFTER,
    LEASE,
    Channel,
    Prepared,
    ReminderState,
    SendRequest,
    Unsendable,
)
from worker.domain.errors import QidaError
from worker.domain.pace import Bucket
from worker.domain.reminders import Hours, hours_at, later
from worker.services.capping import Caps
from worker.services.context import Context
from worker.services.ladder import LEFT, OVERTAKEN, WAITING
from worker.services.messages import Message, compose, deadline_of
from worker.services.setting_aside import Aside
from worker.services.team import NOT_LISTED, team_of
from worker.store.attempts import NewAttempt, attempts_of, insert_attempts, opted_out
from worker.store.cases import reminders_of_deadline
from worker.store.claims import Picked, claim, hold_the_claim, note_told, pick_due, stop_waiting
from worker.store.database import Session, new_id
from worker.store.senders import bucket_of, keep_bucket

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that is ours to submit: one attempt, already durable."""

    attempt: NewAttempt
    prepared: Prepared
    act_by: datetime | None
    finds_after: tuple[timedelta, ...] = FINDS_AFTER


def claim_due(
    context: Context, owner: str, now: datetime, counts: Counter[str], limit: int
) -> tuple[list[Claimed], int]:
    """Transaction 1, for `limit` reminders and what else their cases have due. Also says how many
    were due for it; at night none is.

    `counts` takes up what was ended instead: expired, capped, for a person.
    """
    hours = hours_at(now)
    if hours is Hours.NIGHT:
        return [], 0
    with context.db.transaction() as session:
        hold_the_claim(session)
        pace = Pace.of(session, context, now)
        kinds = ("email",) if pace.bucket.is_empty else ("sms", "email")
        picked = pick_due(session, now, limit, hours, kinds)
        crash_point("in_claim")
        if not picked:
            return [], 0
        desk = Desk(session, context, owner, now, Aside(session, now, counts), pace,
                    Caps(context, session, now))  # fmt: skip
        return desk.claim(picked), len(picked)


class Draft(NamedTuple):
    """A message in words, and the index of its address: for the whole installation, since a
    refusal may hold for every centre."""

    group: list[Picked]
    request: SendRequest
    address_index: str


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
    aside: Aside
    pace: Pace
    caps: Caps

    def claim(self, picked: Sequence[Picked]) -> list[Claimed]:
        wanted = [due for due in picked if self._is_wanted(due)]
        groups = [_led(group) for group in self._by_recipient(wanted)]
        drafts = [draft for group in groups for draft in self._composed(group)]
        ready = [message for one in self._permitted(drafts) for message in self._prepared(one)]
        return self._taken(self._paced(self._within_caps(ready)))

    def _by_recipient(self, picked: Iterable[Picked]) -> list[list[Picked]]:
        """One group for each case, recipient and channel; alone where the text is registered
        word for word, since nothing can be added to it."""
        groups: dict[tuple[str, str, str, str], list[Picked]] = {}
        for due in picked:
            reminder = due.reminder
            alone = reminder.id if self._is_registered(reminder.channel) else ""
            key = (due.case.id, reminder.recipient, reminder.channel, alone)
            groups.setdefault(key, []).append(due)
        return list(groups.values())

    def _is_registered(self, kind: str) -> bool:
        channels = self.context.channels.values()
        return any(one.caps.needs_registered_text for one in channels if one.kind == kind)

    def _is_wanted(self, due: Picked) -> bool:
        """Still open, still useful? Otherwise name what became of it."""
        reminder, deadline = due.reminder, due.deadline
        expected = ("open", "lapsed") if reminder.step == "lapsed" else ("open",)
        if due.case.state != "open" or deadline.state not in expected:
            self.aside.end(due, ReminderState.CANCELLED, f"deadline_{deadline.state}")
            return False
        if reminder.useless_after_at <= self.now:
            self.aside.end(due, ReminderState.EXPIRED, "too_late")
            if deadline.kind == "lapse" and reminder.step != "lapsed" and not self._reached(due):
                self.aside.call(due, "too_late_to_write")
            return False
        if reminder.plan_version < deadline.plan_version and reminder.step != "lapsed":
            self.aside.end(due, ReminderState.CANCELLED, "date_moved")
            return False
        if reminder.attempts and self._is_overtaken(due):
            self.aside.end(due, ReminderState.CANCELLED, OVERTAKEN)
            return False
        return True

    def _is_overtaken(self, due: Picked) -> bool:
        """Whether a later step of the same plan left while this one waited to be tried again: it
        told the same date, so this one would say it twice."""
        reminder = due.reminder
        tried = attempts_of(self.session, [reminder.id])
        return bool(tried) and any(
            row.state in LEFT
            and (row.recipient, row.channel) == (reminder.recipient, reminder.channel)
            and row.plan_version == reminder.plan_version
            and row.due_at > tried[0].started_at
            for row in reminders_of_deadline(self.session, due.deadline.id)
            if row.id != reminder.id
        )

    def _reached(self, due: Picked) -> bool:
        """Whether a message of the plan in force was delivered: the person knows."""
        return any(
            row.state == ReminderState.DELIVERED and row.plan_version == due.reminder.plan_version
            for row in reminders_of_deadline(self.session, due.deadline.id)
        )

    def _composed(self, group: list[Picked]) -> list[Draft]:
        """The message of a group. Where it cannot be written each reminder is tried alone, so
        that one fault takes nobody else's message with it; what is left goes to a person."""
        kind = group[0].reminder.channel
        if not any(channel.kind == kind for channel in self.context.channels.values()):
            self.aside.climb(group, f"no_{kind}_channel")
            return []
        if rest := self.context.senders.resting(kind, self.now):
            self.aside.rest(group, rest)
            return []
        try:
            request = compose(self.context, group, now=self.now)
        except Exception as error:
            if len(group) > 1:
                return [draft for due in group for draft in self._composed([due])]
            log.exception("reminder.not_composed", extra={"reminder_id": group[0].reminder.id})
            said = error.text.en[:80] if isinstance(error, QidaError) else type(error).__name__
            self.aside.for_a_person(group, f"not_composed: {said}")
            return []
        if not request.to:
            self.aside.for_a_person(group, "no_address")
            return []
        return [Draft(group, request, self.context.keys.index(request.to, centre_id=""))]

    def _permitted(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Leave out who refused messages, and whom a trial may not be sent to."""
        refused = opted_out(self.session, {one.address_index for one in drafts})
        permitted = []
        for one in drafts:
            case, address = one.group[0].case, one.address_index
            if {(address, None), (address, case.centre_id)} & refused:
                self.aside.climb(one.group, "opted_out")
            elif case.team_only and one.request.to not in team_of(self.context, case.centre_id):
                self.aside.climb(one.group, NOT_LISTED)
            else:
                permitted.append(one)
        return permitted

    def _prepared(self, draft: Draft) -> list[Message]:
        """As its channel takes it; nothing where it does not."""
        group, request, address_index = draft
        try:
            prepared = self.context.channel(group[0].reminder.channel).prepare(request)
        except Unsendable as refusal:
            self.aside.climb(group, f"unsendable:{refusal.code}")
        except Exception as error:  # a channel's own check: it must not stop everybody else's
            log.exception("reminder.not_prepared", extra={"reminder_id": group[0].reminder.id})
            self.aside.climb(group, f"unsendable:{type(error).__name__}")
        else:
            body_hash = self.context.keys.digest(request.text)
            return [Message(group, prepared, address_index, body_hash)]
        return []

    def _within_caps(self, messages: Sequence[Message]) -> list[Message]:
        """Let wait what a number or a centre has had too many of."""
        self.caps.look_up([one for one in messages if one.is_sms])
        allowed = []
        for one in messages:
            held = self.caps.draw(one) if one.is_sms else None
            if held is None:
                allowed.append(one)
            else:
                self.aside.wait(one.group, later(held.until), held.why)
        return allowed

    def _paced(self, messages: Sequence[Message]) -> list[Message]:
        """Those the SMS sender has room for, in parts; the others stay planned and come next."""
        pace, kept = self.pace, []
        full = pace.bucket
        for one in messages:
            if one.is_sms:
                if pace.bucket.is_empty:
                    continue
                pace.bucket = pace.bucket.drawn(one.prepared.parts)
            kept.append(one)
        if pace.bucket is not full:
            keep_bucket(self.session, pace.sender, pace.bucket)
        return kept

    def _taken(self, messages: Sequence[Message]) -> list[Claimed]:
        """Claim by compare-and-set and write the attempts."""
        self.session.flush()
        claims = {
            due.reminder.id: None if due is one.leader else one.leader.reminder.id
            for one in messages
            for due in one.group
        }
        lease = self.now + LEASE
        won = claim(self.session, claims, owner=self.owner, lease_until=lease, now=self.now)
        ours = [one.of(won) for one in messages if one.leader.reminder.id in won]
        claimed = [self._claimed(one, lease) for one in ours]
        leaving = [due for one in ours for due in one.group]
        note_told(self.session, _told(leaving))
        stop_waiting(self.session, [due.reminder.id for due in leaving
                                    if due.reminder.reason.startswith(WAITING)])  # fmt: skip
        insert_attempts(self.session, [one.attempt.row() for one in claimed])
        self.caps.keep(one.attempt for one in claimed)
        return claimed

    def _claimed(self, one: Message, lease: datetime) -> Claimed:
        channel = self.context.channel(one.leader.reminder.channel)
        attempt = self._attempt(one, channel, lease)
        return Claimed(attempt, one.prepared, one.leader.deadline.act_by_at,
                       channel.caps.finds_after)  # fmt: skip

    def _attempt(self, one: Message, channel: Channel, lease: datetime) -> NewAttempt:
        reminder, request, keys = one.leader.reminder, one.prepared.request, self.context.keys
        attempt_id, centre = new_id(self.now), reminder.centre_id

        def seal(value: str, column: str) -> bytes:
            return keys.seal(
                value, table="attempt", column=column, row_id=attempt_id, centre_id=centre
            )

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
            address_index=one.address_index,
            body_sealed=seal(request.text, "body_sealed"),
            body_hash=one.body_hash,
            template=request.template,
            parts=one.prepared.parts,
            carries=" ".join(due.reminder.id for due in one.group[1:]),
            started_at=self.now,
            simulated=channel.caps.simulated,
        )


def _led(group: Sequence[Picked]) -> list[Picked]:
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


def _told(due: Sequence[Picked]) -> dict[str, str]:
    """Which date each deadline is about to announce, where that is news: if it moves, people are
    told.

    Here and not with the answer: the text holds the date of this moment, and a date that moves
    while the message is on its way must find what was announced.
    """
    announced = {
        one.deadline.id: (one.deadline.told, deadline_of(one.deadline).told)
        for one in due
        if one.reminder.recipient == "citizen" and one.reminder.step != "lapsed"
    }
    return {id_: now for id_, (before, now) in announced.items() if before != now}
