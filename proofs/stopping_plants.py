"""Planted bugs of stopping: ways in which workers stop badly, in the stopped process only."""

import signal
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from threading import Event

from proofs.plants import replace
from worker.channels.twilio_sms import TwilioSms
from worker.cli import running
from worker.domain.delivery import NotSent, Outcome, Prepared, Uncertain
from worker.engines import embedded
from worker.runtime import Runtime


def no_grace() -> None:
    """Break off at once what would have been answered."""
    replace(embedded, "GRACE", timedelta(0))


def no_end() -> None:
    """Wait for a call for as long as it takes."""

    def do_nothing(_self: Runtime) -> None:
        pass

    replace(Runtime, "interrupt", do_nothing)


def no_handler() -> None:
    """Die of the signal."""

    def never() -> Event:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return Event()

    replace(running, "stop_on_signals", never)


def unsure_is_unsent() -> None:
    """Take what was broken off for not sent."""
    submit = TwilioSms.submit

    def hopeful(self: TwilioSms, prepared: Prepared, ref: str, *, now: datetime) -> Outcome:
        outcome = submit(self, prepared, ref, now=now)
        return NotSent("broken off") if isinstance(outcome, Uncertain) else outcome

    replace(TwilioSms, "submit", hopeful)


PLANTS: Mapping[str, Callable[[], None]] = {
    "no_grace": no_grace,
    "no_end": no_end,
    "no_handler": no_handler,
    "unsure_is_unsent": unsure_is_unsent,
}
"""Every plant by its name."""
