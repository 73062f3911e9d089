"""Settling: what became of a message is found out, never guessed."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.services.desk import (
    ANSWER_LOST,
    APPLIED,
    DELIVERED,
    NO_RECEIPT,
    REJECTED,
    UNDELIVERED,
    Desk,
    Office,
    Provider,
    both_engines,
)
from worker.crashpoints import CRASH_POINTS
from worker.domain.delivery import (
    LEASE,
    Accepted,
    AttemptState,
    Channel,
    Found,
    Receipt,
    Uncertain,
)
from worker.store.tables import AttemptRow, ReminderRow

UNCERTAIN = Uncertain("the line broke")
NOTHING = Found(complete=True)
CUT_SHORT = Found(complete=False)
LOOKS_AT = (
    timedelta(minutes=1),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
)


def receipt(state: AttemptState | None, *, status: str = "", code: str = "") -> Receipt:
    return Receipt("P1", status or str(state), state, code=code)


def sent_through(desk: Desk, provider: Channel) -> None:
    """One message is on its way through a provider of the test's own."""
    desk.enrol()
    desk.through(provider)
    desk.send()


@both_engines
@pytest.mark.parametrize(
    ("listed", "minutes"), [(AttemptState.DELIVERED, 0), (AttemptState.SENT, 5)]
)
def test_what_a_list_shows_to_be_over_is_asked_for_at_once(
    desk: Desk, listed: AttemptState, minutes: int
) -> None:
    found = Found(complete=True, hits=(receipt(listed),))
    sent_through(desk, Provider(UNCERTAIN, found=[found]))
    desk.after(minutes=1).settle()
    looked_at = desk.now

    asked_at = desk.attempt.next_check_at

    assert asked_at == max(looked_at, desk.attempt.started_at + timedelta(minutes=minutes))


# The sandbox's numbers.


@both_engines
@pytest.mark.parametrize(
    ("phone", "at_once", "in_the_end"),
    [
        (DELIVERED, "accepted", "delivered"),
        (UNDELIVERED, "accepted", "undelivered"),
        (REJECTED, "rejected", "rejected"),
        (NO_RECEIPT, "accepted", "sent"),
        (ANSWER_LOST, "uncertain", "delivered"),
        ("10000000099", "accepted", "delivered"),
    ],
)
def test_a_sandbox_number_decides_what_becomes_of_its_message(
    desk: Desk, phone: str, at_once: str, in_the_end: str
) -> None:
    desk.enrol(phone=phone)

    desk.send()
    first = desk.attempt.state
    desk.after(minutes=1).settle()
    desk.after(minutes=5).poll()

    assert (first, desk.attempt.state) == (at_once, in_the_end)


def test_a_lost_answer_is_found_after_a_minute_and_nothing_is_sent_twice(
    desk: Desk, office: Office
) -> None:
    desk.enrol(phone=ANSWER_LOST)
    desk.send()

    early = desk.settle()
    found = desk.after(minutes=1).settle()
    desk.send()
    state = desk.attempt.state
    desk.after(minutes=4).poll()

    assert (early, found) == ({}, {"found": 1})
    assert state == "accepted"
    assert desk.attempt.provider_id == office.ledger()[0]["id"]
    assert len(office.ledger()) == 1
    assert desk.reminder().state == "delivered"


# Looking for a lost message.


@both_engines
def test_four_complete_empty_look_ups_mean_lost_and_one_more_attempt(desk: Desk) -> None:
    provider = Provider(UNCERTAIN, Accepted("P2"), found=[NOTHING])
    sent_through(desk, provider)

    counts = [desk.after(minutes=step.seconds / 60).settle() for step in LOOKS_AT]
    again = desk.reminder()
    desk.send()

    assert counts == [{"missing": 1}] * 3 + [{"lost": 1}]
    assert (again.state, again.reason) == ("planned", "again_after_lost")
    assert [(row.number, row.state) for row in desk.attempts()] == [(1, "lost"), (2, "accepted")]
    assert desk.reminder().state == "accepted"


