"""The Messages resource answers as Twilio's does."""

import json
import re
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.fake_twilio.talking import (
    DELIVERED,
    FORM,
    MESSAGES,
    NOW,
    SENDER,
    SERVICE,
    Talk,
    path_of,
    talk,
)
from worker.fake_twilio import ACCOUNT

DOCUMENT = json.loads((Path(__file__).parent / "twilio_messages.json").read_text("utf-8"))
OTHER = "+8610000000077"


def fields_of(schema: str) -> set[str]:
    """What a schema of Twilio's document names."""
    return set(DOCUMENT["components"]["schemas"][schema]["properties"])


def test_a_message_is_taken_with_every_field_of_the_document(fake: Talk) -> None:
    said = fake.create()

    assert said.status == 201
    assert set(said.data) == fields_of("api.v2010.account.message")
    assert said.data["account_sid"] == ACCOUNT
    assert re.fullmatch("SM[0-9a-f]{32}", said.data["sid"])
    assert (said.data["to"], said.data["from"]) == (DELIVERED, SENDER)
    assert (said.data["body"], said.data["status"]) == (FORM["Body"], "queued")
    assert (said.data["num_segments"], said.data["price"]) == ("1", None)
    assert said.data["date_created"] == "Mon, 23 Nov 2026 01:00:00 +0000"
    assert said.data["date_sent"] is None
    assert said.headers["Twilio-Request-Id"].startswith("RQ")


def test_two_messages_have_two_sids(fake: Talk) -> None:
    assert fake.created() != fake.created()


