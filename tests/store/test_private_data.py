"""Nobody who gets hold of the database file reads a telephone number in it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from worker.store.database import Database
from worker.store.keys import KeyRing
from worker.store.tables import AttemptRow, CaseRow

PHONE = "10000000001"
NAME = "测试甲"


def on_disk(tmp_path: Path) -> bytes:
    """Every byte of the database and its log."""
    files = [tmp_path / "qida.db", tmp_path / "qida.db-wal"]
    assert files[1].stat().st_size > 0
    return b"".join(file.read_bytes() for file in files)


def sealed(keys: KeyRing, plain: str, table: str, column: str, row_id: str) -> bytes:
    return keys.seal(plain, table=table, column=column, row_id=row_id, centre_id="chengdu-01")


def test_a_sealed_number_is_found_by_its_index_and_not_in_the_file(
    sqlite_database: Database, keys: KeyRing, rows: Any, tmp_path: Path
) -> None:
    index = keys.index(PHONE, centre_id="chengdu-01")
    case = rows.case(
        reference="IN-THE-CLEAR-1",
        phone_sealed=sealed(keys, PHONE, "case", "phone_sealed", "c1"),
        name_sealed=sealed(keys, NAME, "case", "name_sealed", "c1"),
        phone_index=index,
    )

    with sqlite_database.transaction() as session:
        session.add_all([rows.centre(), case])

    with sqlite_database.reading() as session:
        found = session.exec(select(CaseRow).where(CaseRow.phone_index == index)).one()
    assert found.phone_sealed is not None
    place = {"table": "case", "column": "phone_sealed", "row_id": "c1"}
    assert keys.open(found.phone_sealed, **place, centre_id="chengdu-01") == PHONE
    content = on_disk(tmp_path)
    assert b"IN-THE-CLEAR-1" in content  # so what is not sealed would be seen
    assert PHONE.encode() not in content
    assert NAME.encode() not in content


def test_what_is_erased_is_gone_from_the_file(
    sqlite_database: Database, keys: KeyRing, rows: Any, tmp_path: Path
) -> None:
    body = sealed(keys, "您的社保卡" * 50, "attempt", "body_sealed", "a1")
    with sqlite_database.transaction() as session:
        session.add_all(rows.family())
        session.flush()
        session.get_one(AttemptRow, "a1").body_sealed = body
    before = on_disk(tmp_path)

    with sqlite_database.transaction() as session:
        session.get_one(AttemptRow, "a1").body_sealed = None
    with closing(sqlite3.connect(tmp_path / "qida.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    assert body in before
    assert body not in (tmp_path / "qida.db").read_bytes()
    assert (tmp_path / "qida.db-wal").stat().st_size == 0


def test_an_error_shows_no_value_of_a_statement(database: Database) -> None:
    statement = text('INSERT INTO "case" (id, name_sealed) VALUES (:id, :name)')

    with pytest.raises(IntegrityError) as refused, database.transaction() as session:
        session.execute(statement, {"id": PHONE, "name": NAME.encode()})

    assert "name_sealed" in str(refused.value)
    assert NAME not in str(refused.value)
    assert repr(NAME.encode()) not in str(refused.value)
