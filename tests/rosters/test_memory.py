"""A large roster streams: its size does not show in the memory of the process."""

import subprocess
import sys
from pathlib import Path

ROWS = 200_000
# A process is charged its parent's memory until it executes its own program (Linux keeps ru_maxrss
# across exec), and pytest may be large: a small process stands between.
BETWEEN = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
CHILD = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from worker.rosters import PhonePolicy, RosterRow, by_row, read_roster, row_of, write_errors

source, target = Path(sys.argv[1]), Path(sys.argv[2])
now = datetime(2026, 11, 22, tzinfo=UTC)

def found():
    return read_roster(source, phones=PhonePolicy(sandbox=True), now=now)

rows = sum(isinstance(entry, RosterRow) for entry in found())
pairs = ((row_of(f), [f]) for f in found() if not isinstance(f, RosterRow))
write_errors(source, pairs, target)
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_two_hundred_thousand_rows_stay_under_150_megabytes(tmp_path: Path) -> None:
    source, target = tmp_path / "cases.csv", tmp_path / "errors.csv"
    with source.open("w", encoding="gb18030", newline="") as handle:
        handle.write("编号,业务,事项,发生时间,姓名,手机,邮箱\r\n")
        for row in range(ROWS):
            bad = "=x" if row % 2 else ""
            phone = f"100000000{row % 100:02}{bad}"
            handle.write(
                f"A-{row},national,电话挂失,2026-11-20 16:20,测试{row},{phone},"
                f"a{row}@example.com\r\n"
            )

    child = subprocess.run(
        [sys.executable, "-c", BETWEEN, sys.executable, "-c", CHILD, str(source), str(target)],
        capture_output=True,
        check=True,
        text=True,
    )

    rows, megabytes = map(int, child.stdout.split())
    assert rows == ROWS // 2
    assert megabytes < 150
    with target.open(encoding="utf-8-sig") as handle:
        assert sum(line.rstrip().endswith("。") for line in handle) == ROWS // 2
