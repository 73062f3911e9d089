"""Receipts that come by themselves: in any order, twice, too late, or about another message."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlmodel import select

from tests.services.desk import APPLIED, SECOND, Desk, Provider, beijing, both_engines
from worker.domain.delivery import (
    Accepted,
    AttemptState,
    Found,
    NotSent,
    Outcome,
    Receipt,
    Rejected,
    Uncertain,
)
from worker.services.receipts import Source, take_receipt
from worker.store.attempts import insert_attempts
from worker.store.database import Database
from worker.store.tables import OptOutRow, ReminderRow

ACCEPTED, SENT = AttemptState.ACCEPTED, AttemptState.SENT
DELIVERED, UNDELIVERED = AttemptState.DELIVERED, AttemptState.UNDELIVERED
UNCERTAIN = Uncertain("the line broke")
NOTHING = Found(complete=True)
LOOKS_AFTER = (1, 2, 10, 30)
MAIL = "someone@example.com"

Said = tuple[str, AttemptState | None, Source]


def on_its_way(desk: Desk, *outcomes: Outcome, **cells: Any) -> Provider:
    """One case whose first message was handed to a provider of the test's own."""
    provider = Provider(*(outcomes or (Accepted("P1"),)), found=[NOTHING])
    desk.enrol(**cells)
    desk.through(provider, Provider(kind="email"))
    desk.send()
    return provider


def lost(desk: Desk, *then: Outcome) -> Provider:
    """The first attempt is lost and its one repetition is planned for now."""
    provider = on_its_way(desk, UNCERTAIN, *(then or (Accepted("P2"),)))
    for minutes in LOOKS_AFTER:
        desk.after(minutes=minutes).settle()
    assert (desk.attempt.state, desk.reminder().state) == ("lost", "planned")
    return provider


def first(desk: Desk, state: AttemptState | None, **said: Any) -> str:
    """A receipt for the first attempt, by its ref."""
    return desk.receive(state, ref=desk.attempts()[0].ref, **said)


def alerts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


# Order, rank and repetition.


def outcomes_of_all_orders(desk: Desk, said: tuple[Said, ...]) -> set[tuple[str, ...]]:
    """Every order of some receipts, each for a mail of its own; how they ended."""
    orders = list(permutations(said))
    for number, _ in enumerate(orders):
        desk.enrol(f"A-{number}", email=f"number{number}@example.com")
    desk.through(Provider(kind="email"))
    desk.context = replace(desk.context, send_batch=200)
    desk.send()
    for attempt, order in zip(desk.attempts(), orders, strict=True):
        for status, state, source in order:
            code = "30005" if state is UNDELIVERED else ""
            desk.receive(state, source=source, status=status, code=code, ref=attempt.ref,
                         provider_id=attempt.provider_id)  # fmt: skip
    with desk.context.db.reading() as session:
        of = {row.id: row.state for row in session.exec(select(ReminderRow))}
    called = {task.reminder_id for task in desk.calls() if task.state == "open"}
    ends = [
        (row.state, row.provider_status, of[row.reminder_id], str(row.reminder_id in called))
        for row in desk.attempts()
    ]
    assert len(ends) == len(orders)
    return set(ends)


@pytest.mark.parametrize(
    ("last", "end"),
    [
        (("delivered", DELIVERED, "poll"), ("delivered", "delivered", "delivered", "False")),
        (("moonlit", None, "callback"), ("undelivered", "undelivered", "needs_person", "True")),
    ],
)
def test_all_120_orders_of_five_receipts_end_the_same(
    desk: Desk, last: Said, end: tuple[str, ...]
) -> None:
    said: tuple[Said, ...] = (
        ("queued", ACCEPTED, "callback"),
        ("sending", ACCEPTED, "callback"),
        ("sent", SENT, "callback"),
        ("undelivered", UNDELIVERED, "callback"),
        last,
    )

    ends = outcomes_of_all_orders(desk, said)

    assert ends == {end}


@both_engines
def test_a_delivered_callback_does_not_correct_a_negative_final(desk: Desk) -> None:
    on_its_way(desk)
    desk.receive(UNDELIVERED, code="30005")

    state = desk.receive(DELIVERED)

    assert (state, desk.attempt.state) == ("undelivered", "undelivered")
    assert desk.reminder().state == "needs_person"


