"""Under pressure: a sender's pace, a provider that refuses us, a sender that brings no receipts."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import col, select

from tests.services.desk import SECOND, Desk, Provider, both_engines
from worker.domain.delivery import AttemptState, Prepared, Rejected, SendRequest
from worker.domain.pace import LONGEST, RESTS, Waiting, forecast
from worker.services.context import Senders
from worker.services.silence import brings_no_receipts
from worker.store.attempts import insert_attempts
from worker.store.tables import AttemptRow, CaseRow, ReminderRow

MAIL = "someone@example.com"
MANY = 12
RATE = 0.1  # parts a second: what a test itself takes is no part


class Wide(Provider):
    """A provider whose every message takes three parts."""

    def prepare(self, request: SendRequest) -> Prepared:
        return Prepared(request, parts=3)


def many(desk: Desk, *, parts_per_second: float) -> list[str]:
    """A dozen cases to write to at once, one number each; the last enrolled is the most urgent."""
    desk.context.senders.parts_per_second = parts_per_second
    names = [f"A-{number}" for number in range(MANY)]
    for number, name in enumerate(names):
        desk.enrol(name, phone=f"100000000{number + 10}")
    useless_after(desk, {name: 4000 - number * 10 for number, name in enumerate(names)})
    return names[::-1]


def useless_after(desk: Desk, seconds: dict[str, float]) -> None:
    """Set when the first message of each case would only confuse, counted from now."""
    with desk.context.db.transaction() as session:
        rows = session.exec(
            select(ReminderRow, CaseRow.reference)
            .join(CaseRow, col(CaseRow.id) == col(ReminderRow.case_id))
            .where(ReminderRow.step == "at_once", col(CaseRow.reference).in_(list(seconds)))
        )
        for row, reference in rows:
            row.useless_after_at = desk.now + timedelta(seconds=seconds[reference])


def sent(desk: Desk) -> list[str]:
    """References of the cases written to by SMS."""
    with desk.context.db.reading() as session:
        return list(
            session.exec(
                select(CaseRow.reference)
                .join(AttemptRow, col(AttemptRow.case_id) == col(CaseRow.id))
                .where(AttemptRow.kind == "sms", AttemptRow.state == "accepted")
            )
        )


def next_tick(desk: Desk) -> int:
    """Eleven seconds later, which is one part at our pace and a little; how many left."""
    before = len(sent(desk))
    desk.clock.advance(timedelta(seconds=6))
    desk.send()  # which takes five seconds
    return len(sent(desk)) - before


# A sender's pace.


@both_engines
def test_no_more_leaves_in_one_pass_than_the_bucket_has(desk: Desk) -> None:
    many(desk, parts_per_second=RATE)
    desk.through(Provider())

    desk.send()

    assert len(sent(desk)) == LONGEST


def test_long_texts_take_as_much_as_they_are_long(desk: Desk) -> None:
    many(desk, parts_per_second=RATE)
    desk.through(Wide())

    desk.send()
    passes = [next_tick(desk) for _ in range(9)]

    assert len(sent(desk)) - sum(passes) == 3  # the third borrows one part of its three
    assert passes == [0, 1, 0, 0, 1, 0, 0, 1, 0]


@both_engines
def test_the_most_urgent_leave_first(desk: Desk) -> None:
    urgent_first = many(desk, parts_per_second=RATE)
    desk.through(Provider())

    desk.send()

    assert sorted(sent(desk)) == sorted(urgent_first[:LONGEST])


def test_the_pace_holds_across_batches(desk: Desk) -> None:
    urgent_first = many(desk, parts_per_second=RATE)
    desk.context = replace(desk.context, send_batch=3)
    desk.through(Provider())

    desk.send()

    assert sorted(sent(desk)) == sorted(urgent_first[:LONGEST])


@both_engines
def test_nothing_waits_for_ever(desk: Desk) -> None:
    urgent_first = many(desk, parts_per_second=RATE)
    provider = Provider()
    desk.through(provider)

    desk.send()
    passes = [next_tick(desk) for _ in range(5)]

    assert passes == [1, 1, 1, 1, 0]
    assert sorted(sent(desk)) == sorted(urgent_first)
    assert len(provider.handed) == MANY


@both_engines
def test_mail_does_not_wait_for_the_sms_sender(desk: Desk) -> None:
    many(desk, parts_per_second=RATE)
    mail = Provider(kind="email")
    desk.through(Provider(), mail)
    desk.send()
    desk.enrol("M-1", email=MAIL)

    desk.send()

    assert len(mail.handed) == 1
    assert len(sent(desk)) == LONGEST


def test_mail_leaves_although_more_urgent_sms_fill_the_batch(desk: Desk) -> None:
    many(desk, parts_per_second=RATE)
    desk.enrol("M-1", email=MAIL)
    mail = Provider(kind="email")
    desk.through(Provider(), mail)
    desk.context = replace(desk.context, send_batch=2)

    desk.send()

    assert len(mail.handed) == 1


def test_without_a_pace_everything_leaves_at_once(desk: Desk) -> None:
    many(desk, parts_per_second=0)
    desk.through(Wide())

    desk.send()

    assert len(sent(desk)) == MANY


# The forecast against what happens.


def waiting(desk: Desk) -> list[Waiting]:
    with desk.context.db.reading() as session:
        rows = session.exec(select(ReminderRow).where(ReminderRow.step == "at_once"))
        return [Waiting(row.id, row.due_at, row.useless_after_at, 1) for row in rows]


@pytest.mark.parametrize(
    ("first", "apart", "too_late"),
    [(5, 0.1, 4), (14, 0.1, 3), (14, 1, 2), (14, 4, 0), (2, 0.1, 4), (25, 0.1, 2), (1000, 1, 0)],
)
def test_the_forecast_names_exactly_those_that_do_not_make_it(
    desk: Desk, first: float, apart: float, too_late: int
) -> None:
    names = many(desk, parts_per_second=RATE)
    useless_after(desk, {name: first + apart * number for number, name in enumerate(names)})
    desk.through(Provider())
    late = {one.id for one in forecast(waiting(desk), RATE, desk.now)}

    desk.send()
    for _ in range(10):
        next_tick(desk)

    missed = {
        row.id for name in names for row in desk.reminders(name)
        if (row.step, row.state) == ("at_once", "expired")
    }  # fmt: skip
    assert len(late) == too_late
    assert late == missed


# A provider that refuses us.


def refused(desk: Desk, *references: str) -> Provider:
    """Messages were handed to a provider that refuses our account."""
    for number, reference in enumerate(references or ("A-1",)):
        desk.enrol(reference, phone=f"100000000{number + 10}")
    provider = Provider(Rejected("20003", "account"))
    desk.through(provider, Provider(kind="email"))
    desk.send()
    return provider


def rests(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.levelname for one in caplog.records if one.getMessage() == "channel.rests"]


@both_engines
@pytest.mark.parametrize("scope", ["account", "config"])
def test_a_refusal_of_our_account_burns_nobody(
    desk: Desk, caplog: pytest.LogCaptureFixture, scope: str
) -> None:
    many(desk, parts_per_second=0)
    useless_after(desk, {f"A-{number}": 86_400 for number in range(MANY)})
    outcome = Rejected("20003", "account" if scope == "account" else "config")
    desk.through(Provider(outcome), Provider(kind="email"))

    desk.send()

    assert {desk.reminder(reference=f"A-{number}").state for number in range(MANY)} == {"planned"}
    assert desk.calls() == []
    assert rests(caplog) == ["ERROR"]


def test_refusals_of_calls_that_were_under_way_together_count_as_one(desk: Desk) -> None:
    senders, began_at = Senders(), desk.now
    answered_at = began_at + timedelta(seconds=30)

    news = [senders.refused("sms", "20003", began_at, answered_at) for _ in range(4)]

    rest = senders.resting("sms", answered_at)
    assert news == [True, False, False, False]
    assert rest is not None
    assert (rest.count, rest.until_at) == (1, answered_at + RESTS[0])


def test_what_waits_in_line_is_spared_the_same_refusal(desk: Desk) -> None:
    many(desk, parts_per_second=0)
    provider = Provider(Rejected("20003", "account"))
    desk.through(provider, Provider(kind="email"))
    desk.context = replace(desk.context, send_threads=1)

    desk.send()

    assert len(provider.handed) == 1


@both_engines
def test_after_the_rest_each_is_sent_once(desk: Desk) -> None:
    refused(desk, "A-1", "A-2", "A-3")
    good = Provider()
    desk.through(good)

    early = desk.after(seconds=40).send()
    counts = desk.after(seconds=10).send()

    assert early == {}
    assert counts == {"accepted": 3}
    assert len(good.handed) == 3


def test_what_falls_due_during_a_rest_waits_with_it(desk: Desk) -> None:
    provider = refused(desk)
    desk.enrol("A-2", phone=SECOND)

    counts = desk.send()

    row = desk.reminder(reference="A-2")
    assert counts == {"channel_rests": 1}
    assert (row.state, row.attempts) == ("planned", 0)
    assert row.due_at == desk.context.senders.rests["sms"].until_at
    assert len(provider.handed) == 1


def test_other_channels_go_on(desk: Desk) -> None:
    refused(desk)
    desk.enrol("M-1", email=MAIL)

    counts = desk.send()

    assert counts == {"accepted": 1}
    assert desk.reminder(channel="email", reference="M-1").state == "accepted"


def test_a_channel_rests_longer_each_time_and_asks_with_one_message(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    provider = refused(desk)
    spans = []
    for _ in range(6):
        until_at = desk.context.senders.rests["sms"].until_at
        spans.append(round((until_at - desk.now) / timedelta(minutes=1)))
        desk.clock.advance(until_at - desk.now + timedelta(seconds=1))
        desk.send()

    assert spans == [round(span / timedelta(minutes=1)) for span in (*RESTS, RESTS[-1])]
    assert len(provider.handed) == 7
    assert len(rests(caplog)) == 7


@both_engines
def test_where_the_rest_would_be_too_late_the_next_means_is_taken(desk: Desk) -> None:
    desk.enrol(phone=SECOND, email=MAIL)
    useless_after(desk, {"A-1": 3 * 3600})
    desk.through(Provider(Rejected("20003", "account")), Provider(kind="email"))

    counts = desk.send()

    assert desk.reminder().state == "undelivered"
    row = desk.reminder(channel="email")
    assert (row.state, row.reason) == ("accepted", "ladder:refused:20003")
    assert counts == {"rejected": 1, "accepted": 1}


def test_what_falls_due_in_a_rest_too_long_for_it_takes_the_next_means(desk: Desk) -> None:
    refused(desk)
    desk.enrol("A-2", phone=SECOND, email=MAIL)
    useless_after(desk, {"A-2": 3 * 3600})

    desk.send()

    row = desk.reminder(channel="email", reference="A-2")
    assert (row.state, row.reason) == ("accepted", "ladder:channel_rests:20003")


def test_a_refusal_of_the_person_lets_nobody_else_wait(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.enrol("A-1")
    desk.through(Provider(Rejected("21211")))
    desk.send()
    desk.enrol("A-2", phone=SECOND)
    desk.through(Provider())

    desk.send()

    assert desk.reminder(reference="A-2").state == "accepted"
    assert rests(caplog) == []


# A sender that brings no receipts.


def history(desk: Desk, *, silent: int, heard: int = 0) -> None:
    """What the sender did before: messages that brought no receipt, and then some that did."""
    desk.enrol("H-1", phone="10000000098")
    desk.through(Provider())
    desk.send()
    desk.receive(AttemptState.DELIVERED, provider_id=desk.attempt.provider_id)
    desk.record("reported_in_writing", "H-1")
    like = desk.attempt.model_dump()
    states = ["unconfirmed"] * silent + ["delivered"] * heard
    rows = [
        like | {"id": f"h{number}", "ref": f"h{number}", "provider_id": f"h{number}",
                "state": state, "started_at": desk.now + timedelta(milliseconds=number)}
        for number, state in enumerate(states)
    ]  # fmt: skip
    with desk.context.db.transaction() as session:
        insert_attempts(session, rows)


def pressing_in_silence(desk: Desk) -> None:
    """A lapse whose last message brought no receipt, with the counter's hours running out."""
    desk.enrol("A-1", phone=SECOND)
    desk.at("2026-11-25T09:30").send()
    with desk.context.db.transaction() as session:
        rows = session.exec(select(ReminderRow).where(ReminderRow.state == "planned"))
        for row in rows:
            row.state = "cancelled"
    desk.at("2026-11-25T14:00").poll()
    desk.at("2026-11-25T14:30")


