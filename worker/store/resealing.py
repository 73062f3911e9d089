"""Sealing anew, under the ring's first key, whatever another key of it sealed.

The columns are found by their type and name, so that a new one cannot be forgotten.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import LargeBinary, Select, Table, func, literal, select

from worker.store.database import Session
from worker.store.keys import CannotOpen, KeyRing, key_id_of
from worker.store.tables import Row


class Place(NamedTuple):
    """A sealed column of a table."""

    table: Table
    column: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction did: rows looked at, sealed anew, that do not open, and the last id."""

    seen: int = 0
    resealed: int = 0
    unreadable: int = 0
    last_id: object = None


def sealed_places() -> list[Place]:
    """Every sealed column there is."""
    return [
        Place(table, column.name)
        for table in Row.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    ]


def reseal_some(
    session: Session, keys: KeyRing, place: Place, *, after: object, limit: int
) -> Batch:
    """Seal anew what other keys than the current one sealed, from the row after `after` on.

    A value that someone changes in between stays as they wrote it; one that does not open stays
    as it is, and is counted.
    """
    table, column = place.table, place.table.c[place.column]
    wanted = _values(place).where(func.substr(column, 2, 4) != keys.current)
    if after is not None:
        wanted = wanted.where(table.c.id > after)
    found = session.connection().execute(wanted.order_by(table.c.id).limit(limit)).all()
    resealed = unreadable = 0
    for row_id, centre_id, sealed in found:
        try:
            at = _at(place, row_id, centre_id)
            anew = keys.seal_bytes(keys.open_bytes(sealed, **at), **at)
        except CannotOpen:
            unreadable += 1
            continue
        changed = table.update().where(table.c.id == row_id, column == sealed)
        resealed += session.connection().execute(changed.values({place.column: anew})).rowcount
    return Batch(len(found), resealed, unreadable, found[-1][0] if found else after)


def keys_in_use(session: Session, keys: KeyRing) -> Counter[tuple[bytes, bool]]:
    """How many sealed values each key holds, those that open apart from those that do not."""
    counts: Counter[tuple[bytes, bool]] = Counter()
    for place in sealed_places():
        values = _values(place).execution_options(yield_per=1000)
        for row_id, centre_id, sealed in session.connection().execute(values):
            opens = True
            try:
                keys.open_bytes(sealed, **_at(place, row_id, centre_id))
            except CannotOpen:
                opens = False
            counts[key_id_of(sealed), opens] += 1
    return counts


def _values(place: Place) -> Select[Any]:
    """Id, centre and value of every row that holds one; what was erased holds none."""
    table, column = place.table, place.table.c[place.column]
    centre_id = table.c["centre_id"] if "centre_id" in table.c else literal("").label("centre_id")
    return select(table.c.id, centre_id, column).where(column.is_not(None), func.length(column) > 0)


def _at(place: Place, row_id: object, centre_id: str) -> dict[str, str]:
    """What a value is bound to."""
    return {
        "table": place.table.name,
        "column": place.column,
        "row_id": str(row_id),
        "centre_id": centre_id,
    }
