"""`qida` as a user starts it: a process of its own over a scratch folder."""

import os
import shutil
from pathlib import Path

import pytest

from tests.cli.command import GOOD, NOW, REPORTED, Qida


@pytest.fixture
def qida(tmp_path: Path) -> Qida:
    """The command with the sandbox as its only provider, in a fresh home."""
    return _at(tmp_path / "home")


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two cases, to copy."""
    qida = _at(tmp_path_factory.mktemp("installed") / "home")
    done = qida("enrol", qida.roster(REPORTED, GOOD), *NOW)
    assert done.code == 0, done.err
    return qida.home


@pytest.fixture
def enrolled(tmp_path: Path, installed: Path) -> Qida:
    """The command over two cases."""
    shutil.copytree(installed, tmp_path / "home")
    return _at(tmp_path / "home")


def _at(home: Path) -> Qida:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QIDA_")}
    home.mkdir(exist_ok=True)
    settings = {"QIDA_HOME": str(home), "QIDA_SMS": "sandbox", "QIDA_EMAIL": "sandbox"}
    return Qida(home, kept | settings)
