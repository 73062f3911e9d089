"""Talking to the stand-in as a client, a test and a receiver of callbacks do: over sockets."""

import base64
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from worker.clock import FixedClock
from worker.fake_twilio import ACCOUNT, TOKEN, FakeTwilio, running

NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
SERVICE = "MG" + "0" * 31 + "1"
SENDER = "+15005550006"
DELIVERED = "+8610000000001"
FORM = {"To": DELIVERED, "From": SENDER, "Body": "【期达】测试甲，您的社保卡可以领取了。"}
AUTHORIZATION = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()


class Said(NamedTuple):
    """An answer as its client read it."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def data(self) -> Any:  # whatever the JSON holds
        """The answer's JSON."""
        return json.loads(self.text)


@dataclass(frozen=True)
class Talk:
    """A running stand-in."""

    url: str

    @property
    def place(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    def ask(
        self, method: str, target: str, form: Mapping[str, str] | None = None, **headers: str
    ) -> Said:
        """One request on a connection of its own."""
        kind = {} if form is None else {"Content-Type": "application/x-www-form-urlencoded"}
        given = {"Authorization": AUTHORIZATION} | kind | headers
        with closing(http.client.HTTPConnection(self.place, timeout=20)) as connection:
            connection.request(method, target, None if form is None else urlencode(form), given)
            answer = connection.getresponse()
            return Said(answer.status, answer.read().decode(), dict(answer.headers))

    def create(self, **changes: str) -> Said:
        """Send a message; an empty value leaves a parameter out."""
        form = {name: value for name, value in (FORM | changes).items() if value}
        return self.ask("POST", MESSAGES, form)

    def created(self, **changes: str) -> str:
        """Send a message that must be taken, and return its sid."""
        said = self.create(**changes)
        assert said.status == 201, said
        return str(said.data["sid"])

    def fetch(self, sid: str) -> Any:  # whatever the JSON holds
        """A message as it is now."""
        return self.ask("GET", path_of(sid)).data

    def listed(self, **filters: str) -> list[str]:
        """The sids of a list's first page."""
        said = self.ask("GET", f"{MESSAGES}?{urlencode(filters)}")
        assert said.status == 200, said
        return [message["sid"] for message in said.data["messages"]]

    def control(self, method: str, path: str, given: object = None) -> Any:  # any JSON
        """Ask the control API, which must agree."""
        said = self.try_control(method, path, given)
        assert said.status == 200, said
        return said.data

    def try_control(self, method: str, path: str, given: object = None) -> Said:
        """Ask the control API."""
        with closing(http.client.HTTPConnection(self.place, timeout=20)) as connection:
            body = None if given is None else json.dumps(given)
            connection.request(method, f"/_fake{path}", body)
            answer = connection.getresponse()
            return Said(answer.status, answer.read().decode(), dict(answer.headers))

    def later(self, seconds: float) -> None:
        """Move its clock on; the callbacks that fell due have been answered afterwards."""
        self.control("POST", "/clock", {"advance": seconds})

    def ledger(self) -> list[Mapping[str, str | None]]:
        """What it accepted."""
        rows = self.control("GET", "/ledger")
        assert isinstance(rows, list)
        return rows

    @contextmanager
    def raw(self) -> Iterator[socket.socket]:
        """A bare connection."""
        host, port = self.place.split(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            yield connection


@contextmanager
def talk(plan: Mapping[str, object] | None = None, **settings: Any) -> Iterator[Talk]:
    """A stand-in on a clock that stands still until it is moved."""
    fake = FakeTwilio(plan=plan, now=FixedClock(NOW).now, **settings)
    with running(fake) as url:
        yield Talk(url)


def written(form: Mapping[str, str], *headers: str) -> bytes:
    """A create as bytes."""
    body = urlencode(form)
    lines = [
        f"POST {MESSAGES} HTTP/1.1",
        "Host: fake",
        f"Authorization: {AUTHORIZATION}",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", body]).encode()


def path_of(sid: str) -> str:
    """Where a message is found."""
    return MESSAGES.replace(".json", f"/{sid}.json")


@dataclass(frozen=True)
class Heard:
    """A callback as it arrived."""

    target: str
    headers: Mapping[str, str]
    form: Mapping[str, str]

    @property
    def status(self) -> str:
        """The status it tells of."""
        return self.form["MessageStatus"]


class Ear:
    """A receiver of callbacks; `answers` are the HTTP statuses it gives, 204 once they are used."""

    def __init__(self, url: str, heard: list[Heard], answers: list[int]) -> None:
        self.url = url
        self.heard = heard
        self.answers = answers

    @property
    def statuses(self) -> list[str]:
        """What it heard of, in order."""
        return [heard.status for heard in self.heard]


@contextmanager
def listening() -> Iterator[Ear]:
    """A receiver on loopback."""
    heard: list[Heard] = []
    answers: list[int] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = dict(parse_qsl(body, keep_blank_values=True))
            heard.append(Heard(self.path, dict(self.headers), form))
            self.send_response(answers.pop(0) if answers else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield Ear(f"http://127.0.0.1:{server.server_address[1]}/hooks/ref-1", heard, answers)
        server.shutdown()
        thread.join()
