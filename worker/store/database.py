"""The database: SQLite or PostgreSQL. How the two differ is known here and nowhere else.

Every transaction that may write takes the write lock of SQLite at once (BEGIN IMMEDIATE), so that
what it reads still holds when it writes. Every commit is on the disk before it returns.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

from worker.domain.errors import Misconfigured, Text, Unavailable
from worker.store.ids import new_id
from worker.store.rows import insert_new, insert_rows, insert_values

_WAIT = 10
"""Seconds to wait for another writer, or for a free connection, before giving up."""

_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}

_SQLITE_SETTINGS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # NORMAL loses acknowledged commits at a power cut (sqlite.org/wal.html)
    "foreign_keys = ON",
    "secure_delete = ON",  # what is erased is overwritten (PIPL art. 47)
    "journal_size_limit = 67108864",  # a long reader must not leave a huge -wal file behind
    "wal_autocheckpoint = 4000",  # pages: those at the end of an index are copied once, not often
    "cache_size = -4000",  # kB: a chunk of an import spills its pages into the log less often
)


@dataclass(frozen=True, slots=True)
class Database:
    """An open database. Threads may share it; processes may not."""

    place: str
    engine: Engine = field(repr=False)
    reader: Engine = field(repr=False)
    _single: Engine = field(repr=False)

    @classmethod
    def open(cls, url: str) -> "Database":
        """Open `sqlite:///PATH` or `postgresql://...` and make sure that it takes writes.

        A missing SQLite file is created, readable by its owner alone; its directory is not.
        Raises Unavailable, or Misconfigured for a URL that names no such database.
        """
        parsed = _parse(url)
        engines = _sqlite(parsed) if _is_sqlite(parsed) else _postgresql(parsed)
        db = cls(_place(parsed), *engines)
        try:
            with db.exclusive("opening"):
                return db
        except Unavailable:
            db.close()
            raise

    @classmethod
    def existing(cls, url: str) -> "Database | None":
        """Open a database, or None where SQLite would have to make its file. Raises as `open`."""
        parsed = _parse(url)
        if _is_sqlite(parsed) and not Path(str(parsed.database)).exists():
            return None
        return cls.open(url)

    def is_there(self) -> bool:
        """Whether the database answers at all."""
        try:
            with self.reading() as session:
                session.connection()
        except Exception:  # noqa: BLE001 - however it fails, it is not there
            return False
        return True

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits at the end, or rolls back on any error. Raises Unavailable."""
        with (
            _explained(self.place),
            Session(self.engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one moment of the database and cannot write. Raises Unavailable."""
        with (
            _explained(self.place),
            Session(self.reader, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def looking_up(self) -> Iterator[Connection]:
        """For one statement that reads. On SQLite no transaction is around it: that costs more than
        the look-up itself, with which every request begins. Raises Unavailable."""
        with _explained(self.place), self._single.connect() as connection:
            yield connection

    @contextmanager
    def exclusive(self, purpose: str) -> Iterator[Connection]:
        """A transaction that no other process can hold for the same purpose. Raises Unavailable."""
        with _explained(self.place), self.engine.begin() as connection:
            _hold(connection, purpose)
            yield connection

    def scrub(self) -> bool:
        """Empty SQLite's write-ahead log, which still holds what was erased (`secure_delete` has
        overwritten it in the file itself). False while a reader keeps it from being emptied."""
        if self.dialect != "sqlite":
            return True  # PostgreSQL recycles its log by itself; what it holds is sealed
        with _explained(self.place), closing(self.engine.raw_connection()) as connection:
            cursor = connection.cursor()
            busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return bool(busy == 0)

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()
        self.reader.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _no_such_database("-") from None  # without the URL: it may hold a password
    engine = parsed.get_backend_name()
    if engine not in _DRIVERS:
        raise _no_such_database(f"{engine}://")
    if engine == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise _no_such_database("sqlite://")
    return parsed.set(drivername=_DRIVERS[engine])


def _no_such_database(given: str) -> Misconfigured:
    return Misconfigured(
        "数据库地址须为 sqlite:///文件路径 或 postgresql://用户@主机/库名，"
        f"现为 {given}；请检查 QIDA_DATABASE_URL",
        "a database is sqlite:///FILE or postgresql://USER@HOST/NAME, "
        f"not {given}; check QIDA_DATABASE_URL",
    )


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _place(url: URL) -> str:
    """Where the database is, in words safe to print: no user, no password, no options."""
    if _is_sqlite(url):
        return str(url.database)
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{url.host or ''}{port}/{url.database or ''}"


def _sqlite(url: URL) -> tuple[Engine, Engine, Engine]:
    """Engines over one file, for writing, for reading, and for single look-ups. Writers have
    connections of their own: those of readers refuse to write."""
    with suppress(OSError):  # SQLite says better what is wrong
        path = Path(str(url.database))
        if not path.exists():
            path.touch(mode=0o600)  # -wal and -shm take over the mode
    writer = _sqlite_engine(url, _SQLITE_SETTINGS, "BEGIN IMMEDIATE")
    reader = _sqlite_engine(url, (*_SQLITE_SETTINGS, "query_only = ON"), "BEGIN")
    return writer, reader, reader.execution_options(qida_single=True)


def _sqlite_engine(url: URL, settings: Sequence[str], begin: str) -> Engine:
    engine = create_engine(
        url,
        connect_args={"isolation_level": None, "timeout": _WAIT},  # BEGIN is ours
        hide_parameters=True,
        pool_size=20,
        max_overflow=0,
        pool_timeout=_WAIT,
        pool_use_lifo=True,  # one connection with a warm cache, not twenty
    )

    def set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for setting in settings:
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    def begun(connection: Connection) -> None:
        if not connection.get_execution_options().get("qida_single"):
            connection.exec_driver_sql(begin)

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", begun)
    return engine


def _postgresql(url: URL) -> tuple[Engine, Engine, Engine]:
    """Engines for one server, sharing their connections: for writing, for reading, and for single
    look-ups. These are readers like the rest: outside a transaction a server lets all write."""
    try:
        engine = create_engine(
            url,
            connect_args={"connect_timeout": _WAIT},
            hide_parameters=True,
            pool_size=20,
            max_overflow=0,
            pool_timeout=_WAIT,
            pool_pre_ping=True,  # a restarted server costs one reconnect, not one failed job
        )
    except ModuleNotFoundError:
        raise Misconfigured(
            "使用 PostgreSQL 需要 psycopg；请安装 qida[postgres]",
            "PostgreSQL needs psycopg; install qida[postgres]",
        ) from None
    event.listen(engine, "connect", _set_up_postgresql)
    snapshot = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine, snapshot, snapshot


def _set_up_postgresql(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Wait as long as SQLite does, and never let a commit return before it is on the disk."""
    cursor = connection.cursor()
    cursor.execute(f"SELECT set_config('lock_timeout', '{_WAIT}s', false)")
    cursor.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    )
    cursor.close()
    connection.commit()


