"""Planted bugs: each breaks one rule of the sending order, in the killed child only.

A proof that stays green with one of these proves nothing. Each is a mistake that real senders
make; the product's own code is not touched.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from worker.channels.sandbox import Sandbox
from worker.crashpoints import crash_point
from worker.domain.delivery import AttemptState, Found, Outcome, Prepared, ReminderState
from worker.engines import duties
from worker.services import sending
from worker.services.claiming import Claimed, Desk
from worker.services.context import Context
from worker.store.attempts import move_attempt, stale_claims
from worker.store.claims import Picked
from worker.store.reminders import set_state


def replace(owner: object, name: str, new: object) -> None:
    """Put something else in a name's place, for the rest of this process."""
    if not hasattr(owner, name):
        raise AttributeError(f"{owner} has no {name}: a plant must change what is really used")
    setattr(owner, name, new)


def send_before_record() -> None:
    """Call the provider first and commit the claim afterwards: the order of many a sender."""
    claim = Desk.claim
    answers: dict[str, Outcome] = {}

    def claim_and_send(self: Desk, picked: Sequence[Picked]) -> list[Claimed]:
        claimed = claim(self, picked)
        for one in claimed:
            crash_point("before_submit")
            channel = self.context.channel(one.attempt.kind)
            answers[one.attempt.id] = channel.submit(one.prepared, one.attempt.ref, now=self.now)
            crash_point("after_submit")
        return claimed

    def answer(_line: sending.Line, one: Claimed) -> Outcome:
        return answers[one.attempt.id]

    replace(Desk, "claim", claim_and_send)
    replace(sending.Line, "outcome", answer)


def resend_if_unsure() -> None:
    """Take a claim nobody finished for one that was not sent, and send it again."""
    replace(duties, "rescue", _rescue_as(AttemptState.NOT_SENT, ReminderState.PLANNED))


def forget_if_unsure() -> None:
    """Take a claim nobody finished for one that was sent, and leave it at that."""
    replace(duties, "rescue", _rescue_as(AttemptState.UNCONFIRMED, ReminderState.UNCONFIRMED))


def lost_without_look_up() -> None:
    """Conclude that nothing was sent from a look-up that never asked."""

    def find_nothing(
        _self: Sandbox, _prepared: Prepared, _ref: str, *, since: datetime, now: datetime
    ) -> Found:
        del since, now
        return Found(complete=True)

    replace(Sandbox, "find", find_nothing)


def _rescue_as(
    attempt_state: AttemptState, reminder_state: ReminderState
) -> Callable[..., Counter[str]]:
    def rescue(context: Context, *, now: datetime) -> Counter[str]:
        counts: Counter[str] = Counter()
        with context.db.transaction() as session:
            for attempt in stale_claims(session, now, 200):
                values = {"state": attempt_state, "finished_at": now}
                move_attempt(session, attempt.id, AttemptState.SUBMITTING, values)
                set_state(session, [attempt.reminder_id], reminder_state, now=now, due_at=now)
                counts["rescued"] += 1
            crash_point("in_rescue")
        return counts

    return rescue


PLANTS: Mapping[str, Callable[[], None]] = {
    "send_before_record": send_before_record,
    "resend_if_unsure": resend_if_unsure,
    "lost_without_look_up": lost_without_look_up,
    "forget_if_unsure": forget_if_unsure,
}
"""Every plant by its name; the first two run in CI."""
