"""The reverse audit: whoever may lose something without having heard of it is called."""

from dataclasses import replace
from datetime import time, timedelta

import pytest

from tests.services.desk import (
    APPLIED,
    NO_RECEIPT,
    REJECTED,
    Desk,
    Provider,
    both_engines,
)
from worker.domain.centres import Season
from worker.domain.delivery import Accepted, AttemptState, NotSent, Receipt, Uncertain
from worker.services.enrolment import void_event
from worker.store.cases import case_files
from worker.store.tables import ReminderRow

LAST_STEP = "2026-11-25T14:00"


def told_last(desk: Desk, phone: str) -> None:
    """Only the last message of a lapse is left, and it has just been handed over."""
    desk.enrol(phone=phone)
    for at in ("2026-11-20T16:30", "2026-11-24T09:00", "2026-11-25T09:00", LAST_STEP):
        desk.at(at).send()


@both_engines
def test_a_lapse_with_a_reminder_to_come_is_not_at_risk(desk: Desk) -> None:
    desk.enrol()

    counts = desk.audit()

    assert counts == {}
    assert desk.calls() == []


@both_engines
def test_a_lapse_someone_was_told_of_is_not_at_risk(desk: Desk) -> None:
    desk.enrol()
    desk.send()
    desk.after(minutes=5).poll()
    nothing_more_to_come(desk)

    counts = desk.after(hours=30).audit()

    assert desk.reminder().state == "delivered"
    assert counts == {}


def test_a_message_on_its_way_is_given_half_an_hour(desk: Desk) -> None:
    told_last(desk, phone=NO_RECEIPT)

    early = desk.at("2026-11-25T14:29").audit()
    counts = desk.at("2026-11-25T14:31").audit()

    assert early == {}
    assert counts == {"called": 1}


@both_engines
def test_a_lapse_nobody_confirmed_is_called_while_the_counter_is_open(desk: Desk) -> None:
    told_last(desk, phone=NO_RECEIPT)

    counts = desk.after(minutes=31).audit()

    (task,) = desk.calls()
    assert counts == {"called": 1}
    assert task.reason == "nobody_reached"
    assert task.act_by_at is not None
    assert task.act_by_at - desk.now > timedelta(hours=2)


@both_engines
def test_a_deadline_is_called_about_once_even_after_the_task_is_done(desk: Desk) -> None:
    told_last(desk, phone=NO_RECEIPT)
    desk.after(minutes=31).audit()
    with desk.context.db.transaction() as session:
        (task,) = desk.calls()
        session.merge(task).state = "done"

    counts = desk.after(minutes=3).audit()

    assert counts == {}
    assert len(desk.calls()) == 1


def test_an_uncertain_message_is_no_proof_that_anyone_heard(desk: Desk) -> None:
    desk.enrol()
    desk.through(Provider(Uncertain("the line broke")))
    desk.at("2026-11-25T14:00").send()

    counts = desk.after(minutes=31).audit()

    assert counts == {"called": 1}


def test_an_unconfirmed_message_is_no_proof_that_anyone_heard(desk: Desk) -> None:
    desk.enrol(phone=NO_RECEIPT)
    desk.send()
    nothing_more_to_come(desk)

    for hours in (1, 11, 12, 48):
        desk.after(hours=hours).poll()
    desk.at("2026-11-25T10:00").audit()

    assert desk.reminder().state == "unconfirmed"
    assert desk.reasons() == ["not_reached:no_receipt"]


def test_a_mail_reaches_after_four_hours_without_a_bounce(desk: Desk) -> None:
    desk.enrol(email="someone@example.com")
    desk.at("2026-11-24T09:00").send()
    nothing_more_to_come(desk)

    on_its_way = desk.after(minutes=29).audit()
    counts = desk.at("2026-11-24T13:00:30").audit()

    assert (on_its_way, counts) == ({}, {})
    assert desk.reminder("at_once", "email").state == "accepted"


def test_a_mail_is_not_taken_for_read_before_that(desk: Desk) -> None:
    desk.enrol(email="someone@example.com")
    desk.at("2026-11-24T09:00").send()
    nothing_more_to_come(desk)

    counts = desk.at("2026-11-24T12:59").audit()

    assert counts == {"called": 1}


def test_a_text_message_without_receipt_is_never_taken_for_read(desk: Desk) -> None:
    desk.enrol(phone=NO_RECEIPT)
    desk.send()
    nothing_more_to_come(desk)

    counts = desk.after(hours=30).audit()

    assert counts == {"called": 1}


