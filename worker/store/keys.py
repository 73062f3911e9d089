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
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

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


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """Keys in use: the first seals, each opens what it sealed; two more make indexes and digests.

    Its representation shows no key.
    """

    sealing: dict[bytes, AESGCMSIV]
    indexing: bytes
    digesting: bytes

    def seal(self, plain: str, *, table: str, column: str, row_id: str, centre_id: str) -> bytes:
        """Version, key id, nonce and ciphertext of a text, for exactly one place."""
        key_id, cipher = next(iter(self.sealing.items()))
        nonce = secrets.token_bytes(12)
        place = _place(table, column, row_id, centre_id)
        return _VERSION + key_id + nonce + cipher.encrypt(nonce, plain.encode(), place)

    def open(self, sealed: bytes, *, table: str, column: str, row_id: str, centre_id: str) -> str:
        """The text that was sealed for this place. Raises CannotOpen."""
        cipher = self.sealing.get(sealed[_KEY_ID])
        if cipher is None or sealed[:1] != _VERSION:
            raise CannotOpen(table, column, row_id)
        place = _place(table, column, row_id, centre_id)
        try:
            return cipher.decrypt(sealed[_NONCE], sealed[_TEXT], place).decode()
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


def _place(table: str, column: str, row_id: str, centre_id: str) -> bytes:
    return _joined(table, column, row_id, centre_id)


def _joined(*parts: str) -> bytes:
    """One byte string that no other parts make: JSON quotes its separators."""
    return json.dumps(parts).encode()


def create_key_ring(path: Path) -> KeyRing:
    """Draw new keys and keep them in `path`, readable by its owner alone.

    An existing ring is never replaced: whoever comes second reads it. Raises Misconfigured where
    the file cannot be written.
    """
    ring = {
        "sealing": [{"id": secrets.token_hex(4), "key": _drawn()}],
        "indexing": _drawn(),
        "digesting": _drawn(),
    }
    try:
        _write_once(path, json.dumps(ring, indent=2).encode())
    except OSError as error:
        raise Misconfigured(
            f"无法写入密钥文件 {path}：{error.strerror}；请检查目录",
            f"the key file {path} cannot be written: {error.strerror}; check its directory",
        ) from error
    return load_key_ring(path)


def _drawn() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def _write_once(path: Path, content: bytes) -> None:
    """Write all of a private file or nothing, durably, and leave an existing one alone."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        path.hardlink_to(draft)
        _sync_directory(path.parent)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_key_ring(path: Path) -> KeyRing:
    """The ring kept in `path`. Raises Misconfigured if it is missing, broken or open to others."""
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(
            f"无法读取密钥文件 {path}：{error.strerror}；没有它无法解开个人信息，请从备份恢复",
            f"the key file {path} cannot be read: {error.strerror}; without it personal data stays "
            "sealed, restore it from its backup",
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Misconfigured(
            f"密钥文件 {path} 可被他人访问；请运行 chmod 600 {path}",
            f"others may use the key file {path}; run chmod 600 {path}",
        )
    try:
        return _ring(json.loads(content))
    except (ValueError, KeyError, TypeError):
        raise Misconfigured(
            f"密钥文件 {path} 已损坏；请从备份恢复",
            f"the key file {path} is damaged; restore it from its backup",
        ) from None


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
