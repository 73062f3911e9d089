"""Evidence holds what can be shown of a reminder, and a changed copy is found without Qida."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.services.desk import DELIVERED, Desk, Provider
from worker.domain.delivery import Accepted, AttemptState
from worker.services.evidence import evidence
from worker.services.evidence_page import evidence_page
from worker.services.operations import find_case
from worker.services.retention import retain
from worker.store.installation import stamp

SCRIPT = Path(__file__).parents[2] / "scripts" / "verify-evidence"


def gathered(desk: Desk) -> dict[str, Any]:
    case_id = find_case(desk.context, "A-1")
    return evidence(desk.context, case_id, actor="cli", now=desk.now)


def of(found: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [link["content"] for link in found["links"] if link["kind"] == kind]


def checked(tmp_path: Path, found: object, *head: str) -> subprocess.CompletedProcess[str]:
    """The script over a file, by a Python that has nothing of ours."""
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(found, ensure_ascii=False), "utf-8")
    command = [sys.executable, "-I", "-S", str(SCRIPT), str(path), *head]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)


@pytest.fixture
def real(desk: Desk) -> Desk:
    """A live database whose provider delivered one message and said so by a callback."""
    with desk.context.db.transaction() as session:
        stamp(session, desk.context.keys, stamp="live", now=desk.now)
    object.__setattr__(desk.context, "simulated", False)
    desk.through(Provider(Accepted("P1")))
    desk.enrol(phone=DELIVERED)
    desk.send()
    desk.receive(AttemptState.DELIVERED, provider_id="P1", status="delivered", raw='{"s": "d"}')
    return desk


def test_it_tells_how_the_date_came_about_and_what_was_said(real: Desk) -> None:
    found = gathered(real)

    [lapse] = [one for one in of(found, "deadline") if one["rule"].endswith("phone-loss-report")]
    [attempt] = of(found, "attempt")
    assert lapse["derivation"]["days"]
    assert "L" in lapse["derivation"]["source"]
    assert "挂失" in attempt["text"]
    assert attempt["template"]


def test_a_delivery_is_proved_by_a_verified_receipt(real: Desk) -> None:
    found = gathered(real)

    [told] = [one for one in of(found, "reminder") if one["state"] == "delivered"]
    [attempt] = of(found, "attempt")
    [callback] = [one for one in of(found, "receipt") if one["source"] == "callback"]
    assert told["delivered_by"] == attempt["id"] == callback["attempt"]
    assert (callback["signature"], callback["raw"]) == ("verified", '{"s": "d"}')


def test_the_script_finds_it_whole(real: Desk, tmp_path: Path) -> None:
    found = gathered(real)

    alone, against = checked(tmp_path, found), checked(tmp_path, found, found["head"])

    assert (alone.returncode, against.returncode) == (0, 0)
    assert found["head"] in alone.stdout


def test_a_change_anywhere_is_found_and_named(real: Desk, tmp_path: Path) -> None:
    found = gathered(real)

    for number, link in enumerate(found["links"], start=1):
        changed = copy.deepcopy(found)
        first = next(iter(link["content"]))
        changed["links"][number - 1]["content"][first] = "something else"
        done = checked(tmp_path, changed)
        assert done.returncode == 1
        assert f"link {number} " in done.stderr


def test_a_link_taken_out_or_a_tail_cut_off_is_found(real: Desk, tmp_path: Path) -> None:
    found = gathered(real)
    without = found | {"links": found["links"][:2] + found["links"][3:]}
    cut = found | {"links": found["links"][:-1]}

    assert checked(tmp_path, without).returncode == 1
    assert checked(tmp_path, cut).returncode == 1


def test_a_file_written_anew_is_found_by_the_head_that_was_told(real: Desk, tmp_path: Path) -> None:
    told = gathered(real)["head"]
    another = gathered(real.after(hours=1))

    assert checked(tmp_path, another).returncode == 0
    assert checked(tmp_path, another, told).returncode == 1


@pytest.mark.parametrize("written", [[], {}, {"format": "qida-evidence-1"}, "x"])
def test_what_is_no_evidence_is_refused(tmp_path: Path, written: object) -> None:
    done = checked(tmp_path, written)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_the_sandbox_proves_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.enrol(phone=DELIVERED)
    desk.send()
    desk.after(minutes=6).poll()

    found = gathered(desk)

    assert desk.reminder().state == "delivered"
    assert of(found, "attempt") == of(found, "receipt") == []
    assert "delivered" not in {one["state"] for one in of(found, "reminder")}
    assert of(found, "case")[0]["test"]
    assert of(found, "case")[0]["simulated_left_out"] == 1
    assert checked(tmp_path, found).returncode == 0


def test_it_outlives_the_person_without_naming_them(real: Desk) -> None:
    real.record("cancelled")
    retain(real.after(days=31).context, now=real.now)

    found = gathered(real)

    [attempt] = of(found, "attempt")
    assert attempt["text"] is None
    assert attempt["text_digest"]
    assert "张" not in json.dumps(found, ensure_ascii=False)
    assert [one["state"] for one in of(found, "reminder")].count("delivered") == 1


def test_no_address_is_in_it(real: Desk) -> None:
    assert DELIVERED not in json.dumps(gathered(real))


def test_the_page_shows_every_link_in_both_languages_and_runs_nothing(real: Desk) -> None:
    found = gathered(real)
    found["links"][1]["content"]["void_reason"] = "<script>alert(1)</script>"

    page = evidence_page(found)

    assert all(link["hash"] in page for link in found["links"])
    assert "期限与推算" in page
    assert "Receipt" in page
    assert "<script>" not in page
    assert "Test database" not in page


def test_the_page_of_a_test_says_so(desk: Desk) -> None:
    desk.enrol()

    page = evidence_page(gathered(desk))

    assert "测试库" in page


def test_who_made_evidence_is_in_the_trail(real: Desk) -> None:
    gathered(real)

    assert real.audited("evidence.made") == [{}]
