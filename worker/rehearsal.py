"""The rehearsal: where the cases of test keys live beside an installation that sends for real."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock

from worker.clock import Clock
from worker.domain.centres import Centre
from worker.domain.delivery import Channel, ChannelKind
from worker.first_start import keys_of, know_centres, make_var
from worker.providers import open_channels
from worker.services.context import Context, Senders
from worker.settings import Settings
from worker.store.database import Database
from worker.store.keys import KeyRing


@dataclass(frozen=True, slots=True)
class _Own:
    """What a rehearsal shares with nobody."""

    db: Database
    keys: KeyRing
    channels: Mapping[ChannelKind, Channel]
    senders: Senders = field(default_factory=Senders)


class Rehearsal:
    """Where test keys live on an installation that sends for real: a database, a key ring and a
    sandbox of their own in `var/rehearsal`, under the configuration in force (decision 0010).

    Made with the first test key. Nothing of it is in the live database and nothing of a live key
    is in it: neither is opened for the other.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = rehearsal_settings(settings)
        self._clock = clock
        self._own: _Own | None = None
        self._centres: Mapping[str, Centre] = {}
        self._lock = Lock()

    def context(self, live: Context) -> Context | None:
        """The rehearsal under the configuration of `live`; None before the first test key.

        Raises Misconfigured, Unavailable.
        """
        with self._lock:
            is_there = self._own is not None or self.settings.keys.exists()
            return self._in_force(live) if is_there else None

    def made(self, live: Context) -> Context:
        """The same, set up if need be."""
        with self._lock:
            return self._in_force(live)

    def _in_force(self, live: Context) -> Context:
        own = self._own or self._opened()
        self._own = own
        if self._centres is not live.centres:
            know_centres(own.db, live.centres, self._clock.now())
            self._centres = live.centres
        return replace(live, db=own.db, keys=own.keys, channels=own.channels,
                       home=self.settings.home, simulated=True, senders=own.senders)  # fmt: skip

    def _opened(self) -> "_Own":
        settings = self.settings
        make_var(settings.var)
        db = Database.open(settings.database)
        keys = keys_of(settings, db, stamp="test", now=self._clock.now())
        return _Own(db, keys, open_channels(settings))

    def close(self) -> None:
        """Close what was opened."""
        if self._own is not None:
            self._own.db.close()
            for channel in self._own.channels.values():
                channel.close()


def rehearsal_settings(settings: Settings) -> Settings:
    """The settings of an installation's rehearsal: a home of its own, the sandbox for whatever the
    installation sends by, and nobody outside who is told of it."""
    own = {"home": settings.var / "rehearsal", "database_url": "", "key_ring": None,
           "public_url": "", "heartbeat_url": "", "bounces": None,
           "sms": "sandbox" if settings.sms else None,
           "email": "sandbox" if settings.email else None}  # fmt: skip
    return settings.model_copy(update=own)
