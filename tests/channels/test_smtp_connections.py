"""Connections to the relay: kept, noticed when dead, encrypted, and never in the clear."""

import asyncio
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.channels.mailserver import DRIPPING, DROP, SILENT, SLOW, MailServer, only, serving
from worker.channels.smtp_email import SmtpEmail, SmtpRelay
from worker.domain.delivery import Accepted, NotSent, Outcome, SendRequest, Uncertain
from worker.domain.errors import Misconfigured

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
SENDER = "no-reply@example.com"
PASSWORD = "p@ss:w/rd#%"  # noqa: S105 - invented
WRITTEN = "p%40ss%3Aw%2Frd%23%25"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with serving() as one:
        yield one


@pytest.fixture
def channel(server: MailServer) -> Iterator[SmtpEmail]:
    one = SmtpEmail(SmtpRelay(f"smtp://127.0.0.1:{server.port}", SENDER))
    yield one
    one.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine that nobody has signed, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + made.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def encrypting(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def send(channel: SmtpEmail, number: int = 0) -> Outcome:
    request = SendRequest(to="zhangsan@example.com", text="您好\n", subject="提醒")
    return channel.submit(channel.prepare(request), f"{number:032x}", now=NOW)


def send_once(url: str, tls: ssl.SSLContext | None = None) -> Outcome:
    channel = SmtpEmail(SmtpRelay(url, SENDER), tls=tls)
    outcome = send(channel)
    channel.close()
    return outcome


def test_a_connection_serves_a_hundred_messages(server: MailServer, channel: SmtpEmail) -> None:
    outcomes = [send(channel, number) for number in range(201)]

    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert len(server.mails) == 201
    assert server.asked["connection"] == 3


@pytest.mark.parametrize("answer", [DROP, "421 4.4.2 Timeout exceeded", "500 5.5.2 what"])
def test_a_connection_cut_while_idle_costs_no_message(
    server: MailServer, channel: SmtpEmail, answer: str
) -> None:
    send(channel)
    server.faults["RSET"] = answer

    outcome = send(channel)

    assert isinstance(outcome, Accepted)
    assert server.asked["connection"] == 2
    assert server.asked["MAIL"] == 2


def send_at_once(server: MailServer, channel: SmtpEmail, count: int) -> list[Outcome]:
    """So many messages on so many connections: each waits for the others."""
    server.together = asyncio.Barrier(count)
    with ThreadPoolExecutor(count) as pool:
        outcomes = list(pool.map(lambda number: send(channel, number), range(count)))
    server.together = None
    return outcomes


def test_messages_at_once_each_have_a_connection_and_no_more(
    server: MailServer, channel: SmtpEmail
) -> None:
    outcomes = [send_at_once(server, channel, 4) for _ in range(3)]

    assert all(isinstance(outcome, Accepted) for batch in outcomes for outcome in batch)
    assert len(server.mails) == 12
    assert server.asked["connection"] == 4


def test_one_dead_connection_condemns_those_kept_longer(
    server: MailServer, channel: SmtpEmail
) -> None:
    send_at_once(server, channel, 4)
    server.faults["RSET"] = DROP

    outcome = send(channel)
    channel.close()

    assert isinstance(outcome, Accepted)
    assert server.asked["RSET"] == 1
    assert server.asked["connection"] == 5
    assert server.asked["QUIT"] == 1


def test_a_connection_with_an_answer_too_many_is_not_used_again(
    server: MailServer, channel: SmtpEmail
) -> None:
    server.faults["CONTENT"] = "354 what"
    assert isinstance(send(channel), Uncertain)
    server.faults.clear()

    outcome = send(channel)

    assert isinstance(outcome, Accepted)
    assert server.asked["connection"] == 2


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "CONTENT"])
def test_a_relay_may_take_longer_to_answer_than_to_connect(server: MailServer, step: str) -> None:
    server.faults[step] = SLOW
    relay = SmtpRelay(f"smtp://127.0.0.1:{server.port}", SENDER)
    channel = SmtpEmail(relay, connect_s=0.1, read_s=30)

    outcome = send(channel)

    channel.close()
    assert isinstance(outcome, Accepted)


def test_no_content_leaves_once_the_time_is_over(server: MailServer) -> None:
    server.faults["DATA"] = DRIPPING
    relay = SmtpRelay(f"smtp://127.0.0.1:{server.port}", SENDER)
    channel = SmtpEmail(relay, connect_s=0.1, read_s=0.1)

    outcome = send(channel)

    assert isinstance(outcome, NotSent)
    assert server.mails == []


