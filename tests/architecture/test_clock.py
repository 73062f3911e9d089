"""Nobody but worker/clock.py reads the clock: not by datetime, not by time, not in SQL."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLOCK = ROOT / "worker" / "clock.py"
READERS = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "sqlalchemy.func.current_timestamp",
    "sqlalchemy.func.now",
    "sqlmodel.func.current_timestamp",
    "sqlmodel.func.now",
}


def clock_reads(source: str) -> list[str]:
    """`line: name` of each place in Python source that reads a clock."""
    tree = ast.parse(source)
    imported = dict(_imported_names(tree))
    named = [
        (node.lineno, _dotted(node, imported))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    ]
    modules = [
        (node.lineno, name)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in _modules(node)
    ]
    written = [
        (node.lineno, "CURRENT_TIMESTAMP")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and "CURRENT_TIMESTAMP" in str(node.value)
    ]
    found = [read for read in named if read[1] in READERS]
    found += [read for read in modules if read[1] == "time"]
    return [f"{line}: {name}" for line, name in sorted(found + written)]


def _imported_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((item.asname or item.name, item.name) for item in node.names)
        if isinstance(node, ast.ImportFrom):
            for item in node.names:
                yield item.asname or item.name, f"{node.module}.{item.name}"


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [item.name for item in node.names]


def _dotted(node: ast.expr, imported: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, imported)}.{node.attr}"
    return imported.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def test_only_the_clock_reads_the_clock() -> None:
    sources = set(ROOT.glob("worker/**/*.py")) - {CLOCK}

    reads = [
        f"{path.relative_to(ROOT)}:{read}"
        for path in sorted(sources)
        for read in clock_reads(path.read_text(encoding="utf-8"))
    ]

    assert reads == []


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime\ndatetime.now()",
        "from datetime import datetime as moment, UTC\nmoment.now(UTC)",
        "import datetime\ndatetime.date.today()",
        "import datetime as dt\nread = dt.datetime.utcnow",
        "import time\ntime.sleep(1)",
        "def late():\n    from time import time_ns",
        "from sqlalchemy import func\nfunc.now()",
        "server_default = text('CURRENT_TIMESTAMP')",
    ],
)
def test_each_way_of_reading_the_clock_is_found(source: str) -> None:
    assert len(clock_reads(source)) == 1


@pytest.mark.parametrize(
    "source",
    ["clock.now()", "from datetime import time\ntime(9, 0)", "import worker.clock as time"],
)
def test_asking_the_clock_it_was_given_is_no_reading(source: str) -> None:
    assert clock_reads(source) == []
