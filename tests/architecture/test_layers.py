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
    (LAYERS, "utilities", ""),
    (LAYERS, "domain", "import worker.clock"),
    (LAYERS, "domain", "def late():\n    import worker.services"),
    (LAYERS, "clock", "import worker.crashpoints"),
    (LAYERS, "configfile", "import worker.rulebook"),
    (LAYERS, "templating", "import worker.settings"),
    (LAYERS, "channels", "import worker.templating"),
    (LAYERS, "store", "import worker.services"),
    (LAYERS, "services", "import worker.runtime"),
    (LAYERS, "runtime", "import worker.engines"),
    (LAYERS, "engines", "import worker.cli"),
    (LAYERS, "cli", "import worker.__main__"),
    (PURE, "domain", "from pathlib import Path"),
    (PURE, "domain", "import pydantic"),
    (DATABASE, "services", "from sqlalchemy import text"),
    (DATABASE, "services", "import sqlmodel"),
    (DATABASE, "runtime", "import alembic.command"),
    (STORE, "engines", "import worker.store"),
    (STORE, "cli", "import worker.store.tables"),
    ("Only the store's keys encrypt", "store", "import cryptography"),
    ("Only holidays reads the published calendars", "rulebook", "import chinese_calendar"),
    ("Only holidays reads the published calendars", "rulebook", "import lunardate"),
    ("Only the embedded engine schedules", "engines", "import apscheduler"),
    ("The stand-in knows nothing of the client", "fake_twilio", "import worker.domain.errors"),
    ("The stand-in knows nothing of the client", "fake_twilio", "from worker import channels"),
    ("The stand-in knows nothing of the client", "fake_twilio", "import twilio.rest"),
    ("Only the stand-in speaks bare HTTP", "channels", "import h11"),
    ("Only templating renders", "channels", "import jinja2"),
    ("Only configfile and rosters read YAML", "rulebook", "from ruamel.yaml import YAML"),
    ("Only rosters read sheets, numbers and addresses", "rulebook", "import python_calamine"),
    ("Only rosters read sheets, numbers and addresses", "rulebook", "import phonenumbers"),
    ("Only rosters read sheets, numbers and addresses", "rulebook", "import email_validator"),
    ("Only channels send mail", "services", "import smtplib"),
    ("Only channels send mail", "services", "import icalendar"),
    ("Only the Twilio channel knows Twilio", "services", "import twilio"),
    ("Only the edge serves HTTP", "engines", "import fastapi"),
    ("Only the edge serves HTTP", "cli", "import uvicorn"),
    ("Only the edge counts requests", "services", "import limits"),
    ("Only the edge speaks to Prometheus", "services", "import prometheus_client"),
    ("Only the runtime opens channels", "services", "import worker.channels.sandbox"),
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
    package = house / "worker" / room
    file = package / "planted.py" if package.is_dir() else package.with_suffix(".py")
    with file.open("a", encoding="utf-8") as code:
        code.write(f"\n{breach}\n")

    verdict = lint_imports(house)

    assert verdict.returncode == 1
    assert f"{contract} BROKEN" in verdict.stdout
