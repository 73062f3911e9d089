"""Messages go from status to status as their number, the plan or a test says."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.fake_twilio.talking import NOW, SERVICE, Talk, talk
from worker.clock import FixedClock
from worker.fake_twilio import FakeTwilio, running
from worker.fake_twilio.messages import way_to


def test_a_message_takes_a_second_from_status_to_status(fake: Talk) -> None:
    sid = fake.created()

    seen = []
    for _ in range(5):
        seen.append(fake.fetch(sid)["status"])
        fake.later(1)

    assert seen == ["queued", "sending", "sent", "delivered", "delivered"]


def test_what_was_sent_has_its_time_and_price(fake: Talk) -> None:
    sid = fake.created(Body="字" * 71)

    fake.later(10)

    message = fake.fetch(sid)
    assert message["date_sent"] == "Mon, 23 Nov 2026 01:00:02 +0000"
    assert message["date_updated"] == "Mon, 23 Nov 2026 01:00:03 +0000"
    assert (message["price"], message["price_unit"]) == ("-0.01500", "USD")


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        ("+8610000000001", "delivered", None),
        ("+8610000000002", "undelivered", 30003),
        ("+8610000000004", "sent", None),
        ("+8610000000006", "undelivered", 30006),
        ("+8610000000007", "undelivered", 30007),
        ("+8610000000008", "undelivered", 30008),
        ("+8610000000009", "failed", 30005),
    ],
)
def test_numbers_nobody_has_meet_their_fates(
    fake: Talk, number: str, status: str, code: int | None
) -> None:
    sid = fake.created(To=number)

    fake.later(60)

    message = fake.fetch(sid)
    assert (message["status"], message["error_code"]) == (status, code)
    assert (message["error_message"] is None) == (code is None)


def test_a_code_comes_with_the_end_and_not_before(fake: Talk) -> None:
    sid = fake.created(To="+8610000000002")

    codes = []
    for _ in range(3):
        fake.later(1)
        codes.append(fake.fetch(sid)["error_code"])

    assert codes == [None, None, 30003]


def test_mobile_numbers_that_look_real_meet_them_too(fake: Talk) -> None:
    sids = [fake.created(To=f"+86138000000{ending}") for ending in ("02", "12")]

    fake.later(60)

    assert [fake.fetch(sid)["status"] for sid in sids] == ["undelivered", "delivered"]


def test_what_failed_was_never_sent(fake: Talk) -> None:
    sid = fake.created(To="+8610000000009")

    fake.later(60)

    message = fake.fetch(sid)
    assert (message["date_sent"], message["price"]) == (None, None)


def test_a_plan_comes_before_the_numbers() -> None:
    plan = {"fates": [{"to": "+86100000*02", "end": "failed", "code": 30004, "pace": 5}]}

    with talk(plan) as fake:
        sid = fake.created(To="+8610000000002")
        fake.later(9)
        early = fake.fetch(sid)["status"]
        fake.later(1)
        late = fake.fetch(sid)

    assert (early, late["status"], late["error_code"]) == ("sending", "failed", 30004)


@pytest.mark.parametrize(
    ("end", "after", "way"),
    [
        ("delivered", "queued", ("sending", "sent", "delivered")),
        ("delivered", "accepted", ("queued", "sending", "sent", "delivered")),
        ("undelivered", "sending", ("sent", "undelivered")),
        ("failed", "queued", ("sending", "failed")),
        ("sent", "queued", ("sending", "sent")),
        ("queued", "queued", ()),
        ("queued", "accepted", ("queued",)),
        ("read", "queued", ("sending", "sent", "delivered", "read")),
        ("teleported", "queued", ("sending", "sent", "teleported")),
    ],
)
def test_the_way_leads_to_its_end(end: str, after: str, way: tuple[str, ...]) -> None:
    assert way_to(end, after) == way


@pytest.mark.parametrize("end", ["read", "teleported"])
def test_a_message_arrives_even_at_ends_past_delivered(end: str) -> None:
    with talk({"fates": [{"end": end}]}) as fake:
        sid = fake.created()
        fake.later(60)

        assert fake.fetch(sid)["status"] == end


def test_a_cancelled_message_stays_cancelled(fake: Talk) -> None:
    sid = fake.created()
    fake.control("POST", f"/messages/{sid}", {"status": "canceled"})

    fake.later(60)

    assert fake.fetch(sid)["status"] == "canceled"


def test_a_test_may_give_any_status_and_code(fake: Talk) -> None:
    sid = fake.created()

    moved = fake.control("POST", f"/messages/{sid}", {"status": "undelivered", "error_code": 30001})

    assert (moved["status"], moved["error_code"]) == ("undelivered", 30001)
    assert fake.fetch(sid) == moved


def test_a_list_hears_of_a_message_only_after_its_lag() -> None:
    with talk({"list_lag": 300}) as fake:
        sid = fake.created()
        at_once, known = fake.listed(), fake.fetch(sid)["sid"]
        fake.later(299)
        nearly = fake.listed(To="+8610000000001")
        fake.later(1)
        listed = fake.listed()

    assert known == sid
    assert (at_once, nearly, listed) == ([], [], [sid])


def test_the_lag_may_be_of_some_numbers_only() -> None:
    with talk({"fates": [{"to": "*99", "list_lag": 300}]}) as fake:
        prompt, slow = fake.created(), fake.created(To="+8610000000099")

        assert fake.listed() == [prompt]
        fake.later(300)
        assert fake.listed() == [slow, prompt]


def test_the_clock_stands_where_it_is_put(fake: Talk) -> None:
    sid = fake.created()

    fake.control("POST", "/clock", {"now": "2026-11-24T09:00:00+08:00"})

    assert fake.control("GET", "")["now"] == "2026-11-24T01:00:00+00:00"
    assert fake.fetch(sid)["status"] == "delivered"


def test_a_clock_of_the_caller_is_followed() -> None:
    clock = FixedClock(NOW)
    with running(FakeTwilio(now=clock.now)) as url:
        fake = Talk(url)
        sid = fake.created()

        clock.advance(timedelta(seconds=2))

        assert fake.fetch(sid)["status"] == "sent"
        assert datetime.fromisoformat(fake.control("GET", "")["now"]) == NOW + timedelta(seconds=2)


def test_reset_forgets_messages_counts_and_the_clock(fake: Talk) -> None:
    fake.created(From="", MessagingServiceSid=SERVICE)
    fake.later(60)

    fake.control("POST", "/reset")

    overview = fake.control("GET", "")
    assert (overview["messages"], overview["requests"]) == (0, {})
    assert datetime.fromisoformat(overview["now"]) == NOW.astimezone(UTC)
    assert (fake.listed(), fake.ledger() != []) == ([], True)


@pytest.mark.parametrize(
    ("method", "path", "given"),
    [
        ("POST", "/clock", {"now": "2026-11-24T09:00:00"}),
        ("POST", "/clock", {"now": "tomorrow"}),
        ("POST", "/clock", {"advance": "1"}),
        ("POST", "/clock", [1]),
        ("POST", "/callbacks/release", {"order": "odd"}),
        ("POST", "/callbacks/release", {"order": [7]}),
        ("PUT", "/plan", {"faults": 1}),
    ],
)
def test_a_test_that_asks_for_nonsense_is_told_so(
    fake: Talk, method: str, path: str, given: object
) -> None:
    said = fake.try_control(method, path, given)

    assert said.status == 400
    assert said.data["error"]


@pytest.mark.parametrize("path", ["/nowhere", "/messages/SMnone"])
def test_a_control_path_that_is_not_there_names_those_that_are(fake: Talk, path: str) -> None:
    said = fake.try_control("POST", path, {"status": "sent"})

    assert said.status == 404
    assert "POST /clock" in said.data["paths"]