def _hold(connection: Connection, purpose: str) -> None:
    """One holder at a time until the transaction ends; on SQLite a writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(sha256(purpose.encode()).digest()[:8], signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Turn what people can mend into Unavailable, with the way to mend it."""
    try:
        yield
    except (DBAPIError, NoFreeConnection) as error:
        trouble = next(filter(None, map(_trouble, _with_what_came_before(error))), None)
        if trouble is None:
            raise
        raise Unavailable(
            f"数据库 {place} {trouble.zh}", f"the database {place} {trouble.en}"
        ) from error


def _with_what_came_before(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it: a full disk ends the whole transaction of SQLite, so that
    what SQLAlchemy complains of at last is a savepoint that is gone."""
    while error is not None:
        yield error
        error = error.__context__


def _trouble(error: BaseException) -> Text | None:
    if isinstance(error, NoFreeConnection):
        return _BUSY
    if not isinstance(error, DBAPIError):
        return None
    if isinstance(error.orig, sqlite3.Error):
        _, _, name = getattr(error.orig, "sqlite_errorname", "").partition("_")
        return _SQLITE_TROUBLES.get(name.partition("_")[0])  # BUSY_SNAPSHOT is BUSY
    usual = _UNREACHABLE if isinstance(error, OperationalError) else None
    return _POSTGRESQL_TROUBLES.get(getattr(error.orig, "sqlstate", None) or "", usual)


_BUSY = Text(
    f"正忙，等待 {_WAIT} 秒仍未轮到；请稍后再试，或查看是否有别的进程占用",
    f"is busy: no turn within {_WAIT} seconds; try again, or see which process holds it",
)
_FULL = Text(
    "所在磁盘已满；请腾出空间，之后会自动继续",
    "has no room left on its disk; make room, work goes on by itself",
)
_READ_ONLY = Text(
    "只能读不能写；请检查文件及其目录的属主、权限与挂载方式",
    "can be read but not written; check owner, mode and mount of the file and its directory",
)
_UNREACHABLE = Text(
    "无法连接或连接中断；请检查服务器是否运行，以及 QIDA_DATABASE_URL 的主机、库名、用户和密码",
    "cannot be reached or broke off; check that the server runs, and the host, name, user and "
    "password in QIDA_DATABASE_URL",
)
_SQLITE_TROUBLES: Mapping[str, Text] = {
    "BUSY": _BUSY,
    "LOCKED": _BUSY,
    "FULL": _FULL,
    "READONLY": _READ_ONLY,
    "CANTOPEN": Text(
        "无法打开；请检查目录是否存在且可写",
        "cannot be opened; check that its directory exists and can be written",
    ),
    "NOTADB": Text(
        "不是数据库文件；请检查 QIDA_DATABASE_URL，该文件未被改动",
        "is not a database; check QIDA_DATABASE_URL, the file was left as it is",
    ),
    "CORRUPT": Text(
        "已损坏；请停止服务并从备份恢复",
        "is damaged; stop the service and restore a backup",
    ),
    "IOERR": Text(
        "读写出错；请检查磁盘，然后重新启动",
        "cannot be read or written; check the disk, then start again",
    ),
}
_POSTGRESQL_TROUBLES: Mapping[str, Text] = {  # postgresql.org/docs/current/errcodes-appendix.html
    "25006": Text(
        "只能读不能写（备用服务器？）；请连接主服务器",
        "can be read but not written (a standby?); connect to the primary",
    ),
    "40001": _BUSY,
    "40P01": _BUSY,
    "53100": _FULL,
    "53300": _BUSY,
    "55P03": _BUSY,
}

__all__ = ["Database", "Session", "insert_new", "insert_rows", "insert_values", "new_id"]
