"""A centre's system talking to the API on loopback."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from typing import Any, Literal, NamedTuple

from tests.services.desk import Desk
from worker.services.api_keys import create_key


class Answer(NamedTuple):
    """One response."""

    status: int
    text: str
    headers: HTTPMessage

    @property
    def body(self) -> Any:  # whatever JSON the route gives
        """The JSON of the answer."""
        return json.loads(self.text)

    @property
    def etag(self) -> str:
        """The entity tag, with its quotes."""
        return self.headers["ETag"]


@dataclass
class Office:
    """One key's view of the served application."""

    desk: Desk
    port: int
    key: str = ""

    def holding(
        self, centre_id: str | None, kind: Literal["test", "team", "live"] = "test", *scopes: str
    ) -> "Office":
        """The same with a key of its own; an operator's for no centre."""
        made = create_key(
            self.desk.context, centre_id=centre_id, kind=kind, scopes=scopes, now=self.desk.now
        )
        return Office(self.desk, self.port, made)

    def get(self, path: str, **headers: str) -> Answer:
        """A GET."""
        return self.ask("GET", path, None, **headers)

    def post(self, path: str, body: object, **headers: str) -> Answer:
        """A POST of JSON."""
        sent = json.dumps(body).encode()
        return self.ask("POST", path, sent, **{"Content-Type": "application/json"} | headers)

    def ask(self, method: str, path: str, body: bytes | None, **headers: str) -> Answer:
        """One request."""
        bearer = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, bearer | headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(), answer.headers)
        finally:
            connection.close()

    def pointers(self, answer: Answer) -> list[tuple[str, str]]:
        """Where the faults of a problem are, and their codes."""
        return [(error["pointer"], error["code"]) for error in answer.body["errors"]]


def reported(
    event: str = "reported_by_phone", at: str = "2026-11-20T16:20:00+08:00"
) -> dict[str, str]:
    """The event of most cases."""
    return {"event": event, "occurred_at": at}


def a_case(reference: str, **cells: Any) -> dict[str, Any]:
    """A case that is taken."""
    contact = {"name": "张三", "phone": "10000000001"}
    return {
        "reference": reference,
        "procedure": "national",
        "contact": contact,
        "events": [reported()],
    } | cells
