"""The stopping proof, small: workers told to stop in mid-batch, one with calls that hang."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proofs.stopped import NOT_TAKEN, TAKEN, Ended, Ledger, Stop, Times

ROOT = Path(__file__).parents[2]
TEN = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
TIMES = Times(answer=15, grace=20, most=25)
STOP = Stop(7, Path(), (0, 9, TAKEN, NOT_TAKEN))
ANSWERED, SLOW, HUNG, _ = STOP.phones


def prove(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proofs", "--stopping", *arguments, "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_stopped_workers_leave_nothing_unfinished_and_everyone_is_told_once() -> None:
    done = prove("3")

    assert done.returncode == 0, done.stdout + done.stderr
    answered, hanging, verdict = done.stdout.splitlines()
    assert answered.startswith("answered: 2 stops")
    assert hanging.startswith("hanging: 1 stops")
    assert verdict == (
        "PROVED: after the restart everyone was told once; 3 stops, 120 people, 0 faults"
    )


def test_a_worker_that_takes_what_was_broken_off_for_unsent_is_found_out() -> None:
    done = prove("2", "--planted", "unsure_is_unsent")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 messages to one" in done.stdout


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """One message answered at once, one after nine seconds, one never."""
    path = tmp_path / "ledger.jsonl"
    path.write_text(
        "".join(
            f'{{"to": "{phone}", "at": "{TEN.isoformat()}"}}\n' for phone in (ANSWERED, SLOW, HUNG)
        )
    )
    return Ledger(path)


def ended(**differently: object) -> Ended:
    """A stop that went well, but for what is named."""
    after = Counter(accepted=2, uncertain=2)
    well = {"seconds": 20.5, "code": 0, "before": Counter(), "after": after}
    return Ended(STOP, TEN + timedelta(seconds=1), **{**well, **differently})  # type: ignore[arg-type]


def test_a_call_is_on_the_wire_from_when_it_is_taken_until_it_is_answered(ledger: Ledger) -> None:
    assert ended().on_wire(ledger, TIMES) == 2


def test_a_worker_that_stopped_well_has_no_faults(ledger: Ledger) -> None:
    assert list(ended().faults(ledger, TIMES)) == []


@pytest.mark.parametrize(
    ("differently", "fault"),
    [
        ({"code": -15}, "exit code -15"),
        ({"seconds": 25.1}, "took 25.1 s to end"),
        ({"after": Counter(accepted=2, uncertain=1, submitting=1)}, "1 attempts left unfinished"),
        ({"after": Counter(accepted=1, uncertain=2)}, "2 messages were answered, 1 are on record"),
        ({"after": Counter(accepted=2)}, "0 attempts uncertain, of 1 to 2 that hung"),
        ({"after": Counter(accepted=2, uncertain=3)}, "3 attempts uncertain, of 1 to 2 that hung"),
    ],
)
def test_each_way_to_stop_badly_is_a_fault(
    ledger: Ledger, differently: dict[str, object], fault: str
) -> None:
    assert list(ended(**differently).faults(ledger, TIMES)) == [fault]
