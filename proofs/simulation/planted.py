"""Planted bugs of the simulation: each breaks one rule of sending, in the process that is to fail.

They are mistakes that real senders make. The product's files stay as they are; docs/proofs.md says
which invariant finds which.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import text

from proofs.plants import forget_if_unsure, replace, resend_if_unsure
from proofs.simulation.office import Office, Worker
from proofs.simulation.wire import HTTPException, InProcessHttp
from worker.channels import twilio_hook, twilio_sms
from worker.channels.twilio_http import Answer, Exchange
from worker.channels.twilio_sms import TwilioSms
from worker.domain.delivery import AttemptState, Found, NotSent, Outcome, Rejected, Uncertain
from worker.domain.reminders import Hours
from worker.engines import duties
from worker.services import capping, claiming, receipts, sending, settling
from worker.services.claiming import Desk
from worker.services.context import Context
from worker.services.sending import send_due
from worker.store.claims import Picked, pick_due
from worker.store.database import Session
from worker.store.tables import ReminderRow


def send_before_record() -> None:
    """Send first, and write the claim down with the answer: who dies between has no claim."""
    kill = Office._kill  # noqa: SLF001

    def forgetting(self: Office, worker: Worker) -> None:
        if len(self.workers) == 1:  # nobody else's claims are on the table
            self.world.at(self.world.now, lambda: _forget_claims(self.settings.database))
        kill(self, worker)

    replace(Office, "_kill", forgetting)


def _forget_claims(database: str) -> None:
    connection = sqlite3.connect(database.removeprefix("sqlite:///"))
    connection.execute(
        "DELETE FROM attempt_event WHERE attempt_id IN"
        " (SELECT id FROM attempt WHERE state = 'submitting')"
    )
    connection.execute("DELETE FROM attempt WHERE state = 'submitting'")
    connection.execute("UPDATE reminder SET state = 'planned' WHERE state = 'submitting'")
    connection.commit()
    connection.close()


def no_lease_check() -> None:
    """Send whatever was claimed, however long ago."""
    replace(sending, "_CALL", timedelta(days=-30))


def claim_without_compare() -> None:
    """Work from a list read some minutes ago, and do not ask whether it still holds."""
    seen: dict[str, tuple[Picked, datetime]] = {}
    used: set[str] = set()

    def picked(
        session: Session, now: datetime, limit: int, hours: Hours, channels: Sequence[str]
    ) -> list[Picked]:
        due = pick_due(session, now, limit, hours, channels)
        fresh = {one.reminder.id for one in due}
        older = [one for id_, (one, at) in seen.items()
                 if now - at < timedelta(minutes=5) and id_ not in used | fresh]  # fmt: skip
        used.update(one.reminder.id for one in older)
        seen.update((one.reminder.id, (one, now)) for one in due)
        for one in older:
            session.get_one(ReminderRow, one.reminder.id).state = "planned"
        return [*due, *older]

    replace(claiming, "pick_due", picked)


def lost_without_look_up() -> None:
    """Conclude that nothing was sent without asking."""

    def find(*_: object, **__: object) -> Found:
        return Found(complete=True)

    replace(TwilioSms, "find", find)


def lost_at_once() -> None:
    """Conclude that nothing was sent from the first list in which it does not stand."""
    replace(settling, "next_find_at", lambda started_at, misses, *_:
            started_at if misses == 0 else None)  # fmt: skip


def believe_cut_lists() -> None:
    """Take a list that was cut short, or could not be read, for the whole of it."""
    listed = TwilioSms._listed  # noqa: SLF001

    def believed(
        self: TwilioSms, query: dict[str, object], is_enough: Callable[[object], bool]
    ) -> tuple[bool, list[object]]:
        return True, listed(self, query, is_enough)[1]

    replace(TwilioSms, "_listed", believed)


def bind_twice() -> None:
    """Take a message of the list though it is another attempt's."""
    replace(settling, "bound_elsewhere", lambda *_: set())


def believe_anyone() -> None:
    """Take callbacks without a look at their signature and account."""
    replace(twilio_hook, "_require_signed", lambda *_: None)


def forget_ranks() -> None:
    """Let the callback that comes last have the last word."""

    def advance(current: AttemptState, said: AttemptState | None, *, polled: bool) -> AttemptState:
        del polled
        return current if said is None else said

    replace(receipts, "advance", advance)


def _judge_otherwise(change: Callable[[Exchange, Outcome], Outcome]) -> None:
    judged = twilio_sms._judged  # noqa: SLF001

    def otherwise(exchange: Exchange, error: Exception, now: datetime) -> Outcome:
        return change(exchange, judged(exchange, error, now))

    replace(twilio_sms, "_judged", otherwise)


def server_error_is_not_sent() -> None:
    """Take a 5xx for "nothing happened", and send again."""
    _judge_otherwise(lambda seen, said: NotSent("5xx") if seen.status >= 500 else said)


def silence_is_refusal() -> None:
    """Take a time-out for a refusal, and climb."""
    _judge_otherwise(lambda seen, said: Rejected("timeout")
                     if isinstance(said, Uncertain) and not seen.status else said)  # fmt: skip


def silence_is_not_sent() -> None:
    """Take a time-out for "nothing happened", and send again."""
    _judge_otherwise(lambda seen, said: NotSent("timeout")
                     if isinstance(said, Uncertain) and not seen.status else said)  # fmt: skip


def retry_in_the_client() -> None:
    """Have the HTTP client repeat what failed, as most do by default."""
    request = InProcessHttp.request

    def twice(self: InProcessHttp, *given: object, **named: object) -> Answer:
        repeated = partial(request, self, *given, **named)  # type: ignore[arg-type]  # as it came
        try:
            answer = repeated()
        except (OSError, HTTPException):
            return repeated()
        return answer if answer.status_code < 500 else repeated()

    replace(InProcessHttp, "request", twice)


def ignore_refusals() -> None:
    """Write to people who want no messages."""
    replace(claiming, "opted_out", lambda *_: set())


def ignore_limits() -> None:
    """Send any number of messages to one number."""
    replace(capping, "wait_for_room", lambda *_: None)


def ignore_hours() -> None:
    """Write at night."""
    replace(claiming, "hours_at", lambda _: Hours.ALLOWED)


def ignore_the_end() -> None:
    """Send what was planned though the matter is settled."""

    def send(
        context: Context, *, now: datetime, keep_going: Callable[[], bool] = lambda: True
    ) -> Counter[str]:
        with context.db.transaction() as session:
            session.connection().execute(text(
                "UPDATE reminder SET state = 'planned' WHERE state = 'cancelled' AND attempts = 0"
            ))  # fmt: skip
        return send_due(context, now=now, keep_going=keep_going)

    replace(Desk, "_is_wanted", lambda *_: True)
    replace(duties, "send_due", send)


PLANTED: Mapping[str, Callable[[], None]] = {
    one.__name__: one
    for one in (
        send_before_record, resend_if_unsure, forget_if_unsure, no_lease_check,
        claim_without_compare, lost_without_look_up, lost_at_once, believe_cut_lists, bind_twice,
        believe_anyone, forget_ranks, server_error_is_not_sent, silence_is_refusal,
        silence_is_not_sent, retry_in_the_client, ignore_refusals, ignore_limits, ignore_hours,
        ignore_the_end,
    )
}  # fmt: skip
"""Every plant by its name."""
