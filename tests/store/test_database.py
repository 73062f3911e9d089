"""Opening, transactions, and what happens when the disk, the file or the server lets us down."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select, update

from worker.domain.errors import Misconfigured, Unavailable
from worker.store import ids
from worker.store.database import Database, insert_new, new_id
from worker.store.tables import CaseEventRow, CaseRow, CentreRow, OptOutRow, ReminderRow

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
NOBODY = 65534


class Interrupted(Exception):
    """Something unforeseen in the middle of a transaction."""


def add_and_fail(database: Database, row: CentreRow) -> None:
    with database.transaction() as session:
        session.add(row)
        session.flush()
        raise Interrupted


def add_to_full_disk(database: Database, row: CentreRow) -> None:
    with database.transaction() as session:
        session.execute(text("PRAGMA max_page_count = 1"))  # fails as a full disk does
        session.add(row)


def centres(database: Database) -> int:
    with database.reading() as session:
        return len(session.exec(select(CentreRow)).all())


def asked(session: Session, setting: str) -> object:
    return session.execute(text(setting)).scalar_one()


def test_ids_sort_by_time_and_do_not_repeat() -> None:
    later = [new_id(NOW + timedelta(milliseconds=step)) for step in range(100)]
    at_once = {new_id(NOW) for _ in range(1000)}

    assert later == sorted(later)
    assert len(at_once) == 1000
    assert all(len(one) == 32 and int(one, 16) for one in at_once)


def test_ids_of_one_moment_sort_by_when_they_were_made() -> None:
    made = []
    for _ in range(100):  # beside another's, as requests are beside an import
        made.append(new_id(NOW))
        new_id(NOW + timedelta(milliseconds=1))

    assert made == sorted(made)
    assert len({int(after, 16) - int(one, 16) for one, after in pairwise(made)}) > 90


def test_the_moments_remembered_are_bounded() -> None:
    for step in range(500):
        new_id(NOW + timedelta(milliseconds=step))

    assert len(ids._latest) <= 64  # noqa: SLF001  # a worker lives for months


def test_a_forked_child_makes_other_ids_than_its_parent() -> None:
    new_id(NOW)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, new_id(NOW).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 32).decode()

    ours = new_id(NOW)

    assert abs(int(ours, 16) - int(theirs, 16)) > 1 << 40


def test_an_id_needs_an_aware_instant() -> None:
    with pytest.raises(TypeError):
        new_id(datetime(2026, 11, 22, 9, 0))  # noqa: DTZ001  # the mistake itself


def test_a_transaction_commits_at_its_end(database: Database, rows: Any) -> None:
    with database.transaction() as session:
        session.add(rows.centre())

    assert centres(database) == 1


def test_a_transaction_that_fails_leaves_nothing(database: Database, rows: Any) -> None:
    with pytest.raises(Interrupted):
        add_and_fail(database, rows.centre())

    assert centres(database) == 0


def test_rows_can_be_read_after_their_transaction(database: Database, rows: Any) -> None:
    with database.transaction() as session:
        centre = rows.centre()
        session.add(centre)

    assert centre.name == "测试网点"


def test_reading_sees_one_moment(database: Database, rows: Any) -> None:
    with database.reading() as session:
        before = session.exec(select(CentreRow)).all()
        with database.transaction() as writer:
            writer.add(rows.centre())

        after = session.exec(select(CentreRow)).all()

    assert (before, after) == ([], [])
    assert centres(database) == 1


def test_reading_cannot_write(database: Database, rows: Any) -> None:
    with pytest.raises(Unavailable), database.reading() as session:
        session.add(rows.centre())

    with database.transaction() as session:  # by the same connection
        session.add(rows.centre())
    assert centres(database) == 1


def test_a_look_up_sees_what_is_committed(database: Database, rows: Any) -> None:
    with database.looking_up() as connection:
        before = connection.execute(select(CentreRow.id)).all()
    with database.transaction() as session:
        session.add(rows.centre())

    with database.looking_up() as connection:
        after = connection.execute(select(CentreRow.id)).all()

    assert (before, len(after)) == ([], 1)


def test_a_look_up_cannot_write_and_leaves_nothing_behind(database: Database, rows: Any) -> None:
    with pytest.raises(Unavailable), database.looking_up() as connection:
        connection.execute(text("DELETE FROM centre"))

    with database.reading() as session:  # by the same connection: its moment is held again
        session.exec(select(CentreRow)).all()
        with database.transaction() as writer:
            writer.add(rows.centre())
        assert session.exec(select(CentreRow)).all() == []
    assert centres(database) == 1


@pytest.mark.parametrize("pool", ["engine", "reader"])
def test_every_sqlite_connection_is_durable_and_strict(
    sqlite_database: Database, pool: str
) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
    with ExitStack() as open_at_once:
        engine = getattr(sqlite_database, pool)
        cursors = [
            open_at_once.enter_context(closing(engine.raw_connection())).cursor() for _ in range(20)
        ]

        settings = [
            tuple(one.execute(f"PRAGMA {name}").fetchone()[0] for name in names) for one in cursors
        ]

    full, ten_seconds = 2, 10_000
    assert settings == [("wal", full, 1, 1, ten_seconds)] * 20


def test_a_writing_connection_is_durable_too(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        assert asked(session, "PRAGMA synchronous") == 2


def test_postgresql_commits_to_the_disk_whatever_the_server_prefers(postgresql_url: str) -> None:
    first = Database.open(postgresql_url)
    with first.transaction() as session:
        name = asked(session, "SELECT current_database()")
        session.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    first.close()

    second = Database.open(postgresql_url)
    with second.transaction() as session:
        kept = asked(session, "SHOW synchronous_commit")
    second.close()

    assert kept == "on"


def test_no_more_connections_than_the_pool_holds(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.store.database._WAIT", 0)
    db = Database.open(sqlite_url)

    with ExitStack() as open_at_once:
        for _ in range(20):
            asked(open_at_once.enter_context(db.reading()), "SELECT 1")
        with pytest.raises(Unavailable, match="is busy"), db.reading() as session:
            asked(session, "SELECT 1")
    db.close()


def test_a_new_file_is_for_its_owner_alone(sqlite_url: str, tmp_path: Path) -> None:
    db = Database.open(sqlite_url)
    with db.transaction() as session:
        session.execute(text("CREATE TABLE x (y)"))

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    db.close()

    assert modes == {"qida.db": 0o600, "qida.db-wal": 0o600, "qida.db-shm": 0o600}


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://x@y/z", "sqlite://", "sqlite:///:memory:"]
)
def test_a_url_that_names_no_database_of_ours_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="QIDA_DATABASE_URL"):
        Database.open(url)


@pytest.mark.parametrize(
    "url", ["qida:geheim@localhost/x", "postgresql://qida:geheim@127.0.0.1:1/x?password=geheim"]
)
def test_no_error_shows_a_password(url: str) -> None:
    with pytest.raises((Misconfigured, Unavailable)) as refused:
        Database.open(url)

    assert "geheim" not in str(refused.value)


def test_the_representation_shows_no_password(postgresql_url: str) -> None:
    db = Database.open(postgresql_url.replace("postgres:@", "postgres:geheim@"))

    shown = repr(db)
    db.close()

    assert "geheim" not in shown


@pytest.mark.parametrize("start", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_may_be_spelt_in_three_ways(postgresql_url: str, start: str) -> None:
    _, _, rest = postgresql_url.partition("://")

    db = Database.open(f"{start}://{rest}")

    assert db.dialect == "postgresql"
    db.close()


def test_a_server_that_does_not_answer_is_said_clearly() -> None:
    with pytest.raises(Unavailable, match="cannot be reached") as refused:
        Database.open("postgresql://qida@127.0.0.1:1/qida")

    assert "postgresql://127.0.0.1:1/qida" in refused.value.text.zh


def test_a_missing_directory_is_said_clearly(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="its directory exists"):
        Database.open(f"sqlite:///{tmp_path / 'nowhere' / 'qida.db'}")


def test_a_file_that_is_no_database_is_said_clearly_and_left_alone(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear all, " * 1000)

    with pytest.raises(Unavailable, match="is not a database"):
        Database.open(f"sqlite:///{letter}")

    assert letter.read_text() == "Dear all, " * 1000


@pytest.fixture
def plain_directory() -> Iterator[Path]:
    """A directory that others than root can reach, unlike `tmp_path`."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def without_root() -> Iterator[None]:
    """Root may write what is read-only; nobody may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_file_is_said_clearly(plain_directory: Path) -> None:
    file = plain_directory / "qida.db"
    Database.open(f"sqlite:///{file}").close()
    file.chmod(0o444)
    plain_directory.chmod(0o555)

    with without_root(), pytest.raises(Unavailable, match="read but not written"):
        Database.open(f"sqlite:///{file}")

    plain_directory.chmod(0o755)


def test_a_full_disk_is_said_clearly_and_loses_nothing(
    sqlite_database: Database, rows: Any
) -> None:
    with sqlite_database.transaction() as session:
        session.add(rows.centre())

    with pytest.raises(Unavailable, match="no room left"):
        add_to_full_disk(sqlite_database, rows.centre(id="big", name="x" * 1_000_000))

    assert centres(sqlite_database) == 1


def test_an_unforeseen_error_is_not_dressed_up(database: Database, rows: Any) -> None:
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.add(rows.case())


def test_a_purpose_has_one_holder(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.store.database._WAIT", 1)
    first, second = Database.open(database_url), Database.open(database_url)

    with first.exclusive("a"), pytest.raises(Unavailable, match="is busy"), second.exclusive("a"):
        pass

    with second.exclusive("a"):
        pass
    first.close()
    second.close()


def test_insert_new_counts_only_what_was_not_there(database: Database) -> None:
    one = {"id": "one", "name": "一", "created_at": NOW}
    two = {"id": "two", "name": "二", "created_at": NOW}

    with database.transaction() as session:
        counts = [
            insert_new(session, CentreRow, [], unique=("id",)),
            insert_new(session, CentreRow, [one], unique=("id",)),
            insert_new(session, CentreRow, [one | {"name": "changed"}, two], unique=("id",)),
            insert_new(session, CentreRow, [one, two], unique=("id",)),
        ]

    assert counts == [0, 1, 1, 0]
    with database.reading() as session:
        assert session.get_one(CentreRow, "one").name == "一"


def test_insert_new_takes_thousands_and_skips_twins_among_them(database: Database) -> None:
    many = [{"id": f"centre-{n % 3000}", "name": "x", "created_at": NOW} for n in range(4000)]

    with database.transaction() as session:
        count = insert_new(session, CentreRow, many, unique=("id",))

    assert count == 3000


def test_insert_new_fills_defaults_and_follows_partial_indexes(filled: Database, rows: Any) -> None:
    voided = rows.event(id="e0", voided_at=NOW)
    event = rows.event().model_dump(exclude={"voided_at", "void_reason"})
    unique = ("case_id", "event", "occurred_at")

    with filled.transaction() as session:
        session.add(voided)
        first = insert_new(session, CaseEventRow, [event], unique=unique)
        again = insert_new(session, CaseEventRow, [event | {"id": "e2"}], unique=unique)

    assert (first, again) == (1, 0)
    with filled.reading() as session:
        assert session.get_one(CaseEventRow, "e1").void_reason == ""


def test_insert_new_sees_what_the_session_holds_unwritten(database: Database, rows: Any) -> None:
    with database.transaction() as session:
        session.add(rows.centre())
        count = insert_new(session, CentreRow, [rows.centre().model_dump()], unique=("id",))

    assert count == 0


def test_insert_new_hides_no_other_clash(filled: Database, rows: Any) -> None:
    twin = rows.case(reference="A-2").model_dump()

    with pytest.raises(IntegrityError), filled.transaction() as session:
        insert_new(session, CaseRow, [twin], unique=("centre_id", "reference"))


def test_an_opt_out_everywhere_is_not_an_opt_out_of_one_centre(filled: Database) -> None:
    everywhere = {"id": "o1", "address_index": "i", "source": "cli", "created_at": NOW}
    here = everywhere | {"id": "o2", "centre_id": "chengdu-01"}

    with filled.transaction() as session:
        counts = [
            insert_new(session, OptOutRow, [everywhere], unique=("address_index",)),
            insert_new(session, OptOutRow, [everywhere | {"id": "o3"}], unique=("address_index",)),
            insert_new(session, OptOutRow, [here], unique=("address_index", "centre_id")),
        ]

    assert counts == [1, 0, 1]


def test_on_sqlite_what_a_transaction_read_holds_until_it_writes(
    sqlite_database: Database, rows: Any
) -> None:
    with sqlite_database.transaction() as session:
        session.add_all([rows.centre(), rows.case()])

    def count_up() -> None:
        for _ in range(25):
            with sqlite_database.transaction() as session:
                session.get_one(CaseRow, "c1").version += 1

    run_together([count_up] * 4)

    with sqlite_database.reading() as session:
        assert session.get_one(CaseRow, "c1").version == 101


def test_concurrent_claimers_win_each_reminder_once(filled: Database, rows: Any) -> None:
    with filled.transaction() as session:
        session.add_all(rows.reminder(id=f"r-{n}", step=f"s-{n}") for n in range(40))
    start = Barrier(4)
    won: list[str] = []

    def claim_all(owner: str) -> None:
        with filled.reading() as session:
            planned = session.exec(
                select(ReminderRow.id).where(ReminderRow.state == "planned")
            ).all()
        start.wait()  # everyone has read every reminder as planned
        won.extend(one for one in planned if claim(filled, one, owner))

    run_together([partial(claim_all, f"owner-{n}") for n in range(4)])

    assert len(won) == len(set(won)) == 41


def run_together(tasks: Sequence[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(tasks)) as pool:
        for done in [pool.submit(task) for task in tasks]:
            done.result()


def claim(database: Database, reminder_id: str, owner: str) -> bool:
    with database.transaction() as session:
        taken = session.exec(
            update(ReminderRow)
            .where(col(ReminderRow.id) == reminder_id, col(ReminderRow.state) == "planned")
            .values(state="submitting", owner=owner)
        )
    return taken.rowcount == 1
