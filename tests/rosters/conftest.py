"""Builders of roster files. The people are invented, the numbers are the sandbox's."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from worker.domain.errors import Fault
from worker.rosters import PhonePolicy, RosterRow, read_roster

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)  # 11:00 in Beijing
HEADING = "编号,业务,事项,发生时间,姓名,手机,邮箱,卡号后四位"
GOOD = "A-1,national,电话挂失,2026-11-20 16:20,张三,10000000001,zhangsan@example.com,0012"

Read = Callable[..., list[RosterRow | Fault]]
Roster = Callable[..., Path]


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def read() -> Read:
    """Read a whole roster under the sandbox's policy."""

    def read_all(
        path: Path, *, sandbox: bool = True, abroad: bool = False
    ) -> list[RosterRow | Fault]:
        return list(read_roster(path, phones=PhonePolicy(sandbox, abroad), now=NOW))

    return read_all


@pytest.fixture
def roster(tmp_path: Path) -> Roster:
    """Write lines below the usual heading; `good` and `heading` stand for the usual ones."""

    def write(
        *lines: str,
        heading: str = HEADING,
        encoding: str = "utf-8",
        end: str = "\r\n",
        name: str = "cases.csv",
    ) -> Path:
        rows: Sequence[str] = [GOOD if line == "good" else line for line in lines]
        path = tmp_path / name
        path.write_bytes(end.join([heading, *rows, ""]).encode(encoding))
        return path

    return write
