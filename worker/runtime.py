"""The composition root: settings, configuration, database and channels become one Runtime."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from worker.clock import Clock
from worker.domain.calendar import Notice, WorkingCalendar
from worker.domain.centres import Centre
from worker.domain.errors import Fault, Misconfigured, Unavailable
from worker.holidays import build_calendar
from worker.providers import is_test, open_channels
from worker.rulebook import Rulebook, load_centres, load_rulebook, read_notices, require
from worker.services.context import Context, Senders
from worker.settings import Settings
from worker.store.database import Database, insert_new
from worker.store.installation import Stamp, is_set_up, is_stamped
from worker.store.installation import check as check_installation
from worker.store.installation import stamp as stamp_installation
from worker.store.keys import KeyRing, create_key_ring, load_key_ring
from worker.store.migrations import migrate
from worker.store.tables import CentreRow
from worker.templating import Templates

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "_shipped"
"""Where a wheel carries config/ and templates/; a checkout has them beside the package."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the files under config/ and templates/ say, all consistent."""

    rulebook: Rulebook
    centres: Mapping[str, Centre]
    calendars: Mapping[str, WorkingCalendar]
    templates: Templates


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What a Twilio callback is checked against; `tokens` are two while one replaces the other."""

    public_url: str
    account_sid: str
    tokens: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything a command needs, put together once; `new_keys` says where keys were just made."""

    settings: Settings
    clock: Clock
    context: Context
    new_keys: Path | None = None

    @property
    def is_test(self) -> bool:
        """Whether nothing that is sent can leave this machine."""
        return is_test(self.settings)

    @property
    def callbacks(self) -> Callbacks | None:
        """What status callbacks are checked against, where a provider makes them."""
        settings = self.settings
        if settings.sms != "twilio" or not settings.public_url:
            return None
        tokens = (settings.twilio_auth_token, settings.twilio_auth_token_old)
        return Callbacks(settings.public_url, settings.twilio_account_sid,
                         tuple(token for token in tokens if token))  # fmt: skip

    def interrupt(self) -> None:
        """Break off what hangs on the wire, and begin nothing more."""
        self.context.senders.is_stopping = True
        for channel in self.context.channels.values():
            channel.interrupt()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a command needs that only looks things up, beside whatever faulty file."""

    settings: Settings
    db: Database


def folder(home: Path, name: str) -> Path:
    """A folder of configuration: the user's own if it exists, else the one shipped."""
    own = home / name
    if own.is_dir():
        return own
    shipped = SHIPPED if SHIPPED.is_dir() else Path(__file__).parent.parent
    return shipped / name


def load_knowledge(
    home: Path, previous: Knowledge | None = None
) -> tuple[Knowledge, tuple[Fault, ...]]:
    """Read all configuration; faulty files leave what `previous` held, and are all reported.

    A centre moved to a region whose calendar is not in force yet stays where it was.
    """
    rulebook, faults = load_rulebook(
        folder(home, "config/rules"), previous.rulebook if previous else None
    )
    centres, more = load_centres(
        folder(home, "config/centres"), rulebook, previous.centres if previous else None
    )
    notices, most = read_notices(folder(home, "config/calendar"))
    templates = Templates.load(folder(home, "templates"))
    calendars, wrong = _calendars(notices, centres)
    if previous and (most or wrong):
        calendars = previous.calendars
        centres = {
            one.id: one
            for name, new in centres.items()
            if (one := new if new.region in calendars else previous.centres.get(name))
        }
    knowledge = Knowledge(rulebook, centres, calendars, templates)
    if templates.faults and previous:
        knowledge = replace(knowledge, templates=previous.templates)
    return knowledge, (*faults, *more, *most, *wrong, *templates.faults)


def _calendars(
    notices: Sequence[Notice], centres: Mapping[str, Centre]
) -> tuple[Mapping[str, WorkingCalendar], tuple[Fault, ...]]:
    """The calendar of every region, or the package's own with what is wrong with the notices."""
    regions = {"", *(centre.region for centre in centres.values())}
    try:
        return {region: build_calendar(notices, region) for region in regions}, ()
    except Misconfigured as error:
        return dict.fromkeys(regions, build_calendar()), error.faults


