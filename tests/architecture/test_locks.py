"""The locks in requirements/ hold what pyproject.toml asks for, with hashes and no addresses."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ["build", "ci", "dev", "run"]
PINNED = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[\w.!+-]+)(?P<rest>.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL
)


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def lock_text(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")


def pinned(lock: str) -> set[tuple[str, str]]:
    """(name, version) of everything a lock holds; a name may stand twice, for two Pythons."""
    return {
        (canonicalize_name(pin["name"]), pin["version"]) for pin in PINNED.finditer(lock_text(lock))
    }


def asked(lock: str) -> list[Requirement]:
    """What pyproject.toml asks of one lock."""
    project = pyproject()
    asked_of = {
        "run": project["project"]["dependencies"],
        "build": project["build-system"]["requires"] + group(project, "build"),
        "dev": project["project"]["dependencies"] + group(project, "dev"),
        "ci": group(project, "ci"),
    }
    return [Requirement(line) for line in asked_of[lock]]


def group(project: dict[str, Any], name: str) -> list[str]:
    lines: list[str] = []
    for item in project["dependency-groups"][name]:
        lines += group(project, item["include-group"]) if isinstance(item, dict) else [item]
    return lines


def missing(wanted: Iterable[Requirement], held: set[tuple[str, str]]) -> list[str]:
    """The requirements that no pinned version meets."""
    return [
        str(requirement)
        for requirement in wanted
        if not any(
            name == canonicalize_name(requirement.name) and requirement.specifier.contains(version)
            for name, version in held
        )
    ]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_all_that_pyproject_asks_for(lock: str) -> None:
    assert missing(asked(lock), pinned(lock)) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    text = lock_text(lock)

    without = [pin["name"] for pin in PINNED.finditer(text) if "--hash=sha256:" not in pin["rest"]]

    assert pinned(lock)
    assert without == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_nothing_but_pins_and_their_hashes(lock: str) -> None:
    allowed = re.compile(r"[\w.-]+==\S+ .*\\|    --hash=sha256:[0-9a-f]{64}( \\)?|    #.*")

    strange = [line for line in lock_text(lock).splitlines() if not allowed.fullmatch(line)]

    assert strange == []
    assert "://" not in lock_text(lock)


@pytest.mark.parametrize("lock", ["build", "run"])
def test_development_runs_on_the_versions_that_are_shipped(lock: str) -> None:
    assert pinned(lock) <= pinned("dev")


def test_a_dependency_that_was_not_locked_is_found() -> None:
    wanted = [Requirement("typer>=0.16"), Requirement("typer>=99"), Requirement("leftpad")]

    assert missing(wanted, pinned("run")) == ["typer>=99", "leftpad"]