def test_a_failed_message_without_another_is_at_risk(desk: Desk) -> None:
    failed = Receipt("P1", "failed", AttemptState.FAILED)
    desk.enrol(email="someone@example.com", phone="10000000001")
    desk.through(Provider(Accepted("P1"), receipts=[failed]), Provider(kind="email"))
    desk.at(LAST_STEP).send()
    desk.after(minutes=5).poll()
    planned_rung = desk.audit()

    desk.send()
    counts = desk.after(minutes=31).audit()

    assert planned_rung == {}
    assert counts == {"called": 1}


def test_what_follows_the_end_is_no_comfort_before_it(desk: Desk) -> None:
    desk.enrol(phone=NO_RECEIPT)
    desk.send()
    nothing_more_to_come(desk, but="lapsed")

    counts = desk.after(hours=1).audit()

    assert desk.reminder("lapsed").state == "planned"
    assert counts == {"called": 1}


@pytest.mark.parametrize("event", ["reported_in_writing", "cancelled"])
def test_a_closed_matter_is_not_at_risk(desk: Desk, event: str) -> None:
    desk.enrol(phone=NO_RECEIPT)
    desk.record(event)

    assert desk.after(hours=5).audit() == {}


def test_a_lapse_that_is_over_is_no_longer_called_about(desk: Desk) -> None:
    told_last(desk, phone=NO_RECEIPT)

    assert desk.at("2026-11-26T00:00").audit() == {}


def test_what_cannot_lapse_is_not_audited(desk: Desk) -> None:
    desk.enrol(events=APPLIED, phone=NO_RECEIPT)
    desk.send()

    assert desk.after(hours=5).audit() == {}


def test_who_was_told_a_date_that_moved_has_not_been_told(desk: Desk) -> None:
    desk.enrol()
    desk.send()
    desk.after(minutes=5).poll()
    with desk.context.db.transaction() as session:
        session.merge(desk.deadlines()["lapse"]).plan_version = 2
    nothing_more_to_come(desk)

    counts = desk.audit()

    assert counts == {"called": 1}


def test_every_lapse_at_risk_is_called_about(desk: Desk) -> None:
    for number in range(5):
        desk.enrol(f"A-{number}", phone=f"100000000{number + 30}")
    desk.context = replace(desk.context, channels={"sms": Provider(Uncertain("the line broke"))})
    desk.at(LAST_STEP).send()

    counts = desk.after(minutes=31).audit()

    assert counts == {"called": 5}
    assert len({task.deadline_id for task in desk.calls()}) == 5


def nothing_more_to_come(desk: Desk, but: str = "") -> None:
    """As if the centre's file asked for no other step."""
    planned = [row.id for row in desk.reminders() if row.state == "planned" and row.step != but]
    with desk.context.db.transaction() as session:
        for reminder_id in planned:
            session.get_one(ReminderRow, reminder_id).state = "cancelled"


def test_messages_tried_in_vain_are_no_hope_on_the_last_afternoon(desk: Desk) -> None:
    desk.enrol()
    desk.through(Provider(NotSent("no route")))
    desk.send()
    in_the_morning = desk.at("2026-11-25T09:30").audit()
    for at in ("2026-11-25T14:05", "2026-11-25T14:40"):
        desk.at(at).send()

    counts = desk.at("2026-11-25T14:45").audit()

    assert in_the_morning == {}
    assert counts == {"called": 1}


def test_an_event_taken_back_puts_the_lapse_at_risk_again(desk: Desk) -> None:
    desk.enrol(phone=REJECTED)
    desk.send()
    nothing_more_to_come(desk)
    desk.record("reported_in_writing")
    case = desk.reminder().case_id
    with desk.context.db.reading() as session:
        event = next(row for row in case_files(session, [case])[case].events
                     if row.event == "reported_in_writing")  # fmt: skip

    void_event(desk.context, event.id, "typed in error", case_id=case, actor="x", now=desk.now)
    nothing_more_to_come(desk)
    desk.audit()

    assert [task.state for task in desk.calls()].count("open") == 1


def test_two_counter_hours_stay_for_a_call_also_where_the_counter_rests_at_noon(desk: Desk) -> None:
    rests = Season(opens=((time(8, 30), time(12)), (time(14, 30), time(15))))
    centre = replace(desk.context.centre("demo"), seasons=(rests,))
    desk.context = replace(desk.context, centres={"demo": centre}, _offices={}, _terms={})
    desk.enrol()
    desk.through(Provider(NotSent("no route")))
    for at in ("2026-11-20T16:30", "2026-11-24T09:00", "2026-11-25T09:00", "2026-11-25T09:30"):
        desk.at(at).send()
    early = desk.at("2026-11-25T09:55").audit()

    counts = desk.at("2026-11-25T10:01").audit()

    assert (early, counts) == ({}, {"called": 1})
