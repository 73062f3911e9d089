"""Many callers at once, on both engines: one case, one of each event, no error of ours."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.api.office import Office as Caller
from tests.api.office import a_case
from tests.services.desk import Office, beijing
from worker.api.app import create_app
from worker.api.server import served
from worker.clock import FixedClock
from worker.runtime import Knowledge
from worker.store.database import Database
from worker.store.installation import stamp
from worker.store.keys import KeyRing


@pytest.fixture
def busy(
    tmp_path: Path, keys: KeyRing, database: Database, knowledge: Knowledge
) -> Iterator[Caller]:
    """The system of demo, over either engine."""
    office = Office(tmp_path, keys, knowledge)
    desk = office.desk(database, FixedClock(beijing("2026-11-20T16:30")))
    with database.transaction() as session:
        stamp(session, keys, stamp="test", now=desk.now)
    with served(create_app(lambda: desk.context, desk.clock), "127.0.0.1", 0) as port:
        yield Caller(desk, port).holding("demo")
    office.close()


def test_of_many_who_open_the_same_case_one_does(busy: Caller) -> None:
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: busy.post("/v1/cases", a_case("B-1")), range(16)))

    assert Counter(answer.status for answer in answers) == {201: 1, 200: 15}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert len(busy.get("/v1/cases/ref:B-1").body["events"]) == 1


def test_of_many_with_one_idempotency_key_none_hears_another_answer(busy: Caller) -> None:
    def ask(_: int) -> tuple[int, str]:
        answer = busy.post("/v1/cases", a_case("B-1"), **{"Idempotency-Key": "one"})
        return answer.status, answer.text if answer.status == 201 else answer.body["code"]

    with ThreadPoolExecutor(8) as callers:
        said = Counter(callers.map(ask, range(16)))

    assert {status for status, _ in said} <= {201, 409}
    assert len([text for status, text in said if status == 201]) == 1
    assert {text for status, text in said if status == 409} <= {"idempotency_key.underway"}
