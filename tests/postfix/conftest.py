"""A real Postfix on loopback, with its own queue in a scratch folder; ended with the tests."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "postfix"
_LONGEST_WAIT_S = "60"


@dataclass(frozen=True, slots=True)
class Postfix:
    """Where it takes mail, and what it did with it."""

    port: int
    folder: Path

    @property
    def reports(self) -> Path:
        """The Maildir where delivery reports arrive."""
        return self.folder / "mail" / "reports"

    def mails_of(self, name: str) -> list[bytes]:
        """What lies in somebody's mailbox."""
        return [path.read_bytes() for path in (self.folder / "mail" / name / "new").iterdir()]

    def wait_for(self, pattern: str) -> None:
        """Return as soon as the log holds a line; AssertionError if it never does."""
        log = self.folder / "mail.log"
        follow = ["timeout", _LONGEST_WAIT_S, "tail", "-n", "+1", "-F", str(log)]
        with subprocess.Popen(
            follow, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as tail:
            assert tail.stdout is not None
            found = any(re.search(pattern, line) for line in tail.stdout)
            tail.terminate()
        assert found, f"no line of the log matches {pattern}"

    def queue(self) -> str:
        """What it still tries to deliver, as JSON lines."""
        command = ["postqueue", "-c", str(self.folder / "etc"), "-j"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="session")
def postfix() -> Iterator[Postfix]:
    if shutil.which("postfix") is None:
        pytest.skip("Postfix is not installed: apt-get install --no-install-recommends postfix")
    if os.geteuid() != 0:
        pytest.skip("only root can start Postfix")
    folder = Path(tempfile.mkdtemp(prefix="qida-postfix-"))  # its users must reach it: not tmp_path
    port, next_port = _free_ports()
    subprocess.run([SCRIPT, "start", folder, str(port), str(next_port)], check=True, timeout=60)
    yield Postfix(port, folder)
    subprocess.run([SCRIPT, "stop", folder], check=True, timeout=60, capture_output=True)
    shutil.rmtree(folder)


def _free_ports() -> tuple[int, int]:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        return one.getsockname()[1], other.getsockname()[1]
