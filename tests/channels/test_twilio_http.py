"""The wire under Twilio: kept connections, one try, and it knows whether bytes may have left."""

import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.channels.wire import SID, TEXT, Asked, Line, Wire, created, cut, message, said, silence
from worker.channels.twilio_http import OneAttemptHttp
from worker.channels.twilio_sms import TwilioSms
from worker.domain.delivery import Accepted, NotSent, Outcome, Prepared, SendRequest, Uncertain

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
Open = Callable[..., TwilioSms]


def submit(channel: TwilioSms, to: str = "+8613800000001") -> Outcome:
    return channel.submit(Prepared(SendRequest(to=to, text=TEXT)), "ref", now=NOW)


def test_messages_share_a_connection_also_between_threads(wire: Wire, twilio: Open) -> None:
    channel = twilio()

    for _ in range(3):
        thread = threading.Thread(target=submit, args=(channel,))
        thread.start()
        thread.join()

    assert len(wire.posts) == 3
    assert wire.connections == 1


def test_a_connection_closed_while_idle_is_never_written_to(wire: Wire, twilio: Open) -> None:
    wire.answers = [said(201, message(), closing=True), created("SM" + "2" * 32)]
    channel = twilio()
    submit(channel)
    assert wire.is_done.wait(5)

    outcome = submit(channel)

    assert outcome == Accepted("SM" + "2" * 32, "queued")
    assert (len(wire.posts), wire.connections) == (2, 2)


def test_a_connection_that_ends_under_the_message_is_not_tried_again(
    wire: Wire, twilio: Open
) -> None:
    wire.answers = [created(), cut]
    channel = twilio()
    submit(channel)

    outcome = submit(channel)

    assert outcome == Uncertain("no answer: RemoteDisconnected")
    assert (len(wire.posts), wire.connections) == (2, 1)


def test_bytes_nobody_asked_for_end_a_connection(wire: Wire, twilio: Open) -> None:
    def chatty(asked: Asked, line: Line) -> None:
        created()(asked, line)
        created("SM" + "f" * 32)(asked, line)  # it must not answer the next message
        wire.is_done.set()

    wire.answers = [chatty, created("SM" + "2" * 32)]
    channel = twilio()
    submit(channel)
    assert wire.is_done.wait(5)

    outcome = submit(channel)

    assert outcome == Accepted("SM" + "2" * 32, "queued")


