"""A centre like the one shipped, the shipped rules, and templates that may be broken."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.domain.centres import Bank, Centre
from worker.domain.periods import Days
from worker.domain.rules import Procedure
from worker.rulebook import load_rulebook, require
from worker.templating import Templates

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def procedures() -> tuple[Procedure, ...]:
    return tuple(require(load_rulebook(ROOT / "config" / "rules")).procedures.values())


@pytest.fixture(scope="session")
def centre() -> Centre:
    bank = Bank("示例银行", Days(5), hotline="0000-0001")
    return Centre(
        "demo", "示例市社会保障卡服务中心", "示例中心", "示例社保", hotline="12333",
        banks={bank.name: bank},
    )  # fmt: skip


@pytest.fixture(scope="session")
def shipped() -> Templates:
    return Templates.load(ROOT / "templates")


@pytest.fixture
def with_template(tmp_path: Path) -> Callable[[str, str], Templates]:
    """The shipped templates with a file written over or added, again and again."""

    def written(file: str, text: str) -> Templates:
        directory = tmp_path / "templates"
        if not directory.exists():
            shutil.copytree(ROOT / "templates", directory)
        (directory / file).write_text(text, encoding="utf-8")
        return Templates.load(directory)

    return written
