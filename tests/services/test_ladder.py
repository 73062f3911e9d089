"""The ladder: SMS, e-mail, second contact, and at last a person."""

from dataclasses import replace

import pytest

from tests.services.desk import (
    APPLIED,
    DELIVERED,
    NO_RECEIPT,
    REJECTED,
    REPORTED,
    SECOND,
    UNDELIVERED,
    Desk,
    Office,
    Provider,
    beijing,
    both_engines,
)
from worker.domain.delivery import (
    Accepted,
    AttemptState,
    Found,
    NotSent,
    Outcome,
    Prepared,
    Receipt,
    SendRequest,
    Uncertain,
    Unsendable,
)
from worker.domain.pace import Bucket
from worker.services.context import Senders
from worker.store.senders import keep_bucket
from worker.store.tables import ReminderRow

MAIL = "someone@example.com"


def told_as_undelivered(desk: Desk) -> None:
    """The first message went out and did not arrive."""
    desk.send()
    desk.after(minutes=5).poll()


@both_engines
def test_an_undelivered_message_is_followed_by_a_mail(desk: Desk) -> None:
    desk.enrol(phone=UNDELIVERED, email=MAIL)

    told_as_undelivered(desk)
    rung = desk.reminder(channel="email")
    desk.send()

    assert desk.reminder().state == "undelivered"
    assert (rung.state, rung.reason) == ("planned", "ladder:undelivered")
    assert desk.reminder(channel="email").state == "accepted"
    assert desk.calls() == []


@both_engines
def test_a_mail_that_fails_is_followed_by_the_second_contact_without_the_matter(
    desk: Desk,
) -> None:
    desk.enrol(phone=UNDELIVERED, email="undelivered@example.com", second_phone=SECOND,
               card_last4="0012")  # fmt: skip

    told_as_undelivered(desk)
    told_as_undelivered(desk)
    desk.send()

    text = desk.texts()[-1]
    assert desk.reminder(recipient="second_contact").state == "accepted"
    assert text.startswith("【示例社保】请转告张先生/女士")
    assert not any(word in text for word in ("挂失", "社保卡", "0012", "11月", "11-"))
    assert desk.calls() == []


@both_engines
def test_when_nobody_is_reached_a_person_calls(desk: Desk) -> None:
    desk.enrol(phone=UNDELIVERED, email="undelivered@example.com", second_phone=UNDELIVERED)

    for _ in range(3):
        told_as_undelivered(desk)

    (task,) = desk.calls()
    assert (task.state, task.reason) == ("open", "not_reached:undelivered")
    assert task.act_by_at == desk.deadlines()["lapse"].act_by_at
    assert desk.reminder(recipient="second_contact").state == "needs_person"


def test_with_no_other_address_a_person_calls_at_once(desk: Desk) -> None:
    desk.enrol(phone=UNDELIVERED)

    told_as_undelivered(desk)

    assert desk.reminder().state == "needs_person"
    assert desk.reasons() == ["not_reached:undelivered"]


@both_engines
def test_a_rejected_message_climbs_at_once(desk: Desk) -> None:
    desk.enrol(phone=REJECTED, email=MAIL)

    desk.send()

    assert desk.states()["at_once email"] == "accepted"
    assert desk.reminder().state == "undelivered"


def test_a_message_that_cannot_be_sent_in_time_has_a_mail_beside_it_once(desk: Desk) -> None:
    provider = Provider(NotSent("no route"))
    desk.enrol(phone=DELIVERED, email=MAIL, second_phone=SECOND)
    desk.through(provider, Provider(kind="email"))
    desk.at("2026-11-24T11:00").send()
    early = desk.states()

    for at in ("2026-11-25T14:01", "2026-11-25T14:03", "2026-11-25T14:06", "2026-11-25T14:12"):
        desk.at(at).send()

    assert {row.split()[-1] for row in early} == {"sms"}
    rungs = [row for row in desk.reminders() if row.channel == "email"]
    assert [(row.state, row.reason) for row in rungs] == [("accepted", "ladder:not_sent")]
    assert {row.recipient for row in desk.reminders()} == {"citizen"}
    assert desk.calls() == []


def test_a_message_that_cannot_be_sent_stays_planned_where_there_is_no_other_means(
    desk: Desk,
) -> None:
    desk.enrol()
    desk.through(Provider(NotSent("no route")))

    for at in ("2026-11-25T14:01", "2026-11-25T14:03", "2026-11-25T14:06", "2026-11-25T14:12"):
        desk.at(at).send()

    assert desk.reminder("open_hours_3").state == "planned"
    assert desk.calls() == []


