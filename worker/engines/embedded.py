"""One process: APScheduler ticks the named duties at their intervals until told to stop.

The scheduler keeps nothing: its job store is memory, late ticks are folded into one and never
dropped (`misfire_grace_time=None`; the default loses a tick that is a second late).
"""

import gc
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from threading import Event, Timer

from apscheduler.schedulers.background import BackgroundScheduler

from worker.domain.calendar import CHINA

log = logging.getLogger(__name__)

GRACE = timedelta(seconds=20)
"""How long calls on the wire may take after a stop: supervisors kill after 30 s (Kubernetes,
`terminationGracePeriodSeconds`), and what broke off has still to be written down."""

_MANY_ROWS = 20_000
"""New objects after which to look for garbage: a claim makes thousands that go by themselves."""

_DEFAULTS = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}


def run_until(
    stop: Event,
    duties: Mapping[str, tuple[Callable[[], object], timedelta]],
    *,
    first_run: datetime,
    hurry: Callable[[], None] = lambda: None,
) -> None:
    """Run each duty at its interval counted from `first_run`, until `stop`; finish what runs.

    Where that takes longer than `GRACE`, `hurry` is called to break off what hangs.
    """
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # "maximum instances" each second
    scheduler = BackgroundScheduler(timezone=CHINA, job_defaults=_DEFAULTS)
    for name, (duty, every) in duties.items():
        seconds = every.total_seconds()
        scheduler.add_job(duty, "interval", seconds=seconds, id=name, start_date=first_run)
    gc.collect()
    gc.freeze()  # rules, templates and libraries stay: a collection need not look at them again
    gc.set_threshold(_MANY_ROWS)
    scheduler.start()
    log.info("engine.started", extra={"count": len(duties)})
    try:
        while not stop.wait(1.0):  # a signal that came just before a wait is seen after it
            pass
    finally:
        impatience = Timer(GRACE.total_seconds(), hurry)
        impatience.daemon = True
        impatience.start()
        scheduler.shutdown(wait=True)
        impatience.cancel()
        log.info("engine.stopped")