@both_engines
def test_a_message_lost_twice_goes_to_a_person_and_is_never_sent_a_third_time(desk: Desk) -> None:
    provider = Provider(UNCERTAIN, found=[NOTHING])
    sent_through(desk, provider)

    for _ in range(2):
        for step in LOOKS_AT:
            desk.after(minutes=step.seconds / 60).settle()
        desk.send()

    assert len(provider.handed) == 2
    assert [row.state for row in desk.attempts()] == ["lost", "lost"]
    assert desk.reminder().state == "needs_person"
    assert desk.reasons() == ["not_reached:lost_twice"]


def test_a_late_bounce_of_the_first_message_does_not_make_room_for_a_third(desk: Desk) -> None:
    relay = Provider(UNCERTAIN, kind="email", found=[NOTHING])
    relay.caps = replace(relay.caps, finds_after=(timedelta(minutes=15),))
    desk.through(relay)
    desk.enrol(phone=None, email="someone@example.com")
    desk.send()
    first = desk.attempt.ref

    desk.after(minutes=15).settle()
    desk.send()
    desk.receive(AttemptState.UNDELIVERED, source="bounce", provider_id="", ref=first)
    desk.after(minutes=15).settle()
    desk.send()

    assert [row.state for row in desk.attempts()] == ["undelivered", "lost"]
    assert len(relay.handed) == 2


@both_engines
def test_a_message_lost_twice_is_followed_by_a_mail(desk: Desk) -> None:
    provider = Provider(UNCERTAIN, found=[NOTHING])
    desk.enrol(phone=DELIVERED, email="someone@example.com")
    desk.through(provider, Provider(kind="email"))
    desk.send()

    for _ in range(2):
        for step in LOOKS_AT:
            desk.after(minutes=step.seconds / 60).settle()
        desk.send()

    assert len(provider.handed) == 2
    assert desk.reminder().state == "undelivered"
    assert desk.states()["at_once email"] == "accepted"
    assert desk.reasons() == []


def test_advice_without_a_date_that_was_lost_twice_is_nobodys_call(desk: Desk) -> None:
    provider = Provider(UNCERTAIN, found=[NOTHING])
    desk.enrol(events=[("pre_reported_in_writing", "2026-11-20T16:20")])
    desk.through(provider)
    desk.send()

    for _ in range(2):
        for step in LOOKS_AT:
            desk.after(minutes=step.seconds / 60).settle()
        desk.send()

    assert desk.reminder().state == "needs_person"
    assert desk.calls() == []


def test_a_lost_message_takes_what_it_carries_back_with_it(desk: Desk) -> None:
    desk.enrol(events=APPLIED)
    desk.through(Provider(UNCERTAIN, Accepted("P2"), found=[NOTHING]))
    desk.send()

    for step in LOOKS_AT:
        desk.after(minutes=step.seconds / 60).settle()
    carried = desk.reminder(kind="step")
    desk.send()

    assert (carried.state, carried.carried_by) == ("planned", None)
    assert desk.reminder(kind="step").carried_by == desk.reminder(kind="ready").id


def test_a_lost_message_is_not_repeated_once_a_later_step_told_the_same_date(desk: Desk) -> None:
    provider = Provider(UNCERTAIN, Accepted("P2"), found=[NOTHING])
    desk.at("2026-11-25T13:50").enrol()
    desk.through(provider)
    desk.send()
    desk.at("2026-11-25T14:00").send()

    for step in LOOKS_AT:
        desk.after(minutes=step.seconds / 60).settle()
    desk.send()

    assert len(provider.handed) == 2
    assert desk.reminder(step="open_hours_3").state == "accepted"
    first = desk.reminder()
    assert (first.state, first.reason) == ("cancelled", "a_later_step_went_out")


def test_an_incomplete_look_up_proves_nothing(desk: Desk) -> None:
    provider = Provider(UNCERTAIN, found=[CUT_SHORT])
    sent_through(desk, provider)

    for _ in range(30):
        desk.after(minutes=3).settle()
    desk.send()

    assert (desk.attempt.state, desk.attempt.misses) == ("uncertain", 0)
    assert len(provider.handed) == 1


