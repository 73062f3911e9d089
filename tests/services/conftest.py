"""Desks over a real database with the shipped rules, centre and templates, and the sandbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.desk import Desk, Office, beijing
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
def engine(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a test is marked for both."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def engine_database(request: pytest.FixtureRequest, engine: str) -> Database:
    """A migrated database of that engine."""
    db = request.getfixturevalue(f"{engine}_database")
    assert isinstance(db, Database)
    return db


@pytest.fixture
def clock() -> FixedClock:
    """Friday 20 November 2026, half past four in the afternoon."""
    return FixedClock(beijing("2026-11-20T16:30"))


@pytest.fixture
def office(tmp_path: Path, keys: KeyRing, knowledge: Knowledge) -> Iterator[Office]:
    """A place for desks."""
    office = Office(tmp_path, keys, knowledge)
    yield office
    office.close()


@pytest.fixture
def desk(office: Office, engine_database: Database, clock: FixedClock) -> Desk:
    """The usual desk."""
    return office.desk(engine_database, clock)


@pytest.fixture
def other_desk(office: Office, desk: Desk) -> Iterator[Desk]:
    """A second worker over the same database and provider, with connections of its own."""
    url = desk.context.db.engine.url.render_as_string(hide_password=False)
    db = Database.open(url)
    yield office.desk(db, desk.clock)
    db.close()
