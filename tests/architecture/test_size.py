"""A file is one room and a function fits a screen: the limits are in CONTRIBUTING.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60


def too_long(source: str) -> list[str]:
    """What in one Python file is over a limit, with its length."""
    lines = len(source.splitlines())
    file = [f"file: {lines} lines"] if lines > MOST_LINES_OF_A_FILE else []
    functions = [
        (node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return file + [
        f"{name}: {length} lines" for name, length in functions if length > MOST_LINES_OF_A_FUNCTION
    ]


def test_no_file_and_no_function_is_too_long() -> None:
    sources = sorted(ROOT.glob("worker/**/*.py"))

    found = [
        f"{path.relative_to(ROOT)}: {fault}"
        for path in sources
        for fault in too_long(path.read_text(encoding="utf-8"))
    ]

    assert sources
    assert found == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("x = 1\n" * 401, "file: 401 lines"),
        ("def long():\n" + "    x = 1\n" * 60, "long: 61 lines"),
    ],
)
def test_one_line_over_the_limit_is_found(source: str, fault: str) -> None:
    assert too_long(source) == [fault]
