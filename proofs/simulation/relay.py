"""A mail relay without a socket: it takes letters, loses answers, and reports later.

It stands where `SmtpEmail` stands and has its abilities; what it took goes to the journal.
"""

from datetime import datetime, timedelta
from typing import Protocol

from proofs.simulation.wire import Journal
from proofs.simulation.world import World
from worker.channels import mail_message
from worker.channels.smtp_email import SmtpEmail
from worker.domain.delivery import (
    Accepted,
    AttemptState,
    ChannelKind,
    Found,
    NotSent,
    Outcome,
    Prepared,
    Receipt,
    Rejected,
    SendRequest,
    Uncertain,
)


class Letterbox(Protocol):
    """Where delivery reports arrive."""

    def __call__(self, receipt: Receipt) -> None:
        """Take a report."""


class Relay:
    """A `Channel` for e-mail. `odds` is how likely each of its five mishaps is."""

    name = "smtp"
    kind: ChannelKind = "email"
    caps = SmtpEmail.caps

    def __init__(self, world: World, journal: Journal, odds: float, letterbox: Letterbox) -> None:
        self._world = world
        self._journal = journal
        self._odds = odds
        self._letterbox = letterbox

    def prepare(self, request: SendRequest) -> Prepared:
        """Check the address and the headers. Raises Unsendable."""
        mail_message.check(request)
        return Prepared(request)

    def submit(self, prepared: Prepared, ref: str, *, now: datetime) -> Outcome:
        """Take a letter, or fail in one of the ways relays fail."""
        del now
        outcome = self._answered(prepared, ref)
        self._world.wait(self._world.rng.uniform(0.05, 1))  # others may hold it up: taken it is
        return outcome

    def _answered(self, prepared: Prepared, ref: str) -> Outcome:
        world, odds = self._world, self._odds
        if world.chance(odds):
            return NotSent("connect: ConnectionRefusedError")
        if world.chance(odds):
            return NotSent("rcpt 450 4.2.0", timedelta(minutes=6))
        if world.chance(odds / 2):
            return Rejected("5.1.1")
        if world.chance(odds / 2):
            world.wait(35)
            return Uncertain("content: TimeoutError")
        self._take(prepared, ref)
        if world.chance(odds):
            world.wait(35)
            return Uncertain("content: TimeoutError")
        return Accepted(f"4XyZ{len(ref)}/{ref}")

    def _take(self, prepared: Prepared, ref: str) -> None:
        request, rng = prepared.request, self._world.rng
        self._journal.note("mail", ref=ref, to=request.to, of=request.message_id)
        if request.message_id.startswith("staff-"):
            return
        if self._world.chance(self._odds):
            said = Receipt("", "failed", AttemptState.UNDELIVERED, "5.1.1", ref=ref)
            self._world.after(rng.uniform(5, 7200), lambda: self._report(said))
        elif rng.random() < 0.7:
            said = Receipt("", "delivered", AttemptState.DELIVERED, ref=ref)
            self._world.after(rng.uniform(5, 600), lambda: self._report(said))

    def _report(self, said: Receipt) -> None:
        self._journal.note("report", ref=said.ref, status=said.status)
        self._letterbox(said)

    def poll(self, provider_id: str, *, now: datetime) -> Receipt | None:
        """A relay cannot be asked."""
        del provider_id, now
        return None

    def find(self, prepared: Prepared, ref: str, *, since: datetime, now: datetime) -> Found:
        """There is no list."""
        del prepared, ref, since, now
        return Found(complete=True)

    def redact(self, provider_id: str) -> bool:
        """A relay keeps nothing."""
        del provider_id
        return True

    def listed(self, since: datetime, until: datetime) -> Found:
        """A relay has no list."""
        del since, until
        return Found(complete=False)

    def interrupt(self) -> None:
        """Nothing to break off."""

    def close(self) -> None:
        """Nothing to close."""
