"""A database knows what it was made for, and with which keys."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from worker.domain.errors import Misconfigured
from worker.store.database import Database
from worker.store.installation import check, stamp
from worker.store.keys import KeyRing, create_key_ring, load_key_ring

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)


def test_a_stamped_database_takes_its_own_kind(database: Database, keys: KeyRing) -> None:
    with database.transaction() as session:
        stamp(session, keys, stamp="live", now=NOW)

    with database.reading() as session:
        check(session, keys, wanted="live")


def test_a_live_database_refuses_the_sandbox(database: Database, keys: KeyRing) -> None:
    with database.transaction() as session:
        stamp(session, keys, stamp="live", now=NOW)

    with database.reading() as session, pytest.raises(Misconfigured, match="refuses the sandbox"):
        check(session, keys, wanted="test")


def test_a_test_database_refuses_real_channels(database: Database, keys: KeyRing) -> None:
    with database.transaction() as session:
        stamp(session, keys, stamp="test", now=NOW)

    with database.reading() as session, pytest.raises(Misconfigured, match="real channels"):
        check(session, keys, wanted="live")


def test_a_stamp_stays_as_it_was_first(database: Database, keys: KeyRing) -> None:
    with database.transaction() as session:
        stamp(session, keys, stamp="test", now=NOW)
        stamp(session, keys, stamp="live", now=NOW)

    with database.reading() as session:
        check(session, keys, wanted="test")


def test_a_database_without_a_stamp_is_refused(database: Database, keys: KeyRing) -> None:
    with database.reading() as session, pytest.raises(Misconfigured, match="qida migrate"):
        check(session, keys, wanted="test")


def test_other_keys_are_refused(database: Database, keys: KeyRing, tmp_path: Path) -> None:
    other = create_key_ring(tmp_path / "other.json")
    with database.transaction() as session:
        stamp(session, keys, stamp="test", now=NOW)

    with database.reading() as session, pytest.raises(Misconfigured, match="does not belong"):
        check(session, other, wanted="test")


def test_a_ring_that_finds_nothing_is_refused_even_if_it_opens(
    database: Database, keys: KeyRing, tmp_path: Path
) -> None:
    other = create_key_ring(tmp_path / "other.json")
    half = KeyRing(sealing=keys.sealing, indexing=other.indexing, digesting=keys.digesting)
    with database.transaction() as session:
        stamp(session, keys, stamp="test", now=NOW)

    with database.reading() as session, pytest.raises(Misconfigured, match="does not belong"):
        check(session, half, wanted="test")


def test_the_keys_fit_after_a_restart(database: Database, keys: KeyRing, tmp_path: Path) -> None:
    with database.transaction() as session:
        stamp(session, keys, stamp="test", now=NOW)

    with database.reading() as session:
        check(session, load_key_ring(tmp_path / "keys.json"), wanted="test")
