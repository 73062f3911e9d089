"""A service centre in miniature: the shipped rules, a real SQLite file, rosters as text."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.enrolment.office import NOW, Office
from worker.clock import FixedClock
from worker.runtime import Knowledge, require_knowledge
from worker.store.database import Database
from worker.store.keys import KeyRing

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    """What the shipped files say."""
    return require_knowledge(ROOT)


@pytest.fixture
def office(
    tmp_path: Path, sqlite_database: Database, keys: KeyRing, knowledge: Knowledge
) -> Iterator[Office]:
    """An office on Monday 23 November 2026, ten in the morning."""
    office = Office.opened(tmp_path, sqlite_database, keys, knowledge, FixedClock(NOW))
    yield office
    office.close()
