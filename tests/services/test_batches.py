"""Batches: what is written together stands or falls message by message."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from threading import Event

import pytest

from tests.services.desk import Desk, Provider, both_engines
from worker.domain.delivery import LEASE, Accepted, AttemptState, Outcome, Prepared
from worker.domain.errors import Unavailable
from worker.services import sending
from worker.services.claiming import Claimed, claim_due
from worker.services.recording import Said, record
from worker.store.attempts import move_attempt

PATIENCE = 20  # seconds, for what happens at once unless something is broken


def enrolled(desk: Desk, count: int) -> list[str]:
    """So many cases with a number each; their references."""
    references = [f"A-{number}" for number in range(count)]
    for number, reference in enumerate(references):
        desk.enrol(reference, phone=f"100000000{number + 30}")
    return references


def states(desk: Desk) -> list[str]:
    return sorted(attempt.state for attempt in desk.attempts())


def claimed(desk: Desk, count: int) -> list[Claimed]:
    """So many messages on the wire, by their number."""
    enrolled(desk, count)
    found, _ = claim_due(desk.context, "me", desk.now, Counter(), 50)
    return sorted(found, key=lambda one: one.prepared.request.to)


@both_engines
def test_a_message_the_rescue_took_over_keeps_no_other_from_the_books(
    desk: Desk, other_desk: Desk
) -> None:
    one, rescued, other = claimed(desk, 3)
    with other_desk.context.db.transaction() as session:
        move_attempt(session, rescued.attempt.id, AttemptState.SUBMITTING, {"state": "lost"})

    counts = record(desk.context, "me", answers(one, rescued, other), desk.now)

    assert counts == {"accepted": 2, "overtaken": 1}
    assert states(desk) == ["accepted", "accepted", "lost"]
    assert [status for _, status in desk.seen()] == ["accepted"] * 3


@both_engines
def test_an_id_said_of_two_messages_of_a_batch_is_believed_of_one(desk: Desk) -> None:
    batch = claimed(desk, 3)
    said = [Said(one, Accepted(id_)) for one, id_ in zip(batch, ("P1", "P2", "P1"), strict=True)]

    counts = record(desk.context, "me", said, desk.now)

    assert counts == {"accepted": 2, "uncertain": 1}
    assert states(desk) == ["accepted", "accepted", "uncertain"]


def answers(*messages: Claimed) -> list[Said]:
    return [Said(one, Accepted(f"P{number}")) for number, one in enumerate(messages)]


def test_the_next_batch_is_claimed_while_one_is_on_the_wire(desk: Desk) -> None:
    enrolled(desk, 4)
    provider = Waiting(until=3)
    desk.through(provider)
    desk.context = replace(desk.context, send_threads=3, send_batch=2)

    counts = desk.send()

    assert all(provider.met)
    assert counts["accepted"] == 4


def test_a_claim_that_fails_throws_no_answer_away(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims, is_refused = iter((True, False)), Event()

    def claim_once(*given: object) -> object:
        if not next(claims):
            is_refused.set()
            raise Unavailable("忙", "busy")
        return claim_due(*given)  # type: ignore[arg-type]  # as it came

    enrolled(desk, 4)
    desk.through(Provider(during=lambda _: is_refused.wait(PATIENCE)))
    desk.context = replace(desk.context, send_threads=1, send_batch=2)
    monkeypatch.setattr(sending, "claim_due", claim_once)

    with pytest.raises(Unavailable):
        desk.send()

    assert states(desk) == ["accepted", "accepted"]


def test_the_lease_of_a_batch_claimed_ahead_runs_from_its_own_claim(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    elapsed = [0.0]
    monkeypatch.setattr(sending, "monotonic", lambda: elapsed[0])

    def take_long(_: Provider) -> None:
        elapsed[0] += LEASE.total_seconds() / 2

    references = enrolled(desk, 4)
    desk.through(Provider(during=take_long))
    desk.context = replace(desk.context, send_threads=1, send_batch=1)

    desk.send()

    assert {desk.reminder(reference=one).state for one in references} == {"accepted"}


def test_answers_are_written_down_while_others_are_still_claimed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    handed = Event()

    def claim(*given: object) -> object:
        order.append("claim")
        if order.count("claim") == 2:
            handed.wait(PATIENCE)
        return claim_due(*given)  # type: ignore[arg-type]  # as it came

    def recorded(*given: object) -> object:
        order.append("record")
        return record(*given)  # type: ignore[arg-type]  # as it came

    enrolled(desk, 1)
    for number in range(8):  # no channel takes these: each is ended as it is claimed
        desk.after(seconds=1).enrol(f"M-{number}", phone="", email=f"m{number}@example.org")
    desk.through(Provider(during=lambda _: handed.set()))
    desk.context = replace(desk.context, send_threads=1, send_batch=1)
    monkeypatch.setattr(sending, "claim_due", claim)
    monkeypatch.setattr(sending, "record", recorded)

    desk.send()

    assert "claim" in order[order.index("record") :]


def test_no_more_wait_for_a_slow_provider_than_their_lease_allows(desk: Desk) -> None:
    class Slow(Provider):
        def submit(self, prepared: Prepared, ref: str, **_: datetime) -> Outcome:
            elapsed[0] += 35
            return super().submit(prepared, ref, now=desk.now)

    elapsed = [0.0]
    enrolled(desk, 40)
    desk.through(Slow())
    desk.context = replace(desk.context, send_threads=1, send_batch=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sending, "monotonic", lambda: elapsed[0])
        desk.send()
        given_back = [one.state for one in desk.attempts()].count("not_sent")

    # Those of the first batches, which are claimed before anything is known of the provider
    assert given_back <= 10


class Waiting(Provider):
    """Keeps its answers back until so many messages are with it at once, or patience ends."""

    def __init__(self, *, until: int) -> None:
        super().__init__()
        self._until, self._together = until, Event()
        self.met: list[bool] = []

    def submit(self, prepared: Prepared, ref: str, **_: datetime) -> Outcome:
        outcome = super().submit(prepared, ref)
        if len(self.handed) >= self._until:
            self._together.set()
        self.met.append(self._together.wait(PATIENCE))
        return outcome