@both_engines
def test_callbacks_that_contradict_each_other_have_the_provider_asked(desk: Desk) -> None:
    provider = Provider(Accepted("P1"), receipts=[None, Receipt("", "delivered", DELIVERED)])
    desk.enrol()
    desk.through(provider)
    desk.send()
    desk.receive(UNDELIVERED, code="30003", is_transient=True)
    silent = desk.poll()

    desk.receive(DELIVERED)
    desk.receive(SENT)  # a late one does not take the question back
    desk.poll()
    unclear = desk.reminder().state
    desk.after(minutes=5).poll()

    assert (silent, unclear) == ({}, "planned")
    assert (desk.attempt.state, desk.reminder().state) == ("delivered", "delivered")
    assert desk.after(hours=3).send() == {}
    assert provider.polled == 2


@both_engines
def test_a_poll_asked_before_a_negative_callback_came_corrects_it(desk: Desk) -> None:
    class Asked(Provider):
        def poll(self, provider_id: str, **said: datetime) -> Receipt | None:
            desk.receive(UNDELIVERED, code="30005")
            return super().poll(provider_id, **said)

    desk.enrol()
    desk.through(Asked(Accepted("P1"), receipts=[Receipt("", "delivered", DELIVERED)]))
    desk.send()

    desk.after(minutes=5).poll()

    assert (desk.attempt.state, desk.reminder().state) == ("delivered", "delivered")
    assert desk.reasons() == []


def test_a_silent_poll_does_not_ask_again_after_what_a_callback_ended(desk: Desk) -> None:
    class Asked(Provider):
        def poll(self, provider_id: str, **_: datetime) -> Receipt | None:
            desk.receive(DELIVERED, provider_id=provider_id)
            return None

    desk.enrol()
    desk.through(Asked(Accepted("P1")))
    desk.send()

    counts = desk.after(minutes=5).poll()

    assert counts == {"delivered": 1}
    assert desk.attempt.next_check_at is None


@both_engines
def test_ten_replays_change_nothing_and_add_no_rows(desk: Desk) -> None:
    on_its_way(desk)
    desk.receive(UNDELIVERED, code="30005")
    before = (desk.attempt, desk.reminder(), desk.seen(), len(desk.calls()))

    answers = {desk.after(minutes=1).receive(UNDELIVERED, code="30005") for _ in range(10)}

    assert answers == {"repeated"}
    assert (desk.attempt, desk.reminder(), desk.seen(), len(desk.calls())) == before


def test_a_late_word_overwrites_neither_the_last_one_nor_its_code(desk: Desk) -> None:
    on_its_way(desk)
    desk.receive(DELIVERED)

    desk.receive(UNDELIVERED, code="30005")
    desk.receive(SENT)

    assert (desk.attempt.provider_status, desk.attempt.code) == ("delivered", "")
    assert {("callback", "undelivered"), ("callback", "sent")} <= set(desk.seen())