def test_a_service_begins_with_accepted_and_picks_its_sender_later(fake: Talk) -> None:
    sid = fake.created(From="", MessagingServiceSid=SERVICE)

    first = fake.fetch(sid)
    fake.later(10)
    last = fake.fetch(sid)

    assert (first["status"], first["from"], first["num_segments"]) == ("accepted", None, "0")
    assert (last["status"], last["from"], last["num_segments"]) == ("delivered", SENDER, "1")
    assert first["messaging_service_sid"] == last["messaging_service_sid"] == SERVICE


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": ""}, 21604),
        ({"From": ""}, 21603),
        ({"Body": ""}, 21602),
        ({"To": "13800000000"}, 21211),
        ({"To": "hello"}, 21211),
        ({"From": "+"}, 21212),
        ({"From": "", "MessagingServiceSid": "MG1"}, 21705),
        ({"Body": "字" * 1601}, 21617),
        ({"ValidityPeriod": "0"}, 90007),
        ({"ValidityPeriod": "36001"}, 90007),
        ({"ValidityPeriod": "soon"}, 90007),
        ({"StatusCallback": "hooks"}, 21609),
        ({"StatusCallback": "http://my_host/hooks"}, 21609),
        ({"StatusCallback": "http://127.0.0.1:port/"}, 21609),
        ({"ScheduleType": "fixed"}, 35118),
        ({"ScheduleType": "fixed", "MessagingServiceSid": SERVICE}, 35111),
        (
            {
                "ScheduleType": "fixed",
                "MessagingServiceSid": SERVICE,
                "SendAt": "2026-11-23T01:04:59Z",
            },
            35115,
        ),
        ({"To": "+8610000000003"}, 21614),
        ({"To": "+8610000000010"}, 21610),
        ({"To": "+8610000000011"}, 21211),
    ],
)
def test_what_twilio_refuses_is_refused_and_not_kept(
    fake: Talk, change: dict[str, str], code: int
) -> None:
    said = fake.create(**change)

    assert said.status == 400
    assert said.data["code"] == code
    assert said.data["status"] == 400
    assert said.data["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert "Twilio-Request-Id" in said.headers
    assert fake.ledger() == []


@pytest.mark.parametrize(
    "change",
    [
        {"Body": "字" * 1600},
        {"ValidityPeriod": "1"},
        {"ValidityPeriod": "36000"},
        {"StatusCallback": "https://qida.example/hooks/a_b#rc=5"},
        {"From": "12333"},
        {"From": "Qida"},
        {"Body": "", "ContentSid": "HX" + "0" * 32},
    ],
)
def test_what_is_just_within_the_checks_is_taken(fake: Talk, change: dict[str, str]) -> None:
    assert fake.create(**change).status == 201


def test_a_scheduled_message_waits_until_its_time(fake: Talk) -> None:
    at = NOW + timedelta(seconds=300)
    sid = fake.created(
        ScheduleType="fixed", MessagingServiceSid=SERVICE, SendAt=f"{at:%Y-%m-%dT%H:%M:%SZ}"
    )

    fake.later(300)
    before = fake.fetch(sid)["status"]
    fake.later(10)

    assert (before, fake.fetch(sid)["status"]) == ("scheduled", "delivered")


@pytest.mark.parametrize("authorization", ["", "Basic d3Jvbmc6dG9rZW4=", "Bearer x"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_wrong_credentials_are_refused_with_20003(
    fake: Talk, method: str, authorization: str
) -> None:
    said = fake.ask(method, MESSAGES, FORM, Authorization=authorization)

    assert (said.status, said.data["code"]) == (401, 20003)
    assert fake.ledger() == []


@pytest.mark.parametrize(
    "target",
    [
        MESSAGES.replace(ACCOUNT, "AC" + "f" * 32),
        "/2010-04-01/Accounts.json",
        "/",
        path_of("SM" + "f" * 32),
    ],
)
def test_what_is_not_there_is_20404(fake: Talk, target: str) -> None:
    said = fake.ask("GET", target)

    assert (said.status, said.data["code"]) == (404, 20404)


def test_another_method_is_20004(fake: Talk) -> None:
    said = fake.ask("PUT", MESSAGES, FORM)

    assert (said.status, said.data["code"]) == (405, 20004)


def test_a_list_has_the_fields_of_the_document(fake: Talk) -> None:
    fake.created()

    said = fake.ask("GET", MESSAGES)

    answer = DOCUMENT["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]["get"]
    schema = answer["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(said.data) == set(schema["properties"])
    assert (said.data["start"], said.data["end"]) == (0, 0)
    assert (said.data["page"], said.data["page_size"]) == (0, 50)
    assert said.data["next_page_uri"] is None


def test_a_list_shows_the_newest_first_and_filters_by_recipient_and_sender(fake: Talk) -> None:
    first, second = fake.created(), fake.created(To=OTHER)
    third = fake.created(From="+15005550007")

    assert fake.listed() == [third, second, first]
    assert fake.listed(To=DELIVERED) == [third, first]
    assert fake.listed(To=DELIVERED, From=SENDER) == [first]
    assert fake.listed(To="+8610000000099") == []


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"DateSent": "2026-11-23"}, True),
        ({"DateSent": "2026-11-22"}, False),
        ({"DateSent<": "2026-11-22"}, False),
        ({"DateSent<": "2026-11-23"}, True),
        ({"DateSent>": "2026-11-23"}, True),
        ({"DateSent>": "2026-11-24"}, False),
        ({"DateSent": "2026-11-23T00:00:00Z"}, True),
        ({"DateSent": "2026-11-22T23:59:59Z"}, False),
        ({"DateSent": "2026-11-24T07:00:00+08:00"}, True),
        ({"DateSent<": "2026-11-23T01:00:01Z"}, False),
        ({"DateSent<": "2026-11-23T01:00:02Z"}, True),
        ({"DateSent>": "2026-11-23T01:00:02Z"}, True),
        ({"DateSent>": "2026-11-23T01:00:03Z"}, False),
        ({"DateSent>": "2026-11-23", "DateSent<": "2026-11-23"}, True),
    ],
)
def test_a_list_filters_by_the_day_or_second_of_sending(
    fake: Talk, filters: dict[str, str], found: bool
) -> None:
    sid = fake.created()
    fake.later(10)  # sent at 01:00:02

    assert fake.listed(**filters) == ([sid] if found else [])


def test_a_message_not_yet_sent_has_no_day_of_sending(fake: Talk) -> None:
    fake.created()

    assert fake.listed(**{"DateSent>": "2000-01-01"}) == []


@pytest.mark.parametrize(
    "query",
    [
        "PageSize=0",
        "PageSize=1001",
        "PageSize=x",
        "PageToken=PASMgone",
        "DateSent=someday",
        "DateSent=2026-02-30",
    ],
)
def test_a_list_asked_for_wrongly_is_refused(fake: Talk, query: str) -> None:
    assert fake.ask("GET", f"{MESSAGES}?{query}").status == 400


def test_pages_follow_each_other_even_when_messages_arrive_in_between(fake: Talk) -> None:
    sids = [fake.created() for _ in range(5)]

    first = fake.ask("GET", f"{MESSAGES}?PageSize=2&To=%2B8610000000001").data
    fake.created()
    second = fake.ask("GET", first["next_page_uri"]).data
    third = fake.ask("GET", second["next_page_uri"]).data

    pages = [[one["sid"] for one in page["messages"]] for page in (first, second, third)]
    assert pages == [[sids[4], sids[3]], [sids[2], sids[1]], [sids[0]]]
    assert [page["page"] for page in (first, second, third)] == [0, 1, 2]
    assert [page["start"] for page in (first, second, third)] == [0, 2, 4]
    assert third["next_page_uri"] is None


def test_redacting_takes_the_text_and_keeps_the_record(fake: Talk) -> None:
    sid = fake.created()
    fake.later(10)

    said = fake.ask("POST", path_of(sid), {"Body": ""})

    assert (said.status, said.data["body"], said.data["status"]) == (200, "", "delivered")
    assert fake.fetch(sid)["body"] == ""
    assert fake.ledger()[0]["body"] == FORM["Body"]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"Body": "other"}, 30400),
        ({}, 30400),
        ({"Body": "", "Status": "canceled"}, 30400),
        ({"Status": "delivered"}, 30400),
        ({"Body": ""}, 20009),
    ],
)
def test_an_update_that_makes_no_sense_changes_nothing(
    fake: Talk, form: dict[str, str], code: int
) -> None:
    sid = fake.created()

    said = fake.ask("POST", path_of(sid), form)

    assert said.data["code"] == code
    assert (fake.fetch(sid)["body"], fake.fetch(sid)["status"]) == (FORM["Body"], "queued")


