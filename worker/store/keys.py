"""The keys of an installation: they seal personal data and make it findable without opening it.

Sealing is AES-256-GCM-SIV (RFC 8452), so that a nonce drawn twice gives nothing away. A sealed
value is bound to its table, column, row and centre: moved elsewhere it does not open.
"""

import base64
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from worker.crashpoints import crash_point
from worker.domain.errors import Misconfigured, QidaError

_VERSION = b"\x01"
_KEY_ID = slice(1, 5)
_NONCE = slice(5, 17)
_TEXT = slice(17, None)
_KEY_BYTES = 32


class CannotOpen(QidaError):
    """A sealed value was moved or changed, or none of our keys sealed it."""

    def __init__(self, table: str, column: str, row_id: str) -> None:
        super().__init__(
            f"{table}.{column}（{row_id}）的密文无法解开：密钥不符，或数据被移动、改动",
            f"{table}.{column} of {row_id} does not open: another key, or moved or changed data",
        )


@dataclass(slots=True, repr=False)
class KeyRing:
    """Keys in use: the first seals, each opens what it sealed; two more make indexes and digests.

    A ring in use takes up what is added to its file, so that nobody has to be stopped while keys
    change. Its representation shows no key.
    """

    sealing: dict[bytes, AESGCMSIV]
    indexing: bytes
    digesting: bytes
    path: Path | None = None
    version: tuple[int, int] = (0, 0)

    @property
    def current(self) -> bytes:
        """The id of the key that seals."""
        self._keep_up()
        return next(iter(self.sealing))

    def _keep_up(self) -> None:
        """Read the file again once it changed; while that fails, what we hold still opens."""
        with suppress(OSError, Misconfigured):
            if self.path is not None and _version_of(self.path.stat()) != self.version:
                fresh = load_key_ring(self.path)
                self.sealing, self.version = fresh.sealing, fresh.version

    def seal(self, plain: str, *, table: str, column: str, row_id: str, centre_id: str) -> bytes:
        """Version, key id, nonce and ciphertext of a text, for exactly one place."""
        place = {"table": table, "column": column, "row_id": row_id, "centre_id": centre_id}
        return self.seal_bytes(plain.encode(), **place)

    def seal_bytes(
        self, plain: bytes, *, table: str, column: str, row_id: str, centre_id: str
    ) -> bytes:
        """The same of what is no text."""
        self._keep_up()
        key_id, cipher = next(iter(self.sealing.items()))
        nonce = secrets.token_bytes(12)
        place = _place(table, column, row_id, centre_id)
        return _VERSION + key_id + nonce + cipher.encrypt(nonce, plain, place)

    def open(self, sealed: bytes, *, table: str, column: str, row_id: str, centre_id: str) -> str:
        """The text that was sealed for this place. Raises CannotOpen."""
        place = {"table": table, "column": column, "row_id": row_id, "centre_id": centre_id}
        return self.open_bytes(sealed, **place).decode()

    def open_bytes(
        self, sealed: bytes, *, table: str, column: str, row_id: str, centre_id: str
    ) -> bytes:
        """What was sealed for this place, text or not. Raises CannotOpen."""
        if sealed[_KEY_ID] not in self.sealing:
            self._keep_up()
        cipher = self.sealing.get(sealed[_KEY_ID])
        if cipher is None or sealed[:1] != _VERSION:
            raise CannotOpen(table, column, row_id)
        place = _place(table, column, row_id, centre_id)
        try:
            return cipher.decrypt(sealed[_NONCE], sealed[_TEXT], place)
        except (InvalidTag, ValueError):  # ValueError: cut short
            raise CannotOpen(table, column, row_id) from None

    def index(self, value: str, *, centre_id: str) -> str:
        """What a normalised address is found by: equal within a centre, unlike elsewhere.

        An empty `centre_id` makes the index that holds for the whole installation.
        """
        return hmac.digest(self.indexing, _joined(centre_id, value), sha256).hex()

    def digest(self, text: str) -> str:
        """What tells two message texts apart without keeping them."""
        return hmac.digest(self.digesting, text.encode(), sha256).hex()


def key_id_of(sealed: bytes) -> bytes:
    """Which key sealed a value."""
    return sealed[_KEY_ID]


def _place(table: str, column: str, row_id: str, centre_id: str) -> bytes:
    return _joined(table, column, row_id, centre_id)


def _joined(*parts: str) -> bytes:
    """One byte string that no other parts make: a JSON list, which quotes its separators. Spelt by
    hand because every sealed value and every index needs one, and json.dumps takes four times as
    long."""
    return f"[{', '.join(map(encode_basestring_ascii, parts))}]".encode()


