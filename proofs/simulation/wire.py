"""The wire to the SMS provider without a socket: what a client would see, and what really happened.

Each request may be refused, cut, kept hanging or answered wrongly, before or after it was done.
The stand-in for Twilio does the work; the judge reads its ledger and the journal kept here.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import TextIO
from urllib.parse import urlencode, urlsplit

from proofs.simulation.world import World
from worker.channels.twilio_http import Answer, Exchange
from worker.fake_twilio import FakeTwilio, api
from worker.fake_twilio.answers import Answer as Said
from worker.fake_twilio.answers import refusal
from worker.fake_twilio.http11 import Head, Request

READ_SECONDS = 35.0
"""How long the client waits for an answer: as `TwilioSms` does by itself."""

_PROVIDER_GIVES_UP = 30.0
"""Twilio ends a request after about 30 s; until then it may still take the message."""


class Journal:
    """What happened at the provider, in its own words: JSON lines, in order."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._file: TextIO = path.open("w", encoding="utf-8")
        self._now = now

    def note(self, what: str, **said: object) -> None:
        """One more line, with the instant."""
        line = {"what": what, "at": self._now().isoformat(), **said}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Make sure that it can be read."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class Mishaps:
    """How likely each fault of a request is; `out` are spans in which nobody can connect."""

    refused: float = 0.0
    cut: float = 0.0
    hang: float = 0.0
    busy: float = 0.0
    failing: float = 0.0
    broken: float = 0.0
    locked_out: float = 0.0
    list_fails: float = 0.0
    list_is_cut: float = 0.0
    out: tuple[tuple[datetime, datetime], ...] = ()


class Provider:
    """The stand-in, and what goes wrong on the way to it and back."""

    def __init__(self, world: World, fake: FakeTwilio, journal: Journal, mishaps: Mishaps) -> None:
        self.world = world
        self.fake = fake
        self.journal = journal
        self.mishaps = mishaps
        self.stopped: set[str] = set()

    def respond(self, call: api.Call, exchange: Exchange) -> Said:
        """What the client gets. Raises what the wire raises: OSError, HTTPException."""
        self._connect()
        exchange.may_have_left = True
        said = self._spoiled(call) or self._answered(call)
        self.world.wait(self.world.rng.uniform(0.05, 0.6))  # others may hold it up: done it is
        return said

    def _spoiled(self, call: api.Call) -> Said | None:
        """No answer, or one that tells little of what was done."""
        world, odds = self.world, self.mishaps
        if world.chance(odds.hang):
            self._hang(call)
        if world.chance(odds.cut):
            self._cut(call)
        if world.chance(odds.busy):
            return _with_header(refusal(20429), "Retry-After", str(world.rng.choice((1, 30, 900))))
        if world.chance(odds.failing):
            return self._fail(call)
        return refusal(20003) if world.chance(odds.locked_out) else None

    def _answered(self, call: api.Call) -> Said:
        """The answer as it was meant, noted where the client learns from it; or a broken 201."""
        answer = self._list(call) if call.kind == "list" else self._done(call)
        if call.kind == "create" and answer.status == 400:
            code, callback = json.loads(answer.body)["code"], call.given.get("StatusCallback", "")
            self.journal.note("refused", to=call.given.get("To"), code=code, callback=callback)
        if call.kind == "fetch" and answer.status == 200:
            said = json.loads(answer.body)
            self.journal.note("told", sid=said["sid"], status=said["status"])
        is_taken = call.kind == "create" and answer.status == 201
        if is_taken and self.world.chance(self.mishaps.broken):
            kinds = ("html", "empty", "{}", "half", "number")
            return _broken(answer, self.world.rng.choice(kinds))
        return answer

    def _connect(self) -> None:
        world, now = self.world, self.world.now
        if any(since <= now < until for since, until in self.mishaps.out):
            raise ConnectionRefusedError
        if world.chance(self.mishaps.refused):
            if world.rng.random() < 0.5:
                world.wait(5)
                raise TimeoutError
            raise ConnectionRefusedError

    def _hang(self, call: api.Call) -> None:
        """No answer in time; the request is done meanwhile, or never."""
        rng = self.world.rng
        if rng.random() < 0.6:
            after = rng.uniform(0, _PROVIDER_GIVES_UP)
            self.world.after(after, lambda: _ignore(self._done(call)))
        self.world.wait(READ_SECONDS)
        raise TimeoutError

    def _cut(self, call: api.Call) -> None:
        """The connection ends: before the request was done, after it, or amid the answer."""
        if self.world.rng.random() < 0.6:
            self._done(call)
        raise self.world.rng.choice((ConnectionResetError(), IncompleteRead(b"")))

    def _fail(self, call: api.Call) -> Said:
        """A 5xx says nothing about what was done (https://www.twilio.com/docs/api/errors/20500)."""
        if self.world.rng.random() < 0.5:
            self._done(call)
        return refusal(*self.world.rng.choice(((20500, 500), (20503, 503))))

    def _done(self, call: api.Call) -> Said:
        """The request as the stand-in does it, unless the number has refused messages."""
        self.fake.catch_up()
        to = call.given.get("To", "")
        if call.kind == "create" and to in self.stopped:
            return refusal(21610)
        answer = api.answered(self.fake, call)
        self._come_back_for_statuses(call)
        return answer

    def _come_back_for_statuses(self, call: api.Call) -> None:
        if call.kind == "create":
            for step in range(1, 6):
                self.world.after(self.fake.plan.pace * step + 0.001, self.fake.catch_up)

    def _list(self, call: api.Call) -> Said:
        """A list, whole, or in pages of one of which the next may fail, or failing at once."""
        odds = self.mishaps
        if self.world.chance(odds.list_fails):
            return refusal(20500, 500)
        if "PageToken" not in call.given and self.world.chance(odds.list_is_cut):
            return self._cut_list(call)
        answer = self._done(call)
        self._note_list(call, answer, is_whole=True)
        return answer

    def _cut_list(self, call: api.Call) -> Said:
        """Its last messages are missing, and so is the word whether more follow."""
        answer = self._done(call)
        page = json.loads(answer.body)
        page.pop("next_page_uri", None)
        page["messages"] = page["messages"][: self.world.rng.choice((0, 0, 1, 2))]
        cut = Said(answer.status, json.dumps(page).encode(), answer.headers)
        self._note_list(call, cut, is_whole=False)
        return cut

    def _note_list(self, call: api.Call, answer: Said, *, is_whole: bool) -> None:
        shown = [one["sid"] for one in json.loads(answer.body)["messages"]]
        to = call.given.get("To")
        if to:
            self.journal.note("listed", to=to, sids=shown, whole=is_whole)


