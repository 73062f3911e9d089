"""The audit chain shows what was changed, taken out or put in, and where."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from worker.store.audit import Entry, append_audit, entry_hash, hash_at, verify_trail
from worker.store.database import Database
from worker.store.tables import AuditEntryRow

NOW = datetime(2026, 11, 22, 1, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def chained(database: Database) -> Database:
    """A database with five entries."""
    for number in range(1, 6):
        at = NOW + timedelta(seconds=number)
        with database.transaction() as session:
            append_audit(session, Entry(None, at, "cli", "case.changed", f"c{number}", {"n": "一"}))
    return database


def tamper(database: Database, statement: str) -> None:
    with database.transaction() as session:
        session.connection().execute(text(statement))


def test_an_untouched_chain_holds_to_its_head(chained: Database) -> None:
    with chained.reading() as session:
        trail = verify_trail(session)
        last = hash_at(session, 5)

    assert (trail.entries, trail.head_seq, trail.broken) == (5, 5, None)
    assert trail.head_hash == last
    assert trail.head_at == NOW + timedelta(seconds=5)


def test_an_empty_trail_holds(database: Database) -> None:
    with database.reading() as session:
        trail = verify_trail(session)

    assert (trail.entries, trail.head_hash, trail.broken) == (0, "", None)


@pytest.mark.parametrize(
    "change",
    ["actor = 'x'", "action = 'x'", "subject = 'x'", "detail = '{}'", "hash = 'x'",
     "at = '2026-11-23 01:00:00.000000'"],
)  # fmt: skip
def test_a_changed_entry_is_named(chained: Database, change: str) -> None:
    tamper(chained, f"UPDATE audit_entry SET {change} WHERE seq = 3")  # noqa: S608  # our words

    with chained.reading() as session:
        trail = verify_trail(session)

    assert (trail.broken_seq, trail.broken) == (3, "changed")
    assert trail.head_seq == 2


@pytest.mark.parametrize(("seq", "named"), [(1, 2), (3, 4)])
def test_an_entry_taken_out_shows_at_the_next(chained: Database, seq: int, named: int) -> None:
    tamper(chained, f"DELETE FROM audit_entry WHERE seq = {seq}")  # noqa: S608  # our words

    with chained.reading() as session:
        trail = verify_trail(session)

    assert (trail.broken_seq, trail.broken) == (named, "missing")


def test_an_entry_written_anew_with_its_hash_shows_at_the_next(chained: Database) -> None:
    with chained.transaction() as session:
        entry = session.get_one(AuditEntryRow, ids(chained)[2])
        entry.actor = "somebody else"
        entry.hash = entry_hash(entry)

    with chained.reading() as session:
        trail = verify_trail(session)

    assert (trail.broken_seq, trail.broken) == (4, "relinked")


def test_a_removed_tail_shows_only_by_a_hash_kept_elsewhere(chained: Database) -> None:
    with chained.reading() as session:
        kept = verify_trail(session)
    tamper(chained, "DELETE FROM audit_entry WHERE seq > 3")

    with chained.reading() as session:
        trail = verify_trail(session)
        there = hash_at(session, kept.head_seq)

    assert trail.broken is None
    assert there != kept.head_hash


def ids(database: Database) -> list[str]:
    with database.reading() as session:
        found = session.connection().execute(text("SELECT id FROM audit_entry ORDER BY seq"))
        return [row[0] for row in found]
