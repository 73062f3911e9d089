"""The crash loop, small: green as it is, red with a planted bug, and every point met."""

import subprocess
import sys
from pathlib import Path

import pytest

from proofs.checker import Violation
from proofs.loops import Loop, Size, Verdict
from proofs.plants import PLANTS, replace

ROOT = Path(__file__).parents[2]


def prove(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proofs", *arguments, "--at", "after_submit", "--kills", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_worker_killed_after_submitting_loses_nothing_and_repeats_nothing() -> None:
    done = prove("--clean")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("crash: 2 kills")
    assert "0 lost, 0 twice, 0 wrong" in done.stdout


@pytest.mark.parametrize("plant", ["send_before_record", "resend_if_unsure"])
def test_the_same_kills_with_a_planted_bug_send_twice(plant: str) -> None:
    done = prove("--plant", plant)

    assert done.returncode == 1, done.stdout + done.stderr
    assert " 0 twice" not in done.stdout.splitlines()[0]


def test_a_plant_in_a_name_that_is_gone_is_an_error() -> None:
    with pytest.raises(AttributeError, match="has no rescue_all"):
        replace(sys.modules["proofs.plants"], "rescue_all", PLANTS)


def test_a_long_run_is_made_of_loops_that_add_up_and_differ() -> None:
    parts = Loop("crash", Size(10_000, 207, 100), seed=5).parts()

    assert sum(part.size.forks for part in parts) == 10_000
    assert sum(part.size.fresh for part in parts) == 207
    assert sum(part.size.births for part in parts) == 100
    assert max(part.size.forks for part in parts) == 500
    assert [part.seed for part in parts] == list(range(5, 25))


def test_one_loop_that_found_something_makes_the_whole_run_unclean() -> None:
    loop = Loop("crash", Size(2), seed=5)
    whole, part = Verdict(loop), Verdict(loop)
    assert Verdict(loop).is_clean
    part.report.violations.append(Violation("I3", "twice", "two messages"))

    whole.take_in(part)
    whole.take_in(Verdict(loop))

    assert not whole.is_clean
    assert whole.is_caught
    assert "1 twice" in whole.summary()
