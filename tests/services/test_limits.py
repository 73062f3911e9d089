"""Limits: how often a number is written to, and at which hours."""

import pytest

from tests.services.desk import (
    APPLIED,
    DELIVERED,
    UNDELIVERED,
    Desk,
    Office,
    Provider,
    beijing,
    both_engines,
)
from worker.domain.delivery import NotSent

LAPSES = {"national": "reported_by_phone", "hotline-96102": "pre_reported",
          "nanjing-citizen-card": "reported_by_phone"}  # fmt: skip
ADVICE = {"national": "pre_reported_in_writing", "laixi": "reported_by_phone"}


def enrol_each(desk: Desk, matters: dict[str, str]) -> list[str]:
    """Cases of one number, each with words of its own; returns their references."""
    references = []
    for procedure, event in matters.items():
        for language in ("zh", "en"):
            references.append(f"{procedure}-{event}-{language}")
            desk.enrol(references[-1], [(event, "2026-11-20T16:20")], procedure=procedure,
                       language=language)  # fmt: skip
    return references


# How often.


@both_engines
def test_a_number_gets_the_same_words_twice_in_a_day_and_no_more(
    desk: Desk, office: Office
) -> None:
    for number in range(3):
        desk.enrol(f"A-{number}")

    desk.send()

    waiting = [
        row for n in range(3) if (row := desk.reminder(reference=f"A-{n}")).state == "planned"
    ]
    assert len(office.ledger()) == 2
    assert [row.reason.partition(":")[0] for row in waiting] == ["capped"]


def test_a_number_gets_four_messages_in_a_day_and_no_more(desk: Desk, office: Office) -> None:
    enrol_each(desk, LAPSES)

    desk.send()

    assert len(office.ledger()) == 4


def test_two_of_the_four_are_kept_for_what_may_lapse(desk: Desk, office: Office) -> None:
    advice = enrol_each(desk, ADVICE)
    desk.send()
    after_advice = len(office.ledger())
    lapses = enrol_each(desk, LAPSES)

    desk.send()

    told = [ref for ref in (*advice, *lapses) if desk.reminder(reference=ref).state == "accepted"]
    assert (after_advice, len(office.ledger())) == (2, 4)
    assert [ref in lapses for ref in told] == [False, False, True, True]


def test_another_number_is_not_counted(desk: Desk, office: Office) -> None:
    for number in range(3):
        desk.enrol(f"A-{number}", phone=f"100000000{number + 30}")

    desk.send()

    assert len(office.ledger()) == 3


def test_mail_is_not_counted(desk: Desk, office: Office) -> None:
    for number in range(6):
        desk.enrol(f"A-{number}", email="someone@example.com")

    desk.send()

    assert len(office.ledger()) == 6


@both_engines
def test_a_capped_message_waits_until_there_is_room(desk: Desk, office: Office) -> None:
    for number in range(3):
        desk.enrol(f"A-{number}")
    desk.send()
    (waiting,) = [row for n in range(3)
                  if (row := desk.reminder(reference=f"A-{n}")).state == "planned"]  # fmt: skip

    early = desk.at("2026-11-21T16:20").send()
    desk.at("2026-11-21T16:31").send()

    assert beijing("2026-11-21T16:30") <= waiting.due_at < beijing("2026-11-21T16:31")
    assert early == {}
    assert len(office.ledger()) == 3


def test_a_waiting_message_keeps_its_time_when_the_case_is_worked_out_again(desk: Desk) -> None:
    for number in range(3):
        desk.enrol(f"A-{number}")
    desk.send()
    before = [desk.reminder(reference=f"A-{n}").due_at for n in range(3)]

    for number in range(3):
        desk.correct(f"A-{number}", language="en")

    assert [desk.reminder(reference=f"A-{n}").due_at for n in range(3)] == before


@both_engines
def test_a_message_that_would_wait_past_its_use_becomes_a_call(desk: Desk, office: Office) -> None:
    for number in range(3):
        desk.enrol(f"A-{number}")

    desk.at("2026-11-25T14:00").send()

    states = sorted(desk.reminder("open_hours_3", reference=f"A-{n}").state for n in range(3))
    assert len(office.ledger()) == 2
    assert states == ["accepted", "accepted", "needs_person"]
    assert desk.reasons() == ["capped"]


