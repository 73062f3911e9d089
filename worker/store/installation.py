"""What a database was made for, `test` or `live`, and which key ring belongs to it."""

from datetime import datetime
from typing import Literal

from sqlalchemy import inspect
from sqlmodel import select

from worker.domain.errors import Misconfigured
from worker.store.database import Database, Session, insert_new
from worker.store.keys import CannotOpen, KeyRing
from worker.store.tables import InstallationRow

Stamp = Literal["test", "live"]

_ID = 1


def stamp(session: Session, keys: KeyRing, *, stamp: Stamp, now: datetime) -> None:
    """Mark a database at its first start; a mark it already bears stays. `check` comes after."""
    row = {
        "id": _ID,
        "stamp": stamp,
        "key_check": keys.seal(_canary(keys), **_CANARY_PLACE),
        "created_at": now,
    }
    insert_new(session, InstallationRow, [row], unique=("id",))


def is_stamped(session: Session) -> bool:
    """Whether the database was set up before."""
    return session.get(InstallationRow, _ID) is not None


def stamp_of(session: Session) -> str:
    """`test` or `live`; empty before the first start."""
    return session.connection().execute(STAMP).scalar() or ""


STAMP = select(InstallationRow.stamp).where(InstallationRow.id == _ID)
"""What the database is for: one value."""


def is_set_up(db: Database) -> bool:
    """Whether a database holds our tables and was stamped; asked of one that may be anybody's."""
    with db.reading() as session:
        return inspect(session.connection()).has_table("installation") and is_stamped(session)


def check(session: Session, keys: KeyRing, *, wanted: Stamp) -> None:
    """Make sure that database, keys and channels belong together. Raises Misconfigured."""
    row = session.get(InstallationRow, _ID)
    if row is None:
        raise Misconfigured(
            "数据库尚未初始化；请先运行 qida migrate",
            "the database was never set up; run qida migrate first",
        )
    _check_keys(row, keys)
    if row.stamp != wanted:
        raise _wrong_stamp(wanted)


def _check_keys(row: InstallationRow, keys: KeyRing) -> None:
    """The canary holds an index, so that it misses no key a search depends on."""
    try:
        fits = keys.open(row.key_check, **_CANARY_PLACE) == _canary(keys)
    except CannotOpen:
        fits = False
    if not fits:
        raise Misconfigured(
            "密钥文件与数据库不符；请恢复与此数据库一起备份的密钥文件，不要新建",
            "the key file does not belong to this database; restore the one saved with it, "
            "do not make a new one",
        )


def _wrong_stamp(wanted: Stamp) -> Misconfigured:
    if wanted == "test":
        return Misconfigured(
            "此数据库为正式库（live），拒绝沙箱渠道；请为测试另设 QIDA_DATABASE_URL",
            "this database is stamped live and refuses the sandbox; "
            "give tests a QIDA_DATABASE_URL of their own",
        )
    return Misconfigured(
        "此数据库为测试库（test），拒绝真实渠道；请为正式使用另设 QIDA_DATABASE_URL",
        "this database is stamped test and refuses real channels; "
        "give live use a QIDA_DATABASE_URL of its own",
    )


def _canary(keys: KeyRing) -> str:
    return keys.index("key_check", centre_id="")


_CANARY_PLACE = {
    "table": "installation",
    "column": "key_check",
    "row_id": str(_ID),
    "centre_id": "",
}
