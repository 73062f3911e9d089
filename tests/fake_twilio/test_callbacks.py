"""Callbacks arrive signed and in order, unless the plan has it otherwise."""

import pytest
from twilio.request_validator import RequestValidator

from tests.fake_twilio.talking import (
    DELIVERED,
    FORM,
    SENDER,
    SERVICE,
    Ear,
    Heard,
    Talk,
    talk,
    written,
)
from worker.fake_twilio import ACCOUNT, TOKEN
from worker.fake_twilio.callbacks import Overrides, is_loopback, overrides_of


def is_genuine(heard: Heard, ear: Ear, token: str = TOKEN) -> bool:
    """What Twilio's own library says of a callback."""
    url = ear.url.partition("/hooks")[0] + heard.target
    signed = heard.headers.get("X-Twilio-Signature", "")
    verdict: bool = RequestValidator(token).validate(url, dict(heard.form), signed)
    return verdict


def rule(do: str, **changes: object) -> dict[str, object]:
    """A plan with one rule for callbacks."""
    return {"callbacks": [{"do": do, **changes}]}


def test_every_status_but_the_first_is_told_of_in_order(fake: Talk, ear: Ear) -> None:
    fake.created(StatusCallback=ear.url)

    fake.later(10)

    assert ear.statuses == ["sending", "sent", "delivered"]


def test_a_callback_says_what_twilio_says(fake: Talk, ear: Ear) -> None:
    sid = fake.created(StatusCallback=ear.url)

    fake.later(10)

    assert ear.heard[-1].target == "/hooks/ref-1"
    assert ear.heard[-1].form == {
        "MessageSid": sid,
        "MessageStatus": "delivered",
        "SmsSid": sid,
        "SmsStatus": "delivered",
        "To": DELIVERED,
        "From": SENDER,
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "RawDlrDoneDate": "2611230100",
    }


def test_a_failure_is_told_with_its_code_and_a_service_with_its_sid(fake: Talk, ear: Ear) -> None:
    number = "+8610000000002"
    fake.created(To=number, From="", MessagingServiceSid=SERVICE, StatusCallback=ear.url)

    fake.later(10)

    assert ear.statuses == ["queued", "sending", "sent", "undelivered"]
    assert ["ErrorCode" in heard.form for heard in ear.heard] == [False, False, False, True]
    assert ear.heard[-1].form["ErrorCode"] == "30003"
    assert ear.heard[-1].form["MessagingServiceSid"] == SERVICE


def test_a_code_is_told_with_failures_only(fake: Talk, ear: Ear) -> None:
    sid = fake.created(StatusCallback=ear.url)

    fake.control("POST", f"/messages/{sid}", {"status": "undelivered", "error_code": 30003})
    fake.control("POST", f"/messages/{sid}", {"status": "delivered"})

    assert ["ErrorCode" in heard.form for heard in ear.heard] == [True, False]
    assert fake.fetch(sid)["error_code"] == 30003


def test_a_callback_bears_twilios_signature(fake: Talk, ear: Ear) -> None:
    fake.created(StatusCallback=f"{ear.url}?a=1&b=%20#rc=0&rp=all")

    fake.later(10)

    assert [heard.target for heard in ear.heard] == ["/hooks/ref-1?a=1&b=%20"] * 3
    assert all(is_genuine(heard, ear) for heard in ear.heard)
    assert not any(is_genuine(heard, ear, token="f" * 32) for heard in ear.heard)


def test_a_lost_callback_never_comes(ear: Ear) -> None:
    with talk(rule("lose", status="sent")) as fake:
        fake.created(StatusCallback=ear.url)
        fake.later(10)

        states = [callback["state"] for callback in fake.control("GET", "/callbacks")]

    assert ear.statuses == ["sending", "delivered"]
    assert states == ["done", "lost", "done"]


def test_a_repeated_callback_comes_alike_each_time(ear: Ear) -> None:
    with talk(rule("repeat", status="delivered", copies=3)) as fake:
        fake.created(StatusCallback=ear.url)
        fake.later(10)

    assert ear.statuses == ["sending", "sent", "delivered", "delivered", "delivered"]
    assert ear.heard[-1].form == ear.heard[-2].form == ear.heard[-3].form


def test_a_late_callback_comes_after_those_that_follow_it(ear: Ear) -> None:
    with talk(rule("delay", status="sent", seconds=3600)) as fake:
        fake.created(StatusCallback=ear.url)
        fake.later(10)
        early = ear.statuses
        fake.later(3600)

    assert early == ["sending", "delivered"]
    assert ear.statuses == ["sending", "delivered", "sent"]


@pytest.mark.parametrize(
    ("order", "heard"),
    [
        ("made", ["sending", "sent", "delivered"]),
        ("reversed", ["delivered", "sent", "sending"]),
        ([1, 0, 2], ["sent", "sending", "delivered"]),
        ([2], ["delivered"]),
    ],
)
def test_held_callbacks_come_in_the_order_they_are_let_go(
    ear: Ear, order: object, heard: list[str]
) -> None:
    with talk(rule("hold")) as fake:
        fake.created(StatusCallback=ear.url)
        fake.later(10)
        before = ear.statuses
        fake.control("POST", "/callbacks/release", {"order": order})

    assert before == []
    assert ear.statuses == heard


