"""The history of the tables: numbered steps from an empty database to `worker.store.tables`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from worker.store import answers as answers  # their tables stand beside their functions
from worker.store import imports as imports
from worker.store import senders as senders
from worker.store.database import Database


def migrate(db: Database) -> None:
    """Bring the database to the newest step, all or nothing; at the newest it changes nothing.

    Processes that start together wait for each other. Raises Unavailable.
    """
    with db.exclusive("migration") as connection:
        command.upgrade(configured(connection), "head")


def configured(connection: Connection) -> Config:
    """Alembic over the steps of this package and an open transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