def test_an_address_no_channel_takes_climbs_at_once(desk: Desk) -> None:
    class Choosy(Provider):
        def prepare(self, request: SendRequest) -> Prepared:
            raise Unsendable("number_of_another_country") from ValueError(request.to)

    desk.enrol(phone=DELIVERED, email=MAIL)
    desk.through(Choosy(), Provider(kind="email"))

    desk.send()

    assert desk.states()["at_once email"] == "accepted"
    assert desk.reminder(channel="email").reason == "ladder:unsendable:number_of_another_country"


@both_engines
def test_what_went_inside_a_failed_message_climbs_with_it(desk: Desk) -> None:
    desk.enrol(events=APPLIED, phone=UNDELIVERED, email=MAIL)

    told_as_undelivered(desk)
    desk.send()

    mail = desk.texts()[-1]
    assert "可办日期：12月14日周一起" in mail
    assert "持领卡证明就医" in mail
    assert desk.reminder(channel="email", kind="step").state == "accepted"


def test_what_was_refused_inside_one_message_climbs_together(desk: Desk, office: Office) -> None:
    desk.enrol(events=APPLIED, phone=DELIVERED, email=MAIL)
    desk.refuse(DELIVERED)

    desk.send()

    assert [entry["kind"] for entry in office.ledger()] == ["email"]
    assert desk.reminder(channel="email", kind="step").state == "accepted"


def test_a_rung_is_taken_once_only(desk: Desk) -> None:
    desk.enrol(phone=UNDELIVERED, email=MAIL)
    told_as_undelivered(desk)

    desk.after(minutes=30).poll()
    desk.recalculate()
    desk.send()

    rungs = [row for row in desk.reminders() if row.channel == "email"]
    assert [row.step for row in rungs] == ["at_once"]


def test_each_step_climbs_on_its_own(desk: Desk) -> None:
    desk.enrol(phone=UNDELIVERED, email=MAIL)
    told_as_undelivered(desk)

    desk.at("2026-11-24T09:00")
    told_as_undelivered(desk)

    rungs = [row.step for row in desk.reminders() if row.channel == "email"]
    assert rungs == ["at_once", "working_day_before"]


@both_engines
def test_nothing_climbs_once_the_matter_is_closed(desk: Desk) -> None:
    desk.enrol(phone=UNDELIVERED, email=MAIL)
    desk.send()
    desk.record("reported_in_writing")

    desk.after(minutes=5).poll()

    assert desk.reminder().state == "undelivered"
    assert {row.channel for row in desk.reminders()} == {"sms"}
    assert desk.calls() == []


def test_a_rung_not_yet_sent_is_cancelled_when_the_matter_settles(
    desk: Desk, office: Office
) -> None:
    desk.enrol(phone=UNDELIVERED, email=MAIL)
    told_as_undelivered(desk)

    desk.record("reported_in_writing")
    desk.send()

    assert desk.reminder(channel="email").state == "cancelled"
    assert [entry["kind"] for entry in office.ledger()] == ["sms"]


def test_what_would_come_too_late_is_a_call_instead(desk: Desk) -> None:
    desk.enrol(phone=UNDELIVERED, email=MAIL)
    desk.at("2026-11-25T16:50").send()

    desk.at("2026-11-25T17:00").poll()

    assert {row.channel for row in desk.reminders()} == {"sms"}
    assert desk.reasons() == ["not_reached:undelivered"]


def test_a_rung_waits_for_the_allowed_hours(desk: Desk) -> None:
    desk.enrol(phone=UNDELIVERED, email=MAIL)
    desk.send()

    desk.at("2026-11-20T21:00").poll()

    assert desk.reminder(channel="email").due_at.isoformat() == "2026-11-21T01:00:00+00:00"


@both_engines
def test_a_call_task_is_closed_when_the_person_comes(desk: Desk) -> None:
    desk.enrol(phone=UNDELIVERED)
    told_as_undelivered(desk)

    desk.record("reported_in_writing")

    (task,) = desk.calls()
    assert (task.state, task.done_by, task.note) == ("done", "qida", "settled")
    assert task.done_at == desk.now


def test_a_deadline_is_on_the_call_list_once(desk: Desk) -> None:
    desk.enrol(phone=UNDELIVERED)
    told_as_undelivered(desk)

    desk.at("2026-11-24T09:00")
    told_as_undelivered(desk)

    assert len(desk.calls()) == 1


def test_advice_without_a_date_opens_no_call_task(desk: Desk) -> None:
    desk.enrol(events=[("pre_reported_in_writing", "2026-11-20T16:20")], phone=UNDELIVERED)

    told_as_undelivered(desk)

    assert desk.reminder().state == "needs_person"
    assert desk.calls() == []


def test_a_mail_only_case_climbs_past_the_message_it_never_had(desk: Desk) -> None:
    desk.enrol(email="rejected@example.com", second_phone=SECOND)

    desk.send()

    assert desk.reminder(recipient="second_contact").state == "accepted"


