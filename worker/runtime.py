"""The composition root: settings, configuration, database and channels become one Runtime."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from worker.clock import Clock
from worker.domain.calendar import Notice, WorkingCalendar
from worker.domain.centres import Centre
from worker.domain.errors import Fault, Misconfigured
from worker.first_start import keys_of, make_var
from worker.first_start import know_centres as know_centres
from worker.holidays import build_calendar
from worker.providers import is_test, open_channels
from worker.rehearsal import Rehearsal, rehearsal_settings
from worker.rulebook import Rulebook, load_centres, load_rulebook, read_notices, require
from worker.services.context import Context, Senders
from worker.settings import Settings
from worker.store.database import Database
from worker.store.installation import is_set_up
from worker.store.keys import load_key_ring
from worker.store.migrations import migrate
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
    """Everything a command needs, put together once; `new_keys` says where keys were just made.

    `rehearsal` is there where messages are sent for real.
    """

    settings: Settings
    clock: Clock
    context: Context
    new_keys: Path | None = None
    rehearsal: Rehearsal | None = None

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

    def rehearse(self, live: Context) -> Context | None:
        """The rehearsal beside `live`, if there is one."""
        return self.rehearsal.context(live) if self.rehearsal else None

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
    make_var(settings.var)
    channels = open_channels(settings)
    db = Database.open(settings.database)
    rehearsal = None if is_test(settings) else Rehearsal(settings, clock)
    try:
        simulated = all(channel.name == "sandbox" for channel in channels.values())
        first_start = not settings.keys.exists()
        keys = keys_of(settings, db, stamp="test" if is_test(settings) else "live", now=clock.now())
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
            rehearsal,
        )
    finally:
        db.close()
        if rehearsal is not None:
            rehearsal.close()
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


@contextmanager
def open_everywhere_to_read(settings: Settings) -> Iterator[list[Reading]]:
    """What is on record, and beside it what is rehearsed. Raises as `open_to_read`."""
    own = rehearsal_settings(settings)
    with ExitStack() as opened:
        readings = [opened.enter_context(open_to_read(settings))]
        if own.keys.exists():
            readings.append(opened.enter_context(open_to_read(own)))
        yield readings


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
    make_var(settings.var)
    db = Database.open(settings.database)
    try:
        migrate(db)
    finally:
        db.close()
