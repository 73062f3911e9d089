"""The history of the tables leads to the tables of the code, on both engines."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine.interfaces import ReflectedIndex
from sqlalchemy.exc import DatabaseError

from worker.store.database import Database
from worker.store.migrations import configured, migrate
from worker.store.tables import Row

ALEMBIC = "alembic_version"


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    """A database before its first migration."""
    db = Database.open(database_url)
    yield db
    db.close()


def tables(db: Database) -> set[str]:
    with db.exclusive("looking") as connection:
        return set(inspect(connection).get_table_names())


def schema(connection: Connection) -> dict[str, object]:
    """All the engine tells of its tables, in an order that means nothing."""
    seen = inspect(connection)
    return {
        table: [
            sorted(
                str({**column, "type": str(column["type"])}) for column in seen.get_columns(table)
            ),
            str(seen.get_pk_constraint(table)),
            sorted(map(str, seen.get_foreign_keys(table))),
            sorted(map(str, seen.get_unique_constraints(table))),
            sorted(map(str, seen.get_check_constraints(table))),
            sorted(map(_described, seen.get_indexes(table))),
        ]
        for table in seen.get_table_names()
        if table != ALEMBIC
    }


def _described(index: ReflectedIndex) -> str:
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return str({**index, "dialect_options": options})


def test_the_migrated_tables_are_those_of_the_code(database: Database) -> None:
    with database.exclusive("comparing") as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Row.metadata)

    assert differences == []


def test_constraints_and_conditions_of_indexes_are_those_of_the_code(empty: Database) -> None:
    with empty.exclusive("making") as connection:
        Row.metadata.create_all(connection)
        wanted = schema(connection)
        Row.metadata.drop_all(connection)

    migrate(empty)

    with empty.exclusive("comparing") as connection:
        migrated = schema(connection)
    assert migrated == wanted
    assert set(migrated) == set(Row.metadata.tables)


def test_migrating_again_changes_nothing(empty: Database) -> None:
    migrate(empty)
    with empty.exclusive("looking") as connection:
        before = schema(connection)

    migrate(empty)

    with empty.exclusive("looking") as connection:
        assert schema(connection) == before


def test_a_migration_that_fails_leaves_nothing_and_can_be_run_again(empty: Database) -> None:
    with empty.exclusive("hindering") as connection:
        connection.execute(text("CREATE TABLE job_run (in_the_way INTEGER)"))

    with pytest.raises(DatabaseError):
        migrate(empty)
    left = tables(empty)
    with empty.exclusive("clearing") as connection:
        connection.execute(text("DROP TABLE job_run"))
    migrate(empty)

    assert left == {"job_run"}
    assert tables(empty) == {*Row.metadata.tables, ALEMBIC}


def test_the_way_back_leads_to_an_empty_database(empty: Database) -> None:
    migrate(empty)

    with empty.exclusive("migration") as connection:
        command.downgrade(configured(connection), "base")

    assert tables(empty) == {ALEMBIC}


def test_two_that_migrate_at_once_both_succeed(empty: Database, database_url: str) -> None:
    other = Database.open(database_url)

    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(migrate, db) for db in (empty, other)]
    errors = [one.exception() for one in done]
    other.close()

    assert errors == [None, None]
    assert tables(empty) == {*Row.metadata.tables, ALEMBIC}