def test_a_look_up_that_raises_proves_nothing_and_stops_nobody_elses(desk: Desk) -> None:
    class Broken(Provider):
        def find(self, *_: object, **__: object) -> Found:
            raise ConnectionResetError

    desk.enrol("A-1", email="someone@example.com")
    desk.enrol("A-2", phone=ANSWER_LOST)
    desk.through(Broken(UNCERTAIN, kind="email"), desk.sandbox("sms"))
    desk.send()

    desk.after(minutes=1).settle()

    assert desk.reminder(channel="email").state == "uncertain"
    assert desk.reminder(reference="A-2").state == "accepted"


def test_a_message_bound_to_another_attempt_is_not_found_again(desk: Desk) -> None:
    mine = Found(complete=True, hits=(receipt(AttemptState.SENT),))
    desk.enrol("A-1")
    desk.enrol("A-2")
    desk.through(Provider(UNCERTAIN, found=[mine]))
    desk.send()

    counts = desk.after(minutes=1).settle()

    assert counts == {"found": 1, "missing": 1}
    assert sorted(row.state for row in desk.attempts()) == ["accepted", "uncertain"]


def test_the_last_look_ups_are_pulled_forward_where_the_counter_closes_soon(desk: Desk) -> None:
    provider = Provider(UNCERTAIN, found=[NOTHING])
    desk.enrol()
    desk.through(provider)

    desk.at("2026-11-25T16:40").send()
    counts = [desk.after(minutes=1).settle(), desk.after(minutes=2).settle(),
              desk.after(minutes=10).settle(), desk.at("2026-11-25T16:56").settle()]  # fmt: skip
    desk.send()

    assert counts == [{"missing": 1}] * 3 + [{"lost": 1}]
    assert len(provider.handed) == 2


# Polling.


def test_polls_follow_the_time_since_it_was_sent(desk: Desk) -> None:
    provider = Provider(Accepted("P1"), receipts=[None])
    desk.enrol(events=APPLIED)
    desk.through(provider)
    desk.send()
    sent_at = desk.attempt.started_at

    plan = []
    while (check_at := desk.attempt.next_check_at) is not None:
        plan.append(check_at - sent_at)
        desk.clock.advance(check_at - desk.now)
        desk.poll()

    hours = [timedelta(minutes=5), timedelta(minutes=30)]
    hours += [timedelta(hours=hour) for hour in (2, 12, 24, 72)]
    assert plan == hours


def test_a_worker_that_was_down_polls_once_and_not_for_every_poll_it_missed(desk: Desk) -> None:
    provider = Provider(Accepted("P1"), receipts=[None])
    sent_through(desk, provider)

    desk.after(hours=3).poll()

    assert provider.polled == 1
    assert desk.attempt.next_check_at == desk.attempt.started_at + timedelta(hours=12)


def test_polls_come_sooner_where_the_counter_closes_soon(desk: Desk) -> None:
    desk.enrol()
    desk.through(Provider(Accepted("P1"), receipts=[None]))
    desk.at("2026-11-25T09:00").send()

    desk.at("2026-11-25T11:30").poll()

    check_at = desk.attempt.next_check_at
    assert check_at is not None
    assert check_at == datetime.fromisoformat("2026-11-25T15:00+08:00")


@both_engines
def test_silence_for_three_days_reads_unconfirmed_and_never_delivered(desk: Desk) -> None:
    desk.enrol(phone=NO_RECEIPT)
    desk.send()

    for hours in (1, 2, 10, 12, 48):
        desk.after(hours=hours).poll()

    assert desk.attempt.state == "unconfirmed"
    assert desk.attempt.next_check_at is None
    assert desk.reminder().state == "unconfirmed"


def test_a_receipt_at_the_last_poll_still_counts(desk: Desk) -> None:
    sent_through(desk, Provider(Accepted("P1"), receipts=[receipt(AttemptState.DELIVERED)]))

    desk.after(hours=200).poll()

    assert desk.reminder().state == "delivered"


