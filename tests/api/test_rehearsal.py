"""Test keys where messages are sent for real: full behaviour, nothing leaves (decision 0010)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlmodel import func, select

from tests.api.office import Office, a_case
from tests.services.desk import Desk, Provider, beijing
from worker.api.app import create_app
from worker.api.server import served
from worker.clock import FixedClock
from worker.domain.errors import BadData
from worker.engines.duties import Duties
from worker.runtime import Runtime, open_runtime
from worker.services.api_keys import create_key
from worker.services.evidence import evidence
from worker.settings import Settings
from worker.store.tables import AttemptRow, CaseRow

CITIZEN = {"name": "测试甲", "phone": "13800138000"}


@dataclass
class Installation:
    """One that sends for real, its provider in our hands, with a test key and a live one."""

    runtime: Runtime
    duties: Duties
    sms: Provider
    test: Office
    live: Office

    def rows(self, table: type[CaseRow] | type[AttemptRow]) -> tuple[int, int]:
        """How many rows the live database holds, and the rehearsal's."""
        rehearsed = self.runtime.rehearse(self.duties.context)
        assert rehearsed is not None
        counts = []
        for db in (self.duties.context.db, rehearsed.db):
            with db.reading() as session:
                counts.append(session.exec(select(func.count()).select_from(table)).one())
        return counts[0], counts[1]


def for_real(home: Path) -> Settings:
    """Settings whose messages would leave this machine."""
    return Settings(
        home=home,
        sms="twilio",
        twilio_account_sid="AC" + "0" * 32,
        twilio_auth_token="no-token",  # noqa: S106  # of no account
        twilio_from="+15005550006",
    )


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    settings = for_real(tmp_path)
    clock, sms = FixedClock(beijing("2026-11-20T16:30")), Provider()
    with open_runtime(settings, clock) as runtime:
        duties = Duties(runtime)
        duties.context = replace(duties.context, channels={"sms": sms})
        app = create_app(lambda: duties.context, clock, rehearse=runtime.rehearse)
        with served(app, "127.0.0.1", 0) as port:
            assert runtime.rehearsal is not None
            desk = Desk(duties.context, clock)
            rehearsal = Desk(runtime.rehearsal.made(duties.context), clock)
            test = replace(Office(rehearsal, port).holding("demo", "test"), port=port)
            live = replace(Office(desk, port).holding("demo", "live"), port=port)
            yield Installation(runtime, duties, sms, test, live)


def test_what_a_test_key_enrols_is_sent_to_the_sandbox_and_to_nobody_else(
    installation: Installation,
) -> None:
    made = installation.test.post("/v1/cases", a_case("T-1", contact=CITIZEN))

    installation.duties.tick()
    installation.test.desk.clock.advance(beijing("2026-11-20T16:40") - beijing("2026-11-20T16:30"))
    installation.duties.tick()

    (first, *_) = installation.test.get("/v1/cases/ref:T-1/reminders").body["items"]
    assert made.status == 201
    assert (first["state"], first["attempts"][0]["simulated"]) == ("delivered", True)
    assert installation.sms.handed == []
    assert installation.rows(CaseRow) == (0, 1)
    assert installation.rows(AttemptRow) == (0, 1)


def test_a_roster_of_a_test_key_is_applied_in_the_rehearsal(installation: Installation) -> None:
    row = "T-1,national,电话挂失,2026-11-20 16:20,测试甲,13800138000"
    roster = f"编号,业务,事项,发生时间,姓名,手机\n{row}\n".encode()

    installation.test.ask("POST", "/v1/imports", roster, **{"Content-Type": "text/csv"})
    installation.duties.tick()

    assert installation.rows(CaseRow) == (0, 1)


def test_what_a_live_key_enrols_never_goes_to_the_sandbox(installation: Installation) -> None:
    installation.live.post("/v1/cases", a_case("L-1", contact=CITIZEN))

    installation.duties.tick()

    assert [request.to for request in installation.sms.handed] == ["+8613800138000"]
    assert installation.rows(CaseRow) == (1, 0)
    assert installation.rows(AttemptRow) == (1, 0)


def test_neither_key_sees_the_others_cases(installation: Installation) -> None:
    installation.test.post("/v1/cases", a_case("X-1", contact=CITIZEN))
    theirs = installation.test.get("/v1/cases/ref:X-1").body["id"]

    answers = [installation.live.get(f"/v1/cases/{one}") for one in ("ref:X-1", theirs, "f" * 32)]
    same = installation.live.post("/v1/cases", a_case("X-1", contact=CITIZEN))

    assert [answer.status for answer in answers] == [404] * 3
    assert len({answer.text for answer in answers}) == 1
    assert (same.status, same.body["outcome"]) == (201, "new")


def test_sandbox_numbers_are_for_test_keys_alone(installation: Installation) -> None:
    assert installation.test.post("/v1/cases", a_case("T-1")).status == 201
    assert installation.live.post("/v1/cases", a_case("L-1")).status == 422


def test_evidence_of_a_rehearsal_proves_nothing_and_says_so(installation: Installation) -> None:
    made = installation.test.post("/v1/cases", a_case("T-1", contact=CITIZEN))
    installation.duties.tick()

    context = installation.test.desk.context
    found = evidence(context, made.body["id"], actor="test", now=installation.test.desk.now)

    links = found["links"]
    assert isinstance(links, list)
    assert links[0]["content"]["test"] is True
    assert not {"attempt", "receipt"} & {link["kind"] for link in links}


def test_a_live_database_itself_takes_no_test_key(installation: Installation) -> None:
    live = installation.duties.context

    with pytest.raises(BadData, match="takes no test keys"):
        create_key(live, centre_id="demo", kind="test", now=installation.live.desk.now)


def test_a_live_key_copied_into_the_rehearsal_still_opens_what_is_live(
    installation: Installation,
) -> None:
    rehearsed = installation.test.desk.context
    planted = create_key(rehearsed, centre_id="demo", kind="live", now=installation.live.desk.now)

    assert replace(installation.live, key=planted).get("/v1/cases").status == 401


def test_before_the_first_test_key_there_is_nothing(tmp_path: Path) -> None:
    with open_runtime(for_real(tmp_path), FixedClock(beijing("2026-11-20T16:30"))) as runtime:
        duties = Duties(runtime)
        duties.context = replace(duties.context, channels={"sms": Provider()})
        duties.tick()

        assert runtime.rehearse(runtime.context) is None
    assert not (tmp_path / "var" / "rehearsal").exists()
