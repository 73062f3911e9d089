"""A roster of any length is taken in with the memory of a short one."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
MOST_MEGABYTES = 150
LONG = bool(os.environ.get("QIDA_LONG_TESTS"))
ROWS_OF_A_CASE = 3
HEADING = "编号,业务,事项,发生时间,姓名,手机\n"

a_million = pytest.param(
    999_999,
    marks=pytest.mark.skipif(
        not LONG, reason="a million rows take many minutes: QIDA_LONG_TESTS=1 takes them"
    ),
)


class Done(NamedTuple):
    """How a command ended, and the most memory it ever had."""

    code: int
    out: str
    megabytes: float


# In between, since Linux counts the memory of the process that forked as its child's (execve keeps
# ru_maxrss), and pytest may have grown by now.
MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, file=sys.stderr)
sys.exit(code)
"""


def enrol(home: Path, roster: Path, *options: str) -> Done:
    """`qida enrol` in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QIDA_")}
    settings = {"QIDA_HOME": str(home), "QIDA_SMS": "sandbox", "QIDA_EMAIL": "sandbox"}
    command = [sys.executable, "-m", "worker", "enrol", str(roster), *options,
               "--now", "2026-11-23T10:00:00+08:00"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *command],
        capture_output=True,
        text=True,
        env=kept | settings,
        cwd=ROOT,
        check=False,
    )
    return Done(done.returncode, done.stdout, float(done.stderr))


def write(path: Path, rows: int, procedure: str = "laixi") -> Path:
    """A roster of so many rows, three a case, as systems export them that repeat themselves."""
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADING)
        for row in range(rows):
            case = row // ROWS_OF_A_CASE
            number = f"100000000{10 + case % 90}"
            file.write(f"A-{case},{procedure},口头挂失,2026-11-20 16:20,张三,{number}\n")
    return path


@pytest.mark.parametrize("rows", [60_000, a_million])
def test_a_dry_run_of_a_long_roster_needs_little_memory(tmp_path: Path, rows: int) -> None:
    done = enrol(tmp_path, write(tmp_path / "cases.csv", rows), "--dry-run")

    assert done.code == 0
    cases = rows // ROWS_OF_A_CASE
    assert done.out.startswith(f"{cases} new, ")
    assert f" (dry run); {cases} events, " in done.out
    assert done.megabytes < MOST_MEGABYTES
    assert sum(path.stat().st_size for path in (tmp_path / "var").iterdir()) < 1 << 20


def test_a_long_roster_of_nothing_but_faults_needs_little_memory(tmp_path: Path) -> None:
    rows = 150_000

    done = enrol(tmp_path, write(tmp_path / "cases.csv", rows, procedure="nowhere"))

    assert done.code == 65
    assert done.out.startswith("0 new, ")
    assert done.out.endswith(f"{rows} bad rows\n")
    assert done.megabytes < MOST_MEGABYTES
