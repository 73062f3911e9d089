"""What every table shares, and the quick ways to write new rows of one."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, cast

from sqlalchemy import Index, MetaData, Table, TextClause, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine
from sqlmodel import Session, SQLModel, UTCDateTime

_INSTANTS = 4096
_IN_A_STEP = 100
"""Rows: more gain nothing, and SQLite takes 32,766 values in a statement."""


_SQLITE = sqlite.dialect()

_Writer = Callable[[Any], Any] | None


def _writer(kind: TypeEngine[Any]) -> _Writer:
    """How values of a type are handed to SQLite; None where they go as they are."""
    return kind.dialect_impl(_SQLITE).bind_processor(_SQLITE)


_text = lru_cache(_INSTANTS)(cast("Callable[[Any], Any]", _writer(UTCDateTime())))


class Instant(UTCDateTime):
    """An aware datetime, kept in UTC. A batch holds few that differ (when it was written, when the
    counters close), so on SQLite, where they are written out as text, their texts are kept."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> _Writer:
        """How a value is handed to the database."""
        return _text if dialect.name == _SQLITE.name else super().bind_processor(dialect)


def use_instants(tables: Mapping[str, Table]) -> None:
    """Let every column that SQLModel made for a datetime be an Instant."""
    for table in tables.values():
        for column in table.columns:
            if isinstance(column.type, UTCDateTime):
                column.type = Instant()


class Row(SQLModel):
    """What every table shares: names for constraints, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )

    def __init__(self, **values: object) -> None:
        """A new row. Written past SQLAlchemy's attributes, which exist to notice changes: an
        insert takes what stands in the row, and this takes a fifth of the time."""
        self.__dict__.update(_defaults(type(self)) | values)

    def values(self) -> dict[str, object]:
        """What stands in its columns."""
        return {name: value for name, value in self.__dict__.items() if name[0] != "_"}

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute through SQLAlchemy alone: SQLModel's way sets it again in Pydantic,
        which checks nothing here and doubles the time that a new row takes."""
        object.__setattr__(self, name, value)


@cache
def _defaults(table: type[Row]) -> dict[str, object]:
    """What a new row of a table holds where nothing is said of a column."""
    fields = table.model_fields.items()
    return {name: field.get_default() for name, field in fields if not field.is_required()}


def insert_rows(session: Session, rows: Sequence[Row]) -> None:
    """Insert new rows, a statement a table: several times as quick as through the session, which
    does not know them afterwards. Change them before."""
    by_table: dict[type[Row], list[dict[str, object]]] = {}
    for row in rows:
        by_table.setdefault(type(row), []).append(row.values())
    for table, values in by_table.items():
        insert_values(session, table.metadata.tables[str(table.__tablename__)], values)


def insert_values(session: Session, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows that name the same columns, and every one without which the table takes none.

    On SQLite many in one step: it lets go of the interpreter's lock at each, and a thread that
    wants it then goes first.
    """
    if not rows:
        return
    connection = session.connection()
    if connection.dialect.name != _SQLITE.name:
        connection.execute(insert(table), [dict(row) for row in rows])
        return
    columns = tuple(rows[0])
    into, writers = _inserting(table, columns)
    place = f"({', '.join('?' * len(columns))})"
    for first in range(0, len(rows), _IN_A_STEP):
        some = rows[first : first + _IN_A_STEP]
        values = tuple([
            writer(row[name]) if writer else row[name]
            for row in some
            for name, writer in zip(columns, writers, strict=True)
        ])  # fmt: skip
        connection.exec_driver_sql(f"{into} {', '.join([place] * len(some))}", values)


@cache
def _inserting(table: Table, columns: tuple[str, ...]) -> tuple[str, Sequence[_Writer]]:
    """How a statement of SQLite begins, and how each column's values are handed over."""
    quoted = _SQLITE.identifier_preparer
    names = ", ".join(quoted.quote(name) for name in columns)
    writers = [_writer(table.c[name].type) for name in columns]
    return f"INSERT INTO {quoted.format_table(table)} ({names}) VALUES", writers


def insert_new(
    session: Session,
    table: type[Row],
    rows: Sequence[Mapping[str, object]],
    *,
    unique: tuple[str, ...],
) -> int:
    """Insert the rows that are not there yet, by the unique columns; returns how many were new.

    Every row names the same columns. A clash in any other constraint is an error.
    """
    if not rows:
        return 0
    connection = session.connection()
    target: Table = table.metadata.tables[str(table.__tablename__)]
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(target).on_conflict_do_nothing(
        index_elements=unique, index_where=_predicate(target, unique)
    )
    session.flush()
    done = connection.execute(
        statement,
        [dict(row) for row in rows],
        execution_options={"preserve_rowcount": True},
    )
    return done.rowcount


def _predicate(table: Table, columns: tuple[str, ...]) -> TextClause | None:
    """The condition of a partial unique index over these columns, if that is what is meant."""
    for index in table.indexes:
        if index.unique and tuple(column.name for column in index.columns) == columns:
            return _condition(index)
    return None


def _condition(index: Index) -> TextClause | None:
    condition = index.dialect_options["sqlite"]["where"]
    return condition if isinstance(condition, TextClause) else None