def create_key_ring(path: Path) -> KeyRing:
    """Draw new keys and keep them in `path`, readable by its owner alone.

    An existing ring is never replaced: whoever comes second reads it. Raises Misconfigured where
    the file cannot be written.
    """
    ring = {
        "sealing": [_new_key()],
        "indexing": _drawn(),
        "digesting": _drawn(),
    }
    try:
        _write_once(path, json.dumps(ring, indent=2).encode())
    except OSError as error:
        raise _not_writable(path, error) from error
    return load_key_ring(path)


def _not_writable(path: Path, error: OSError) -> Misconfigured:
    return Misconfigured(
        f"无法写入密钥文件 {path}：{error.strerror}；请检查目录",
        f"the key file {path} cannot be written: {error.strerror}; check its directory",
    )


def add_key(path: Path) -> None:
    """Put a new sealing key in front of those of the ring in `path`, all or nothing and durably.

    The others stay, for they still open what they sealed. The keys that index and digest never
    change: what they made can be found or compared by them alone. Raises Misconfigured.
    """
    written = _read(path)
    _write_anew(path, written | {"sealing": [_new_key(), *written["sealing"]]})


def drop_old_keys(path: Path) -> int:
    """Leave only the key that seals; what another sealed, in backups too, opens never again.

    Returns how many keys went. Raises Misconfigured.
    """
    written = _read(path)
    first, *old = written["sealing"]
    _write_anew(path, written | {"sealing": [first]})
    return len(old)


def _read(path: Path) -> dict[str, Any]:
    load_key_ring(path)  # refuses one that is missing, broken or open to others
    written: dict[str, Any] = json.loads(path.read_bytes())
    return written


def _write_anew(path: Path, ring: Mapping[str, object]) -> None:
    """Replace the ring's file. Whoever does so is alone, so a draft found beside it is one whose
    writer died: it holds keys, retired ones among them, and goes."""
    for left in path.parent.glob(f"{path.name}.*.draft"):
        left.unlink(missing_ok=True)
    draft = _draft_of(path)
    try:
        _write_private(draft, json.dumps(ring, indent=2).encode())
        crash_point("in_rotate")
        draft.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise _not_writable(path, error) from error
    finally:
        draft.unlink(missing_ok=True)


def _new_key() -> dict[str, str]:
    return {"id": secrets.token_hex(4), "key": _drawn()}


def _drawn() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def _write_once(path: Path, content: bytes) -> None:
    """Write all of a private file or nothing, durably, and leave an existing one alone."""
    draft = _draft_of(path)
    try:
        _write_private(draft, content)
        path.hardlink_to(draft)
        _sync_directory(path.parent)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _draft_of(path: Path) -> Path:
    """A name beside `path` that no backup of it would have."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.draft")


def _write_private(draft: Path, content: bytes) -> None:
    """A new file for its owner alone, on the disk when this returns."""
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_key_ring(path: Path) -> KeyRing:
    """The ring kept in `path`. Raises Misconfigured if it is missing, broken or open to others."""
    try:
        status = path.stat()
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(
            f"无法读取密钥文件 {path}：{error.strerror}；没有它无法解开个人信息，请从备份恢复",
            f"the key file {path} cannot be read: {error.strerror}; without it personal data stays "
            "sealed, restore it from its backup",
        ) from error
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Misconfigured(
            f"密钥文件 {path} 可被他人访问；请运行 chmod 600 {path}",
            f"others may use the key file {path}; run chmod 600 {path}",
        )
    try:
        ring = _ring(json.loads(content))
    except (ValueError, KeyError, TypeError):
        raise Misconfigured(
            f"密钥文件 {path} 已损坏；请从备份恢复",
            f"the key file {path} is damaged; restore it from its backup",
        ) from None
    ring.path, ring.version = path, _version_of(status)
    return ring


def _version_of(status: os.stat_result) -> tuple[int, int]:
    """A ring is written as a new file, so that two within one tick of the clock still differ."""
    return status.st_ino, status.st_mtime_ns


def _ring(written: dict[str, object]) -> KeyRing:
    sealing = written["sealing"]
    if not isinstance(sealing, list) or not sealing:
        raise ValueError
    return KeyRing(
        sealing={bytes.fromhex(key["id"]): AESGCMSIV(_key(key["key"])) for key in sealing},
        indexing=_key(written["indexing"]),
        digesting=_key(written["digesting"]),
    )


def _key(written: object) -> bytes:
    key = base64.b64decode(str(written), validate=True)
    if len(key) != _KEY_BYTES:
        raise ValueError
    return key