def test_a_lapse_that_was_over_before_it_was_enrolled_stays_on_the_call_list(desk: Desk) -> None:
    desk.at("2026-11-27T10:00").enrol()

    desk.correct(language="en")

    assert desk.reasons() == ["lapsed_before_enrolment"]


def test_such_a_call_is_over_when_the_person_comes(desk: Desk) -> None:
    desk.at("2026-11-27T10:00").enrol()

    desk.record("replacement_applied")

    assert desk.reasons() == []


@pytest.mark.parametrize("state", [AttemptState.UNDELIVERED, AttemptState.FAILED,
                                   AttemptState.CANCELED])  # fmt: skip
def test_every_final_failure_climbs_and_names_the_providers_code(
    desk: Desk, state: AttemptState
) -> None:
    desk.enrol(phone=DELIVERED, email=MAIL)
    failed = Receipt("P1", str(state), state, code="30005")
    desk.through(Provider(Accepted("P1"), receipts=[failed]), Provider(kind="email"))

    told_as_undelivered(desk)

    assert desk.reminder(channel="email").reason == f"ladder:{state}:30005"


def test_an_uncertain_message_does_not_climb_while_it_may_still_arrive(desk: Desk) -> None:
    desk.enrol(phone=DELIVERED, email=MAIL)
    desk.through(Provider(Uncertain("the line broke")), Provider(kind="email"))

    desk.send()

    assert {row.channel for row in desk.reminders()} == {"sms"}


def test_silence_near_the_deadline_takes_the_next_means_once(desk: Desk) -> None:
    desk.enrol(phone=NO_RECEIPT, email="someone@example.com")
    desk.at("2026-11-25T14:00").send()

    once = len(_mails(desk.after(minutes=6)))
    for _ in range(3):
        desk.after(minutes=6).poll()

    assert once == 0
    assert {row.reason for row in _mails(desk)} == {"ladder:no_receipt"}
    assert len({(row.step, row.channel) for row in _mails(desk)}) == len(_mails(desk))


@pytest.mark.parametrize("sends_first", [True, False])
def test_a_worker_that_comes_back_after_hours_writes_once_to_who_was_silent(
    desk: Desk, *, sends_first: bool
) -> None:
    sms, mail = Provider(receipts=[None]), Provider(kind="email")
    desk.enrol(phone=DELIVERED, email=MAIL)
    desk.through(sms, mail)
    desk.send()
    desk.at("2026-11-25T14:05")  # three steps passed without a worker

    for act in (desk.send, desk.poll) if sends_first else (desk.poll, desk.send):
        act()
    desk.send()

    assert (len(sms.handed), len(mail.handed)) == (2, 0)
    for _ in range(4):
        desk.after(minutes=6).poll()
    desk.send()
    assert (len(sms.handed), len(mail.handed)) == (2, 1)


MONDAY = (("reported_by_phone", "2026-11-23T10:00"),)


def lived(desk: Desk, until: str, *, is_full: bool = False) -> None:
    """A worker's duties every five minutes; with `is_full` others take every part there is."""
    while desk.now < beijing(until):
        desk.after(minutes=5)
        if is_full:
            with desk.context.db.transaction() as session:
                keep_bucket(session, "provider", Bucket(1, 0.0, desk.now))
        desk.rescue()
        desk.settle()
        desk.poll()
        desk.send()
        desk.audit()


def silent(desk: Desk, *outcomes: Outcome) -> Provider:
    """A case whose SMS all stay without a receipt, and the mail beside it."""
    mail = Provider(kind="email")
    desk.at("2026-11-23T10:05").enrol(phone=DELIVERED, email=MAIL, events=MONDAY)
    desk.through(Provider(*outcomes, receipts=[None], found=[Found(complete=False)]), mail)
    return mail


def test_who_hears_of_nothing_by_sms_gets_a_mail_in_the_morning_of_the_last_day(desk: Desk) -> None:
    mail = silent(desk)

    lived(desk, "2026-11-26T10:30")

    assert len(mail.handed) == 1


def test_a_later_step_whose_answer_is_in_doubt_holds_no_other_means_back(desk: Desk) -> None:
    mail = silent(desk, Accepted("P1"), Accepted("P2"), Uncertain("the line broke"))

    lived(desk, "2026-11-26T10:30")

    assert len(mail.handed) == 1


def test_a_step_that_cannot_leave_holds_no_other_means_back(desk: Desk) -> None:
    desk.context = replace(desk.context, send_batch=50)
    mail = silent(desk)
    lived(desk, "2026-11-26T09:30")
    desk.context = replace(desk.context, senders=Senders(parts_per_second=1))

    lived(desk, "2026-11-26T14:30", is_full=True)

    assert len(mail.handed) >= 1


