"""What changed between two steps of a delivery: the later step goes by what is so now."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.services.desk import Desk, Provider, both_engines
from worker.domain.delivery import (
    Accepted,
    AttemptState,
    Found,
    NotSent,
    Outcome,
    Receipt,
    Uncertain,
)
from worker.services import sending
from worker.services.calling import finish_call
from worker.services.enrolment import void_event
from worker.services.opt_outs import opt_out_at_counter
from worker.store.tables import CaseEventRow, DeadlineRow, OptOutRow, ReminderRow

LOOKS_AT = (1, 2, 10, 30)
"""Minutes after which a lost SMS is looked up."""

NOTHING = Found(complete=True)
MOVED = "期限有变"
DELIVERED = Receipt("P1", "delivered", AttemptState.DELIVERED)


class Mail(Provider):
    """A mail server: what it said nothing of in a quarter of an hour never left."""

    name = "smtp"

    def __init__(
        self, *outcomes: Outcome, during: Callable[[Provider], object] = lambda _: None
    ) -> None:
        super().__init__(*outcomes, kind="email", found=[NOTHING], during=during)
        self.caps = replace(self.caps, finds_after=(timedelta(minutes=15),))


class Other(Provider):
    """Whom the installation has changed to."""

    name = "other"


def lose(desk: Desk) -> None:
    """Every look-up for a message finds nothing."""
    for minutes in LOOKS_AT:
        desk.after(minutes=minutes).settle()


def a_day_was_gained(desk: Desk) -> None:
    """What is stored of the only deadline was worked out under a calendar of one day less."""
    day = timedelta(days=1)
    with desk.context.db.transaction() as session:
        row = session.exec(select(DeadlineRow)).one()
        assert row.act_by_at is not None
        assert row.last_date is not None
        assert row.ends_at is not None
        row.calendar_version, row.told = "old", "2026-11-24T17:00:00+08:00"
        row.act_by_at -= day
        row.last_date -= day
        row.ends_at -= day


def break_writes(desk: Desk, attempt_id: str) -> None:
    """Let the database refuse every change to one attempt (SQLite)."""
    with desk.context.db.transaction() as session:
        session.connection().exec_driver_sql(
            f"CREATE TRIGGER broken BEFORE UPDATE ON attempt WHEN OLD.id = '{attempt_id}' "
            "BEGIN SELECT RAISE(ABORT, 'broken'); END"
        )


# Nothing is said twice, and nothing that is no longer so.


@both_engines
def test_a_reminder_revived_while_its_message_is_on_its_way_stops_nobody(desk: Desk) -> None:
    lost = Provider(Uncertain("the line broke"), found=[NOTHING])
    desk.enrol()
    desk.through(lost)
    desk.send()
    lose(desk)
    desk.record("found")
    desk.receive(AttemptState.SENT, provider_id="P9")
    with desk.context.db.reading() as session:
        found = session.exec(select(CaseEventRow).where(CaseEventRow.event == "found")).one()
    void_event(desk.context, found.id, "mistake", case_id=found.case_id, actor="t", now=desk.now)
    revived = desk.reminder().state

    good = Provider()
    desk.through(good)
    desk.at("2026-11-21T09:30").enrol("B-1", phone="10000000033")
    desk.send()

    assert revived == "planned"
    assert [request.to for request in good.handed] == ["10000000033"]


def test_a_lost_message_is_not_sent_again_under_a_date_that_moved(desk: Desk) -> None:
    provider = Provider(Uncertain("the line broke"), Accepted("M1"), Accepted("M2"),
                        found=[NOTHING])  # fmt: skip
    desk.enrol()
    desk.through(provider)
    desk.send()
    a_day_was_gained(desk)
    desk.recalculate()
    desk.after(minutes=1).send()
    desk.receive(AttemptState.DELIVERED, provider_id="M1")

    lose(desk)
    counts = desk.after(minutes=1).send()

    assert counts == {"cancelled": 1}
    assert [MOVED in request.text for request in provider.handed] == [False, True]
    assert (desk.reminder().state, desk.reminder().reason) == ("cancelled", "date_moved")


def test_a_date_nobody_heard_of_moves_without_being_news(desk: Desk) -> None:
    desk.enrol()
    desk.through(Provider(NotSent("no route")))
    desk.send()
    a_day_was_gained(desk)
    desk.recalculate()

    good = Provider()
    desk.through(good)
    desk.after(minutes=3).send()

    assert [MOVED in request.text for request in good.handed] == [False]
    assert "moved" not in {row.step for row in desk.reminders()}


def test_a_letter_said_to_be_delayed_after_it_was_given_up_is_not_sent_again(desk: Desk) -> None:
    provider = Mail(Uncertain("the line broke"), Accepted("Q2"))
    desk.at("2026-11-20T19:40").enrol(email="a1@example.com")
    desk.through(provider)
    desk.send()
    desk.after(minutes=15).settle()
    given_up = desk.attempt.state

    desk.at("2026-11-20T23:50").receive(None, source="bounce", status="delayed", provider_id="")
    desk.at("2026-11-21T09:01").send()

    assert given_up == "lost"
    assert desk.attempt.state == "accepted"
    assert len(provider.handed) == 1


def test_a_lost_message_that_turns_up_takes_back_the_one_planned_instead(desk: Desk) -> None:
    provider = Provider(Uncertain("the line broke"), Accepted("M2"), Accepted("M3"),
                        found=[NOTHING])  # fmt: skip
    desk.enrol()
    desk.through(provider)
    desk.send()
    lose(desk)
    desk.after(minutes=1).send()
    desk.receive(AttemptState.UNDELIVERED, provider_id="M2", code="30003", is_transient=True)
    lost, failed = desk.attempts()
    planned = desk.reminder().state

    desk.receive(AttemptState.SENT, provider_id="P9", ref=lost.ref)

    assert (lost.state, failed.state, planned) == ("lost", "undelivered", "planned")
    assert desk.reminder().state == "sent"
    assert len(provider.handed) == 2


@pytest.mark.parametrize(
    ("starts", "useful_for"),
    [("2026-11-20T16:30:00", timedelta(seconds=30)), ("2026-11-20T19:59:30", timedelta(hours=9))],
    ids=["of no use any more", "evening"],
)
def test_a_message_that_waited_too_long_for_its_turn_does_not_leave(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, starts: str, useful_for: timedelta
) -> None:
    elapsed = [0.0]
    # A provider that takes forty seconds, and nobody who waits for it.
    monkeypatch.setattr(sending, "monotonic", lambda: elapsed[0])

    def take_long(_: Provider) -> None:
        elapsed[0] += 40  # well inside the lease

    provider = Mail(during=take_long)
    desk.at(starts)
    for number in range(3):
        desk.enrol(f"A-{number}", email=f"c{number}@example.com")
    with desk.context.db.transaction() as session:
        for row in session.exec(select(ReminderRow).where(ReminderRow.step == "at_once")):
            row.useless_after_at = desk.now + useful_for
    desk.through(provider)
    desk.context = replace(desk.context, send_threads=1)

    counts = desk.send()

    assert len(provider.handed) == 1
    assert (counts["accepted"], counts["not_sent"]) == (1, 2)


def test_a_provider_that_asks_to_be_called_again_at_once_is_called_later(desk: Desk) -> None:
    provider = Provider(NotSent("20429", timedelta(0)))
    desk.enrol()
    desk.through(provider)

    desk.send(keep_going=lambda: len(provider.handed) < 5)

    assert len(provider.handed) == 1
    assert desk.reminder().due_at > desk.now + timedelta(seconds=30)


# People are asked once, and believed again.


def test_who_was_called_for_a_silent_message_is_not_called_for_it_again(desk: Desk) -> None:
    desk.enrol()
    desk.through(Provider(receipts=[Receipt("P1", "sent", AttemptState.SENT)]))
    desk.at("2026-11-25T09:01").send()
    desk.at("2026-11-25T13:30").poll()
    (task,) = desk.calls()
    finish_call(desk.context, task.id, reached=True, note="", actor="li", now=desk.now)

    for _ in range(6):
        desk.after(minutes=30).poll()

    assert [one.id for one in desk.calls()] == [task.id]
    assert desk.reasons() == []


def test_a_refusal_repeated_after_it_was_taken_back_counts(desk: Desk) -> None:
    wish = {"status": "unsubscribed", "provider_id": "", "opted_out": True}
    desk.enrol(email="a1@example.com")
    desk.through(Mail(Accepted("Q1")))
    desk.send()
    case_id = desk.attempt.case_id
    desk.receive(None, source="bounce", **wish)
    opt_out_at_counter(desk.context, case_id, "email", undo=True, actor="li", now=desk.now)
    taken_back = refusals(desk)

    said = desk.after(days=30).receive(None, source="bounce", **wish)

    assert said == "repeated"
    assert (taken_back, refusals(desk)) == (0, 1)


def refusals(desk: Desk) -> int:
    """How many addresses want no more messages."""
    with desk.context.db.reading() as session:
        return len(session.exec(select(OptOutRow)).all())


# Of one message the one provider speaks that took it.


def test_another_provider_is_not_asked_after_a_message(desk: Desk) -> None:
    other = Other(receipts=[DELIVERED])
    desk.enrol()
    desk.through(Provider(Accepted("P1")))
    desk.send()

    desk.through(other)
    desk.after(minutes=5).poll()

    assert other.polled == 0
    assert desk.attempt.state == "accepted"


@pytest.mark.parametrize("found", [NOTHING, Found(True, (DELIVERED,))], ids=["none", "one"])
def test_another_providers_list_says_nothing_of_a_message(desk: Desk, found: Found) -> None:
    desk.enrol()
    desk.through(Provider(Uncertain("the line broke")))
    desk.send()

    desk.through(Other(found=[found]))
    lose(desk)

    assert (desk.attempt.state, desk.attempt.misses) == ("uncertain", 0)
    assert desk.reminder().state == "uncertain"


# One that cannot be written stops no other.


def two_sent(desk: Desk, provider: Provider) -> None:
    """Two messages are on their way; of the elder no change can be written any more."""
    desk.through(provider)
    desk.enrol("A-1")
    desk.send()
    desk.enrol("A-2", phone="10000000033")
    desk.send()
    break_writes(desk, desk.attempts()[0].id)


def test_a_poll_that_cannot_be_written_keeps_nobody_else_waiting(desk: Desk) -> None:
    two_sent(desk, Provider(receipts=[DELIVERED]))

    counts = desk.after(minutes=5).poll()

    assert counts == {"error": 1, "delivered": 1}
    assert [row.state for row in desk.attempts()] == ["accepted", "delivered"]


def test_a_look_up_that_cannot_be_written_keeps_nobody_else_waiting(desk: Desk) -> None:
    two_sent(desk, Provider(Uncertain("the line broke"), found=[NOTHING]))

    counts = desk.after(minutes=1).settle()

    assert counts == {"error": 1, "missing": 1}
    assert [row.misses for row in desk.attempts()] == [0, 1]
