"""Whose message it is, where two look alike: one text to one number, both in doubt."""

from datetime import datetime, timedelta

import pytest

from tests.services.desk import APPLIED, SECOND, Desk, Provider, both_engines
from worker.domain.delivery import Accepted, AttemptState, Found, Receipt, Uncertain
from worker.store.tables import AttemptRow

DELIVERED, SENT, UNDELIVERED = (
    AttemptState.DELIVERED,
    AttemptState.SENT,
    AttemptState.UNDELIVERED,
)
UNCERTAIN = Uncertain("the line broke")
NOTHING = Found(complete=True)


def listed(*ids: str) -> Found:
    return Found(complete=True, hits=tuple(Receipt(one, "sent", SENT) for one in ids))


def mistaken(desk: Desk, *, polled: Receipt | None = None) -> tuple[AttemptRow, AttemptRow]:
    """Two messages in doubt, and a list that showed only the second, P2: a look-up took it for the
    first's. In the end the list shows both."""
    provider = Provider(
        UNCERTAIN,
        UNCERTAIN,
        Accepted("P3"),
        found=[listed("P2"), NOTHING, listed("P1", "P2")],
        receipts=[polled] if polled else [],
    )
    desk.through(provider, Provider(kind="email"))
    desk.enrol("A-1")
    desk.send()
    desk.enrol("A-2", phone=SECOND)
    desk.send()
    desk.after(minutes=1).settle()
    first, second = desk.attempts()
    if polled:
        desk.after(minutes=5).poll()
    assert (first.provider_id, second.provider_id) == ("P2", None)
    return first, second


def bound(desk: Desk) -> list[tuple[str | None, str]]:
    return [(row.provider_id, row.state) for row in desk.attempts()]


@both_engines
def test_a_callback_takes_its_message_back_from_an_attempt_that_was_guessed(desk: Desk) -> None:
    _, second = mistaken(desk)

    said = desk.receive(DELIVERED, provider_id="P2", ref=second.ref)

    assert said == "delivered"
    assert bound(desk) == [(None, "uncertain"), ("P2", "delivered")]
    assert desk.reminder(reference="A-1").state == "uncertain"
    assert desk.reminder(reference="A-2").state == "delivered"


@both_engines
def test_who_lost_a_message_that_was_not_theirs_is_looked_up_again(desk: Desk) -> None:
    _, second = mistaken(desk)
    desk.receive(DELIVERED, provider_id="P2", ref=second.ref)

    desk.settle()

    assert bound(desk) == [("P1", "accepted"), ("P2", "delivered")]
    assert desk.reminder(reference="A-1").state == "accepted"


@both_engines
def test_a_callback_for_the_attempt_that_was_guessed_names_its_true_message(desk: Desk) -> None:
    first, _ = mistaken(desk)

    said = desk.receive(DELIVERED, provider_id="P1", ref=first.ref)
    desk.after(minutes=2).settle()

    assert said == "delivered"
    assert bound(desk) == [("P1", "delivered"), ("P2", "accepted")]


@both_engines
def test_what_was_said_of_anothers_message_is_forgotten(desk: Desk) -> None:
    _, second = mistaken(desk, polled=Receipt("", "undelivered", UNDELIVERED))
    before = desk.reminder(reference="A-1").state

    desk.receive(UNDELIVERED, provider_id="P2", ref=second.ref)

    assert (before, desk.reminder(reference="A-1").state) == ("needs_person", "uncertain")
    assert bound(desk) == [(None, "uncertain"), ("P2", "undelivered")]


@both_engines
def test_one_that_was_told_again_meanwhile_is_lost_and_not_looked_up(desk: Desk) -> None:
    failed = Receipt("", "undelivered", UNDELIVERED, code="30003", is_transient=True)
    _, second = mistaken(desk, polled=failed)
    desk.after(hours=2).send()

    desk.receive(DELIVERED, provider_id="P2", ref=second.ref)

    assert bound(desk) == [(None, "lost"), ("P2", "delivered"), ("P3", "accepted")]


@both_engines
def test_what_was_said_last_of_a_message_that_was_given_back_is_asked_for(desk: Desk) -> None:
    _, second = mistaken(desk, polled=Receipt("", "undelivered", UNDELIVERED))
    desk.after(hours=80)  # no ladder of polls goes on so long

    desk.receive(SENT, provider_id="P2", ref=second.ref)
    desk.poll()

    assert bound(desk)[1] == ("P2", "undelivered")


@both_engines
def test_a_message_its_own_submission_named_is_not_taken_away(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.through(Provider(Accepted("P1"), UNCERTAIN, found=[NOTHING]))
    desk.enrol("A-1")
    desk.send()
    desk.enrol("A-2", phone=SECOND)
    desk.send()

    said = desk.receive(DELIVERED, provider_id="P1")

    assert said == "other_message"
    assert bound(desk) == [("P1", "accepted"), (None, "uncertain")]
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == [
        "attempt.other_message"
    ]


@both_engines
def test_a_message_a_callback_has_named_is_not_taken_away(desk: Desk) -> None:
    first, second = mistaken(desk)
    desk.receive(SENT, provider_id="P2", ref=first.ref)

    said = desk.receive(DELIVERED, provider_id="P2", ref=second.ref)

    assert said == "other_message"
    assert bound(desk)[0] == ("P2", "sent")


@both_engines
def test_only_a_callback_takes_a_message_away(desk: Desk) -> None:
    _, second = mistaken(desk)

    said = desk.receive(UNDELIVERED, provider_id="P2", ref=second.ref, source="bounce")

    assert said == "other_message"
    assert bound(desk)[0] == ("P2", "accepted")


# Two cases of one number and one text, minutes apart.


def alike(desk: Desk, *found: tuple[str, ...]) -> list[datetime]:
    """Two messages in doubt, two minutes and some seconds apart, that no list can tell from each
    other; lists of the ids given are shown one after the other. Returns when each began."""
    began = [desk.now, desk.now + timedelta(minutes=2, seconds=40)]
    created = dict(zip(("P1", "P2"), began, strict=True))
    lists = [
        Found(
            complete=True,
            hits=tuple(Receipt(one, "sent", SENT, created_at=created[one]) for one in ids),
        )
        for ids in found
    ]
    desk.through(Provider(UNCERTAIN, found=lists), Provider(kind="email"))
    desk.enrol("A-1", events=APPLIED, card_last4="0001")
    desk.send()
    desk.clock.advance(began[1] - desk.now)
    desk.enrol("A-2", events=APPLIED, card_last4="0001")
    desk.send()
    first, second = desk.attempts()
    assert first.address_index == second.address_index
    assert first.body_hash == second.body_hash
    return began


@both_engines
def test_a_message_is_not_taken_for_an_earlier_one_whose_call_was_over(desk: Desk) -> None:
    alike(desk, ("P2",), ("P2",), ("P1", "P2"))

    desk.settle()
    before = bound(desk)
    desk.after(minutes=1).settle()
    desk.after(minutes=10).settle()

    assert before == [(None, "uncertain"), (None, "uncertain")]
    assert bound(desk) == [("P1", "accepted"), ("P2", "accepted")]
