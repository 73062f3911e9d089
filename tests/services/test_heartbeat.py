"""The sign of life is given where the audit found nobody at risk, and nowhere else."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.channels.wire import Wire
from tests.services.desk import NO_RECEIPT, Desk
from worker.domain.centres import Centre
from worker.engines.duties import Duties
from worker.runtime import Runtime, know_centres
from worker.settings import Settings


@pytest.fixture
def listener() -> Iterator[Wire]:
    """Whoever alerts when it hears nothing of us."""
    one = Wire()
    yield one
    one.close()


def audited(desk: Desk, listener: Wire) -> dict[str, int]:
    """The duty of a worker that was told where to give a sign of life."""
    settings = Settings(home=desk.context.home, sms="sandbox", email="sandbox",
                        heartbeat_url=listener.url + "/alive")  # fmt: skip
    duty, _ = Duties(Runtime(settings, desk.clock, desk.context)).all()["audit"]
    return dict(duty())


def test_an_audit_that_finds_nobody_at_risk_gives_one_sign(desk: Desk, listener: Wire) -> None:
    desk.enrol()

    counts = audited(desk, listener)

    assert counts == {}
    assert [(asked.method, asked.target) for asked in listener.asked] == [("GET", "/alive")]


def without_sign(desk: Desk, listener: Wire, **changed: Centre) -> list[dict[str, int]]:
    """Two audits where one case is at risk, and one of a centre that is as given, or gone."""
    (demo,) = desk.context.centres.values()
    other = replace(demo, id="other")
    know_centres(desk.context.db, {"other": other}, desk.now)
    desk.context = replace(desk.context, centres={"other": other, "demo": demo})
    desk.enrol(phone=NO_RECEIPT, centre="demo")
    desk.enrol("B-1", centre="other")
    for at in ("2026-11-20T16:30", "2026-11-24T09:00", "2026-11-25T09:00", "2026-11-25T14:00"):
        desk.at(at).send()
    desk.context = replace(desk.context, centres={"demo": demo, **changed}, _offices={}, _terms={})
    counts = [audited(desk.at("2026-11-25T14:31"), listener), audited(desk, listener)]
    assert listener.asked == []
    return counts


def test_an_audit_that_cannot_judge_one_centre_judges_the_others_and_gives_none(
    desk: Desk, listener: Wire
) -> None:
    (demo,) = desk.context.centres.values()
    strange = replace(demo, id="other", region="no calendar")

    counts = without_sign(desk, listener, other=strange)

    assert counts == [{"failed": 1, "called": 1}, {"failed": 1}]


def test_an_audit_gives_none_while_the_file_of_a_centre_with_cases_is_gone(
    desk: Desk, listener: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    counts = without_sign(desk, listener)

    assert counts == [{"failed": 1, "called": 1}, {"failed": 1}]
    gone = [one for one in caplog.records if one.getMessage() == "centre.not_audited"]
    assert {vars(one)["centre_id"] for one in gone} == {"other"}


def test_an_audit_that_finds_someone_at_risk_gives_none(desk: Desk, listener: Wire) -> None:
    desk.enrol(phone=NO_RECEIPT)
    for at in ("2026-11-20T16:30", "2026-11-24T09:00", "2026-11-25T09:00", "2026-11-25T14:00"):
        desk.at(at).send()

    counts = audited(desk.at("2026-11-25T14:31"), listener)

    assert counts == {"called": 1}
    assert listener.asked == []
