"""What centres hand in stays out of logs, errors and the database file, whatever goes wrong."""

import logging
from io import StringIO
from pathlib import Path

import pytest

from tests.api.office import Office, a_case
from worker.logs import set_up_logging
from worker.store.database import Database

NAME, PHONE, EMAIL = "测试甲", "10000000042", "canary-7391@example.com"
CONTACT = {"name": NAME, "phone": PHONE, "email": EMAIL}


def everything_asked(office: Office) -> list[str]:
    """Good and bad requests that carry the contact; what each answered."""
    bodies = [
        a_case("B-1", contact=CONTACT),
        a_case("B-1", contact=CONTACT, procedure="chengdu"),
        a_case("B-2", contact=CONTACT, events=[{"event": "x", "occurred_at": PHONE}]),
        a_case("B-3", contact={"name": PHONE * 9, "phone": NAME, "email": f"{NAME}{EMAIL}"}),
        a_case("B-4", contact={PHONE: NAME, EMAIL: PHONE}, procedure=PHONE),
        {"reference": "B-5", "contact": [NAME, PHONE]},
    ]
    answers = [office.post("/v1/cases", body, **{"Idempotency-Key": PHONE}) for body in bodies]
    answers += [office.post("/v1/cases", body) for body in bodies]
    answers += [office.get(f"/v1/cases/ref:{PHONE}"), office.get(f"/v1/cases?after={PHONE}")]
    answers += [office.get(f"/v1/cases/ref:B-1{part}") for part in ("/deadlines", "/reminders", "")]
    return [f"{answer.text} {dict(answer.headers.items())}" for answer in answers]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """All that the worker's own logging writes, at the most talkative."""
    root, written = logging.getLogger(), StringIO()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    set_up_logging("json", written)
    root.setLevel(logging.DEBUG)
    return written


def test_neither_log_nor_answer_nor_file_holds_what_was_handed_in(
    office: Office, sqlite_database: Database, log: StringIO
) -> None:
    secret = office.key.rpartition("_")[2]

    answers = everything_asked(office)

    place = Path(sqlite_database.place)
    kept = place.read_bytes() + place.with_name(f"{place.name}-wal").read_bytes()
    office.desk.context.db.close()
    place.unlink()
    place.mkdir()
    answers += everything_asked(office)
    logged = log.getvalue()
    for planted in (NAME, PHONE, EMAIL, secret):
        assert planted not in logged
        assert not any(planted in answer for answer in answers)
        assert planted.encode() not in kept
    assert b"B-1" in kept  # so what is not sealed would be seen
    assert "request.unavailable" in logged  # so is what goes wrong
