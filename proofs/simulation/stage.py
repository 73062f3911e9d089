"""The product on a stage: its real services, with only time, wire and chance put in their place.

What is replaced, and nothing else: the wall clock, the thread pool, the socket to the SMS provider,
the mail relay, SQLite's syncing (no power is cut here), and the randomness of ids, so that one
seed makes one history.
"""

import logging
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.engine.interfaces import Dialect

import worker.providers
import worker.runtime
from proofs.plants import replace
from proofs.simulation.wire import InProcessHttp, Provider
from proofs.simulation.world import Died, World
from worker import clock
from worker.channels import twilio_sms
from worker.channels.twilio_http import OneAttemptHttp
from worker.clock import FixedClock
from worker.crashpoints import crash_point
from worker.domain.delivery import Channel
from worker.engines import duties
from worker.fake_twilio import ACCOUNT, TOKEN
from worker.runtime import open_runtime, require_knowledge
from worker.settings import Settings
from worker.store import database
from worker.store.ids import forget_moments
from worker.store.migrations import migrate

PUBLIC_URL = "http://127.0.0.1:8080"
BATCH = 5
"""Reminders a claim takes: few, so that a death finds others done and others to come."""

_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
_OF_THE_OUTSIDE = ("worker.fake_twilio", "worker.crashpoints", "worker.clock")
_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class Cast:
    """Who plays the outside world in the seed at hand."""

    world: World
    provider: Provider
    relay: Channel
    at_point: Callable[[str], None]
    ids: Random


@dataclass(slots=True)
class Stage:
    """One process's stage: set up once, played on seed after seed."""

    template: Path
    cast: list[Cast] = field(default_factory=list)

    def set_up(self) -> None:
        """Replace what must be replaced, and make the database every seed begins with."""
        _ = twilio_sms  # loaded before its socket is put out of place
        logging.getLogger("worker").setLevel(logging.CRITICAL)  # the judge reads books, not logs
        settings = tuple(one.replace("FULL", "OFF") for one in database._SQLITE_SETTINGS)  # noqa: SLF001
        replace(database, "_SQLITE_SETTINGS", settings)
        put_instead(create_engine, EngineOfOneDialect())
        knowledge = require_knowledge(self.template)
        replace(worker.runtime, "require_knowledge", lambda _home: knowledge)
        begin = FixedClock(_LONG_AGO)
        with open_runtime(settings_at(self.template), begin):
            pass
        put_instead(migrate, lambda _db: None)
        replace(duties, "_signature", lambda _home: frozenset())
        self._put_outside_world_in_place()

    def _put_outside_world_in_place(self) -> None:
        replace(secrets, "token_hex", self._token_hex)
        put_instead(ThreadPoolExecutor, OneAfterTheOther)
        put_instead(clock.monotonic, lambda: self.cast[-1].world.now.timestamp())
        put_instead(clock.pause, lambda seconds: self.cast[-1].world.wait(seconds))
        put_instead(crash_point, lambda name: self.cast[-1].at_point(name))
        put_instead(OneAttemptHttp, lambda *_, **__: InProcessHttp(self.cast[-1].provider))
        replace(worker.providers, "_smtp", lambda _settings: self.cast[-1].relay)

    def new_home(self, home: Path) -> Settings:
        """A fresh installation: a copy of the empty one."""
        forget_moments()  # a seed's ids must not depend on the seeds before it
        shutil.copytree(self.template / "var", home / "var")
        return settings_at(home)

    def _token_hex(self, size: int = 32) -> str:
        return f"{self.cast[-1].ids.getrandbits(size * 8):0{size * 2}x}"


def put_instead(original: object, other: object) -> None:
    """Put something in a thing's place wherever the product knows it, under whatever name."""
    for path, module in list(sys.modules.items()):
        if path.startswith("worker.") and not path.startswith(_OF_THE_OUTSIDE):
            for name in [name for name, value in vars(module).items() if value is original]:
                replace(module, name, other)


class EngineOfOneDialect:
    """`create_engine`, whose engines share one dialect and what was compiled for it: what one life
    of a worker compiled serves the next. (SQLAlchemy compiles anew for each dialect object.)"""

    def __init__(self) -> None:
        self._compiled: dict[object, object] = {}
        self._dialect: Dialect | None = None

    def __call__(self, url: URL, **named: object) -> Engine:
        """An engine for one file."""
        shared = {"compiled_cache": self._compiled}
        engine = create_engine(url, execution_options=shared, **named)
        engine.dialect = engine.pool._dialect = self._dialect = self._dialect or engine.dialect  # noqa: SLF001
        return engine


class OneAfterTheOther:
    """A thread pool of one thread that is this one."""

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def submit(self, act: Callable[..., None], *given: object) -> None:
        """Do it now."""
        act(*given)

    def map(self, act: Callable[..., _Answer], *given: Iterable[object]) -> list[_Answer]:
        """Do each now."""
        return [act(*one) for one in zip(*given, strict=True)]


def settings_at(home: Path) -> Settings:
    """An installation with both channels, under its own folder."""
    return Settings(
        home=home,
        sms="twilio",
        twilio_account_sid=ACCOUNT,
        twilio_auth_token=TOKEN,
        twilio_from="+15005550006",
        twilio_base_url="http://127.0.0.1:9",
        email="smtp",
        smtp_url="smtp://127.0.0.1:9",
        mail_from="no-reply@example.com",
        public_url=PUBLIC_URL,
        send_batch=BATCH,
        send_threads=1,
    )


__all__ = ["PUBLIC_URL", "Cast", "Died", "Stage", "settings_at"]
