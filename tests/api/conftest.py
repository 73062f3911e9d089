"""The application served on loopback over a real installation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from tests.api.office import Office as Caller
from tests.services.desk import Desk, Office, Provider, beijing
from worker.api.app import create_app
from worker.api.pace import Pace
from worker.api.server import served
from worker.clock import FixedClock
from worker.domain.delivery import Accepted
from worker.runtime import Callbacks, Knowledge, require_knowledge
from worker.store.database import Database
from worker.store.installation import stamp
from worker.store.keys import KeyRing

ROOT = Path(__file__).parents[2]
PUBLIC_URL = "https://reminders.example.com"
ACCOUNT = "AC" + "0" * 32
TOKENS = ("the-present-token", "the-token-before")
MESSAGE = "SM" + "a" * 32


class Twilio(Provider):
    """A provider that answers as Twilio would name its messages."""

    name = "twilio"


@dataclass
class Site:
    """The served application, and the desk behind it."""

    desk: Desk
    port: int

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Status and body of one request."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def call_back(
        self, status: str, *, ref: str = "", token: str = TOKENS[0], **fields: str
    ) -> int:
        """A status callback as Twilio makes them, signed with `token`."""
        path = f"/hooks/twilio/{ref or self.desk.attempts()[-1].ref}"
        said = {
            "MessageSid": MESSAGE,
            "MessageStatus": status,
            "AccountSid": ACCOUNT,
            "ApiVersion": "2010-04-01",
        } | fields
        signature = RequestValidator(token).compute_signature(PUBLIC_URL + path, said)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": signature,
        }
        return self.ask("POST", path, urlencode(said).encode(), headers)[0]


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    """What the shipped files say."""
    return require_knowledge(ROOT)


@pytest.fixture
def desk(
    tmp_path: Path, keys: KeyRing, sqlite_database: Database, knowledge: Knowledge
) -> Iterator[Desk]:
    """One message on its way through a provider called twilio."""
    office = Office(tmp_path, keys, knowledge)
    desk = office.desk(sqlite_database, FixedClock(beijing("2026-11-20T16:30")))
    desk.enrol()
    desk.through(Twilio(Accepted(MESSAGE)))
    yield desk
    office.close()


@pytest.fixture
def site(desk: Desk) -> Iterator[Site]:
    """The application over the desk."""
    desk.send()
    callbacks = Callbacks(PUBLIC_URL, ACCOUNT, TOKENS)
    app = create_app(lambda: desk.context, desk.clock, callbacks)
    with served(app, "127.0.0.1", 0) as port:
        yield Site(desk, port)


@pytest.fixture
def anyone(
    tmp_path: Path, keys: KeyRing, sqlite_database: Database, knowledge: Knowledge
) -> Iterator[Caller]:
    """Someone without a key before an installation of two centres; demo's case is A-1."""
    twin = replace(knowledge.centres["demo"], id="twin")
    office = Office(tmp_path, keys, replace(knowledge, centres={**knowledge.centres, "twin": twin}))
    desk = office.desk(sqlite_database, FixedClock(beijing("2026-11-20T16:30")))
    with sqlite_database.transaction() as session:
        stamp(session, keys, stamp="test", now=desk.now)
    desk.enrol(centre="demo")
    app = create_app(lambda: desk.context, desk.clock)
    with served(app, "127.0.0.1", 0) as port:
        yield Caller(desk, port)
    office.close()


@pytest.fixture
def office(anyone: Caller) -> Caller:
    """The system of the centre demo."""
    return anyone.holding("demo")


@pytest.fixture
def other(anyone: Caller) -> Caller:
    """The system of another centre, which has no case."""
    return anyone.holding("twin")


@pytest.fixture
def slow(anyone: Caller) -> Iterator[Caller]:
    """The system of demo before an application that lets a key ask twice an hour."""
    desk = anyone.desk
    app = create_app(lambda: desk.context, desk.clock, pace=Pace("2/hour"))
    with served(app, "127.0.0.1", 0) as port:
        yield replace(anyone.holding("demo"), port=port)
