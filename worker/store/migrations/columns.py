"""Columns and constraints as the steps write them, named as `worker.store.tables` names them."""

import sqlalchemy as sa
from alembic import op

Part = sa.Column[object] | sa.CheckConstraint | sa.UniqueConstraint


def create_table(table: str, *parts: Part) -> None:
    """A table whose rows have a text id."""
    op.create_table(table, text("id"), *parts, sa.PrimaryKeyConstraint("id", name=f"pk_{table}"))


def text(name: str, *, nullable: bool = False) -> sa.Column[object]:
    """Text."""
    return sa.Column(name, sa.String(), nullable=nullable)


def number(name: str) -> sa.Column[object]:
    """A whole number."""
    return sa.Column(name, sa.Integer(), nullable=False)


def real(name: str) -> sa.Column[object]:
    """A number with a fraction."""
    return sa.Column(name, sa.Float(), nullable=False)


def yes_or_no(name: str) -> sa.Column[object]:
    """True or false."""
    return sa.Column(name, sa.Boolean(), nullable=False)


def time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    """An instant, aware."""
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def day(name: str) -> sa.Column[object]:
    """A date that may be missing."""
    return sa.Column(name, sa.Date(), nullable=True)


def sealed(name: str, *, nullable: bool = False) -> sa.Column[object]:
    """Encrypted bytes."""
    return sa.Column(name, sa.LargeBinary(), nullable=nullable)


def refers_to(target: str, table: str, name: str, *, nullable: bool = False) -> sa.Column[object]:
    """A reference to another table."""
    reference = sa.ForeignKey(
        f"{target}.id", name=f"fk_{table}_{name}", deferrable=True, initially="DEFERRED"
    )
    return sa.Column(name, sa.String(), reference, nullable=nullable)


def one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    """A column holds one of these words."""
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=op.f(f"ck_{table}_{column}"))


def index(name: str, table: str, *columns: str, where: str = "", unique: bool = False) -> None:
    """An index, partial with `where`."""
    condition = sa.text(where) if where else None
    op.create_index(
        name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )
