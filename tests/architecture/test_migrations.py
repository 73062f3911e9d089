"""The database has one history."""

from pathlib import Path

from alembic.script import ScriptDirectory

from worker.store.migrations import newest

MIGRATIONS = Path(__file__).parents[2] / "worker" / "store" / "migrations"


def test_the_migrations_end_in_one_head() -> None:
    heads = ScriptDirectory(str(MIGRATIONS)).get_heads()

    assert heads == [newest()]
