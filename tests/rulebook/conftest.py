"""A scratch QIDA_HOME to write configuration files into."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write("rules/paris.yaml", text)` puts a file under config/ and gives back its folder."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / "config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path.parent

    return write_file
