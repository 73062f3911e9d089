"""Caps: how much a number may get and a centre send, counted in the transaction that claims.

What does not fit waits, and says for what; where waiting would be too late a person is asked
instead (RULES.md, "When to remind").
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

from worker.domain.calendar import in_china
from worker.domain.limits import WINDOW, DayOfCentre, Sent, next_morning, wait_for_room
from worker.services.context import Context
from worker.services.messages import Message
from worker.store.attempts import NewAttempt, sent_since
from worker.store.database import Session
from worker.store.sms_days import add_parts, parts_of_day

log = logging.getLogger(__name__)


class Held(NamedTuple):
    """Until when a message must wait, and for what: its `number` or its `centre_day`."""

    until: datetime
    why: str


@dataclass(slots=True)
class Caps:
    """What the numbers and centres of one claim have room for. Addresses are by their keyed index
    without a centre: a number is one number, whoever writes to it."""

    context: Context
    session: Session
    now: datetime
    _sent: dict[str, list[Sent]] = field(default_factory=dict)
    _days: dict[str, DayOfCentre] = field(default_factory=dict)

    def look_up(self, messages: Sequence[Message]) -> None:
        """Read what the recipients and centres of some SMS have had so far."""
        addresses = {one.address_index for one in messages}
        self._sent = sent_since(self.session, addresses, self.now - WINDOW)
        centres = {one.leader.case.centre_id for one in messages}
        used = parts_of_day(self.session, centres, self._today)
        self._days = {
            one: DayOfCentre(self.context.centre(one).sms_parts_per_day, used[one])
            for one in centres
        }

    def draw(self, message: Message) -> Held | None:
        """Count an SMS in, or say for what it must wait."""
        parts, centre_id = message.prepared.parts, message.leader.case.centre_id
        is_lapse = message.leader.deadline.kind == "lapse"
        mine = Sent(message.body_hash, self.now, is_lapse=is_lapse, parts=parts)
        sent = self._sent.setdefault(message.address_index, [])
        if until := wait_for_room(sent, mine):
            return Held(until, "number")
        day = self._days[centre_id]
        if not day.has_room(parts, is_lapse=is_lapse):
            self._warn("centre.sms_day_full", centre_id, day)
            return Held(next_morning(self.now), "centre_day")
        sent.append(mine)
        was_near = day.is_nearly_used
        day.used += parts
        if day.is_nearly_used and not was_near:
            self._warn("centre.sms_day_nearly_full", centre_id, day)
        return None

    def keep(self, claimed: Iterable[NewAttempt]) -> None:
        """Write down what was claimed in the end, for whoever claims next."""
        parts = Counter[str]()
        for one in claimed:
            if one.kind == "sms":
                parts[one.centre_id] += one.parts
        add_parts(self.session, parts, self._today, now=self.now)

    @property
    def _today(self) -> date:
        return in_china(self.now).date()

    @staticmethod
    def _warn(event: str, centre_id: str, day: DayOfCentre) -> None:
        log.warning(event, extra={"centre_id": centre_id, "count": day.used})


def give_back(session: Session, attempts: Iterable[NewAttempt], *, now: datetime) -> None:
    """Take messages that certainly never left out of the day they were counted in."""
    by_day: dict[date, Counter[str]] = {}
    for one in attempts:
        if one.kind == "sms":
            day = by_day.setdefault(in_china(one.started_at).date(), Counter())
            day[one.centre_id] -= one.parts
    for on, parts in by_day.items():
        add_parts(session, parts, on, now=now)
