"""One account of the stand-in: its messages, its plan, its clock and what it still has to do."""

import secrets
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from worker.clock import FixedClock, SystemClock
from worker.fake_twilio.agenda import Agenda
from worker.fake_twilio.callbacks import Callbacks
from worker.fake_twilio.checks import send_at
from worker.fake_twilio.ledger import Ledger
from worker.fake_twilio.messages import Book, Message, way_to
from worker.fake_twilio.plan_reading import read_plan
from worker.fake_twilio.plans import Dice, Fate, Fault, Plan

ACCOUNT = "AC" + "0" * 30 + "10"
TOKEN = "0" * 30 + "10"
"""Whom the stand-in knows unless told otherwise."""

_WALL = SystemClock()


class FakeTwilio:
    """The stand-in's state. It belongs to the thread that serves it: others ask over HTTP."""

    def __init__(
        self,
        *,
        account: str = ACCOUNT,
        token: str = TOKEN,
        ledger: Path | None = None,
        fsync: bool = True,
        plan: Plan | Mapping[str, object] | None = None,
        now: Callable[[], datetime] = _WALL.now,
    ) -> None:
        """Begin with no message; `now` must be aware. Raises BadPlan."""
        self.account = account
        self.token = token
        self.authorization = "Basic " + b64encode(f"{account}:{token}".encode()).decode()
        self.ledger = Ledger(ledger, fsync=fsync)
        self.now = now
        self._real_now = now
        self.follow(plan if isinstance(plan, Plan) else read_plan(plan or {}))
        self.forget()

    def follow(self, plan: Plan) -> None:
        """Take a plan, its counts at nought."""
        self.plan = plan
        self.dice = Dice(plan.seed)

    def forget(self) -> None:
        """Lose every message, callback and count, and go by the first clock again.

        A ledger file stays as it is.
        """
        self.now = self._real_now
        self.book = Book()
        self.requests: Counter[str] = Counter()
        self._agenda = Agenda()
        self.callbacks = Callbacks(self.account, self.token, self._agenda)

    def stand_at(self, now: datetime) -> None:
        """Go by a clock that stands still from here on, and do what is due by then."""
        self.now = FixedClock(now).now
        self.catch_up()

    def catch_up(self) -> None:
        """Do what is due."""
        self._agenda.catch_up(self.now())

    def fault_for(self, kind: str, to: str | None, page: int) -> Fault | None:
        """What goes wrong with a request that was read."""
        if not self.plan.faults:
            return None
        return self.dice.choose(
            self.plan.faults,
            to,
            lambda fault: (
                fault.on in (kind, "any")
                and fault.at != "before_reading"
                and fault.page in (None, page)
            ),
        )

    def cuts_before_reading(self, kind: str) -> bool:
        """Whether a request of this kind is cut off as soon as its head is here."""
        return bool(
            self.dice.choose(
                self.plan.faults,
                None,
                lambda fault: fault.on in (kind, "any") and fault.at == "before_reading",
            )
        )

    def accept(self, form: Mapping[str, str]) -> Message:
        """Take a message whose form was checked: it is in the ledger when this returns."""
        now = self.now()
        service = form.get("MessagingServiceSid") or None
        later = send_at(form)
        fate = self.dice.choose(self.plan.fates, form["To"]) or Fate()
        lag = self.plan.list_lag if fate.list_lag is None else fate.list_lag
        message = Message(
            sid="SM" + secrets.token_hex(16),
            account=self.account,
            to=form["To"],
            sender=form.get("From") or None,
            service=service,
            body=form.get("Body", ""),
            callback=form.get("StatusCallback", ""),
            status="scheduled" if later else "accepted" if service else "queued",
            created_at=now,
            updated_at=now,
            listed_at=now + timedelta(seconds=lag) if lag else now,
        )
        self._write_down(message)
        self.book.add(message)
        pace = self.plan.pace if fate.pace is None else fate.pace
        way = way_to(fate.end, message.status)
        self._next_step(message, way, fate.code, timedelta(seconds=pace), later or now)
        return message

    def _write_down(self, message: Message) -> None:
        self.ledger.write(
            {
                "sid": message.sid,
                "account": message.account,
                "to": message.to,
                "from": message.sender,
                "messaging_service_sid": message.service,
                "body": message.body,
                "status_callback": message.callback or None,
                "at": message.created_at.isoformat(),
            }
        )

    def _next_step(
        self,
        message: Message,
        way: tuple[str, ...],
        code: int | None,
        pace: timedelta,
        at: datetime,
    ) -> None:
        if way:
            self._agenda.put(at + pace, partial(self._step, message, way, code, pace))

    def _step(
        self,
        message: Message,
        way: tuple[str, ...],
        code: int | None,
        pace: timedelta,
        at: datetime,
    ) -> None:
        """One step on its way, unless somebody else has ended it. The code comes at the end."""
        if message.is_final and way[0] != "read":
            return
        self.move(message, way[0], None if way[1:] else code, at)
        self._next_step(message, way[1:], code, pace, at)

    def move(self, message: Message, status: str, code: int | None, at: datetime) -> None:
        """Give a message a status, and tell whoever asked to be told."""
        message.move(status, code, at)
        if message.callback:
            rule = self.dice.choose(
                self.plan.callbacks, message.to, lambda rule: rule.status in ("*", status)
            )
            self.callbacks.tell(message, rule, at)
