"""Who is let in: a key that holds, and with it one centre's cases or an operator's view."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.api.office import Office, a_case
from worker.services.api_keys import create_key, key_listing, revoke_key
from worker.services.context import Context
from worker.store.tables import InstallationRow


def prefix(key: str) -> str:
    return key.rpartition("_")[0]


@pytest.mark.parametrize(
    "key", ["", "x", "qk_test_000000000000_" + "0" * 64, "qk_test_张三", "Bearer x"]
)
def test_without_a_good_key_nobody_is_let_in(anyone: Office, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}".encode().decode("latin-1")} if key else {}

    answer = anyone.get("/v1/cases", **headers)

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_right_prefix_with_another_secret_is_refused(office: Office) -> None:
    wrong = replace(office, key=prefix(office.key) + "_" + "0" * 64)

    assert wrong.get("/v1/cases").status == 401
    assert office.get("/v1/cases").status == 200


def test_a_revoked_key_opens_nothing(office: Office) -> None:
    revoke_key(office.desk.context, prefix(office.key), now=office.desk.now)

    assert office.get("/v1/cases").status == 401


def test_a_key_ends_on_its_day(anyone: Office) -> None:
    desk = anyone.desk
    made = create_key(desk.context, centre_id="demo", kind="live", days=1, now=desk.now)
    office = replace(anyone, key=made)

    before = office.get("/v1/cases").status
    desk.clock.advance(timedelta(days=1))

    assert (before, office.get("/v1/cases").status) == (200, 401)


def test_its_use_is_noted_once_a_minute(office: Office) -> None:
    def used() -> object:
        return key_listing(office.desk.context)[0]["last_used_at"]

    noted = [used()]
    for _ in range(3):
        office.get("/v1/cases")
        noted.append(used())
        office.desk.clock.advance(timedelta(seconds=40))

    assert noted == [
        None,
        "2026-11-20T16:30:00+08:00",
        "2026-11-20T16:30:00+08:00",
        "2026-11-20T16:31:20+08:00",
    ]


def test_an_operators_key_sees_job_runs_and_no_case(anyone: Office) -> None:
    operator = anyone.holding(None)

    assert operator.get("/v1/job-runs").status == 200
    assert operator.get("/v1/cases").status == 403
    assert operator.get("/v1/cases/ref:A-1").status == 403


def test_a_centres_key_sees_no_job_runs(office: Office) -> None:
    assert office.get("/v1/job-runs").status == 403


def test_where_messages_are_sent_for_real_a_test_key_opens_nothing(office: Office) -> None:
    with office.desk.context.db.transaction() as session:
        session.get_one(InstallationRow, 1).stamp = "live"

    refused = office.post("/v1/cases", a_case("B-1"))

    assert refused.status == 401
    with pytest.raises(Exception, match="takes no test keys"):
        make_test_key(office.desk.context, office)


def make_test_key(context: Context, office: Office) -> str:
    return create_key(context, centre_id="demo", kind="test", now=office.desk.now)
