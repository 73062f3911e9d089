"""Looking a message up in Twilio's lists: only a list read to its end proves anything."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.channels.wire import (
    ACCOUNT_SID,
    TEXT,
    TO,
    Answer,
    Wire,
    cut,
    message,
    refused,
    reset,
    said,
    silence,
)
from worker.channels.twilio_sms import TwilioSms
from worker.domain.calendar import CHINA
from worker.domain.delivery import Found, Prepared, SendRequest

NOW = datetime(2026, 11, 20, 8, 33, tzinfo=UTC)
SINCE = datetime(2026, 11, 20, 8, 28, tzinfo=UTC)
LISTS = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
Open = Callable[..., TwilioSms]


def sid(number: int) -> str:
    return f"SM{number:032x}"


def page(*messages: object, then: str | None = None) -> Answer:
    return said(200, {"messages": list(messages), "next_page_uri": then, "page_size": 50})


def at(minutes_ago: float) -> str:
    return format(NOW - timedelta(minutes=minutes_ago), "%a, %d %b %Y %H:%M:%S +0000")


def found(twilio: Open, text: str = TEXT) -> Found:
    request = Prepared(SendRequest(to=TO, text=text))
    return twilio(read_seconds=0.3).find(request, "ref", since=SINCE, now=NOW)


def ids(answer: Found) -> list[str]:
    return [hit.provider_id for hit in answer.hits]


def test_a_lost_message_is_asked_for_by_recipient_alone(wire: Wire, twilio: Open) -> None:
    wire.answers = [page(message(sid(1), date_created=at(3)))]

    answer = found(twilio)

    assert (answer.complete, ids(answer)) == (True, [sid(1)])
    assert answer.hits[0].created_at == NOW - timedelta(minutes=3)
    assert answer.hits[0].text is None
    assert wire.asked[0].target.partition("?")[0] == LISTS
    assert wire.asked[0].form == {"To": TO, "PageSize": "50"}


@pytest.mark.parametrize(
    ("changes", "is_hit"),
    [
        ({}, True),
        ({"body": f"【示例】{TEXT} 退订回T"}, True),
        ({"body": TEXT.replace("：", ": ")}, True),
        ({"body": ""}, True),
        ({"body": None}, True),
        ({"body": "别的短信"}, False),
        ({"body": TEXT[:-3]}, False),
        ({"direction": "inbound"}, False),
        ({"direction": "outbound-reply"}, False),
        ({"to": "+8613800000002"}, False),
        ({"date_created": at(5.1)}, False),
        ({"date_created": at(5)}, True),
    ],
)
def test_a_hit_is_ours_by_number_time_and_text(
    wire: Wire, twilio: Open, changes: dict[str, object], is_hit: bool
) -> None:
    wire.answers = [page(message(sid(1), **({"date_created": at(1)} | changes)))]

    answer = found(twilio)

    assert (answer.complete, ids(answer)) == (True, [sid(1)] if is_hit else [])


def test_an_empty_list_read_to_its_end_is_complete(wire: Wire, twilio: Open) -> None:
    wire.answers = [page()]

    assert found(twilio) == Found(complete=True)


def test_a_text_nobody_remembers_finds_nothing(wire: Wire, twilio: Open) -> None:
    assert found(twilio, text="") == Found(complete=False)
    assert wire.asked == []


def test_pages_are_read_until_one_is_older_than_the_message(wire: Wire, twilio: Open) -> None:
    wire.answers = [
        page(message(sid(1), date_created=at(1)), then=f"{LISTS}?Page=1"),
        page(message(sid(2), date_created=at(4)), message(sid(1), date_created=at(1)),
             then=f"{LISTS}?Page=2"),
        page(message(sid(3), date_created=at(9)), then=f"{LISTS}?Page=3"),
    ]  # fmt: skip

    answer = found(twilio)

    assert (answer.complete, ids(answer)) == (True, [sid(1), sid(2)])
    assert [asked.form.get("Page") for asked in wire.asked] == [None, "1", "2"]
    assert wire.connections == 1


BROKEN = [
    cut, reset, silence, refused(429, 20429), refused(500, 20500), refused(404, 20404),
    said(200, b"<html>"), said(200, b'{"messages": [], "next_page_uri"'), said(200, {}),
    said(200, []), said(200, {"messages": []}), said(302, {}), page({}),
    said(200, {"messages": None, "next_page_uri": None}),
    said(200, {"messages": ["x"], "next_page_uri": None}),
    page(message(sid(2), date_created=None)), page(message("SM2")),
    page(then="/elsewhere"), page(then="http://user@127.0.0.1:9/2010-04-01/Messages.json"),
]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_a_list_with_anything_amiss_proves_nothing(
    wire: Wire, twilio: Open, broken: Answer
) -> None:
    wire.answers = [broken, refused(404, 20404)]

    answer = found(twilio)

    assert answer == Found(complete=False)


@pytest.mark.parametrize("broken", BROKEN)
def test_what_was_read_before_a_list_broke_off_counts(
    wire: Wire, twilio: Open, broken: Answer
) -> None:
    first = page(message(sid(1), date_created=at(1)), then=f"{LISTS}?Page=1")
    wire.answers = [first, broken, refused(404, 20404)]

    answer = found(twilio)

    assert (answer.complete, ids(answer)) == (False, [sid(1)])


def test_the_next_page_is_never_asked_for_on_another_server(wire: Wire, twilio: Open) -> None:
    stranger = Wire()
    body = {"messages": [], "meta": {"key": "messages", "next_page_url": f"{stranger.url}/x"}}
    wire.answers = [said(200, body | {"next_page_uri": None})]

    answer = found(twilio)
    stranger.close()

    assert not answer.complete
    assert stranger.asked == []


def test_a_list_without_end_is_given_up(wire: Wire, twilio: Open) -> None:
    wire.answers = [page(then=f"{LISTS}?Page=1")] * 600

    answer = found(twilio)

    assert not answer.complete
    assert len(wire.asked) == 501


def test_a_sweep_asks_for_every_day_a_message_may_have_been_sent_on(
    wire: Wire, twilio: Open
) -> None:
    since = datetime(2026, 11, 20, 0, tzinfo=CHINA)
    until = datetime(2026, 11, 21, 0, tzinfo=CHINA)
    wire.answers = [
        page(message(sid(1), date_created="Thu, 19 Nov 2026 15:59:59 +0000"),
             message(sid(2), date_created="Thu, 19 Nov 2026 16:00:00 +0000"),
             then=f"{LISTS}?Page=1"),
        page(message(sid(3), direction="inbound"), message(sid(4), direction="outbound-reply"),
             then=f"{LISTS}?Page=2"),
        page(message(sid(5), date_created="Fri, 20 Nov 2026 15:59:59 +0000"),
             message(sid(6), date_created="Fri, 20 Nov 2026 16:00:00 +0000")),
    ]  # fmt: skip

    answer = twilio().listed(since, until)

    assert (answer.complete, ids(answer)) == (True, [sid(2), sid(4), sid(5)])
    assert wire.asked[0].form == {
        "DateSent>": "2026-11-19T00:00:00Z", "DateSent<": "2026-11-22T00:00:00Z", "PageSize": "200",
    }  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_a_sweep_with_one_bad_page_is_not_complete(
    wire: Wire, twilio: Open, broken: Answer
) -> None:
    wire.answers = [broken, refused(404, 20404)]

    answer = twilio(read_seconds=0.3).listed(SINCE, NOW)

    assert not answer.complete


@pytest.mark.parametrize("minutes", [-7, 7])
def test_a_message_is_found_although_a_clock_is_wrong_by_minutes(
    wire: Wire, twilio: Open, minutes: int
) -> None:
    """Made three minutes ago, when the provider's clock is `minutes` behind ours."""
    listed = {"messages": [message(sid(1), date_created=at(3 + minutes))], "next_page_uri": None}
    wire.answers = [said(200, listed, {"Date": at(minutes)})]

    answer = found(twilio)

    assert ids(answer) == [sid(1)]
    assert answer.hits[0].created_at == NOW - timedelta(minutes=3)


def test_a_list_goes_on_while_its_messages_may_be_new_by_our_clock(
    wire: Wire, twilio: Open
) -> None:
    old = [message(sid(n), body="another", date_created=at(8)) for n in range(2, 4)]
    wire.answers = [
        said(200, {"messages": old, "next_page_uri": f"{LISTS}?Page=1"}, {"Date": at(7)}),
        said(200, {"messages": [message(sid(1), date_created=at(9))], "next_page_uri": None},
             {"Date": at(7)}),
    ]  # fmt: skip

    assert ids(found(twilio)) == [sid(1)]


@pytest.mark.parametrize("date", ["Thu, 01 Jan 2015 00:00:00 GMT", "tomorrow", ""])
def test_a_date_that_tells_nothing_hides_no_message(wire: Wire, twilio: Open, date: str) -> None:
    listed = {"messages": [message(sid(1), date_created=at(3))], "next_page_uri": None}
    wire.answers = [said(200, listed, {"Date": date})]

    assert ids(found(twilio)) == [sid(1)]