def test_a_message_can_be_cancelled_until_it_is_on_its_way(fake: Talk) -> None:
    early, late = fake.created(), fake.created()

    cancelled = fake.ask("POST", path_of(early), {"Status": "canceled"})
    fake.later(10)
    refused = fake.ask("POST", path_of(late), {"Status": "canceled"})

    assert (cancelled.status, cancelled.data["status"]) == (200, "canceled")
    assert (refused.status, refused.data["code"]) == (409, 30409)
    assert fake.fetch(early)["status"] == "canceled"


def test_deleting_waits_for_the_end_and_then_forgets(fake: Talk) -> None:
    sid = fake.created()

    early = fake.ask("DELETE", path_of(sid))
    fake.later(10)
    deleted = fake.ask("DELETE", path_of(sid))

    assert (early.status, early.data["code"]) == (409, 20009)
    assert (deleted.status, deleted.text) == (204, "")
    assert fake.ask("GET", path_of(sid)).status == 404
    assert fake.listed() == fake.listed(To=DELIVERED) == []


@pytest.mark.parametrize(
    ("body", "segments"),
    [
        ("a" * 160, "1"),
        ("a" * 161, "2"),
        ("€" * 80, "1"),
        ("€" * 81, "2"),
        ("字" * 70, "1"),
        ("字" * 71, "2"),
        ("𠮷" * 35, "1"),
        ("𠮷" * 36, "2"),
    ],
)
def test_segments_are_counted_as_networks_count_them(fake: Talk, body: str, segments: str) -> None:
    assert fake.create(Body=body).data["num_segments"] == segments


def test_dates_are_of_rfc_2822_in_utc() -> None:
    with talk() as fake:
        created = fake.create().data["date_created"]

    assert parsedate_to_datetime(created) == NOW
    assert created.endswith(" +0000")
