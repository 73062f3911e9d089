"""`qida fake-twilio` as a shell starts it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fake_twilio.talking import Talk

COMMAND = [sys.executable, "-m", "worker", "fake-twilio"]


@contextmanager
def started(*options: str) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    """The command and the line it says when it is ready."""
    process = subprocess.Popen([*COMMAND, *options], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        yield process, process.stderr.readline()
    finally:
        process.kill()
        process.communicate()


def refused(*options: str) -> "subprocess.CompletedProcess[str]":
    """The command when it will not start."""
    environment = {name: value for name, value in os.environ.items() if name != "QIDA_LANG"}
    return subprocess.run(
        [*COMMAND, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=environment,
    )


def test_it_says_where_it_is_and_leaves_cleanly(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"

    with started("--port", "0", "--ledger", str(ledger)) as (process, line):
        fake = Talk(line.split()[-3])
        sid = fake.created()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)

    assert (process.returncode, said) == (0, "")
    assert "fake Twilio is ready: http://127.0.0.1:" in line
    assert json.loads(ledger.read_text("utf-8"))["sid"] == sid


def test_it_leaves_cleanly_with_a_client_hanging_on() -> None:
    plan = '{"faults": [{"do": "hang", "seconds": 600}]}'
    with started("--port", "0", "--faults", plan) as (process, line):
        fake = Talk(line.split()[-3])
        with fake.raw() as connection:
            connection.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\n\r\n")
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)

    assert process.returncode == 0


def test_it_takes_a_plan_from_a_file_and_credentials_from_options(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('{"seed": 42}')
    account = "AC" + "a" * 32

    options = ["--port", "0", "--faults", str(plan), "--account", account, "--token", "secret-1"]
    with started(*options) as (_, line):
        overview = Talk(line.split()[-3]).control("GET", "")

    assert overview["plan"]["seed"] == 42
    assert account in line
    assert "secret-1" not in line


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--host", "0.0.0.0"], 78, "loopback only"),  # noqa: S104  # it is refused
        (["--host", "example.com"], 78, "loopback only"),
        (["--faults", '{"faults": [{"do": "vanish"}]}'], 78, "--faults.faults[0].do: must be"),
        (["--faults", '{"seed": 1,}'], 78, "--faults:1:12: not JSON"),
        (["--faults", "nowhere.json"], 78, "cannot read nowhere.json"),
        (["--ledger", "/dev/null/ledger"], 69, "write the ledger"),
    ],
)
def test_it_says_why_it_does_not_start(options: list[str], code: int, said: str) -> None:
    done = refused("--port", "0", *options)

    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert any("\u4e00" <= character <= "\u9fff" for character in done.stderr)


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = refused("--port", str(other.getsockname()[1]))

    assert done.returncode == 69
    assert "choose another --port" in done.stderr
