"""Status callbacks over real HTTP: what is genuine counts once, what is not changes nothing."""

from pathlib import Path

import pytest

from tests.api.conftest import MESSAGE, TOKENS, Site


def test_a_signed_callback_delivers_the_message(site: Site) -> None:
    answered = site.call_back("delivered")

    assert answered == 204
    assert site.desk.attempt.state == "delivered"
    assert site.desk.reminder().state == "delivered"


@pytest.mark.parametrize("token", TOKENS)
def test_two_tokens_hold_while_one_replaces_the_other(site: Site, token: str) -> None:
    assert site.call_back("delivered", token=token) == 204


def test_a_replayed_callback_is_answered_alike_and_kept_once(site: Site) -> None:
    answers = [site.call_back("sent") for _ in range(5)]

    assert answers == [204] * 5
    assert [one for one in site.desk.seen() if one[0] == "callback"] == [("callback", "sent")]


def test_a_late_callback_does_not_take_a_delivery_back(site: Site) -> None:
    answers = [site.call_back("delivered"), site.call_back("undelivered", ErrorCode="30003")]

    assert answers == [204, 204]
    assert site.desk.attempt.state == "delivered"


def test_a_callback_for_a_ref_nobody_knows_is_kept_and_answered_alike(site: Site) -> None:
    answered = site.call_back("delivered", ref="f" * 32)

    assert answered == 204
    assert site.desk.attempt.state == "accepted"
    assert ("callback", "delivered") in site.desk.seen()


@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ({}, "another-token"),
        ({"AccountSid": "AC" + "9" * 32}, TOKENS[0]),
        ({"MessageSid": "SM123"}, TOKENS[0]),
    ],
)
def test_a_forged_callback_is_refused_and_changes_nothing(
    site: Site, fields: dict[str, str], token: str
) -> None:
    answered = site.call_back("delivered", token=token, **fields)

    assert answered == 403
    assert site.desk.attempt.state == "accepted"
    assert [one for one in site.desk.seen() if one[0] == "callback"] == []


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"a=b&" * 100_000, b"{}", b"\x00" * 20_000])
def test_rubbish_is_refused(site: Site, body: bytes) -> None:
    status, _ = site.ask("POST", "/hooks/twilio/" + "a" * 32, body)

    assert status == 403


def test_a_callback_that_cannot_be_kept_is_asked_for_again(site: Site) -> None:
    site.desk.context.db.close()
    file = Path(site.desk.context.db.place)
    file.unlink()
    file.mkdir()

    answered = site.call_back("delivered", ref="a" * 32)
    ready, _ = site.ask("GET", "/readyz")
    alive, _ = site.ask("GET", "/healthz")

    assert (answered, ready, alive) == (503, 503, 200)


def test_another_message_under_our_ref_is_kept_and_never_taken_over(site: Site) -> None:
    answered = site.call_back("delivered", MessageSid="SM" + "b" * 32)

    assert answered == 204
    assert (site.desk.attempt.provider_id, site.desk.attempt.state) == (MESSAGE, "accepted")
