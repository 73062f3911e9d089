"""What becomes of a reminder that is due and does not leave: ended, waiting, or for a person.

Rows are taken into the session only for the next means and for calls: after an outage there are
thousands to end in the one transaction that claims.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from worker.domain.delivery import ReminderState
from worker.domain.pace import Rest
from worker.domain.reminders import ENOUGH, later
from worker.services.ladder import CAPPED, RESTING, climb, open_call_task
from worker.store.claims import Picked, end, postpone
from worker.store.database import Session
from worker.store.reminders import Due, reminders_by_id


@dataclass(frozen=True, slots=True)
class Aside:
    """Where a claim puts what it does not send; `counts` says how many went where."""

    session: Session
    now: datetime
    counts: Counter[str]

    def end(self, due: Picked, state: ReminderState, reason: str) -> None:
        """Name what became of it."""
        end(self.session, due.reminder.id, state, reason, now=self.now)
        self.counts[str(state)] += 1

    def call(self, due: Picked, reason: str) -> None:
        """Put its deadline on the call list."""
        held = self._held(due)
        open_call_task(self.session, held.deadline, reason=reason, now=self.now,
                       reminder=held.reminder)  # fmt: skip

    def for_a_person(self, group: Sequence[Picked], reason: str) -> None:
        """No means can carry it: somebody must call."""
        for due in group:
            self.end(due, ReminderState.NEEDS_PERSON, reason)
            self.call(due, reason)

    def climb(self, group: Sequence[Picked], why: str) -> None:
        """This means is closed: take the next."""
        for due in group:
            self.end(due, ReminderState.UNDELIVERED, why)
            held = self._held(due)
            climb(self.session, held.case, held.deadline, held.reminder, why=why, now=self.now)

    def rest(self, group: Sequence[Picked], rest: Rest) -> None:
        """The channel rests: wait with it, or take the next means where that would be too late."""
        until, why = later(rest.until_at), f"{RESTING}:{rest.code}"
        for due in group:
            if until + ENOUGH < due.reminder.useless_after_at:
                postpone(self.session, due.reminder.id, until, why)
                self.counts[RESTING] += 1
            else:
                self.climb([due], why)

    def wait(self, group: Sequence[Picked], until: datetime, why: str) -> None:
        """A capped message waits; past its use it becomes a call (RULES.md, "When to remind")."""
        for due in group:
            if until < due.reminder.useless_after_at:
                postpone(self.session, due.reminder.id, until, f"{CAPPED}: {why}")
                self.counts["capped"] += 1
            else:
                self.end(due, ReminderState.NEEDS_PERSON, "capped past its use")
                self.call(due, "capped")

    def _held(self, due: Picked) -> Due:
        """Its rows as they are now, to be changed."""
        held = reminders_by_id(self.session, [due.reminder.id])[due.reminder.id]
        self.session.refresh(held.reminder)
        return held
