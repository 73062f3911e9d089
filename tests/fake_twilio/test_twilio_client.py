"""Twilio's own Python client is content with the stand-in."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.fake_twilio.talking import DELIVERED, FORM, NOW, SENDER, SERVICE, Talk
from worker.fake_twilio import ACCOUNT, TOKEN


@pytest.fixture
def client(fake: Talk) -> Iterator[Client]:
    """The client, pointed at the stand-in."""
    client = Client(ACCOUNT, TOKEN)
    client.api.base_url = fake.url
    yield client
    client.http_client.session.close()


def test_it_sends_and_follows_a_message(fake: Talk, client: Client) -> None:
    sent = client.messages.create(to=DELIVERED, from_=SENDER, body=FORM["Body"])
    fake.later(10)

    fetched = client.messages(sent.sid).fetch()

    assert (sent.status, sent.date_created, sent.date_sent) == ("queued", NOW, None)
    assert (fetched.status, fetched.body) == ("delivered", FORM["Body"])
    assert fetched.date_sent == NOW + timedelta(seconds=2)


def test_it_lists_page_after_page(client: Client) -> None:
    sids = [
        client.messages.create(to=DELIVERED, from_=SENDER, body=str(number)).sid
        for number in range(7)
    ]

    listed = client.messages.list(to=DELIVERED, page_size=3)

    assert [message.sid for message in listed] == sids[::-1]


def test_it_filters_by_time_of_sending(fake: Talk, client: Client) -> None:
    sid = client.messages.create(to=DELIVERED, from_=SENDER, body="x").sid
    fake.later(10)

    after = client.messages.list(date_sent_after=datetime(2026, 11, 23, 1, 0, 2, tzinfo=UTC))
    before = client.messages.list(date_sent_before=datetime(2026, 11, 23, 1, 0, 1, tzinfo=UTC))
    day = client.messages.list(date_sent=date(2026, 11, 23))

    assert [message.sid for message in after] == [message.sid for message in day] == [sid]
    assert before == []


def test_it_schedules_cancels_redacts_and_deletes(fake: Talk, client: Client) -> None:
    scheduled = client.messages.create(
        to=DELIVERED,
        messaging_service_sid=SERVICE,
        body="x",
        schedule_type="fixed",
        send_at=NOW + timedelta(hours=1),
    )
    cancelled = client.messages(scheduled.sid).update(status="canceled")
    redacted = client.messages(scheduled.sid).update(body="")

    assert (scheduled.status, cancelled.status, redacted.body) == ("scheduled", "canceled", "")
    assert client.messages(scheduled.sid).delete()
    assert fake.listed() == []


def test_it_reads_a_refusal(client: Client) -> None:
    with pytest.raises(TwilioRestException) as refused:
        client.messages.create(to="+8610000000010", from_=SENDER, body="x")

    assert (refused.value.status, refused.value.code) == (400, 21610)


def test_it_reads_wrong_credentials(fake: Talk) -> None:
    stranger = Client(ACCOUNT, "f" * 32)
    stranger.api.base_url = fake.url

    with pytest.raises(TwilioRestException) as refused:
        stranger.messages.create(to=DELIVERED, from_=SENDER, body="x")

    stranger.http_client.session.close()
    assert (refused.value.status, refused.value.code) == (401, 20003)