def require_knowledge(home: Path) -> Knowledge:
    """All configuration. Raises Misconfigured with every fault of every file."""
    knowledge: Knowledge = require(load_knowledge(home))
    if not knowledge.centres:
        raise Misconfigured(
            f"{home}/config/centres 中没有网点文件",
            f"no centre file in {home}/config/centres",
        )
    return knowledge


def refresh(context: Context, knowledge: Knowledge) -> Context:
    """The same collaborators with other configuration in force."""
    return replace(
        context,
        rulebook=knowledge.rulebook,
        centres=knowledge.centres,
        calendars=knowledge.calendars,
        templates=knowledge.templates,
        _offices={},
        _terms={},
    )


@contextmanager
def open_runtime(settings: Settings, clock: Clock) -> Iterator[Runtime]:
    """Put everything together and take it apart again.

    Raises Misconfigured for wrong configuration, a missing provider setting, a missing or wrong
    key, or a database of another stamp; Unavailable where the database is out of reach.
    """
    knowledge = require_knowledge(settings.home)
    _make_var(settings.var)
    channels = open_channels(settings)
    db = Database.open(settings.database)
    try:
        simulated = all(channel.name == "sandbox" for channel in channels.values())
        first_start = not settings.keys.exists()
        keys = _keys(settings, db, stamp="test" if is_test(settings) else "live", now=clock.now())
        know_centres(db, knowledge.centres, clock.now())
        yield Runtime(
            settings,
            clock,
            Context(
                db=db,
                keys=keys,
                rulebook=knowledge.rulebook,
                centres=knowledge.centres,
                calendars=knowledge.calendars,
                templates=knowledge.templates,
                channels=channels,
                home=settings.home,
                simulated=simulated,
                send_threads=settings.send_threads,
                send_batch=settings.send_batch,
                senders=Senders(settings.sms_parts_per_second),
            ),
            settings.keys if first_start else None,
        )
    finally:
        db.close()
        for channel in channels.values():
            channel.close()


@contextmanager
def open_to_read(settings: Settings) -> Iterator[Reading]:
    """What is on record. No channel, key or rule file is needed, and nothing is made.

    Raises Misconfigured where nothing was ever set up, Unavailable.
    """
    db = Database.existing(settings.database)
    if db is None:
        raise _never_set_up(settings)
    try:
        if not is_set_up(db):
            raise _never_set_up(settings)
        migrate(db)
        yield Reading(settings, db)
    finally:
        db.close()


def _never_set_up(settings: Settings) -> Misconfigured:
    zh, en = ("已另设", "set") if settings.database_url else ("未设", "not set")
    return Misconfigured(
        f"这里还没有期达的数据：QIDA_HOME 为 {settings.home}，QIDA_DATABASE_URL {zh}；"
        "请核对；首次使用请先运行 qida enrol 或 qida run",
        f"nothing was ever set up here: QIDA_HOME is {settings.home}, QIDA_DATABASE_URL is {en}; "
        "check them, or begin with qida enrol or qida run",
    )


def calling_context(reading: Reading) -> Context:
    """What someone who must telephone works with: a faulty file is left out, not in the way.

    Raises Misconfigured where the keys are missing or unfit.
    """
    settings = reading.settings
    known, _ = load_knowledge(settings.home)
    return Context(
        db=reading.db,
        keys=load_key_ring(settings.keys),
        rulebook=known.rulebook,
        centres=known.centres,
        calendars=known.calendars,
        templates=known.templates,
        channels={},
        home=settings.home,
        simulated=False,
    )


def national_calendar(home: Path) -> WorkingCalendar:
    """The calendar without any region's notices. Raises Misconfigured with every fault."""
    notices = require(read_notices(folder(home, "config/calendar")))
    return build_calendar(notices)


def upgrade_database(settings: Settings) -> None:
    """Bring the database to the newest schema. Raises Unavailable, Misconfigured."""
    _make_var(settings.var)
    db = Database.open(settings.database)
    try:
        migrate(db)
    finally:
        db.close()


def _make_var(var: Path) -> None:
    try:
        var.mkdir(mode=0o700, parents=True, exist_ok=True)
        (var / "inbox").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"无法建立目录 {var}（{error.strerror}）；请检查 QIDA_HOME 的权限",
            f"the folder {var} cannot be made ({error.strerror}); check QIDA_HOME",
        ) from error


def _keys(settings: Settings, db: Database, *, stamp: Stamp, now: datetime) -> KeyRing:
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
