"""A file handed in over HTTP: kept sealed in the database in pieces as it comes, read like a file.

No clear copy ever lies on a disk, so that a crash leaves none behind, and whichever machine applies
it finds it there.
"""

import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, BinaryIO, Literal

from worker.domain.errors import BadData, Fault, Text
from worker.rosters import is_workbook
from worker.services.context import Context, Records
from worker.store.audit import Entry, append_audit
from worker.store.database import Session, new_id
from worker.store.imports import (
    UNFINISHED,
    ImportPartRow,
    ImportRow,
    PartKind,
    count_unfinished,
    drop_parts,
    find_import,
    part_of,
    same_content,
)

MOST_BYTES = 200 << 20
"""A million rows with every column filled; a workbook or YAML that large is refused when read."""

MOST_UNFINISHED = 20
"""Imports of one centre that wait or are worked on: enough for its files, and no flood."""

_PIECE = 64 << 10
_AT_ONCE = 1 << 20
"""Bytes that one transaction makes durable while a file comes in, or erases."""


class TooLarge(BadData):
    """The file is larger than any roster."""

    def __init__(self) -> None:
        super().__init__(
            f"文件超过 {MOST_BYTES >> 20} MB；请分成几个文件",
            f"the file is larger than {MOST_BYTES >> 20} MB; split it into several",
        )


class TooMany(BadData):
    """The centre's earlier imports are to be finished first."""

    def __init__(self) -> None:
        super().__init__(
            f"已有 {MOST_UNFINISHED} 个导入未完成；请等它们完成，或先取消",
            f"{MOST_UNFINISHED} imports are not finished: let them finish, or cancel some",
        )


class CutShort(Exception):
    """A piece of a file that is being read is gone: its import was ended meanwhile."""


@dataclass(slots=True)
class Upload:
    """A file on its way in. Add its bytes, and `flush` whenever `is_full`; then `finish`."""

    context: Context
    row: ImportRow
    _buffer: bytearray = field(default_factory=bytearray)
    _hash: Any = field(default_factory=sha256)  # hashlib names no type for it
    _pieces: int = 0
    _is_finished: bool = False

    @classmethod
    def begin(
        cls, context: Context, centre_id: str, actor: str, *, is_yaml: bool, dry_run: bool,
        now: datetime,
    ) -> "Upload":  # fmt: skip
        """Make room for a file. Raises TooMany."""
        row = ImportRow(
            id=new_id(now),
            centre_id=centre_id,
            actor=actor,
            kind="yaml" if is_yaml else "csv",
            dry_run=dry_run,
            state="receiving",
            created_at=now,
            updated_at=now,
        )
        with context.db.transaction() as session:
            if count_unfinished(session, centre_id) >= MOST_UNFINISHED:
                raise TooMany
            session.add(row)
        return cls(context, row)

    def add(self, content: bytes) -> None:
        """Take more of the file. Raises TooLarge."""
        self.row.size += len(content)
        if self.row.size > MOST_BYTES:
            raise TooLarge
        self._hash.update(content)
        self._buffer += content

    @property
    def is_full(self) -> bool:
        """Whether so much was added that it should be written down."""
        return len(self._buffer) >= _AT_ONCE

    @property
    def content_digest(self) -> str:
        """What tells this content from any other, without giving it away."""
        return self.context.keys.digest(f"{self.row.kind} {self._hash.hexdigest()}")

    def flush(self, *, is_last: bool = False) -> None:
        """Write whole pieces down, durably; the last one too, however short."""
        whole = len(self._buffer) if is_last else len(self._buffer) // _PIECE * _PIECE
        if self._pieces == 0 and self.row.kind != "yaml" and is_workbook(bytes(self._buffer[:8])):
            self.row.kind = "xlsx"
        with self.context.db.transaction() as session:
            for start in range(0, whole, _PIECE):
                content = bytes(self._buffer[start : min(start + _PIECE, whole)])
                add_part(self.context, session, self.row, "content", self._pieces, content)
                self._pieces += 1
        del self._buffer[:whole]

    def finish(self, *, now: datetime) -> tuple[ImportRow, bool]:
        """Hand the file over to be checked; and whether it is new.

        The same content that is still under way is answered with the import it belongs to.
        """
        self.flush(is_last=True)
        self.row.content_digest = self.content_digest
        with self.context.db.transaction() as session:
            before = same_content(session, self.row)
            if before is not None and before.state in UNFINISHED:
                return before, False
            self.row.repeats = before.id if before else None
            self.row.state, self.row.updated_at = "checking", now
            session.merge(self.row)
            said = {"bytes": self.row.size, "dry_run": self.row.dry_run}
            entry = Entry(self.row.centre_id, now, self.row.actor, "import.received", self.row.id,
                          said)  # fmt: skip
            append_audit(session, entry)
        self._is_finished = True
        return self.row, True

    def abandon(self) -> None:
        """Forget a file that was not handed over; one that was stays."""
        if not self._is_finished:
            erase_file(self.context, self.row.id)
            forget_upload(self.context, self.row.id)


