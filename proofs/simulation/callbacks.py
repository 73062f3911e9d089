"""Status callbacks on their way: late, doubled, out of order, lost, and forged by strangers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from proofs.simulation.wire import Journal
from proofs.simulation.world import World
from worker.fake_twilio.agenda import Agenda
from worker.fake_twilio.callbacks import Callbacks, form_of, signature
from worker.fake_twilio.messages import Message
from worker.fake_twilio.plans import CallbackRule

FORGED_CODE = "39999"
"""An error code only forgers use: if the books know it, one was believed."""

_RETRIES = (0.0, 3.0, 10.0)
"""When Twilio tries, in seconds: with `rc=5&tt=15000` all within 15 s."""

Post = Callable[[str, Mapping[str, str], Mapping[str, str]], bool]
"""Take a path, headers and form to whoever listens; whether somebody did."""


@dataclass(frozen=True, slots=True)
class Whims:
    """How callbacks go wrong."""

    lost: float = 0.0
    late: float = 0.0
    latest_seconds: float = 3600.0
    again: float = 0.0
    forged: float = 0.0


class Postman(Callbacks):
    """The stand-in's callbacks, delivered without a socket. What it was told is in the journal."""

    def __init__(self, world: World, journal: Journal, whims: Whims, post: Post) -> None:
        super().__init__("", "", Agenda())
        self._world = world
        self._journal = journal
        self._whims = whims
        self._post = post
        self.token = ""

    def tell(self, message: Message, rule: CallbackRule | None, at: datetime) -> None:
        """Note the status, and let its callbacks go out as chance will have it."""
        del rule
        status, code = message.status, message.error_code
        self._journal.note("status", sid=message.sid, status=status, code=code, since=str(at))
        form = form_of(message, at)
        for _ in range(2 if self._world.chance(self._whims.again) else 1):
            if not self._world.chance(self._whims.lost):
                self._post_later(message.callback, form, self._delay())
        if self._world.chance(self._whims.forged):
            self._forge(message.callback, form)

    def _delay(self) -> float:
        if self._world.chance(self._whims.late):
            return self._world.rng.uniform(0, self._whims.latest_seconds)
        return self._world.rng.uniform(0.1, 3)

    def _post_later(self, url: str, form: Mapping[str, str], delay: float) -> None:
        signed = signature(self.token, url.partition("#")[0], form)
        self._world.after(delay, lambda: self._try(url, form, signed, 0))

    def _try(self, url: str, form: Mapping[str, str], signed: str, tried: int) -> None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if signed:
            headers["X-Twilio-Signature"] = signed
        if self._post(urlsplit(url).path, headers, form):
            if form.get("ErrorCode") != FORGED_CODE:
                self._journal.note("told", sid=form["MessageSid"], status=form["MessageStatus"])
            return
        if tried + 1 == len(_RETRIES):
            return
        gap = _RETRIES[tried + 1] - _RETRIES[tried]
        self._world.after(gap, lambda: self._try(url, form, signed, tried + 1))

    def _forge(self, url: str, form: Mapping[str, str]) -> None:
        """A stranger who has seen the URL says the contrary of what is true."""
        rng = self._world.rng
        sid = form["MessageSid"] if rng.random() < 0.5 else f"SM{rng.getrandbits(128):032x}"
        status = "delivered" if form["MessageStatus"] == "undelivered" else "undelivered"
        lie = {**form, "MessageSid": sid, "MessageStatus": status, "ErrorCode": FORGED_CODE}
        guess = f"{rng.getrandbits(128):032x}"
        signed = signature(guess, url.partition("#")[0], lie) if rng.random() < 0.7 else ""
        if rng.random() < 0.3:  # truly signed, for another of the provider's customers
            lie["AccountSid"] = f"AC{rng.getrandbits(128):032x}"
            signed = signature(self.token, url.partition("#")[0], lie)
        self._journal.note("forged", sid=sid, status=status)
        delay = rng.uniform(0, 30)
        self._world.at(self._world.now + timedelta(seconds=delay),
                       lambda: self._try(url, lie, signed, len(_RETRIES) - 1))  # fmt: skip
