"""Every command, setting and exit code is in the documents, and nothing there is out of date."""

import re
from pathlib import Path

from typer.main import get_command

from tests.cli.command import ROOT
from tests.cli.test_contract import commands
from worker.cli import app
from worker.cli.output import EXIT_CODES
from worker.settings import PREFIX, Settings, example

CLI, CONFIGURATION = ROOT / "docs" / "cli.md", ROOT / "docs" / "configuration.md"


def names_in(document: Path, pattern: str) -> set[str]:
    """Everything in a document that looks so."""
    return set(re.findall(pattern, document.read_text("utf-8")))


def test_the_example_of_an_environment_is_generated() -> None:
    written = (ROOT / ".env.example").read_text("utf-8")

    assert written == example()


def test_every_setting_is_documented_and_no_other() -> None:
    settings = {PREFIX + name.upper() for name in Settings.model_fields}

    documented = names_in(CONFIGURATION, r"QIDA_[A-Z_]*[A-Z]") - {"QIDA_X", "QIDA_X_FILE"}

    assert documented == settings


def test_every_command_is_documented_and_no_other() -> None:
    whole = {" ".join(words) for words in commands(get_command(app)) if words}
    groups = {words for words in whole if any(other.startswith(f"{words} ") for other in whole)}

    named = names_in(CLI, r"`qida ([a-z][a-z-]*(?: [a-z][a-z-]*)?)")
    documented = {name if name.split()[0] in groups else name.split()[0] for name in named}

    assert documented == whole - groups


def test_every_exit_code_is_documented_and_no_other() -> None:
    promised = set(re.findall(r"\d+", EXIT_CODES))

    assert names_in(CLI, r"\n\| (\d+) \|") == promised
