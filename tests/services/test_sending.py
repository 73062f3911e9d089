"""Sending: every message on record before it leaves, once, and only while it is wanted."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event
from sqlmodel import select

from tests.services.desk import (
    APPLIED,
    DELIVERED,
    REJECTED,
    SECOND,
    Desk,
    Office,
    Provider,
    both_engines,
)
from worker.domain.delivery import LEASE, Accepted, NotSent, Prepared, SendRequest, Uncertain
from worker.services import sending
from worker.store.tables import AttemptRow


@both_engines
def test_an_attempt_is_on_record_before_the_provider_is_called(
    desk: Desk, other_desk: Desk
) -> None:
    recorded: list[tuple[str, str]] = []

    def look(_: Provider) -> None:
        with other_desk.context.db.reading() as session:
            recorded.extend((row.state, row.ref) for row in session.exec(select(AttemptRow)))

    desk.enrol()
    desk.through(Provider(Accepted("P1"), during=look))

    desk.send()

    assert [state for state, _ in recorded] == ["submitting"]
    assert recorded[0][1] == desk.attempt.ref


@both_engines
def test_no_transaction_is_open_while_the_provider_is_called(desk: Desk, other_desk: Desk) -> None:
    settled: list[int] = []

    def settle(_: Provider) -> None:
        settled.append(other_desk.record("reported_in_writing").changed)

    desk.enrol()
    desk.through(Provider(Accepted("P1"), during=settle))

    desk.send()

    assert settled == [1]
    assert desk.reminder().state == "accepted"


def test_a_pass_that_finds_nothing_due_looks_no_further(desk: Desk) -> None:
    asked: list[str] = []
    desk.enrol()
    desk.send()
    event.listen(
        desk.context.db.engine,
        "before_cursor_execute",
        lambda *given: asked.append(given[2]),  # the statement
    )

    desk.send()

    assert "FROM reminder" in "".join(asked)
    assert not [one for one in asked if "opt_out" in one or one.startswith("UPDATE")]


def test_no_connection_is_held_while_the_provider_is_called(desk: Desk) -> None:
    held: list[str] = []
    db = desk.context.db
    pools = {db.engine.pool, db.reader.pool}
    desk.enrol()
    desk.through(
        Provider(Accepted("P1"), during=lambda _: held.extend(pool.status() for pool in pools))
    )

    desk.send()

    assert held
    assert all("Current Checked out connections: 0" in status for status in held)


@both_engines
def test_an_answer_that_comes_after_the_rescue_settles_the_attempt(
    desk: Desk, other_desk: Desk
) -> None:
    def rescue(_: Provider) -> None:
        other_desk.after(seconds=LEASE.seconds).rescue()

    desk.enrol()
    desk.through(Provider(Accepted("P1"), during=rescue))

    desk.send()

    assert (desk.attempt.state, desk.attempt.provider_id) == ("accepted", "P1")
    assert desk.reminder().state == "accepted"
    assert sorted(desk.seen()) == [("rescue", "uncertain"), ("submit", "accepted")]


def test_nothing_is_handed_over_once_the_lease_is_nearly_past(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    elapsed = [0.0]
    monkeypatch.setattr(sending, "monotonic", lambda: elapsed[0])

    def hang(_: Provider) -> None:
        elapsed[0] += LEASE.total_seconds()

    provider = Provider(Accepted("P1"), during=hang)
    desk.enrol("A-1")
    desk.enrol("A-2", phone=SECOND)
    desk.through(provider)
    desk.context = replace(desk.context, send_threads=1)

    desk.send()

    late = next(row for row in desk.attempts() if row.state == "not_sent")
    waiting = next(r for ref in ("A-1", "A-2") if (r := desk.reminder(reference=ref)).attempts == 1
                   and r.state == "planned")  # fmt: skip
    assert len(provider.handed) == 1
    assert late.reminder_id == waiting.id
    assert (waiting.owner, waiting.lease_until_at) == (None, None)


def test_a_channel_that_raises_leaves_the_attempt_uncertain(desk: Desk) -> None:
    def explode(_: Provider) -> None:
        raise ConnectionResetError("10000000001")

    desk.enrol()
    desk.through(Provider(Accepted("P1"), during=explode))

    desk.send()

    assert desk.attempt.state == "uncertain"
    assert desk.attempt.next_check_at == desk.attempt.started_at + timedelta(minutes=1)
    assert desk.reminder().state == "uncertain"


@both_engines
def test_two_workers_at_once_send_each_reminder_once(
    desk: Desk, other_desk: Desk, office: Office
) -> None:
    for number in range(40):
        desk.enrol(f"A-{number}", phone=f"100000000{number + 30}")
    for one in (desk, other_desk):
        one.context = replace(one.context, send_batch=5)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Desk.send, (desk, other_desk)))

    assert len(office.ledger()) == 40
    assert len({entry["to"] for entry in office.ledger()}) == 40
    assert {row.number for row in desk.attempts()} == {1}
    assert {desk.reminder(reference=f"A-{n}").state for n in range(40)} == {"accepted"}


def test_nothing_more_is_claimed_once_told_to_stop(desk: Desk) -> None:
    for number in range(6):
        desk.enrol(f"A-{number}", phone=f"100000000{number + 30}")
    provider = Provider()
    desk.through(provider)
    desk.context = replace(desk.context, send_batch=2, send_threads=1)

    desk.send(keep_going=lambda: not provider.handed)

    assert sorted(row.state for row in desk.attempts()) == ["accepted", "not_sent"]
    assert len(provider.handed) == 1
    assert {row.state for n in range(1, 6) for row in desk.reminders(f"A-{n}")} == {"planned"}


@both_engines
def test_what_never_reached_the_provider_is_planned_again_and_goes_out_later(desk: Desk) -> None:
    provider = Provider(NotSent("no route"), Accepted("P2"))
    desk.enrol()
    desk.through(provider)

    desk.send()
    waiting = desk.reminder()
    desk.after(minutes=1).send()

    assert (waiting.state, waiting.attempts) == ("planned", 1)
    assert [row.state for row in desk.attempts()] == ["not_sent", "accepted"]
    assert desk.reminder().state == "accepted"


def test_a_provider_may_say_when_to_try_again(desk: Desk) -> None:
    desk.enrol()
    desk.through(Provider(NotSent("429", retry_after=timedelta(minutes=20))))

    desk.send()

    wait = desk.reminder().due_at - desk.attempt.started_at
    assert timedelta(minutes=20) <= wait < timedelta(minutes=21)


def test_a_rejected_message_is_not_tried_again_on_that_channel(desk: Desk) -> None:
    desk.enrol(phone=REJECTED)

    desk.send()
    desk.after(hours=1).send()

    assert (desk.attempt.state, desk.attempt.code) == ("rejected", "sandbox-rejected")


def test_an_accepted_message_waits_for_its_receipt(desk: Desk, office: Office) -> None:
    desk.enrol()

    desk.send()

    assert desk.attempt.provider_id == office.ledger()[0]["id"]
    assert desk.attempt.next_check_at == desk.attempt.started_at + timedelta(minutes=5)
    assert desk.attempt.simulated


def test_a_second_pass_sends_nothing_again(desk: Desk, office: Office) -> None:
    desk.enrol()
    desk.send()

    counts = desk.after(minutes=1).send()

    assert counts == {}
    assert len(office.ledger()) == 1


def test_what_was_sent_is_kept_sealed(desk: Desk) -> None:
    desk.enrol(name="欧阳测试", phone=DELIVERED)

    desk.send()

    assert desk.texts() == [
        "【示例社保】请11月25日周三17:00前到卡中心或代理网点书面挂失，"
        "带身份证原件，逾期挂失自动解除。询12333"
    ]
    assert "书面" not in repr(desk.attempt.body_sealed)
    assert DELIVERED not in repr(desk.attempt.model_dump())


# Still wanted?


@both_engines
def test_a_settled_matter_is_not_written_about(desk: Desk, office: Office) -> None:
    desk.enrol()
    desk.record("reported_in_writing")

    desk.send()

    assert set(desk.states().values()) == {"cancelled"}
    assert desk.reminder().reason == "settled"
    assert office.ledger() == []


@both_engines
@pytest.mark.parametrize("outcome", [Accepted("P1"), Uncertain("the line broke")])
def test_what_was_handed_over_cannot_be_recalled(desk: Desk, outcome: Accepted | Uncertain) -> None:
    desk.enrol()
    desk.through(Provider(outcome))
    desk.send()

    desk.record("reported_in_writing")

    handed_over = desk.reminder()
    assert handed_over.reason == "cannot_be_recalled"
    assert handed_over.state in ("accepted", "uncertain")
    assert desk.reminder("last_day").state == "cancelled"


def test_what_a_carrier_already_has_cannot_be_recalled_either(desk: Desk) -> None:
    desk.enrol(phone="10000000004")
    desk.send()
    desk.after(minutes=5).poll()

    desk.record("reported_in_writing")

    assert (desk.reminder().state, desk.reminder().reason) == ("sent", "cannot_be_recalled")


def test_a_message_that_never_left_is_cancelled_when_the_matter_settles_meanwhile(
    desk: Desk, other_desk: Desk
) -> None:
    provider = Provider(
        NotSent("no route"), during=lambda _: other_desk.record("reported_in_writing")
    )
    desk.enrol()
    desk.through(provider)

    desk.send()
    desk.after(minutes=5).send()

    assert len(provider.handed) == 1
    assert desk.reminder().state == "cancelled"


def test_a_closed_case_is_left_in_peace(desk: Desk, office: Office) -> None:
    desk.enrol(events=APPLIED)
    desk.record("cancelled")

    desk.send()

    assert set(desk.states().values()) == {"cancelled"}
    assert office.ledger() == []


def test_a_useless_reminder_expires_and_a_person_calls_about_the_lapse(
    desk: Desk, office: Office
) -> None:
    desk.enrol()

    desk.at("2026-11-25T17:00").send()

    told = desk.states()
    assert told.pop("lapsed sms") == "planned"
    assert set(told.values()) == {"expired"}
    assert desk.reasons() == ["too_late_to_write"]
    assert office.ledger() == []


def test_a_useless_reminder_of_no_lapse_expires_quietly(desk: Desk) -> None:
    desk.enrol(events=APPLIED)

    desk.at("2026-12-14T09:00").send()

    assert desk.reminder(kind="ready").state == "expired"
    assert desk.reasons() == []


@pytest.mark.parametrize("centre_id", [None, "demo"])
def test_who_refused_messages_gets_none(desk: Desk, office: Office, centre_id: str | None) -> None:
    desk.enrol()
    desk.refuse(DELIVERED, centre_id)

    desk.send()

    assert office.ledger() == []
    assert (desk.reminder().state, desk.reminder().reason) == ("needs_person", "opted_out")
    assert desk.reasons() == ["not_reached:opted_out"]


def test_refusing_text_messages_leaves_the_mail(desk: Desk, office: Office) -> None:
    desk.enrol(phone=DELIVERED, email="someone@example.com")
    desk.refuse(DELIVERED)

    desk.send()

    assert [entry["kind"] for entry in office.ledger()] == ["email"]
    assert desk.states()["at_once email"] == "accepted"


# What is due at once is one message.


@both_engines
def test_reminders_of_one_case_are_one_message_led_by_the_dated_rule(desk: Desk) -> None:
    desk.enrol(events=APPLIED)

    desk.send()

    (text,) = desk.texts()
    leader, carried = desk.reminder(kind="ready"), desk.reminder(kind="step")
    assert desk.attempt.reminder_id == leader.id
    assert carried.carried_by == leader.id
    first, second = text.splitlines()
    assert first.startswith("【示例社保】申请已受理，12月14日周一起可")
    assert second.startswith("领到新卡前看病")


@both_engines
def test_a_carried_reminder_shares_what_becomes_of_the_message(desk: Desk) -> None:
    desk.enrol(events=APPLIED)
    desk.send()
    accepted = desk.reminder(kind="step").state

    desk.after(minutes=5).poll()

    assert accepted == "accepted"
    assert desk.reminder(kind="step").state == desk.reminder(kind="ready").state == "delivered"


@both_engines
def test_a_message_not_sent_takes_what_it_carries_back_with_it(desk: Desk) -> None:
    desk.enrol(events=APPLIED)
    desk.through(Provider(NotSent("no route"), Accepted("P2")))

    desk.send()
    freed = desk.reminder(kind="step")
    desk.after(minutes=1).send()

    assert (freed.state, freed.carried_by) == ("planned", None)
    assert desk.reminder(kind="step").carried_by == desk.reminder(kind="ready").id
    assert desk.texts()[0] == desk.texts()[1]


def test_two_people_never_share_a_message(desk: Desk) -> None:
    desk.enrol("A-1")
    desk.enrol("A-2")

    desk.send()

    assert len(desk.attempts()) == 2


def test_two_steps_of_one_deadline_say_it_once_in_the_words_of_the_later_one(desk: Desk) -> None:
    desk.enrol()

    desk.at("2026-11-24T09:00").send()

    (text,) = desk.texts()
    assert text.count("11月25日周三17:00前") == 1
    assert "\n" not in text
    assert desk.reminder("at_once").carried_by == desk.reminder("working_day_before").id


def test_the_later_step_speaks_even_where_the_earlier_one_is_useless_sooner(desk: Desk) -> None:
    desk.at("2026-09-24T10:00")
    desk.enrol(events=[("replacement_applied", "2026-09-24T10:00")],
               procedure="nanjing-social-card")  # fmt: skip
    desk.send()

    desk.at("2026-10-14T10:00").send()  # on 8 October ready; five working days, one a Saturday

    assert "如未领卡" in desk.texts()[-1]
    assert desk.reminder("ready_day").state == desk.reminder("working_days_5_after").state


def test_a_second_contact_hears_once_that_there_is_a_message(desk: Desk) -> None:
    desk.enrol(events=APPLIED, phone=REJECTED, second_phone=SECOND)

    desk.send()

    *_, text = desk.texts()
    assert text == "【示例社保】请转告张先生/女士：尽快致电12333或到示例中心，有事待其本人确认。"


def test_a_mail_for_two_matters_is_one_document(desk: Desk) -> None:
    provider = Provider(kind="email")
    desk.enrol(events=APPLIED, email="someone@example.com")
    desk.through(provider)

    desk.send()

    (request,) = provider.handed
    assert request.html.count("<html") == 1
    assert "领取新卡" in request.html
    assert "持领卡证明就医" in request.html
    assert "持领卡证明就医" in request.text


# One bad item stops nobody else's.


def test_a_case_without_a_configured_channel_stops_nobody_else(desk: Desk) -> None:
    desk.enrol("A-1", email="someone@example.com")
    desk.enrol("A-2", phone=DELIVERED)
    desk.through(desk.sandbox("sms"))

    desk.send()

    assert desk.reminder(reference="A-2").state == "accepted"
    assert desk.reminder(channel="email").state == "needs_person"
    assert desk.reasons() == ["not_reached:no_email_channel"]


def test_a_message_that_cannot_be_written_goes_to_a_person(desk: Desk) -> None:
    desk.enrol("A-1")
    desk.enrol("A-2", procedure="hotline-96102", events=[("pre_reported", "2026-11-20T16:20")])
    rules = {id_: rule for id_, rule in desk.context.rulebook.rules.items()
             if not id_.startswith("national")}  # fmt: skip
    desk.context = replace(desk.context, rulebook=replace(desk.context.rulebook, rules=rules))

    desk.send()

    assert desk.reminder(reference="A-1").state == "needs_person"
    assert desk.reminder(reference="A-2").state == "accepted"
    assert desk.reasons()[0].startswith("not_composed")


def test_a_message_a_channel_chokes_on_takes_the_next_means_and_stops_nobody_else(
    desk: Desk,
) -> None:
    class Choking(Provider):
        def prepare(self, request: SendRequest) -> Prepared:
            if request.to == DELIVERED:
                raise UnicodeError
            return super().prepare(request)

    desk.enrol("A-1", phone=DELIVERED, email="someone@example.com")
    desk.enrol("A-2", phone=SECOND)
    desk.through(Choking(), Provider(kind="email"))

    desk.send()

    assert desk.reminder(channel="email").reason == "ladder:unsendable:UnicodeError"
    assert desk.reminder(channel="email").state == "accepted"
    assert desk.reminder(reference="A-2").state == "accepted"


def test_an_answer_with_the_id_of_another_message_is_looked_up(desk: Desk) -> None:
    desk.enrol("A-1")
    desk.enrol("A-2", phone="10000000012")
    desk.through(Provider(Accepted("P1"), Accepted("P1")))

    counts = desk.send()

    assert (counts["accepted"], counts["uncertain"]) == (1, 1)
