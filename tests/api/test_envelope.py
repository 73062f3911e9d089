"""What holds for every request: a cap, an id, a pace, and no word about what was handed in."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.api.office import Office, a_case
from worker.api.envelope import MOST_BYTES
from worker.api.pace import Pace
from worker.clock import monotonic


def test_a_body_beyond_the_cap_is_refused(office: Office) -> None:
    body = json.dumps(a_case("B-1", bank="x" * MOST_BYTES)).encode()

    refused = office.ask("POST", "/v1/cases", body)

    assert refused.status == 413
    assert refused.body["code"] == "too_large"


def test_every_answer_has_an_id_of_its_own_and_stays_private(office: Office) -> None:
    answers = [office.get("/v1/cases", **{"X-Request-Id": "10000000001"}) for _ in range(2)]
    answers.append(office.get("/nowhere"))

    assert len({answer.headers["X-Request-Id"] for answer in answers} - {"10000000001"}) == 3
    assert all(answer.headers["Cache-Control"] == "no-store" for answer in answers)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("DELETE", "/v1/cases", 405), ("GET", "/v1/cases?limit=x", 422)],
)
def test_whatever_is_wrong_is_a_problem(
    office: Office, method: str, path: str, status: int
) -> None:
    answer = office.ask(method, path, None)

    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["detail_zh"]


def test_an_address_names_all_its_methods(office: Office) -> None:
    listed = office.ask("DELETE", "/v1/cases", None)
    one = office.ask("PUT", "/v1/cases/ref:A-1", None)

    assert (listed.headers["Allow"], one.headers["Allow"]) == ("GET, POST", "GET")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"contact": {"\xe6\x9d\x8e 13800138000": 1}}', b"\xff"]
)
def test_rubbish_is_refused_and_not_repeated(office: Office, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}

    answer = office.ask("POST", "/v1/cases", body, **headers)

    assert answer.status in (400, 422)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "13800138000" not in answer.text


def test_a_database_that_is_away_is_told_as_such(office: Office) -> None:
    office.desk.context.db.close()
    file = Path(office.desk.context.db.place)
    file.unlink()
    file.mkdir()

    answer = office.get("/v1/cases")

    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert str(file) not in answer.text


def test_a_key_that_asks_too_fast_waits_its_turn_and_no_other(slow: Office) -> None:
    another = replace(slow.holding("demo"), port=slow.port)

    answers = [slow.get("/v1/cases") for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[-1].body["code"] == "too_fast"
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 3600
    assert another.get("/v1/cases").status == 200


def test_what_waited_may_pass_again() -> None:
    pace = Pace("1/second")

    waits = [pace.seconds_to_wait("one") for _ in range(2)]
    begun = monotonic()
    while pace.seconds_to_wait("one"):
        assert monotonic() - begun < 10

    assert waits[0] == 0 or waits[1] == 1