def test_an_answer_after_an_interim_one_does_not_answer_the_next_message(
    wire: Wire, twilio: Open
) -> None:
    def hinting(asked: Asked, line: Line) -> None:
        line.say(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
        wire.is_done.wait(5)
        created("SM" + "f" * 32)(asked, line)

    wire.answers = [hinting, created("SM" + "2" * 32)]
    channel = twilio()

    first = submit(channel)
    wire.is_done.set()
    second = submit(channel)

    assert first == Uncertain("no answer: HTTPException")
    assert second == Accepted("SM" + "2" * 32, "queued")


@pytest.mark.parametrize("word", ["close", "Close"])
def test_a_connection_the_server_wants_closed_is_read_to_its_end(
    wire: Wire, twilio: Open, word: str
) -> None:
    wire.answers = [said(201, message(), {"Connection": word})]
    channel = twilio()

    outcomes = [submit(channel), submit(channel)]

    assert outcomes == [Accepted(SID, "queued")] * 2
    assert wire.connections == 2


def test_a_long_idle_connection_is_not_trusted(wire: Wire) -> None:
    http = OneAttemptHttp(wire.url, idle_seconds=0)

    for _ in range(2):
        http.request("GET", wire.url + "/")
    http.close()

    assert wire.connections == 2


def test_a_closed_client_keeps_nothing_open(wire: Wire, twilio: Open) -> None:
    channel = twilio()
    submit(channel)

    channel.close()
    submit(channel)
    submit(channel)

    assert wire.connections == 3


@pytest.mark.parametrize("behind_tls", [False, True])
def test_calls_on_the_wire_can_be_broken_off(
    wire: Wire,
    tls_wire: Wire,
    twilio: Open,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    behind_tls: bool,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    provider = tls_wire if behind_tls else wire
    arrived = threading.Semaphore(0)

    def hold(asked: Asked, line: Line) -> None:
        arrived.release()
        silence(asked, line)

    provider.answers = [hold, hold, created()]
    channel = twilio(base_url=provider.url, read_seconds=30)

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(submit, channel) for _ in range(2)]
        reached = [arrived.acquire(timeout=5) for _ in calls]
        channel.interrupt()
        outcomes = [call.result(timeout=5) for call in calls]

    assert reached == [True, True]
    assert [type(outcome) for outcome in outcomes] == [Uncertain, Uncertain]
    assert submit(channel) == Accepted(SID, "queued")
    assert len(provider.posts) == 3


def test_a_last_answer_that_stops_halfway_can_be_broken_off(
    wire: Wire, twilio: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_reading = threading.Event()
    real = HTTPResponse.read

    def read(answer: HTTPResponse, *amount: int) -> bytes:
        is_reading.set()  # the head is read: the connection has let its socket go
        return real(answer, *amount)

    def stop_halfway(asked: Asked, line: Line) -> None:
        line.say(b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 10\r\n\r\n{}")
        silence(asked, line)

    monkeypatch.setattr(HTTPResponse, "read", read)
    wire.answers = [stop_halfway]
    channel = twilio(read_seconds=30)

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(submit, channel)
        has_read = is_reading.wait(5)
        channel.interrupt()
        outcome = call.result(timeout=5)

    assert has_read
    assert isinstance(outcome, Uncertain)


def test_each_call_keeps_its_own_headers(wire: Wire, twilio: Open) -> None:
    def told_apart(asked: Asked, line: Line) -> None:
        seconds = str(int(asked.form["To"][-3:]))
        said(429, {"code": 20429}, {"Retry-After": seconds})(asked, line)

    wire.answers = [told_apart] * 80
    channel = twilio()

    with ThreadPoolExecutor(8) as pool:
        numbers = [f"+8613800000{number:03}" for number in range(1, 81)]
        outcomes = list(pool.map(lambda number: submit(channel, number), numbers))

    assert outcomes == [NotSent("20429", timedelta(seconds=n)) for n in range(1, 81)]
    assert wire.connections <= 8


def test_nothing_of_a_request_is_kept(wire: Wire) -> None:
    http = OneAttemptHttp(wire.url)

    http.request("POST", wire.url + "/", data={"To": "+8613800000001"}, auth=("AC", "secret"))
    kept = repr({name: getattr(http, name) for name in vars(http)})
    http.close()

    assert "8613800000001" not in kept
    assert "secret" not in kept


@pytest.mark.parametrize("url", ["https://example.com/x", "http://127.0.0.1.example.com/x"])
def test_another_server_is_never_spoken_to(wire: Wire, url: str) -> None:
    http = OneAttemptHttp(wire.url)
    exchange = http.watch()

    with pytest.raises(ValueError, match="another server"):
        http.request("GET", url)

    assert not exchange.may_have_left


# TLS


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for localhost that signed itself, with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2120, 1, 1, tzinfo=UTC),
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    encoding = serialization.Encoding.PEM
    path = tmp_path / "localhost.pem"
    path.write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(encoding)
        + key.private_bytes(
            encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


@pytest.fixture
def tls_wire(certificate: Path) -> Iterator[Wire]:
    """A provider behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    one = Wire(context)
    yield one
    one.close()


def test_a_server_that_cannot_prove_its_name_was_told_nothing(tls_wire: Wire, twilio: Open) -> None:
    outcome = submit(twilio(base_url=tls_wire.url))

    assert outcome == NotSent("not_reached:SSLCertVerificationError")
    assert tls_wire.asked == []


def test_a_trusted_server_is_spoken_to_over_one_connection(
    tls_wire: Wire, twilio: Open, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls_wire.answers = [created(), cut]
    channel = twilio(base_url=tls_wire.url)

    outcomes = [submit(channel), submit(channel)]

    assert outcomes[0] == Accepted(SID, "queued")
    assert isinstance(outcomes[1], Uncertain)
    assert (len(tls_wire.posts), tls_wire.connections) == (2, 1)


def test_a_server_without_tls_was_told_nothing(wire: Wire, twilio: Open) -> None:
    outcome = submit(twilio(base_url=wire.url.replace("http", "https"), connect_seconds=0.3))

    assert isinstance(outcome, NotSent)
    assert wire.posts == []  # the greeting of TLS is random bytes, which may look like a request
