"""Idempotency-Key: a request that comes again is answered again, and done once."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from tests.api.office import Office, a_case
from worker.api.schemas import CaseIn
from worker.domain.errors import Unavailable
from worker.services.answering_once import Answer, Request, answer_once
from worker.services.erasing import erase_case
from worker.store.answers import AnswerRow
from worker.store.database import Database

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def test_the_same_request_gets_the_same_answer(office: Office) -> None:
    first = office.post("/v1/cases", a_case("B-1"), **KEY)
    office.post("/v1/cases", a_case("B-1", card_last4="0042"))

    again = office.post("/v1/cases", a_case("B-1"), **KEY)

    assert (again.status, again.text, again.etag) == (201, first.text, first.etag)
    assert office.get("/v1/cases/ref:B-1").body["card_last4"] == "0042"


def test_another_request_with_the_same_key_is_refused(office: Office) -> None:
    office.post("/v1/cases", a_case("B-1"), **KEY)

    refused = office.post("/v1/cases", a_case("B-2"), **KEY)

    assert (refused.status, refused.body["code"]) == (422, "idempotency_key.taken")
    assert office.get("/v1/cases/ref:B-2").status == 404


def test_a_refused_request_may_be_mended_under_its_key(office: Office) -> None:
    refused = office.post("/v1/cases", a_case("B-1", procedure="nowhere"), **KEY)

    mended = office.post("/v1/cases", a_case("B-1"), **KEY)

    assert (refused.status, mended.status) == (422, 201)


def test_while_the_first_is_worked_on_the_second_must_wait(office: Office) -> None:
    desk, body = office.desk, a_case("B-1")
    content = json.dumps(["enrol", CaseIn.model_validate(body).model_dump_json()])
    meanwhile = []

    def crawl() -> Answer:
        meanwhile.append(office.post("/v1/cases", body, **KEY))
        raise Unavailable("坏了", "broken")

    with pytest.raises(Unavailable):
        answer_once(
            desk.context, Request("demo", KEY["Idempotency-Key"], content), crawl, now=desk.now
        )
    afterwards = office.post("/v1/cases", body, **KEY)

    assert meanwhile[0].status == 409
    assert meanwhile[0].headers["Retry-After"] == "5"
    assert afterwards.status == 201


def test_a_day_later_the_key_is_free(office: Office) -> None:
    office.post("/v1/cases", a_case("B-1"), **KEY)
    office.desk.clock.advance(timedelta(hours=24))

    again = office.post("/v1/cases", a_case("B-1"), **KEY)

    assert (again.status, again.body["outcome"]) == (200, "unchanged")


def test_keys_of_two_centres_have_nothing_to_do_with_each_other(
    office: Office, other: Office
) -> None:
    first = office.post("/v1/cases", a_case("B-1"), **KEY)

    second = other.post("/v1/cases", a_case("B-2"), **KEY)

    assert (first.status, second.status) == (201, 201)


def test_no_kept_answer_can_be_read_in_the_file(office: Office, sqlite_database: Database) -> None:
    office.post("/v1/cases", a_case("B-1", card_last4="7391"), **KEY)

    office.post("/v1/cases", a_case("B-1", card_last4="7391"), **KEY)

    place = Path(sqlite_database.place)
    content = place.read_bytes() + place.with_name(f"{place.name}-wal").read_bytes()
    assert b"qk_test_" in content  # so what is not sealed would be seen
    assert b"reminders_planned" not in content
    assert KEY["Idempotency-Key"].encode() not in content


def test_erasing_a_case_forgets_what_was_answered_about_it(
    office: Office, sqlite_database: Database
) -> None:
    made = office.post("/v1/cases", a_case("B-1"), **KEY)
    with sqlite_database.reading() as session:
        kept = len(session.exec(select(AnswerRow)).all())

    erase_case(office.desk.context, made.body["id"], actor="cli", now=office.desk.now)

    with sqlite_database.reading() as session:
        left = len(session.exec(select(AnswerRow)).all())
    assert (kept, left) == (1, 0)
