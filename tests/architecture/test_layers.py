"""Every contract of import-linter in pyproject.toml holds, and is seen to fail when broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = "A room imports only from rooms below it"
PURE = "The domain is pure"
DATABASE = "Only the store knows the database"
STORE = "Only services and the runtime know the store"

BREACHES = [
    (LAYERS, "utilities.py", ""),
    (LAYERS, "domain/planted.py", "import worker.clock"),
    (LAYERS, "domain/planted.py", "def late():\n    import worker.services"),
    (LAYERS, "clock.py", "import worker.crashpoints"),
    (LAYERS, "configfile.py", "import worker.rulebook"),
    (LAYERS, "templating.py", "import worker.settings"),
    (LAYERS, "channels/planted.py", "import worker.templating"),
    (LAYERS, "store/planted.py", "import worker.services"),
    (LAYERS, "services/planted.py", "import worker.runtime"),
    (LAYERS, "runtime.py", "import worker.engines"),
    (LAYERS, "engines/planted.py", "import worker.cli"),
    (LAYERS, "cli/planted.py", "import worker.__main__"),
    (PURE, "domain/planted.py", "from pathlib import Path"),
    (PURE, "domain/planted.py", "import pydantic"),
    (DATABASE, "services/planted.py", "from sqlalchemy import text"),
    (DATABASE, "services/planted.py", "import sqlmodel"),
    (DATABASE, "runtime.py", "import alembic.command"),
    (STORE, "engines/planted.py", "import worker.store"),
    (STORE, "cli/planted.py", "import worker.store.tables"),
    ("Only the store's keys encrypt", "store/planted.py", "import cryptography"),
    ("Only holidays reads the published calendars", "rulebook.py", "import chinese_calendar"),
    ("Only holidays reads the published calendars", "rulebook.py", "import lunardate"),
    ("Only the embedded engine schedules", "engines/planted.py", "import apscheduler"),
    ("Only templating renders", "channels/planted.py", "import jinja2"),
    ("Only configfile and rosters read YAML", "rulebook.py", "from ruamel.yaml import YAML"),
    ("Only rosters read sheets, numbers and addresses", "rulebook.py", "import python_calamine"),
    ("Only rosters read sheets, numbers and addresses", "rulebook.py", "import phonenumbers"),
    ("Only rosters read sheets, numbers and addresses", "rulebook.py", "import email_validator"),
    ("Only channels send mail", "services/planted.py", "import smtplib"),
]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package and its contracts, free to be broken."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        ROOT / "worker", tmp_path / "worker", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


def lint_imports(house: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=house, capture_output=True, text=True, check=False)


def test_the_house_as_it_stands_keeps_every_contract(house: Path) -> None:
    verdict = lint_imports(house)

    assert verdict.returncode == 0, verdict.stdout


@pytest.mark.parametrize(("contract", "room", "breach"), BREACHES)
def test_a_planted_breach_is_found(house: Path, contract: str, room: str, breach: str) -> None:
    with (house / "worker" / room).open("a", encoding="utf-8") as code:
        code.write(f"\n{breach}\n")

    verdict = lint_imports(house)

    assert verdict.returncode == 1
    assert f"{contract} BROKEN" in verdict.stdout
