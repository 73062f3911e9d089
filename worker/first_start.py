"""What the first start of an installation makes, and every start checks: folders, keys, stamp."""

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from worker.domain.centres import Centre
from worker.domain.errors import Misconfigured, Unavailable
from worker.settings import Settings
from worker.store.database import Database, insert_new
from worker.store.installation import Stamp, is_stamped
from worker.store.installation import check as check_installation
from worker.store.installation import stamp as stamp_installation
from worker.store.keys import KeyRing, create_key_ring, load_key_ring
from worker.store.migrations import migrate
from worker.store.tables import CentreRow

log = logging.getLogger(__name__)


def make_var(var: Path) -> None:
    try:
        var.mkdir(mode=0o700, parents=True, exist_ok=True)
        (var / "inbox").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"无法建立目录 {var}（{error.strerror}）；请检查 QIDA_HOME 的权限",
            f"the folder {var} cannot be made ({error.strerror}); check QIDA_HOME",
        ) from error


def keys_of(settings: Settings, db: Database, *, stamp: Stamp, now: datetime) -> KeyRing:
    """The key ring of this database, drawn at the first start. Raises Misconfigured."""
    migrate(db)
    path = settings.keys
    if not path.exists():
        _refuse_to_replace_keys(db, path)
        create_key_ring(path)
        log.warning("keys.created", extra={"place": str(path)})
    keys = load_key_ring(path)
    with db.transaction() as session:
        stamp_installation(session, keys, stamp=stamp, now=now)
        check_installation(session, keys, wanted=stamp)
    return keys


def _refuse_to_replace_keys(db: Database, path: Path) -> None:
    """A database in use without its keys is a mistake to mend, not a reason for new keys."""
    with db.reading() as session:
        if is_stamped(session):
            raise Misconfigured(
                f"找不到此数据库的密钥文件 {path}；请从备份恢复，没有它无法解开个人信息",
                f"the key file of this database, {path}, is missing; restore it from its backup, "
                "personal data stays sealed without it",
            )


def know_centres(db: Database, centres: Mapping[str, Centre], now: datetime) -> None:
    """Make sure that every configured centre has its row."""
    rows = [{"id": one.id, "name": one.name, "created_at": now} for one in centres.values()]
    with db.transaction() as session:
        insert_new(session, CentreRow, rows, unique=("id",))