def called(desk: Desk) -> list[str]:
    return [task.reason for task in desk.calls()]


@both_engines
def test_a_sender_without_receipts_raises_one_alert_and_no_call_each(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    history(desk, silent=500)
    pressing_in_silence(desk)

    counts = desk.audit()

    (alert,) = [one for one in caplog.records if one.getMessage() == "sender.silent"]
    assert called(desk) == []
    assert counts == {"silent_senders": 1}
    assert alert.levelname == "ERROR"
    assert (alert.__dict__["channel"], alert.__dict__["count"]) == ("provider", 500)


def test_with_too_few_messages_to_judge_each_is_called(desk: Desk) -> None:
    history(desk, silent=400)

    pressing_in_silence(desk)
    desk.audit()

    assert called(desk) == ["not_reached:no_receipt"]


def test_the_audit_too_calls_each_where_the_sender_is_not_silent(desk: Desk) -> None:
    history(desk, silent=400)
    desk.enrol("A-1", phone=SECOND)
    desk.at("2026-11-25T14:00").send()

    counts = desk.at("2026-11-25T14:31").audit()

    assert counts == {"called": 1}


@both_engines
@pytest.mark.parametrize(("silent", "heard", "is_silent"), [
    (250, 250, False), (251, 249, True), (500, 0, True), (498, 0, False), (300, 900, False),
])  # fmt: skip
def test_under_half_of_the_last_five_hundred_is_silence(
    desk: Desk, silent: int, heard: int, is_silent: bool
) -> None:
    history(desk, silent=silent, heard=heard)

    with desk.context.db.reading() as session:
        said = brings_no_receipts(session, "provider", desk.now + timedelta(hours=5))

    assert said is is_silent


def test_what_left_just_now_says_nothing_of_the_sender(desk: Desk) -> None:
    history(desk, silent=500)

    with desk.context.db.reading() as session:
        hours = [timedelta(hours=hour) for hour in (3, 5)]
        said = [brings_no_receipts(session, "provider", desk.now + span) for span in hours]

    assert said == [False, True]
