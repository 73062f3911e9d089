"""What the stand-in accepted, written down before it answers; a checker reads only this."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

Row = Mapping[str, str | None]


class Ledger:
    """JSON lines, appended and never rewritten; without a path they stay in memory.

    With `fsync` a line survives a power cut before its sender hears of it. Without it a line still
    survives the death of the stand-in, not that of the machine: for measuring speed.
    """

    def __init__(self, path: Path | None, *, fsync: bool) -> None:
        self._path = path
        self._fsync = fsync
        self._file: int | None = None
        self._rows: list[Row] = []

    def open(self) -> None:
        """Begin or go on with the file. Raises OSError."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, row: Row) -> None:
        """One more line. Raises OSError."""
        if self._file is None:
            self._rows.append(row)
            return
        os.write(self._file, json.dumps(row, ensure_ascii=False).encode() + b"\n")
        if self._fsync:
            os.fsync(self._file)

    def rows(self) -> list[Row]:
        """Every line so far, those of earlier runs on the same file too."""
        if self._path is None:
            return list(self._rows)
        with self._path.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
