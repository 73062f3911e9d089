"""Files that lie still in the watched folders, a pass over them, and what became of them."""

import os
from pathlib import Path

from tests.enrolment.office import Office
from worker.engines.duties import Duties

A_DAY = 24 * 3600.0


def lying(path: Path, seconds: float = 6.0) -> Path:
    """The file as if it had been written so long ago."""
    at = path.stat().st_mtime - seconds
    os.utime(path, (at, at))
    return path


def dropped(office: Office, name: str, content: bytes = b"") -> Path:
    """Any file of these bytes, lying still."""
    path = office.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return lying(path)


def held(office: Office, folder: str) -> dict[str, Path]:
    """What a folder under var/ holds."""
    return {path.name: path for path in sorted((office.home / "var" / folder).iterdir())}


def done(office: Office) -> dict[str, Path]:
    """What var/done holds, by name without its time."""
    return {name.partition("-")[2]: path for name, path in held(office, "done").items()}


def tick(office: Office) -> dict[str, int]:
    """One pass of every duty; what the inbox did."""
    return dict(office.duties.tick()["inbox"])


def tick_of_a_new_process(office: Office) -> dict[str, int]:
    """The same by a worker that knows nothing of those before it."""
    office.duties = Duties(office.duties.runtime)
    return tick(office)
