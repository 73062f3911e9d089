"""`/metrics`: figures for an operator's key, none of a person; alerts speak of these alone."""

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from tests.api.office import Office
from tests.cli.command import ROOT
from tests.services.desk import UNDELIVERED, Desk, beijing
from tests.services.desk import Office as Place
from worker.api.metrics import Scrape
from worker.channels.twilio_codes import MEANINGS
from worker.clock import FixedClock
from worker.runtime import Knowledge
from worker.services.measuring import Metric, measure
from worker.services.operations import run_duty
from worker.store.database import Database
from worker.store.keys import KeyRing

ALERTS = ROOT / "ops" / "alerts.yml"
PROMTOOL = shutil.which("promtool")
NAME = re.compile(r"\bqida_[a-z_]+")


@pytest.fixture
def operator(anyone: Office) -> Office:
    """An operator's key, after a morning's work on demo's case."""
    desk = anyone.desk
    run_duty(desk.context, "send", lambda *_: desk.send(), now=desk.now)
    desk.clock.advance(timedelta(minutes=6))
    run_duty(desk.context, "poll", lambda *_: desk.poll(), now=desk.now)
    return anyone.holding(None)


def samples(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_they_count_what_was_done(operator: Office) -> None:
    answer = operator.get("/metrics")

    told = samples(answer.text)
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert told['qida_job_runs_total{job="send",outcome="ok"}'] == 1
    assert told['qida_reminders_total{channel="sms",kind="lapse",outcome="delivered"}'] == 1
    assert told['qida_provider_requests_total{code="delivered",provider="sandbox"}'] == 1
    assert told['qida_reminder_lateness_seconds_count{kind="lapse"}'] == 1
    assert told['qida_job_duration_seconds_bucket{job="send",le="+Inf"}'] == 1
    assert told['qida_sms_parts_today{centre="demo"}'] > 0
    assert told["qida_calendar_horizon_days"] == 41  # 20 November to 31 December
    assert not any(name.partition("{")[0].endswith("_created") for name in told)


def test_they_hold_nothing_of_a_person_or_a_case(operator: Office) -> None:
    case = operator.holding("demo").get("/v1/cases/ref:A-1").body

    text = operator.get("/metrics").text

    for planted in ("张三", "10000000001", case["id"], "A-1", operator.key):
        assert planted not in text


def test_a_sentence_is_no_label(desk: Desk) -> None:
    desk.send()
    with desk.context.db.transaction() as session:
        attempt = session.merge(desk.attempt)
        attempt.state, attempt.code = "not_sent", "no route to 10.0.0.7 (张三)"

    found = next(one for one in measure(desk.context, now=desk.now)
                 if one.name == "qida_provider_requests_total")  # fmt: skip

    assert [*found.samples] == [("twilio", "not_sent")]


def test_who_asks_often_makes_the_database_count_once(
    operator: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[object] = []

    def count(*_: object, now: object) -> list[object]:
        counted.append(now)
        return []

    monkeypatch.setattr("worker.api.metrics.measure", count)

    for _ in range(5):
        operator.get("/metrics")

    assert len(counted) == 1


def test_a_counter_never_falls_where_old_rows_were_dropped() -> None:
    scrape, labels = Scrape(), ("sms", "lapse", "delivered")

    def told(value: float) -> object:
        metric = Metric("qida_reminders_total", "counter", "", ("a", "b", "c"), {labels: value})
        return scrape._never_falling(metric).samples[labels]  # noqa: SLF001

    assert [told(5), told(3), told(7)] == [5, 5, 7]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_both_engines_count_alike(
    tmp_path: Path, keys: KeyRing, database: Database, knowledge: Knowledge
) -> None:
    place = Place(tmp_path, keys, knowledge)
    desk = place.desk(database, FixedClock(beijing("2026-11-20T16:30")))
    desk.enrol(phone=UNDELIVERED)
    run_duty(desk.context, "send", lambda *_: desk.send(), now=desk.now)

    told = {one.name: one.samples for one in measure(desk.context, now=desk.now)}

    place.close()
    assert told["qida_provider_requests_total"] == {("sandbox", "accepted"): 1}
    assert told["qida_job_duration_seconds"]["send",].count == 1  # type: ignore[union-attr]
    late = told["qida_reminder_lateness_seconds"]["lapse",]
    assert (late.count, late.within[-1]) == (1, 1)  # type: ignore[union-attr]
    assert 0 <= late.total < 600  # type: ignore[union-attr]


def test_a_lapse_nobody_knows_of_is_at_risk_until_somebody_does(desk: Desk) -> None:
    def at_risk() -> object:
        found = measure(desk.context, now=desk.now)
        return next(one.samples["lapse",] for one in found if one.name == "qida_deadlines_at_risk")

    far_off = at_risk()
    near = desk.at("2026-11-25T10:00") and at_risk()

    assert (far_off, near) == (0, 1)


# Alerts.


def alerts() -> str:
    return ALERTS.read_text("utf-8")


def test_every_metric_an_alert_names_is_exported(operator: Office) -> None:
    exported = {name.partition("{")[0] for name in samples(operator.get("/metrics").text)}
    described = set(NAME.findall(operator.get("/metrics").text))

    named = set(NAME.findall(alerts()))

    assert len(named) >= 9
    assert named <= exported | described


def test_every_alert_has_its_page_in_the_runbook() -> None:
    runbook = (ROOT / "docs" / "operating.md").read_text("utf-8")
    headings = {line.strip("# ").lower() for line in runbook.splitlines() if line.startswith("#")}

    names = re.findall(r"- alert: (\w+)", alerts())
    pages = re.findall(r"runbook: docs/operating\.md#(\w+)", alerts())

    assert len(names) >= 9
    assert pages == [name.lower() for name in names]
    assert set(pages) <= headings


def test_every_code_that_means_our_account_raises_the_alarm() -> None:
    (expression,) = re.findall(r'code=~"([^"]+)"', alerts())

    ours = [code for code, meaning in MEANINGS.items() if meaning.scope == "account"]

    assert ours
    assert [code for code in ours if not re.fullmatch(expression, code)] == []


@pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian's prometheus) is not installed")
def test_prometheus_takes_the_rules_and_each_fires_when_it_should() -> None:
    for words in ("check rules ops/alerts.yml", "test rules ops/alerts_test.yml"):
        done = subprocess.run(
            [str(PROMTOOL), *words.split()], cwd=ROOT, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