@pytest.mark.parametrize(
    ("step", "kind"), [("MAIL", NotSent), ("DATA", NotSent), ("CONTENT", Uncertain)]
)
def test_what_hangs_on_the_wire_can_be_broken_off(
    server: MailServer, channel: SmtpEmail, step: str, kind: type
) -> None:
    server.faults[step] = SILENT
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send, channel)
        assert server.is_silent.wait(30)

        channel.interrupt()
        outcome = sending.result(timeout=30)

    assert isinstance(outcome, kind)
    assert "Disconnected" in repr(outcome)


def test_breaking_off_spares_what_is_kept(server: MailServer, channel: SmtpEmail) -> None:
    send(channel)

    channel.interrupt()

    assert isinstance(send(channel), Accepted)
    assert server.asked["connection"] == 1


def test_a_closed_channel_has_said_goodbye(server: MailServer, channel: SmtpEmail) -> None:
    send(channel)

    channel.close()
    channel.close()

    assert isinstance(send(channel), Accepted)
    assert server.asked["connection"] == 2


def test_mail_goes_encrypted_from_the_first_byte(
    encrypting: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    with serving(inside_tls=encrypting) as server:
        outcome = send_once(f"smtps://localhost:{server.port}", trusting)

    assert isinstance(outcome, Accepted)


def test_mail_goes_encrypted_after_starttls_and_logged_in(
    encrypting: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    with serving(
        tls_context=encrypting, require_starttls=True,
        authenticator=only("qida", PASSWORD), auth_required=True,
    ) as server:  # fmt: skip
        url = f"smtp+starttls://qida:{WRITTEN}@localhost:{server.port}"
        right = send_once(url, trusting)
        wrong = send_once(url.replace(WRITTEN, "wrong"), trusting)

    assert isinstance(right, Accepted)
    assert wrong == NotSent("connect: SMTPAuthenticationError 535")
    assert len(server.mails) == 1


def test_nothing_is_sent_to_whoever_cannot_prove_its_name(encrypting: ssl.SSLContext) -> None:
    with serving(tls_context=encrypting) as server:
        outcome = send_once(f"smtp+starttls://localhost:{server.port}")

    assert outcome == NotSent("connect: SSLCertVerificationError")
    assert server.mails == []


def test_nothing_is_sent_in_the_clear_where_encryption_was_asked_for(
    server: MailServer, trusting: ssl.SSLContext
) -> None:
    outcome = send_once(f"smtp+starttls://localhost:{server.port}", trusting)

    assert outcome == NotSent("connect: SMTPNotSupportedError")
    assert server.asked["MAIL"] == 0


def test_a_login_the_relay_does_not_offer_sends_nothing(server: MailServer) -> None:
    outcome = send_once(f"smtp://qida:secret@127.0.0.1:{server.port}")

    assert outcome == NotSent("connect: SMTPNotSupportedError")
    assert server.asked["MAIL"] == 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example.com",
        "http://mail.example.com",
        "smtps://",
        "smtps://qida:secret@mail.example.com:port",
        "smtps://qida:sec#ret@mail.example.com",
        "smtps://qida:sec/ret@mail.example.com",
        "smtps://qida:secret@mail.example.com/path",
        "smtps://[::1",
    ],
)
def test_a_url_that_names_no_relay_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        SmtpEmail(SmtpRelay(url, SENDER))

    assert "QIDA_SMTP_URL" in refused.value.text.en
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("host", ["mail.example.com", "127.0.0.1.example.com", "10.0.0.1"])
def test_mail_without_encryption_stays_on_this_machine(host: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        SmtpEmail(SmtpRelay(f"smtp://{host}:25", SENDER))

    assert "encrypt" in refused.value.text.en


@pytest.mark.parametrize(
    ("mail_from", "public_url", "name"),
    [
        ("", None, "QIDA_MAIL_FROM"),
        ("示例中心", None, "QIDA_MAIL_FROM"),
        ("a@example.com\r\nBcc: b@example.com", None, "QIDA_MAIL_FROM"),
        (SENDER, "https://qida.example.com/ x", "QIDA_PUBLIC_URL"),
    ],
)
def test_a_sender_no_mail_could_come_from_is_refused_at_the_start(
    mail_from: str, public_url: str | None, name: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        SmtpEmail(SmtpRelay("smtps://mail.example.com", mail_from, public_url))

    assert refused.value.text.en.startswith(name)


def test_a_relay_keeps_its_password_to_itself() -> None:
    relay = SmtpRelay("smtps://qida:secret@mail.example.com", SENDER)

    channel = SmtpEmail(relay)

    assert "secret" not in repr(relay)
    assert "secret" not in repr(vars(channel))
