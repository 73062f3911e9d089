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
HEADING = "编号,业务,事项,发生时间,姓名,手机\n"

a_million_rows = pytest.param(
    1_000_000,
    marks=pytest.mark.skipif(
        not LONG, reason="a million rows take a quarter of an hour: QIDA_LONG_TESTS=1 takes them"
    ),
)


class Done(NamedTuple):
    """How a command ended, and the most memory it ever had."""

    code: int
    out: str
    megabytes: float


def enrol(home: Path, roster: Path, *options: str) -> Done:
    """`qida enrol` in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QIDA_")}
    settings = {"QIDA_HOME": str(home), "QIDA_SMS": "sandbox", "QIDA_EMAIL": "sandbox"}
    command = [sys.executable, "-m", "worker", "enrol", str(roster), *options,
               "--now", "2026-11-23T10:00:00+08:00"]  # fmt: skip
    with (home / "out").open("w+") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.DEVNULL, env=kept | settings, cwd=ROOT
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        return Done(process.returncode, out.read(), used.ru_maxrss / 1024)


def write(path: Path, rows: int, procedure: str = "laixi") -> Path:
    """A roster of so many cases."""
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADING)
        for row in range(rows):
            number = f"100000000{10 + row % 90}"
            file.write(f"A-{row},{procedure},口头挂失,2026-11-20 16:20,张三,{number}\n")
    return path


@pytest.mark.parametrize("rows", [60_000, a_million_rows])
def test_a_dry_run_of_a_long_roster_needs_little_memory(tmp_path: Path, rows: int) -> None:
    done = enrol(tmp_path, write(tmp_path / "cases.csv", rows), "--dry-run")

    assert done.code == 0
    assert done.out.startswith(f"{rows} new, 0 changed, 0 unchanged (dry run); {rows} events, ")
    assert done.megabytes < MOST_MEGABYTES
    assert sum(path.stat().st_size for path in (tmp_path / "var").iterdir()) < 1 << 20


def test_a_long_roster_of_nothing_but_faults_needs_little_memory(tmp_path: Path) -> None:
    rows = 200_000

    done = enrol(tmp_path, write(tmp_path / "cases.csv", rows, procedure="nowhere"))

    assert done.code == 65
    assert done.out.startswith("0 new, ")
    assert done.out.endswith(f"{rows} bad rows\n")
    assert done.megabytes < MOST_MEGABYTES
