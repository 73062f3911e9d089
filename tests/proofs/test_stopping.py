"""The stopping proof, small: three workers told to stop in mid-batch, one with calls that hang."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_stopped_workers_leave_nothing_unfinished_and_everyone_is_told_once() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "proofs", "--stopping", "3", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    answered, hanging, verdict = done.stdout.splitlines()
    assert answered.startswith("answered: 2 stops")
    assert hanging.startswith("hanging: 1 stops")
    assert verdict.startswith("PROVED: 3 stops, 120 people, 0 faults")
