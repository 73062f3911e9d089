"""Team keys: trials among colleagues, on any database, that reach nobody but the listed team."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.api.office import Office, a_case, reported
from tests.services.desk import Provider
from worker.api.app import create_app
from worker.api.server import served
from worker.domain.centres import Centre
from worker.store.tables import InstallationRow

LISTED, NOT_LISTED = "13800138000", "13900139000"
COLLEAGUE = {"name": "测试甲", "phone": LISTED}


@pytest.fixture
def sms() -> Provider:
    """A provider that would reach people."""
    return Provider()


@pytest.fixture
def team(anyone: Office, sms: Provider) -> Iterator[Office]:
    """A team key of demo on an installation that sends for real; the team is one colleague."""
    desk = anyone.desk
    desk.through(sms)
    desk.context = replace(desk.context, simulated=False)
    list_as_team(anyone, "138 0013 8000", "Colleague@example.com")
    with desk.context.db.transaction() as session:
        session.get_one(InstallationRow, 1).stamp = "live"
    app = create_app(lambda: desk.context, desk.clock)
    with served(app, "127.0.0.1", 0) as port:
        yield replace(anyone.holding("demo", "team"), port=port)


def list_as_team(office: Office, *addresses: str) -> None:
    desk = office.desk
    demo: Centre = replace(desk.context.centres["demo"], team=addresses)
    desk.context = replace(desk.context, centres={**desk.context.centres, "demo": demo})


def told(sms: Provider) -> list[str]:
    return [request.to for request in sms.handed]


def test_a_trial_reaches_the_listed_colleague(team: Office, sms: Provider) -> None:
    made = team.post("/v1/cases", a_case("T-1", contact=COLLEAGUE))

    team.desk.send()

    assert (made.status, made.body["team_only"]) == (201, True)
    assert "+8613800138000" in told(sms)


@pytest.mark.parametrize(
    ("contact", "pointer"),
    [
        ({"phone": NOT_LISTED}, "/contact/phone"),
        ({"phone": LISTED, "second_phone": NOT_LISTED}, "/contact/second_phone"),
        ({"phone": LISTED, "email": "zhangsan@example.com"}, "/contact/email"),
    ],
)
def test_nobody_else_is_taken(
    team: Office, sms: Provider, contact: dict[str, str], pointer: str
) -> None:
    refused = team.post("/v1/cases", a_case("T-1", contact=contact))

    team.desk.send()

    assert refused.status == 422
    assert team.pointers(refused) == [(pointer, "contact.not_on_team_list")]
    assert not any(address in refused.text for address in contact.values())
    assert "+8613900139000" not in told(sms)


def test_who_is_struck_off_the_list_gets_no_more(team: Office, sms: Provider) -> None:
    team.post("/v1/cases", a_case("T-1", contact=COLLEAGUE))
    list_as_team(team)

    team.desk.send()

    assert "+8613800138000" not in told(sms)
    assert team.desk.reminder(reference="T-1").reason == "not_on_team_list"


def test_a_team_key_lives_among_its_own_cases(team: Office) -> None:
    event = reported("reported_in_writing", "2026-11-20T16:25:00+08:00")
    team.post("/v1/cases", a_case("T-1", contact=COLLEAGUE))

    citizens, nobodys = team.get("/v1/cases/ref:A-1"), team.get("/v1/cases/ref:NONE")

    assert (citizens.status, citizens.text) == (404, nobodys.text)
    assert team.post("/v1/cases/ref:A-1/events", event).status == 404
    assert [case["reference"] for case in team.get("/v1/cases").body["items"]] == ["T-1"]


def test_trials_and_citizens_cases_never_change_hands(team: Office) -> None:
    live = replace(team.holding("demo", "live"), port=team.port)
    team.post("/v1/cases", a_case("T-1", contact=COLLEAGUE))

    of_a_citizen = team.post("/v1/cases", a_case("A-1", contact=COLLEAGUE))
    of_the_team = live.post("/v1/cases", a_case("T-1", contact={"phone": NOT_LISTED}))

    assert (of_a_citizen.status, of_the_team.status) == (409, 409)
    assert team.pointers(of_the_team) == [("/reference", "case.team")]
    assert live.get("/v1/cases/ref:T-1").body["contact"]["phone"] == "****8000"


def test_a_roster_does_not_take_a_trial_over(team: Office) -> None:
    team.post("/v1/cases", a_case("T-1", contact=COLLEAGUE))

    enrolled = team.desk.correct("T-1", centre="demo", phone="+86" + NOT_LISTED)

    assert [fault.code for fault in enrolled.faults] == ["case.team"]


def test_no_representation_shows_the_list(team: Office) -> None:
    assert LISTED not in repr(team.desk.context.centres["demo"])