def test_what_never_left_is_not_counted(desk: Desk) -> None:
    provider = Provider(NotSent("no route"))
    for number in range(3):
        desk.enrol(f"A-{number}")
    desk.through(provider)

    desk.send()
    desk.after(minutes=1).send()

    assert len(provider.handed) == 4  # two at a time, since each might have left


# At which hours.


@both_engines
@pytest.mark.parametrize("hour", ["20:00", "23:59", "08:59:59"])
def test_nothing_leaves_at_night(desk: Desk, office: Office, hour: str) -> None:
    day = "2026-11-21" if hour < "20" else "2026-11-20"
    desk.enrol(events=APPLIED)

    desk.at(f"{day}T{hour}").send()

    assert office.ledger() == []
    assert desk.reminder(kind="ready").state == "planned"


@pytest.mark.parametrize("time", ["2026-11-20T19:59:59", "2026-11-21T09:00"])
def test_the_first_and_the_last_allowed_minute_are_used(
    desk: Desk, office: Office, time: str
) -> None:
    desk.enrol()

    desk.at(time).send()

    assert len(office.ledger()) == 1


@both_engines
def test_who_reported_just_now_is_told_after_hours_too(desk: Desk, office: Office) -> None:
    desk.at("2026-11-20T20:30").enrol(events=[("reported_by_phone", "2026-11-20T20:20")])

    desk.send()

    assert desk.reminder().reason == "outside_hours_fresh"
    assert desk.reminder().state == "accepted"
    assert len(office.ledger()) == 1


def test_fresh_news_that_cannot_leave_for_half_an_hour_waits_for_the_morning(desk: Desk) -> None:
    desk.at("2026-11-20T20:30").enrol(events=[("reported_by_phone", "2026-11-20T20:20")])
    provider = Provider(*[NotSent("429")] * 20)
    desk.through(provider)

    for _ in range(17):
        desk.send()
        desk.after(minutes=5)

    assert 2 <= len(provider.handed) <= 5
    assert desk.reminder().due_at == beijing("2026-11-21T09:00")


def test_an_urgent_message_leaves_alone_after_hours(desk: Desk, office: Office) -> None:
    desk.enrol("A-1")
    desk.at("2026-11-20T20:30").enrol("A-2", events=[("reported_by_phone", "2026-11-20T20:20")])

    desk.send()

    assert len(office.ledger()) == 1
    assert desk.reminder(reference="A-1").state == "planned"


@pytest.mark.parametrize("time", ["2026-11-20T22:00", "2026-11-21T02:00", "2026-11-21T06:59"])
def test_the_night_is_never_overridden_not_even_by_what_was_held_up(
    desk: Desk, office: Office, time: str
) -> None:
    desk.at("2026-11-20T21:50").enrol(events=[("reported_by_phone", "2026-11-20T21:45")])

    desk.at(time).send()
    nobody_woken = office.ledger() == []
    desk.at("2026-11-21T07:00").send()
    no_longer_fresh = office.ledger() == []
    desk.at("2026-11-21T09:00").send()

    assert nobody_woken
    assert no_longer_fresh
    assert len(office.ledger()) == 1


def test_a_message_not_sent_at_the_end_of_the_day_waits_for_the_morning(desk: Desk) -> None:
    desk.enrol(phone=UNDELIVERED)
    desk.through(Provider(NotSent("no route")))

    desk.at("2026-11-20T19:59:30").send()

    assert desk.reminder().due_at == beijing("2026-11-21T09:00")


def test_an_early_number_is_still_the_same_number(desk: Desk, office: Office) -> None:
    """Caps hold for a number, whoever's case and whichever centre it is."""
    desk.enrol("A-1", name="李四")
    desk.enrol("A-2", name="王五", phone=DELIVERED)
    desk.enrol("A-3", name="赵六", phone=DELIVERED)

    desk.send()

    assert len(office.ledger()) == 2
