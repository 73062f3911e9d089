"""The duties of a worker, each with its interval, under the configuration in force.

A changed file under config/ or templates/ is taken up while running; a faulty one is reported, and
what was in force stays in force.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from worker.channels.heartbeat import beat
from worker.domain.errors import Fault, QidaError
from worker.runtime import Knowledge, Runtime, folder, know_centres, load_knowledge, refresh
from worker.services.auditing import audit
from worker.services.bouncing import take_bounces
from worker.services.context import Context
from worker.services.forecasting import warn_of_late
from worker.services.importing import take_imports
from worker.services.inbox import Seen, take_in
from worker.services.operations import EVERY, last_worked_at, run_duty
from worker.services.recalculating import recalculate
from worker.services.receipts import poll
from worker.services.retention import retain
from worker.services.sending import send_due
from worker.services.settling import rescue, settle_uncertain
from worker.services.staff import mail_staff
from worker.services.sweeping import is_sweep_due, redact, sweep

log = logging.getLogger(__name__)

Signature = frozenset[tuple[Path, float, int]]
Duty = Callable[[Context, datetime], Mapping[str, int]]

_REHEARSED = (
    "imports", "recalculate", "rescue", "settle", "poll", "send", "audit", "staff", "retain",
)  # fmt: skip
"""What is done for the cases of test keys: every duty that needs no folder and no provider."""


@dataclass(slots=True)
class Duties:
    """Every duty of one worker. Holds the one thing that changes while it runs: the context."""

    runtime: Runtime
    keep_going: Callable[[], bool] = lambda: True
    context: Context = field(init=False)
    _files: Signature = field(init=False)
    _seen: Seen = field(default_factory=dict)
    _swept_at: datetime | None = None

    def __post_init__(self) -> None:
        self.context = self.runtime.context
        self._files = _signature(self.runtime.settings.home)

    def all(self) -> dict[str, tuple[Callable[[], Counter[str]], timedelta]]:
        """Every duty by name, in the order one pass takes them, with its interval."""
        duties = self._by_name()
        if self.runtime.rehearsal is not None:
            duties["rehearse"] = self._rehearse
        return {name: (self._bound(name, duty), EVERY[name]) for name, duty in duties.items()}

    def _by_name(self) -> dict[str, Duty]:
        return {
            "reload": self._reload,
            "inbox": self._take_in,
            "imports": self._take_imports,
            "recalculate": _named(recalculate),
            "rescue": _named(rescue),
            "settle": _named(settle_uncertain),
            "poll": _named(poll),
            "send": self._send,
            "bounces": self._take_bounces,
            "audit": self._audit,
            "staff": _named(mail_staff),
            "forecast": _named(warn_of_late),
            "redact": _named(redact),
            "sweep": self._sweep,
            "retain": _named(retain),
        }

    def tick(self) -> dict[str, Counter[str]]:
        """One pass of every duty, in order."""
        return {name: duty() for name, (duty, _) in self.all().items()}

    def _bound(self, name: str, duty: Duty) -> Callable[[], Counter[str]]:
        def run() -> Counter[str]:
            return run_duty(self.context, name, duty, now=self.runtime.clock.now())

        return run

    def _rehearse(self, context: Context, now: datetime) -> Mapping[str, int]:
        """Every duty that needs no folder and no provider, for the cases of test keys; one after
        the other, so that they take a live installation one thread at most."""
        own = self.runtime.rehearse(context)
        if own is None:
            return {}
        duties = self._by_name() | {"audit": _named(audit)}  # the sign of life is the live one's
        duties = {name: duties[name] for name in _REHEARSED}
        done = [run_duty(own, name, duty, now=now) for name, duty in duties.items()]
        return sum(done, Counter[str]())

    def _send(self, context: Context, now: datetime) -> Mapping[str, int]:
        return send_due(context, now=now, keep_going=self.keep_going)

    def _take_imports(self, context: Context, now: datetime) -> Mapping[str, int]:
        return take_imports(context, now=now, keep_going=self.keep_going)

    def _take_bounces(self, context: Context, now: datetime) -> Mapping[str, int]:
        return take_bounces(context, self.runtime.settings.bounces, now=now)

    def _sweep(self, context: Context, now: datetime) -> Mapping[str, int]:
        if not is_sweep_due(self._swept_at or last_worked_at(context, "sweep"), now):
            return {}
        counts = sweep(context, now=now)
        if counts["incomplete"]:
            return {}  # not done: the next pass asks again, whoever makes it
        self._swept_at = now
        return counts

    def _audit(self, context: Context, now: datetime) -> Mapping[str, int]:
        """The reverse audit; whoever waits for our sign of life hears it only after a clean one."""
        counts = audit(context, now=now)
        url = self.runtime.settings.heartbeat_url
        is_clean = not counts["called"] and not counts["failed"]
        if url and is_clean and not beat(url):
            log.warning("heartbeat.not_heard")
        return counts

    def _take_in(self, context: Context, now: datetime) -> Mapping[str, int]:
        under = hashlib.sha256(repr(sorted(self._files)).encode()).hexdigest()
        return take_in(context, self._seen, under=under, now=now)

    def _reload(self, context: Context, now: datetime) -> Mapping[str, int]:
        """Take up changed configuration; keep what is in force where a file is faulty."""
        home = self.runtime.settings.home
        files = _signature(home)
        if files == self._files:
            return {}
        in_force = Knowledge(
            context.rulebook, context.centres, context.calendars, context.templates
        )
        try:
            knowledge, faults = load_knowledge(home, in_force)
        except QidaError as error:
            self._files = files
            log.exception("config.refused", extra={"reason": error.text.en})
            return {"faults": 1}
        for fault in faults:
            _say(fault)
        know_centres(context.db, knowledge.centres, now)
        self.context = refresh(context, knowledge)
        self._files = files  # last: a database that was busy is no reason to forget the change
        return {"reloaded": 1, "faults": len(faults)}


def _named(service: Callable[..., Counter[str]]) -> Duty:
    return lambda context, now: service(context, now=now)


def _say(fault: Fault) -> None:
    """Without the value: what stands in a wrong place may be a person's."""
    said = {"place": fault.place, "code": fault.code, "reason": str(fault.message)}
    log.error("config.fault", extra=said | {"mend": str(fault.mend)})


def _signature(home: Path) -> Signature:
    """Which configuration files there are, with time and size; rosters are not among them."""
    found = []
    for name in ("config/rules", "config/centres", "config/calendar", "templates"):
        for path in folder(home, name).rglob("*"):
            with suppress(FileNotFoundError):  # an editor puts a new file in place of the old
                if path.is_file():
                    status = path.stat()
                    found.append((path, status.st_mtime, status.st_size))
    return frozenset(found)