def test_a_status_nobody_knows_is_kept_and_changes_nothing(desk: Desk) -> None:
    odd = receipt(None, status="held-by-moon")
    sent_through(desk, Provider(Accepted("P1"), receipts=[odd]))

    desk.after(minutes=5).poll()

    assert desk.attempt.state == "accepted"
    assert ("poll", "held-by-moon") in desk.seen()
    assert desk.attempt.next_check_at is not None


def test_a_poll_that_raises_stops_nobody_elses(desk: Desk) -> None:
    class Broken(Provider):
        def poll(self, provider_id: str, **_: datetime) -> Receipt | None:
            raise ConnectionResetError(provider_id)

    desk.enrol("A-1", email="someone@example.com")
    desk.enrol("A-2", phone=DELIVERED)
    desk.through(Broken(kind="email"), desk.sandbox("sms"))
    desk.send()

    desk.after(minutes=5).poll()

    assert desk.reminder(channel="email").state == "accepted"
    assert desk.reminder(reference="A-2").state == "delivered"


def test_a_receipt_after_the_matter_is_settled_is_still_written_down(desk: Desk) -> None:
    desk.enrol()
    desk.send()
    desk.record("reported_in_writing")

    desk.after(minutes=5).poll()

    assert (desk.reminder().state, desk.reminder().reason) == ("delivered", "cannot_be_recalled")


# Rescue.


@both_engines
def test_a_claim_nobody_finished_is_looked_up_and_not_sent_again(
    desk: Desk, office: Office
) -> None:
    desk.enrol()
    desk.send()
    left_submitting(desk)

    early = desk.rescue()
    counts = desk.after(seconds=LEASE.seconds).rescue()
    state = desk.reminder().state
    desk.settle()
    desk.send()

    assert (early, counts) == ({}, {"rescued": 1})
    assert state == "uncertain"
    assert desk.attempt.provider_id == office.ledger()[0]["id"]
    assert len(office.ledger()) == 1


def test_who_was_told_by_a_rescued_message_is_remembered(desk: Desk) -> None:
    desk.enrol()
    desk.send()
    left_submitting(desk)

    desk.after(seconds=LEASE.seconds).rescue()
    desk.settle()

    assert desk.deadlines()["lapse"].told == "2026-11-25T17:00:00+08:00"


def test_a_look_up_overtaken_by_another_workers_changes_nothing(desk: Desk) -> None:
    desk.through(Provider(UNCERTAIN, found=[NOTHING]))
    desk.enrol()
    desk.send()
    desk.after(minutes=1)
    desk.through(Slow(meanwhile=replace(desk, context=desk.context)))

    slow = desk.settle()

    assert slow == {"overtaken": 1}
    assert desk.attempt.misses == 1
    assert desk.attempt.next_check_at == desk.attempt.started_at + timedelta(minutes=3)


class Slow(Provider):
    """A list that fails, after another worker has seen it whole."""

    def __init__(self, meanwhile: Desk) -> None:
        super().__init__(found=[CUT_SHORT])
        self._meanwhile = meanwhile

    def find(self, *_: object, **__: object) -> Found:
        self._meanwhile.settle()
        return super().find()


def test_a_rescued_letter_is_not_given_up_before_a_report_could_come(desk: Desk) -> None:
    relay = Provider(Accepted("Q1"), kind="email", found=[NOTHING])
    relay.caps = replace(relay.caps, finds_after=(timedelta(minutes=15),))
    desk.through(relay)
    desk.enrol(email="a@example.com")
    desk.send()
    left_submitting(desk)

    desk.after(seconds=LEASE.seconds).rescue()
    desk.settle()
    early = desk.attempt.state
    desk.after(minutes=13).settle()

    assert early == "uncertain"
    assert desk.attempt.state == "lost"


def left_submitting(desk: Desk) -> None:
    """As a worker leaves it that was killed after the provider took the message."""
    assert "after_submit" in CRASH_POINTS
    with desk.context.db.transaction() as session:
        attempt = session.get_one(AttemptRow, desk.attempt.id)
        attempt.state, attempt.provider_id, attempt.next_check_at = "submitting", None, None
        session.get_one(ReminderRow, attempt.reminder_id).state = "submitting"
