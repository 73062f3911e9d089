"""The day in the citizen's calendar: it stays with the deadline, and moves when that moves."""

from datetime import date

from tests.services.desk import APPLIED, Desk, Provider


def mailed(desk: Desk) -> Provider:
    provider = Provider(kind="email")
    desk.through(provider)
    desk.send()
    return provider


def test_a_mail_brings_the_last_day_at_the_counter(desk: Desk) -> None:
    desk.enrol(email="a1@example.com")

    (request,) = mailed(desk).handed

    entry = request.entry
    assert entry is not None
    assert (entry.on, entry.sequence) == (date(2026, 11, 25), 0)
    assert entry.uid.startswith(desk.deadlines()["lapse"].id)
    assert request.message_id == desk.reminder(channel="email").id


def test_what_will_be_ready_is_entered_on_its_day(desk: Desk) -> None:
    desk.enrol(email="a1@example.com", events=APPLIED)

    (request,) = mailed(desk).handed

    assert request.entry is not None
    assert request.entry.on == desk.deadlines()["ready"].ready_on


def test_a_date_that_may_still_move_says_so(desk: Desk) -> None:
    desk.at("2026-12-31T10:00").enrol(
        email="a1@example.com", events=[("reported_by_phone", "2026-12-31T09:30")]
    )

    (request,) = mailed(desk).handed

    assert request.entry is not None
    assert request.entry.summary.endswith("（暂定）")


def test_an_sms_brings_none(desk: Desk) -> None:
    desk.enrol()
    provider = Provider()
    desk.through(provider)

    desk.send()

    assert provider.handed[0].entry is None
