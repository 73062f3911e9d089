"""Prism, which knows only Twilio's OpenAPI document, finds nothing wrong with any answer."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.fake_twilio.talking import FORM, MESSAGES, SERVICE, Talk, path_of, talk
from worker.fake_twilio import ACCOUNT

ROOT = Path(__file__).parents[2]
DOCUMENT = Path(__file__).parent / "twilio_messages.json"
PRISM = Path(os.environ.get("PRISM_HOME", "nowhere"))

if shutil.which("node") is None or not (PRISM / "node_modules").is_dir():
    pytest.skip(
        "Prism is not here: scripts/prism install FOLDER, then set PRISM_HOME=FOLDER",
        allow_module_level=True,
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Talk]:
    """The stand-in behind the judge."""
    with talk() as fake:
        yield fake


@pytest.fixture(scope="module")
def judged(upstream: Talk) -> Iterator[Talk]:
    """The judge in front of it."""
    port = free_port()
    command = [str(ROOT / "scripts" / "prism"), "proxy", str(PRISM), str(DOCUMENT)]
    behind = str(urlsplit(upstream.url).port)
    process = subprocess.Popen([*command, str(port), behind], stdout=subprocess.DEVNULL)
    try:
        wait_until_heard(process, port)
        yield Talk(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> None:
    """Each test begins with no message and no plan."""
    upstream: Talk = request.getfixturevalue("upstream")
    upstream.control("PUT", "/plan", {})
    upstream.control("POST", "/reset")


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


def wait_until_heard(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Prism says nothing at this level when it is ready: knock until it opens."""
    while process.poll() is None:
        with socket.socket() as knocking:
            knocking.settimeout(1)
            if knocking.connect_ex(("127.0.0.1", port)) == 0:
                return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    raise AssertionError("Prism did not start")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"StatusCallback": "http://127.0.0.1:9/hooks/ref-1#rc=5&rp=all"},
        {"ValidityPeriod": "36000"},
        {"From": "", "MessagingServiceSid": SERVICE},
        {
            "From": "",
            "MessagingServiceSid": SERVICE,
            "ScheduleType": "fixed",
            "SendAt": "2026-11-23T02:00:00Z",
        },
    ],
)
def test_every_kind_of_create_is_as_the_document_has_it(
    judged: Talk, changes: dict[str, str]
) -> None:
    said = judged.create(**changes)

    assert said.status == 201, said.text
    assert said.data["body"] == FORM["Body"]


@pytest.mark.parametrize("ending", ["01", "02", "04", "06", "07", "08", "09"])
def test_a_message_is_as_the_document_has_it_in_every_status(
    upstream: Talk, judged: Talk, ending: str
) -> None:
    sid = upstream.created(To=f"+86100000000{ending}", From="", MessagingServiceSid=SERVICE)

    for _ in range(6):
        said = judged.ask("GET", path_of(sid))
        assert said.status == 200, said.text
        assert said.data["sid"] == sid
        upstream.later(1)


def test_a_list_is_as_the_document_has_it_page_by_page(upstream: Talk, judged: Talk) -> None:
    sids = [upstream.created() for _ in range(5)]
    upstream.later(10)

    found = []
    target = f"{MESSAGES}?PageSize=2&To=%2B8610000000001&DateSent%3E=2026-11-23T00%3A00%3A00Z"
    while target:
        said = judged.ask("GET", target)
        assert said.status == 200, said.text
        found += [message["sid"] for message in said.data["messages"]]
        target = said.data["next_page_uri"]

    assert found == sids[::-1]


def test_an_empty_list_is_as_the_document_has_it(judged: Talk) -> None:
    assert judged.listed() == []


def test_redacting_cancelling_and_deleting_are_as_the_document_has_it(
    upstream: Talk, judged: Talk
) -> None:
    sid, other = upstream.created(), upstream.created()

    cancelled = judged.ask("POST", path_of(other), {"Status": "canceled"})
    upstream.later(10)
    redacted = judged.ask("POST", path_of(sid), {"Body": ""})
    deleted = judged.ask("DELETE", path_of(sid))

    assert (cancelled.status, cancelled.data["status"]) == (200, "canceled")
    assert (redacted.status, redacted.data["body"]) == (200, "")
    assert deleted.status == 204


@pytest.mark.parametrize(
    ("method", "target", "form"),
    [
        ("POST", MESSAGES, {"Body": "x"}),
        ("POST", MESSAGES, FORM | {"StatusCallback": "not a uri"}),
        ("GET", f"{MESSAGES}?PageSize=5000", None),
        ("GET", MESSAGES.replace(ACCOUNT, "AC1"), None),
    ],
)
def test_the_judge_refuses_a_request_the_document_does_not_allow(
    judged: Talk, method: str, target: str, form: dict[str, str] | None
) -> None:
    assert judged.ask(method, target, form).status == 422


@pytest.mark.parametrize("body", ["wrong_type", "html"])
def test_the_judge_refuses_an_answer_the_document_does_not_allow(
    upstream: Talk, judged: Talk, body: str
) -> None:
    upstream.control("PUT", "/plan", {"faults": [{"do": "answer", "body": body, "stored": True}]})

    said = judged.create()

    assert said.status == 500, said.text
