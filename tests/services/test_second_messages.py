"""Whoever may have been told twice is listed, with what is known of both messages (promise 3)."""

from datetime import timedelta
from typing import Any

import pytest

from tests.services.desk import Desk, Provider, beijing, both_engines
from worker.domain.delivery import Accepted, AttemptState, Found, NotSent, Receipt, Uncertain
from worker.domain.errors import BadData
from worker.services.second_messages import second_messages

UNCERTAIN = Uncertain("the line broke")
NOTHING = Found(complete=True)
LOOKS_AFTER = (1, 2, 10, 30)  # minutes, each after the one before


def lose(desk: Desk) -> None:
    """Nothing shows what was sent, four times."""
    for minutes in LOOKS_AFTER:
        desk.after(minutes=minutes).settle()


def sent_again(desk: Desk) -> Provider:
    """A reminder was given up as lost and sent once more."""
    provider = Provider(UNCERTAIN, Accepted("P2"), found=[NOTHING])
    desk.enrol("A-0", phone="10000000030")
    desk.through(Provider())
    desk.send()
    desk.enrol()
    desk.through(provider)
    desk.send()
    lose(desk)
    desk.send()
    return provider


def listed(desk: Desk, **chosen: Any) -> list[dict[str, Any]]:
    return second_messages(desk.context, **chosen)


@both_engines
def test_a_second_message_is_listed_with_both_and_the_reason(desk: Desk) -> None:
    sent_again(desk)

    [pair] = listed(desk)

    assert (pair["reference"], pair["step"], pair["channel"]) == ("A-1", "at_once", "sms")
    assert pair["first"] | {"id": ""} == {
        "id": "", "number": 1, "started_at": "2026-11-20T16:30:05+08:00", "provider": "provider",
        "provider_id": None, "state": "lost", "code": "",
    }  # fmt: skip
    assert pair["given_up_at"] == "2026-11-20T17:13:50+08:00"
    assert (pair["again"]["provider_id"], pair["again"]["state"]) == ("P2", "accepted")
    assert pair["again"]["number"] == 2
    assert pair["why"] == {
        "zh": "发出后没有答复，44 分钟内查询 4 次，运营商都没有这条消息",
        "en": "no answer, and 4 look-ups in 44 minutes did not show it",
    }


@both_engines
def test_it_stays_listed_when_the_first_turns_up_after_all(desk: Desk) -> None:
    sent_again(desk)
    ref = desk.attempts()[1].ref
    desk.receive(AttemptState.DELIVERED, provider_id="P1", ref=ref)

    [pair] = listed(desk)

    assert (pair["first"]["provider_id"], pair["first"]["state"]) == ("P1", "delivered")
    assert pair["again"]["provider_id"] == "P2"


def test_one_that_is_only_planned_again_is_no_second_message(desk: Desk) -> None:
    desk.enrol()
    desk.through(Provider(UNCERTAIN, found=[NOTHING]))
    desk.send()
    lose(desk)

    assert listed(desk) == []


def test_a_second_one_that_never_left_is_no_second_message(desk: Desk) -> None:
    desk.enrol()
    desk.through(Provider(UNCERTAIN, NotSent("no route"), found=[NOTHING]))
    desk.send()
    lose(desk)
    desk.send()

    assert [row.state for row in desk.attempts()] == ["lost", "not_sent"]
    assert listed(desk) == []


def test_what_failed_and_was_tried_again_is_no_second_message(desk: Desk) -> None:
    """It was known not to have arrived; that it was looked for first changes nothing."""
    hit = Receipt("P1", "queued", AttemptState.ACCEPTED)
    found = [NOTHING, Found(complete=True, hits=(hit,))]
    desk.enrol()
    desk.through(Provider(UNCERTAIN, Accepted("P2"), found=found))
    desk.send()
    for minutes in LOOKS_AFTER[:2]:
        desk.after(minutes=minutes).settle()
    desk.receive(AttemptState.UNDELIVERED, code="30003", is_transient=True)
    desk.clock.advance(beijing("2026-11-21T09:00") - desk.now + timedelta(seconds=1))
    desk.send()

    assert [row.state for row in desk.attempts()] == ["undelivered", "accepted"]
    assert listed(desk) == []


def test_the_list_is_of_one_centre_state_or_case_where_that_is_wanted(desk: Desk) -> None:
    sent_again(desk)

    chosen: list[dict[str, Any]] = [
        {"centre_id": "demo"}, {"state": "accepted"}, {"state": "delivered"},
        {"reference": "A-1"}, {"reference": "A-0"},
    ]  # fmt: skip

    assert [len(listed(desk, **one)) for one in chosen] == [1, 1, 0, 1, 0]
    with pytest.raises(BadData):
        listed(desk, centre_id="nowhere")
