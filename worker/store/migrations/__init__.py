"""The history of the tables: numbered steps from an empty database to `worker.store.tables`."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from worker.store import answers as answers  # their tables stand beside their functions
from worker.store import imports as imports
from worker.store import job_runs as job_runs
from worker.store import senders as senders
from worker.store import sms_days as sms_days
from worker.store.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

_STEPS = Path(__file__).parent / "versions"


def migrate(db: Database) -> None:
    """Bring the database to the newest step, all or nothing; at the newest it changes nothing.

    Processes that start together wait for each other. Raises Unavailable.
    """
    with db.exclusive("migration") as connection:
        if _step_of(connection) == newest():
            return
        from alembic import command  # a tenth of a start-up, and needed once a release

        command.upgrade(configured(connection), "head")


def newest() -> str:
    """The last step's number, as its file's name has it."""
    return max(file.name.partition("_")[0] for file in _STEPS.glob("[0-9]*.py"))


def _step_of(connection: Connection) -> str:
    """The step a database is at; empty before the first."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def configured(connection: Connection) -> "Config":
    """Alembic over the steps of this package and an open transaction."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