def test_a_word_nobody_knows_is_kept_and_changes_nothing(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    on_its_way(desk)
    before = desk.attempt

    state = desk.receive(None, status="held-by-moon")

    after = desk.attempt
    assert state == "accepted"
    assert (after.state, after.provider_status, after.code) == (before.state, "accepted", "")
    assert ("callback", "held-by-moon") in desk.seen()
    (said,) = [one for one in caplog.records if one.getMessage() == "receipt.unknown_status"]
    assert said.levelname == "WARNING"


# Before our own answer is recorded.


@both_engines
@pytest.mark.parametrize(
    "answer",
    [Accepted("P1"), UNCERTAIN, NotSent("reset"), Rejected("21211")],
    ids=lambda one: type(one).__name__,
)
def test_a_callback_during_submit_binds_and_our_own_answer_changes_nothing(
    desk: Desk, caplog: pytest.LogCaptureFixture, answer: Outcome
) -> None:
    provider = Provider(answer, during=lambda _: desk.receive(SENT))
    desk.enrol()
    desk.through(provider)

    counts = desk.send()
    desk.after(minutes=50).settle()
    desk.send()

    assert counts == {"overtaken": 1}
    assert (desk.attempt.state, desk.attempt.provider_id) == ("sent", "P1")
    assert desk.reminder().state == "sent"
    assert len(provider.handed) == 1
    assert alerts(caplog) == []


@both_engines
def test_a_final_callback_during_submit_is_final(desk: Desk) -> None:
    desk.enrol()
    desk.through(Provider(Accepted("P1"), during=lambda _: desk.receive(DELIVERED)))

    desk.send()

    assert (desk.attempt.state, desk.reminder().state) == ("delivered", "delivered")
    assert desk.attempt.next_check_at is None


def test_an_unknown_word_during_submit_says_that_it_was_taken(desk: Desk) -> None:
    desk.enrol()
    desk.through(Provider(UNCERTAIN, during=lambda _: desk.receive(None, status="held-by-moon")))

    desk.send()

    assert (desk.attempt.state, desk.attempt.provider_id) == ("accepted", "P1")


# What an uncertain or lost attempt became.


@both_engines
@pytest.mark.parametrize("state", [ACCEPTED, SENT, DELIVERED])
def test_a_callback_settles_an_uncertain_attempt(desk: Desk, state: AttemptState) -> None:
    provider = on_its_way(desk, UNCERTAIN)

    desk.receive(state)
    looked_up = desk.after(minutes=50).settle()
    desk.send()

    assert looked_up == {}
    assert (desk.attempt.state, desk.attempt.provider_id) == (state, "P1")
    assert desk.reminder().state == state
    assert len(provider.handed) == 1


@both_engines
@pytest.mark.parametrize(
    ("state", "then"), [(None, "accepted"), (SENT, "sent"), (DELIVERED, "delivered")]
)
def test_a_callback_for_a_lost_attempt_takes_its_repetition_back(
    desk: Desk, state: AttemptState | None, then: str
) -> None:
    provider = lost(desk)

    desk.receive(state)
    desk.send()

    assert (desk.attempt.state, desk.reminder().state) == (then, then)
    assert len(provider.handed) == 1


@both_engines
def test_a_repetition_that_never_left_is_taken_back_too(desk: Desk) -> None:
    provider = lost(desk, NotSent("no route"), Accepted("P2"))
    desk.send()

    first(desk, SENT)
    desk.enrol("A-2", phone=SECOND)
    counts = desk.after(minutes=5).send()

    assert counts == {"accepted": 1}
    assert desk.reminder(reference="A-2").state == "accepted"
    assert [row.state for row in desk.attempts()[:2]] == ["sent", "not_sent"]
    assert desk.reminder().state == "sent"
    assert len(provider.handed) == 3


def test_what_became_of_the_lost_first_counts_where_its_repetition_never_left(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    provider = lost(desk, NotSent("no route"), Accepted("P2"))
    desk.send()

    first(desk, UNDELIVERED, code="30005")
    desk.after(minutes=5).send()

    assert desk.reminder().state == "needs_person"
    assert len(provider.handed) == 2
    assert alerts(caplog) == []


@both_engines
def test_a_third_try_is_taken_back_when_the_lost_first_turns_up(desk: Desk) -> None:
    provider = lost(desk)
    desk.send()
    desk.receive(UNDELIVERED, provider_id="P2", code="30003", is_transient=True)

    first(desk, SENT)
    desk.after(hours=2).send()

    assert [row.state for row in desk.attempts()] == ["sent", "undelivered"]
    assert desk.reminder().state == "sent"
    assert len(provider.handed) == 2


@both_engines
@pytest.mark.parametrize(("state", "then"), [(SENT, "sent"), (DELIVERED, "delivered")])
def test_what_a_lost_message_carried_is_not_repeated_when_it_turns_up(
    desk: Desk, state: AttemptState, then: str
) -> None:
    provider = on_its_way(desk, UNCERTAIN, events=APPLIED)
    for minutes in LOOKS_AFTER:
        desk.after(minutes=minutes).settle()
    planned = [row.state for row in desk.reminders() if row.step == "at_once"]

    desk.receive(state)
    desk.send()

    assert planned == ["planned", "planned"]
    assert [row.state for row in desk.reminders() if row.step == "at_once"] == [then, then]
    assert desk.reminder(kind="step").carried_by == desk.reminder(kind="ready").id
    assert len(provider.handed) == 1


def test_what_a_failed_message_carried_is_not_tried_again_once_it_arrived(desk: Desk) -> None:
    provider = on_its_way(desk, events=APPLIED)
    desk.receive(UNDELIVERED, code="30003", is_transient=True)

    desk.receive(DELIVERED, source="poll")
    desk.after(hours=2).send()

    assert desk.reminder(kind="step").state == "delivered"
    assert len(provider.handed) == 1


@both_engines
def test_a_second_message_already_on_its_way_is_kept_and_alerted(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    lost(desk)
    desk.send()

    said = [first(desk, SENT), first(desk, ACCEPTED)]

    assert said == ["lost", "lost"]
    assert [(row.state, row.provider_id) for row in desk.attempts()] == [
        ("lost", "P1"), ("accepted", "P2"),
    ]  # fmt: skip
    assert ("callback", "sent") in desk.seen()
    assert "attempt.second_message" in alerts(caplog)
    assert desk.reminder().state == "accepted"


@both_engines
@pytest.mark.parametrize("answer", [Accepted("P2"), UNCERTAIN, Rejected("21211")])
def test_the_lost_first_is_delivered_while_its_repetition_is_handed_over(
    desk: Desk, answer: Outcome
) -> None:
    lost(desk)
    desk.through(Provider(answer, during=lambda _: first(desk, DELIVERED)))

    desk.send()

    assert desk.attempts()[0].state == "delivered"
    assert desk.reminder().state == "delivered"
    assert desk.calls() == []


@both_engines
@pytest.mark.parametrize(("state", "then"), [(SENT, "unconfirmed"), (UNDELIVERED, "undelivered")])
def test_a_delivered_reminder_stays_so_whatever_becomes_of_its_second_message(
    desk: Desk, state: AttemptState, then: str
) -> None:
    lost(desk)
    desk.send()
    first(desk, DELIVERED)

    desk.receive(state, provider_id="P2", code="30005")
    desk.at("2026-11-25T13:30").poll()

    assert desk.attempts()[1].state == then
    assert desk.reminder().state == "delivered"
    assert desk.calls() == []


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_receipt_waits_for_whoever_claims_the_same_reminder(
    desk: Desk, other_desk: Desk, engine_database: Database
) -> None:
    lost(desk)
    attempt = desk.attempt
    again = attempt.model_dump() | {"id": "again", "ref": "again", "number": 2,
                                    "state": "submitting"}  # fmt: skip

    with ThreadPoolExecutor(1) as pool, other_desk.context.db.transaction() as session:
        found = select(ReminderRow).where(ReminderRow.id == attempt.reminder_id)
        session.exec(found.with_for_update()).one()
        insert_attempts(session, [again])
        answer = pool.submit(desk.receive, SENT, ref=attempt.ref)
        until_someone_waits(engine_database)

    assert answer.result() == "lost"


def until_someone_waits(db: Database) -> None:
    """Until another connection waits for a lock; the answer comes within the look-ups' time."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    for _ in range(20_000):
        with db.engine.connect() as connection:
            if connection.exec_driver_sql(waiting).scalar():
                return
    pytest.fail("nobody waited")


# Whose message it is.


@both_engines
def test_another_id_for_the_same_ref_is_kept_alerted_and_never_taken_over(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    on_its_way(desk)

    said = [desk.receive(DELIVERED, provider_id="P9") for _ in range(2)]

    assert said == ["other_message", "repeated"]
    assert (desk.attempt.state, desk.attempt.provider_id) == ("accepted", "P1")
    assert desk.seen().count(("callback", "delivered")) == 1
    assert alerts(caplog) == ["attempt.other_message"]


@both_engines
def test_an_id_of_another_attempt_is_not_taken_over(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    on_its_way(desk)
    desk.enrol("A-2", phone=SECOND)
    desk.through(Provider(UNCERTAIN))
    desk.send()

    said = desk.receive(DELIVERED, provider_id="P1")

    assert said == "other_message"
    assert [row.state for row in desk.attempts()] == ["accepted", "uncertain"]
    assert alerts(caplog) == ["attempt.other_message"]


@both_engines
def test_a_receipt_without_ref_is_found_by_the_providers_id(desk: Desk) -> None:
    on_its_way(desk)

    desk.receive(DELIVERED, ref="")

    assert desk.reminder().state == "delivered"


@both_engines
def test_a_receipt_for_an_unknown_ref_is_kept_once(desk: Desk) -> None:
    on_its_way(desk)

    said = {desk.receive(DELIVERED, ref="nobody", provider_id="P7") for _ in range(10)}

    assert said == {"unknown"}
    assert desk.seen().count(("callback", "delivered")) == 1
    assert desk.attempt.state == "accepted"


def test_a_receipt_through_another_channel_is_none_of_this_message(desk: Desk) -> None:
    on_its_way(desk)
    receipt = Receipt("P1", "delivered", DELIVERED, ref=desk.attempt.ref)

    said = take_receipt(
        desk.context, receipt, source="callback", channel_name="elsewhere", now=desk.now
    )

    assert (said, desk.attempt.state) == ("unknown", "accepted")


def test_a_callback_cannot_name_a_reminder_in_place_of_an_attempt(desk: Desk) -> None:
    on_its_way(desk)

    said = desk.receive(UNDELIVERED, ref=desk.reminder().id)

    assert (said, desk.attempt.state) == ("unknown", "accepted")


# What may pass is tried once more.


def transient(desk: Desk, provider_id: str) -> str:
    return desk.receive(UNDELIVERED, code="30003", is_transient=True, provider_id=provider_id)


@both_engines
def test_what_may_pass_is_tried_once_more_two_hours_later_and_once_only(desk: Desk) -> None:
    provider = on_its_way(desk, Accepted("P1"), Accepted("P2"), email=MAIL, phone=SECOND)
    desk.clock.advance(beijing("2026-11-20T16:40") - desk.now)
    transient(desk, "P1")
    due_at = desk.reminder().due_at

    early = desk.at("2026-11-20T18:39").send()
    desk.at("2026-11-20T18:41").send()
    transient(desk, "P2")

    assert due_at == beijing("2026-11-20T18:40")
    assert early == {}
    assert len(provider.handed) == 2
    assert desk.reminder().state == "undelivered"
    assert desk.reminder(channel="email").reason == "ladder:undelivered:30003"


def test_what_may_pass_waits_for_the_allowed_hours(desk: Desk) -> None:
    on_its_way(desk)

    transient(desk.at("2026-11-20T18:30"), "P1")

    assert desk.reminder().due_at == beijing("2026-11-21T09:00")
    assert desk.reminder().reason == "again_after:30003"


@pytest.mark.parametrize(("left", "state"), [(5, "undelivered"), (5.1, "planned")])
def test_what_may_pass_is_not_tried_where_no_other_means_would_fit_behind_it(
    desk: Desk, left: float, state: str
) -> None:
    on_its_way(desk, email=MAIL, phone=SECOND)
    useless_in(desk, timedelta(hours=left))

    transient(desk, "P1")

    assert desk.reminder().state == state


def useless_in(desk: Desk, left: timedelta) -> None:
    with desk.context.db.transaction() as session:
        row = session.get_one(ReminderRow, desk.reminder().id)
        row.useless_after_at = desk.now + left


def test_what_will_not_pass_is_not_tried_again(desk: Desk) -> None:
    provider = on_its_way(desk, email=MAIL, phone=SECOND)

    desk.receive(UNDELIVERED, code="30005")
    desk.after(hours=2).send()

    assert len(provider.handed) == 1
    assert desk.reminder(channel="email").state == "accepted"


# Who refused messages.


def refusals(desk: Desk) -> list[str | None]:
    with desk.context.db.reading() as session:
        return [row.centre_id for row in session.exec(select(OptOutRow))]


def refused_by_receipt(desk: Desk) -> Provider:
    provider = on_its_way(desk, email=MAIL, phone=SECOND)
    desk.receive(UNDELIVERED, code="21610", opted_out=True)
    return provider


def refused_at_once(desk: Desk) -> Provider:
    return on_its_way(desk, Rejected("21610", opted_out=True), email=MAIL, phone=SECOND)


@both_engines
@pytest.mark.parametrize("refuse", [refused_by_receipt, refused_at_once])
def test_who_refused_is_left_alone_by_every_centre_and_told_by_the_next_means(
    desk: Desk, refuse: Callable[[Desk], Provider]
) -> None:
    provider = refuse(desk)

    desk.at("2026-11-24T09:30").send()
    desk.enrol("A-2", phone=SECOND)
    desk.send()

    assert refusals(desk) == [None]
    assert len(provider.handed) == 1
    assert desk.reminder(channel="email").state == "accepted"
    assert desk.reminder(reference="A-2").state == "needs_person"


@both_engines
def test_a_second_refusal_of_the_same_address_does_no_harm(desk: Desk) -> None:
    desk.enrol("A-1", phone=SECOND)
    desk.enrol("A-2", phone=SECOND)
    desk.through(Provider(Rejected("21610", opted_out=True)))

    counts = desk.send()

    assert counts == {"rejected": 2}
    assert refusals(desk) == [None]
    assert [desk.reminder(reference=one).state for one in ("A-1", "A-2")] == ["needs_person"] * 2


# Bounces.


def mailed(desk: Desk) -> None:
    """A mail that a relay took; a relay knows no more of it."""
    desk.enrol(email=MAIL)
    desk.through(Provider(kind="email"))
    desk.send()


@both_engines
def test_a_bounce_by_message_id_finds_its_attempt(desk: Desk) -> None:
    mailed(desk)
    reminder_id = desk.reminder(channel="email").id

    said = desk.receive(UNDELIVERED, source="bounce", provider_id="", ref=reminder_id)

    assert (said, desk.attempt.state) == ("undelivered", "undelivered")


def test_of_two_attempts_a_bounce_by_message_id_means_the_later(desk: Desk) -> None:
    desk.enrol(email=MAIL)
    desk.through(Provider(UNCERTAIN, Accepted("Q2"), kind="email", found=[NOTHING]))
    desk.send()
    for minutes in LOOKS_AFTER:
        desk.after(minutes=minutes).settle()
    desk.send()

    reminder_id = desk.reminder(channel="email").id
    desk.receive(UNDELIVERED, source="bounce", provider_id="", ref=reminder_id)

    assert [row.state for row in desk.attempts()] == ["lost", "undelivered"]


def test_a_bounce_that_can_be_guessed_never_says_delivered(desk: Desk) -> None:
    mailed(desk)
    reminder_id = desk.reminder(channel="email").id

    said = desk.receive(DELIVERED, source="bounce", provider_id="", ref=reminder_id)

    assert (said, desk.attempt.state) == ("unknown", "accepted")


@both_engines
def test_a_late_bounce_takes_no_bounce_back_and_climbs(desk: Desk) -> None:
    mailed(desk)
    quiet = desk.after(hours=5).audit()

    reminder_id = desk.reminder(channel="email").id
    desk.receive(UNDELIVERED, source="bounce", code="5.1.1", provider_id="", ref=reminder_id)

    assert quiet == {}
    assert desk.reminder(channel="email").state == "needs_person"
    assert desk.reasons() == ["not_reached:undelivered:5.1.1"]


def test_a_bounce_after_three_days_still_counts(desk: Desk) -> None:
    mailed(desk)
    desk.after(hours=73).poll()
    was = desk.attempt.state

    desk.receive(UNDELIVERED, source="bounce", code="5.1.1", provider_id="")

    assert (was, desk.attempt.state) == ("unconfirmed", "undelivered")


def test_a_mail_that_is_delayed_stays_on_its_way(desk: Desk) -> None:
    mailed(desk)

    state = desk.receive(None, source="bounce", status="delayed", code="4.4.1", provider_id="")

    assert (state, desk.reminder(channel="email").state) == ("accepted", "accepted")


def test_nothing_seen_names_the_person(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    on_its_way(desk, phone=SECOND)

    desk.receive(UNDELIVERED, code="30005")

    said = [str(record.__dict__) for record in caplog.records]
    assert said
    assert not any(SECOND in one or "张三" in one for one in said)
