"""Caps on SMS parts: a number's and a centre's day, kept across workers and restarts."""

from dataclasses import replace

import pytest

from tests.services.desk import Desk, Office, Provider, both_engines
from worker.domain.calendar import in_china
from worker.domain.delivery import NotSent, Prepared, Rejected, SendRequest
from worker.services.forecasting import caps_of, reminder_forecast
from worker.store.sms_days import parts_of_day


class Long(Provider):
    """A provider that counts so many parts for each text."""

    def __init__(self, parts: int, *outcomes: NotSent | Rejected) -> None:
        super().__init__(*outcomes)
        self.parts = parts

    def prepare(self, request: SendRequest) -> Prepared:
        return Prepared(request, self.parts)


def capped(desk: Desk, parts: int) -> Desk:
    """The same desk, its centre limited to so many parts a day."""
    demo = replace(desk.context.centres["demo"], sms_parts_per_day=parts)
    desk.context = replace(desk.context, centres={**desk.context.centres, "demo": demo})
    return desk


def used(desk: Desk) -> int:
    with desk.context.db.reading() as session:
        return parts_of_day(session, ["demo"], in_china(desk.now).date())["demo"]


def enrol_many(desk: Desk, count: int) -> None:
    for number in range(count):
        desk.enrol(f"A-{number}", phone=f"100000000{number + 30}")


@both_engines
def test_a_centres_day_stops_at_exactly_its_parts(desk: Desk) -> None:
    sms = Long(2)
    capped(desk, 10).through(sms)
    enrol_many(desk, 8)

    desk.send()

    assert len(sms.handed) == 5
    assert used(desk) == 10


@both_engines
def test_it_holds_for_a_worker_that_was_just_born(desk: Desk, office: Office) -> None:
    sms = Long(2)
    capped(desk, 10).through(sms)
    enrol_many(desk, 3)
    desk.send()
    fresh = capped(office.desk(desk.context.db, desk.clock), 10)
    fresh.through(sms)
    for number in range(3, 8):
        fresh.enrol(f"A-{number}", phone=f"100000000{number + 30}")

    fresh.send()

    assert len(sms.handed) == 5


def test_what_is_held_back_says_why_and_leaves_the_next_morning(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    sms = Long(2)
    capped(desk, 4).through(sms)
    enrol_many(desk, 3)

    desk.send()
    held = [row for n in range(3) if (row := desk.reminder(reference=f"A-{n}")).state == "planned"]
    desk.at("2026-11-21T09:00").send()

    assert [row.reason for row in held] == ["capped: centre_day"]
    assert "centre.sms_day_full" in caplog.messages
    assert "centre.sms_day_nearly_full" in caplog.messages
    assert len(sms.handed) == 3


def test_what_cannot_wait_becomes_a_call(desk: Desk) -> None:
    capped(desk, 2).through(Long(2))
    enrol_many(desk, 2)

    desk.at("2026-11-25T13:00").send()

    states = sorted(desk.reminder("last_day", reference=f"A-{n}").state for n in range(2))
    assert states == ["accepted", "needs_person"]
    assert desk.reasons() == ["capped"]


def test_the_last_fifth_of_a_day_is_kept_for_what_may_lapse(desk: Desk) -> None:
    sms = Long(2)
    capped(desk, 10).through(sms)
    for number in range(6):
        desk.enrol(f"B-{number}", [("replacement_applied", "2026-11-20T16:20")],
                   phone=f"100000000{number + 30}")  # fmt: skip
    desk.send()
    advice = len(sms.handed)
    desk.enrol("A-1", phone="10000000090")

    desk.send()

    assert (advice, len(sms.handed)) == (4, 5)


@pytest.mark.parametrize("outcome", [NotSent("no route"), Rejected("21211")])
def test_what_never_left_is_given_back(desk: Desk, outcome: NotSent | Rejected) -> None:
    desk.through(Long(2, outcome))
    desk.enrol()

    desk.send()

    assert used(desk) == 0


def test_mail_costs_no_parts(desk: Desk) -> None:
    capped(desk, 1)
    desk.enrol(email="someone@example.com", phone="")

    desk.send()

    assert used(desk) == 0


def test_long_messages_to_one_number_are_fewer(desk: Desk) -> None:
    sms = Long(4)
    desk.through(sms)
    for number, name in enumerate(("李四", "王五", "赵六")):
        desk.enrol(f"A-{number}", name=name)

    desk.send()

    assert len(sms.handed) == 2
    assert desk.reminder(reference="A-2").reason.startswith("capped: number")


def test_a_single_message_goes_however_long_it_is(desk: Desk) -> None:
    sms = Long(12)
    desk.through(sms)
    desk.enrol()

    desk.send()

    assert len(sms.handed) == 1


def test_what_a_day_has_no_room_for_is_forecast(desk: Desk) -> None:
    enrol_many(desk, 3)
    desk.at("2026-11-25T13:00")

    def late(cap: int) -> list[object]:
        caps = caps_of(capped(desk, cap).context.centres)
        return [
            row["why"] for row in reminder_forecast(desk.context, rate=0, caps=caps, now=desk.now)
        ]

    assert late(10_000) == []
    assert set(late(2)) == {"centre_day"}
    assert len(late(2)) == len(late(4)) + 1  # reckoned with two parts a message