def test_in_the_last_hour_no_means_waits_for_another(desk: Desk) -> None:
    sms, mail = Provider(receipts=[None]), Provider(kind="email")
    desk.enrol(phone=DELIVERED, email=MAIL)
    desk.through(sms, mail)
    desk.send()
    desk.at("2026-11-25T16:05").poll()

    desk.send()

    assert len(mail.handed) == 1


def _mails(desk: Desk) -> list[ReminderRow]:
    return [row for row in desk.reminders() if row.channel == "email"]


def test_a_rung_still_planned_is_taken_back_when_the_first_message_arrived(desk: Desk) -> None:
    desk.at("2026-11-25T09:30").enrol(phone=DELIVERED, email=MAIL)
    sms = Provider(Accepted("P1"), receipts=[None])
    desk.through(sms, Provider(kind="email"))
    desk.send()
    desk.at("2026-11-25T13:30").poll()
    planned = desk.reminder(channel="email").state

    said = desk.receive(AttemptState.DELIVERED)
    desk.send()

    assert (planned, said) == ("planned", "delivered")
    rung = desk.reminder(channel="email")
    assert (rung.state, rung.reason) == ("cancelled", "delivered")


def test_steps_that_stay_silent_together_climb_once(desk: Desk) -> None:
    desk.at("2026-11-25T09:00").enrol(phone=DELIVERED, email=MAIL)
    desk.through(Provider(receipts=[None]), Provider(kind="email"))
    desk.send()
    desk.at("2026-11-25T14:00").send()

    for at in ("2026-11-25T14:10", "2026-11-25T14:20", "2026-11-25T15:10"):
        desk.at(at).poll()
        desk.send()

    rungs = [row for row in desk.reminders() if row.channel == "email"]
    assert [row.state for row in rungs] == ["accepted"]


def test_a_rung_taken_back_stays_so_whatever_else_happens_to_the_case(desk: Desk) -> None:
    mail = Provider(kind="email")
    desk.at("2026-11-25T09:30").enrol(phone=DELIVERED, email=MAIL)
    desk.through(Provider(receipts=[None]), mail)
    desk.send()
    desk.at("2026-11-25T13:30").poll()
    desk.receive(AttemptState.DELIVERED, provider_id="")

    desk.record("pre_reported_in_writing")
    desk.send()

    rung = desk.reminder(channel="email", kind="lapse")
    assert (rung.state, rung.reason) == ("cancelled", "delivered")
    assert mail.handed == []


@both_engines
def test_no_rung_of_what_a_message_carried_is_left_when_it_arrived(desk: Desk) -> None:
    mail = Provider(kind="email")
    desk.enrol(events=APPLIED, phone=DELIVERED, email=MAIL)
    desk.through(Provider(Accepted("P1")), mail)
    desk.send()
    desk.at("2026-11-20T21:00").receive(AttemptState.UNDELIVERED, code="30005")

    desk.receive(AttemptState.DELIVERED, source="poll")
    desk.at("2026-11-21T09:00").send()

    rungs = [(row.state, row.reason) for row in desk.reminders() if row.channel == "email"]
    assert rungs == [("cancelled", "delivered")] * 2
    assert mail.handed == []


def test_a_call_about_what_a_message_carried_is_over_when_it_arrived(desk: Desk) -> None:
    desk.enrol(events=[*REPORTED, ("replacement_applied", "2026-11-20T16:00")], phone=DELIVERED)
    desk.through(Provider(Accepted("P1")))
    desk.send()
    desk.receive(AttemptState.UNDELIVERED, code="30005")
    called = len(desk.reasons())

    desk.receive(AttemptState.DELIVERED, source="poll")

    assert called == 2
    assert desk.reasons() == []


def test_silence_is_no_failure_at_a_centre_that_takes_accepted_for_read(desk: Desk) -> None:
    (demo,) = desk.context.centres.values()
    lenient = replace(demo, sms_receipt_required=False)
    desk.context = replace(desk.context, centres={demo.id: lenient})
    desk.enrol(phone=NO_RECEIPT, email=MAIL)
    for at in ("2026-11-20T16:30", "2026-11-24T09:00", "2026-11-25T09:00", "2026-11-25T14:00"):
        desk.at(at).send()

    for at in ("2026-11-25T14:10", "2026-11-25T14:40", "2026-11-25T15:10"):
        desk.at(at).poll()
        desk.audit()

    assert {row.channel for row in desk.reminders()} == {"sms"}
    assert desk.calls() == []


def test_who_refused_is_said_to_have_refused_though_the_number_is_no_good(desk: Desk) -> None:
    class Picky(Provider):
        def prepare(self, _: SendRequest) -> Prepared:
            raise Unsendable("bad_number")

    desk.enrol(phone=DELIVERED)
    desk.refuse(DELIVERED)
    desk.through(Picky())

    desk.send()

    assert desk.reasons() == ["not_reached:opted_out"]