def forget_upload(context: Context, import_id: str) -> None:
    """Delete an import that never came in whole."""
    with context.db.transaction() as session:
        row = find_import(session, import_id, lock=True)
        if row is not None and row.state == "receiving":
            session.delete(row)


def erase_file(records: Records, import_id: str) -> bool:
    """Erase all pieces of an import, in small transactions; whether there were any."""
    found = False
    while True:
        with records.db.transaction() as session:
            if not drop_parts(session, import_id, _AT_ONCE // _PIECE):
                return found
        found = True


def add_part(  # whose, what and where
    context: Context, session: Session, row: ImportRow, kind: PartKind, number: int, content: bytes
) -> None:
    """Seal a piece and write it down."""
    part = ImportPartRow(
        id=new_id(row.created_at),
        centre_id=row.centre_id,
        import_id=row.id,
        kind=kind,
        number=number,
        content_sealed=b"",
    )
    squeezed = zlib.compress(content, 1)  # text shrinks to a fifth; the database stays small
    part.content_sealed = context.keys.seal_bytes(squeezed, **_place(part))
    session.add(part)


def open_part(context: Context, part: ImportPartRow) -> bytes:
    """The content of a piece. Raises CannotOpen."""
    return zlib.decompress(context.keys.open_bytes(part.content_sealed, **_place(part)))


def _place(part: ImportPartRow) -> dict[str, str]:
    return {
        "table": "import_part",
        "column": "content_sealed",
        "row_id": part.id,
        "centre_id": part.centre_id,
    }


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """The file of an import as rosters read it: a `Source`."""

    context: Context
    row: ImportRow

    @property
    def name(self) -> str:
        """What messages call it; the name it had with its owner may be a person's."""
        return f"import{self.suffix}"

    @property
    def suffix(self) -> str:
        """As its kind has it."""
        return f".{self.row.kind}"

    def open(self, mode: Literal["rb"]) -> BinaryIO:  # noqa: ARG002  # as a file is opened
        """Its bytes. Reading raises CutShort where they are gone, Unavailable, CannotOpen."""
        return io.BufferedReader(_Pieces(self.context, self.row), _PIECE)


class _Pieces(io.RawIOBase):
    """The bytes of all pieces on end; one piece is in memory at a time."""

    def __init__(self, context: Context, row: ImportRow) -> None:
        self._context, self._id, self._size = context, row.id, row.size
        self._at = 0
        self._held: tuple[int, bytes] = (-1, b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  # whatever can be written to
        if self._at >= self._size:
            return 0
        number, start = divmod(self._at, _PIECE)
        content = self._piece(number)[start : start + len(buffer)]
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def _piece(self, number: int) -> bytes:
        if self._held[0] != number:
            with self._context.db.reading() as session:
                part = part_of(session, self._id, "content", number)
            if part is None:
                raise CutShort
            self._held = number, open_part(self._context, part)
        return self._held[1]


def add_faults(
    context: Context, session: Session, row: ImportRow, number: int, faults: Sequence[Fault]
) -> None:
    """Keep what was found wrong, sealed: a place names the sheet, and that may be a person's."""
    said = [
        [one.place, one.message.zh, one.message.en, one.mend.zh, one.mend.en, one.value, one.code]
        for one in faults
    ]
    add_part(context, session, row, "faults", number, json.dumps(said).encode())


def faults_of(context: Context, import_id: str) -> tuple[list[Fault], int]:
    """Everything found wrong with an import's rows, in the order it was found, and the number of
    the next list."""
    found: list[Fault] = []
    number = 0
    while True:
        with context.db.reading() as session:
            part = part_of(session, import_id, "faults", number)
        if part is None:
            return found, number
        found += [_fault(*said) for said in json.loads(open_part(context, part))]
        number += 1


def _fault(*said: str) -> Fault:
    place, zh, en, mend_zh, mend_en, value, code = said
    return Fault(place, Text(zh, en), Text(mend_zh, mend_en), value, code)