def test_a_callback_is_let_go_once_only(ear: Ear) -> None:
    with talk(rule("hold")) as fake:
        fake.created(StatusCallback=ear.url)
        fake.later(10)
        fake.control("POST", "/callbacks/release", {"order": [0]})

        again = fake.try_control("POST", "/callbacks/release", {"order": [0]})

    assert again.status == 400
    assert ear.statuses == ["sending"]


@pytest.mark.parametrize(
    ("forged", "genuine", "changed"),
    [
        ("token", False, set()),
        ("unsigned", False, set()),
        ("sid", True, {"MessageSid", "SmsSid"}),
        ("account", True, {"AccountSid"}),
    ],
)
def test_a_forged_callback_is_wrong_in_one_thing_only(
    ear: Ear, forged: str, genuine: bool, changed: set[str]
) -> None:
    with talk(rule("forge", forged=forged)) as fake:
        sid = fake.created(StatusCallback=ear.url)
        fake.later(1)

    (heard,) = ear.heard
    truth = {"MessageSid": sid, "SmsSid": sid, "AccountSid": ACCOUNT, "To": DELIVERED}
    assert {name for name, value in truth.items() if heard.form[name] != value} == changed
    assert is_genuine(heard, ear) == genuine
    assert ("X-Twilio-Signature" in heard.headers) == (forged != "unsigned")


@pytest.mark.parametrize(
    ("fragment", "answers", "tries"),
    [
        ("", [500, 204], 1),
        ("#rp=5xx", [500, 204], 2),
        ("#rp=5xx", [404, 204], 1),
        ("#rp=all&rc=5", [500, 404, 503, 204], 4),
        ("#rp=all&rc=1", [500, 500, 204], 2),
        ("#rp=all&rc=0", [500, 204], 1),
        ("#rp=all&rc=9", [500] * 9, 6),
    ],
)
def test_a_callback_is_tried_again_as_the_fragment_asks(
    fake: Talk, ear: Ear, fragment: str, answers: list[int], tries: int
) -> None:
    ear.answers.extend(answers)
    sid = fake.created(StatusCallback=ear.url + fragment)

    fake.control("POST", f"/messages/{sid}", {"status": "sending"})

    (callback,) = fake.control("GET", "/callbacks")
    assert callback["results"] == [str(status) for status in answers[:tries]]
    assert ear.statuses == ["sending"] * tries


def test_nobody_at_home_is_tried_once_more(fake: Talk) -> None:
    with fake.raw() as connection:
        free = connection.getsockname()[1]
    sid = fake.created(StatusCallback=f"http://127.0.0.1:{free}/hooks")

    fake.control("POST", f"/messages/{sid}", {"status": "sent"})

    (callback,) = fake.control("GET", "/callbacks")
    assert (callback["state"], callback["results"]) == ("done", ["ct", "ct"])


@pytest.mark.parametrize(
    ("fragment", "asked"),
    [
        ("", Overrides()),
        ("ct=2000&rt=3000&tt=4000&rc=0&rp=ct,5xx", Overrides(2.0, 3.0, 4.0, 0, ("ct", "5xx"))),
        ("ct=99999&rt=x&rc=7", Overrides(connect=15.0, retries=5)),
    ],
)
def test_a_fragment_asks_for_times_and_tries(fragment: str, asked: Overrides) -> None:
    assert overrides_of(fragment) == asked


@pytest.mark.parametrize(
    ("host", "is_this_machine"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104  # it is asked about, not listened on
        ("localhost.example.com", False),
        ("example.com", False),
        (None, False),
    ],
)
def test_loopback_is_known_by_its_name(host: str | None, is_this_machine: bool) -> None:
    assert is_loopback(host) == is_this_machine


@pytest.mark.parametrize("url", ["http://192.0.2.1/x", "http://a.example/x", "https://127.0.0.1/x"])
def test_nobody_outside_is_ever_called(fake: Talk, url: str) -> None:
    sid = fake.created(StatusCallback=url)

    fake.control("POST", f"/messages/{sid}", {"status": "sent"})

    (callback,) = fake.control("GET", "/callbacks")
    assert (callback["state"], callback["results"]) == ("refused", [])


def test_callbacks_come_before_a_slow_answer(ear: Ear) -> None:
    plan = {"pace": 0, "faults": [{"do": "slow", "seconds": 600}]}
    with talk(plan) as fake, fake.raw() as connection:
        connection.sendall(written(FORM | {"StatusCallback": ear.url}))
        while not fake.ledger():
            pass

        fake.control("POST", "/settle")

        assert ear.statuses == ["sending", "sent", "delivered"]
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
