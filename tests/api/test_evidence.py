"""Evidence over HTTP: what a provider said, for programs or to print; nothing of the sandbox."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.api.office import Office
from tests.cli.command import ROOT
from tests.services.desk import Provider
from worker.api.app import create_app
from worker.api.server import served
from worker.domain.delivery import AttemptState


@pytest.fixture
def delivering(anyone: Office) -> Iterator[Office]:
    """A key of demo, whose case A-1 was told through a real provider, which has a receipt."""
    desk = anyone.desk
    desk.through(Provider())
    desk.context = replace(desk.context, simulated=False)
    desk.send()
    desk.receive(AttemptState.DELIVERED, provider_id=str(desk.attempt.provider_id))
    with served(create_app(lambda: desk.context, desk.clock), "127.0.0.1", 0) as port:
        yield replace(anyone.holding("demo"), port=port)


def kinds(office: Office) -> list[str]:
    return [link["kind"] for link in office.get("/v1/cases/ref:A-1/evidence").body["links"]]


def test_it_names_what_a_provider_said_and_can_be_checked_without_qida(
    delivering: Office, tmp_path: Path
) -> None:
    answer = delivering.get("/v1/cases/ref:A-1/evidence")
    copy = tmp_path / "evidence.json"
    copy.write_text(answer.text, "utf-8")

    checked = subprocess.run(
        [sys.executable, ROOT / "scripts" / "verify-evidence", copy], check=False,
        capture_output=True,
    )  # fmt: skip

    assert answer.headers["Content-Type"] == "application/json"
    assert {"case", "deadline", "reminder", "attempt", "receipt", "audit"} <= set(kinds(delivering))
    assert checked.returncode == 0, checked.stderr


def test_what_the_sandbox_said_is_left_out(office: Office) -> None:
    office.desk.send()
    office.desk.poll()

    answer = office.get("/v1/cases/ref:A-1/evidence")

    assert office.desk.attempt.simulated
    assert not {"attempt", "receipt"} & set(kinds(office))
    assert '"delivered"' not in answer.text
    assert answer.body["links"][0]["content"]["simulated_left_out"] == 1


@pytest.mark.parametrize(
    "accept",
    ["text/html", "text/html,application/xhtml+xml;q=0.9", "application/json;q=0.5, text/html"],
)
def test_who_asks_for_a_page_gets_one_to_print(delivering: Office, accept: str) -> None:
    page = delivering.get("/v1/cases/ref:A-1/evidence", Accept=accept)

    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert page.headers["Vary"] == "Accept"
    assert "提醒证据" in page.text


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "text/html;q=0.5, application/json"]
)
def test_everybody_else_gets_json(delivering: Office, accept: str) -> None:
    assert json.loads(delivering.get("/v1/cases/ref:A-1/evidence", Accept=accept).text)["head"]


def test_who_asked_for_it_is_in_the_audit_trail(office: Office) -> None:
    before = len(office.desk.audited("evidence.made"))

    office.get("/v1/cases/ref:A-1/evidence")

    assert len(office.desk.audited("evidence.made")) == before + 1
