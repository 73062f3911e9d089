"""Requests are read as HTTP/1.1 allows them to be written, whatever the pieces they come in."""

import socket
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_twilio.talking import AUTHORIZATION, FORM, MESSAGES, Talk, written
from worker.fake_twilio.api import form_values
from worker.fake_twilio.http11 import Stream


def until(connection: socket.socket, ending: bytes) -> bytes:
    """What arrives until it ends so, or until nothing more does."""
    seen = b""
    while not seen.endswith(ending) and (piece := connection.recv(65536)):
        seen += piece
    return seen


def test_requests_come_whole_out_of_any_two_pieces() -> None:
    request = written(FORM)

    for at in range(len(request) + 1):
        stream = Stream()
        stream.feed(request[:at])
        head = stream.head()
        body = stream.body() if head else None
        stream.feed(request[at:])
        head = head or stream.head()
        body = stream.body() if body is None else body

        assert head is not None
        assert (head.method, head.target) == ("POST", MESSAGES)
        assert head.headers["authorization"] == AUTHORIZATION
        assert dict(parse_qsl((body or b"").decode())) == FORM


@pytest.mark.parametrize(
    "header",
    ["Connection: close", "X-Twice: 1\r\nX-Twice: 2", "Expect: 100-continue", "X-Plain: 1"],
)
def test_a_request_with_an_unusual_header_is_served_all_the_same(fake: Talk, header: str) -> None:
    with fake.raw() as connection:
        connection.sendall(written(FORM, header))

        answer = until(connection, b'.json"}')

    assert b"HTTP/1.1 201" in answer
    assert answer.startswith(b"HTTP/1.1 100") == header.startswith("Expect")
    assert len(fake.ledger()) == 1


def test_a_body_in_chunks_is_put_together(fake: Talk) -> None:
    body = urlencode(FORM)
    lines = [
        f"POST {MESSAGES} HTTP/1.1",
        "Host: fake",
        f"Authorization: {AUTHORIZATION}",
        "Transfer-Encoding: chunked",
        "",
        "",
    ]
    pieces = [f"{len(part):x}\r\n{part}\r\n" for part in (body[:7], body[7:])]

    with fake.raw() as connection:
        connection.sendall("\r\n".join(lines).encode())
        for piece in [*pieces, "0\r\n\r\n"]:
            connection.sendall(piece.encode())
        answer = until(connection, b'.json"}')

    assert answer.startswith(b"HTTP/1.1 201")
    assert fake.ledger()[0]["body"] == FORM["Body"]


@pytest.mark.parametrize("header", ["X-Plain: 1", "X-Twice: 1\r\nX-Twice: 2"])
def test_requests_in_one_go_are_answered_one_after_the_other(fake: Talk, header: str) -> None:
    with fake.raw() as connection:
        connection.sendall(b"".join(written(FORM | {"Body": text}, header) for text in "abc"))
        answers = b""
        while answers.count(b"HTTP/1.1 201") < 3:
            answers += connection.recv(65536)

    assert [row["body"] for row in fake.ledger()] == ["a", "b", "c"]


def test_a_request_waits_for_the_slow_one_before_it_on_its_connection(fake: Talk) -> None:
    fault = {"do": "slow", "seconds": 0.05, "times": 1}
    fake.control("PUT", "/plan", {"faults": [fault]})

    with fake.raw() as connection:
        connection.sendall(written(FORM | {"Body": "a"}) + written(FORM | {"Body": "b"}))
        answers = b""
        while answers.count(b"HTTP/1.1 201") < 2:
            answers += connection.recv(65536)

    assert answers.index(b'"body": "a"') < answers.index(b'"body": "b"')


def test_an_http_1_0_client_is_answered_and_left(fake: Talk) -> None:
    with fake.raw() as connection:
        connection.sendall(b"GET /_fake HTTP/1.0\r\n\r\n")

        answer = until(connection, b"never")

    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"}")


@pytest.mark.parametrize(
    "noise",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"x" * 70_000,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_noise_is_answered_with_400_and_left(fake: Talk, noise: bytes) -> None:
    with fake.raw() as connection:
        connection.sendall(noise)

        answer = until(connection, b"never")

    assert answer.startswith(b"HTTP/1.1 400")
    assert fake.create().status == 201


@given(st.dictionaries(st.text(), st.text()))
def test_forms_are_read_as_the_standard_library_reads_them(form: dict[str, str]) -> None:
    body = urlencode(form)

    values = form_values(body.encode())

    assert values == dict(parse_qsl(body, keep_blank_values=True))


@pytest.mark.parametrize(
    "body",
    ["a=b=c", "a=1&a=2", "a", "a=", "=a", "", "&&", "a=%", "a=%z1", "a=%E", "a=%0D%0A+", "a=%\n"],
)
def test_odd_forms_are_read_so_too(body: str) -> None:
    read = form_values(body.encode())

    assert read == dict(parse_qsl(body, keep_blank_values=True)) | (
        {"a": ""} if body == "a" else {}
    )