class InProcessHttp:
    """Stands where `OneAttemptHttp` stands, and hands requests straight to the provider."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._exchange = Exchange()

    def watch(self) -> Exchange:
        """A fresh record that the next call fills in."""
        self._exchange = Exchange()
        return self._exchange

    def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        **_unused: object,
    ) -> Answer:
        """Send one request, once. Raises OSError, HTTPException or ValueError."""
        del headers
        exchange = self._exchange
        call = api.understood(_request(method, url, params, data, auth))
        said = self._provider.respond(call, exchange)
        found = dict(said.headers)
        exchange.status = said.status
        exchange.retry_after = found.get("Retry-After", "")
        exchange.request_id = found.get("Twilio-Request-Id", "")
        return Answer(said.status, said.body.decode("utf-8"), found)

    def interrupt(self) -> None:
        """Nothing to break off: nobody stops a worker gently here."""

    def close(self) -> None:
        """Nothing to close."""


def _request(
    method: str,
    url: str,
    params: Mapping[str, object] | None,
    data: Mapping[str, object] | None,
    auth: tuple[str, str] | None,
) -> Request:
    parts = urlsplit(url)
    query = parts.query or (urlencode(params, doseq=True) if params else "")
    target = parts.path + (f"?{query}" if query else "")
    token = b64encode(":".join(auth or ()).encode()).decode()
    body = urlencode(data, doseq=True).encode() if data is not None else b""
    return Request(Head(method, target, {"authorization": f"Basic {token}"}), body)


def _with_header(answer: Said, name: str, value: str) -> Said:
    return Said(answer.status, answer.body, (*answer.headers, (name, value)))


def _broken(answer: Said, how: str) -> Said:
    """A 201 that says nothing usable: the message is taken all the same."""
    body = {
        "html": b"<html><body>Bad Gateway</body></html>",
        "empty": b"",
        "{}": b"{}",
        "half": answer.body[: len(answer.body) // 2],
        "number": b'{"sid": 5, "status": ["queued"], "error_code": {}}',
    }[how]
    return Said(201, body, answer.headers)


def _ignore(_: object) -> None:
    """Nobody hears the answer."""


__all__ = ["HTTPException", "InProcessHttp", "Journal", "Mishaps", "Provider"]
