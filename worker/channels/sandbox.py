"""The sandbox: a provider that sends nothing and keeps a ledger, to try Qida and to judge it.

It appends every message it accepts to its own file and syncs it *before* it answers, as a real
provider stores before it answers; an independent checker can then compare that file with the
database. Addresses and texts stand in the ledger only as keyed hashes.
"""

import errno
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from worker.domain.delivery import (
    Accepted,
    AttemptState,
    Caps,
    ChannelKind,
    Found,
    Outcome,
    Prepared,
    Receipt,
    Rejected,
    SendRequest,
    Uncertain,
    Unsendable,
)
from worker.domain.errors import Unavailable
from worker.domain.sms import count_parts

OUTCOMES: Mapping[str, str] = {
    "10000000001": "delivered",
    "10000000002": "undelivered",
    "10000000003": "rejected",
    "10000000004": "no_receipt",
    "10000000005": "answer_lost",
}
"""What happens to a sandbox number; every other one is delivered (DESIGN §7)."""

_FINAL = {
    "delivered": AttemptState.DELIVERED,
    "answer_lost": AttemptState.DELIVERED,
    "undelivered": AttemptState.UNDELIVERED,
    "no_receipt": AttemptState.SENT,
    "mailed": AttemptState.SENT,
}


@dataclass(frozen=True, slots=True)
class _Entry:
    provider_id: str
    address: str
    text: str
    at: datetime
    fate: str


class Sandbox:
    """A `Channel` for SMS or e-mail over one ledger file."""

    name = "sandbox"

    def __init__(self, kind: ChannelKind, ledger: Path) -> None:
        """Open, or begin, the ledger. Raises Unavailable when it cannot be written."""
        self.kind = kind
        self.caps = Caps(
            simulated=True,
            echoes_ref=False,
            lookup_by_address=True,
            delivery_receipts=kind == "sms",
            needs_registered_text=False,
            route_adds_units=12 if kind == "sms" else 0,
            can_list=kind == "sms",  # a mail relay keeps no list; staff mails are no attempts
        )
        self._lock = threading.Lock()
        self._read_to = 0
        self._entries: dict[str, _Entry] = {}
        try:
            ledger.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(ledger, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise Unavailable(
                f"沙箱账本 {ledger} 无法写入（{error.strerror}）；请检查目录权限",
                f"sandbox ledger {ledger} cannot be written ({error.strerror}); check the folder",
            ) from error
        self._key = self._ledger_key()

    def _ledger_key(self) -> bytes:
        """The first line's key; racing starters both read whichever line came first."""
        if os.fstat(self._file).st_size == 0:
            self._append({"ledger": "sandbox", "key": secrets.token_hex(16)})
        first = os.pread(self._file, 4096, 0).partition(b"\n")[0]
        return bytes.fromhex(json.loads(first)["key"])

    def prepare(self, request: SendRequest) -> Prepared:
        """Every address will do. Raises Unsendable for an empty one."""
        if not request.to:
            raise Unsendable("no_address")
        return Prepared(request, count_parts(request.text).parts if self.kind == "sms" else 1)

    def submit(self, prepared: Prepared, ref: str, *, now: datetime) -> Outcome:
        """Store, sync, then answer as the address asks for."""
        fate = self._fate(prepared.request.to)
        if fate == "rejected":
            return Rejected("sandbox-rejected")
        provider_id = f"SB{secrets.token_hex(16)}"
        self._append(
            {
                "id": provider_id,
                "ref": ref,
                "kind": self.kind,
                "to": self._hash(prepared.request.to),
                "text": self._hash(prepared.request.text),
                "at": now.isoformat(),
                "fate": fate,
            }
        )
        if fate == "answer_lost":
            return Uncertain("sandbox: the answer was lost")
        return Accepted(provider_id)

    def poll(self, provider_id: str, *, now: datetime) -> Receipt | None:
        """The message's fate, final at the first poll."""
        with self._lock:
            self._catch_up()
            entry = self._entries.get(provider_id)
        return self._receipt(entry) if entry else None

    def find(self, prepared: Prepared, ref: str, *, since: datetime, now: datetime) -> Found:
        """Look by address and text, as a provider's list allows; refs are not echoed."""
        address, text = self._hash(prepared.request.to), self._hash(prepared.request.text)
        with self._lock:
            self._catch_up()
            hits = [
                entry
                for entry in self._entries.values()
                if (entry.address, entry.text) == (address, text) and entry.at >= since
            ]
        return Found(complete=True, hits=tuple(self._receipt(entry) for entry in hits))

    def redact(self, provider_id: str) -> bool:
        """Nothing to forget: the ledger holds keyed hashes only."""
        return True

    def listed(self, since: datetime, until: datetime) -> Found:
        """Every message taken in a span of time."""
        with self._lock:
            self._catch_up()
            hits = [entry for entry in self._entries.values() if since <= entry.at < until]
        return Found(complete=True, hits=tuple(self._receipt(entry) for entry in hits))

    def interrupt(self) -> None:
        """Nothing hangs here."""

    def close(self) -> None:
        """Close the ledger."""
        os.close(self._file)

    def _fate(self, address: str) -> str:
        if self.kind == "sms":
            return OUTCOMES.get(address, "delivered")
        local = address.partition("@")[0]
        if local in ("rejected", "answer_lost", "undelivered"):
            return local
        return "mailed"

    def _hash(self, value: str) -> str:
        return hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()[:32]

    def _append(self, entry: Mapping[str, str]) -> None:
        """A whole line or, on a full disk, none: half a line would spoil the next one too. Raises
        OSError."""
        line = (json.dumps(entry) + "\n").encode()
        with self._lock, _alone(self._file):
            end = os.fstat(self._file).st_size
            if os.write(self._file, line) < len(line):
                os.ftruncate(self._file, end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(self._file)

    def _catch_up(self) -> None:
        """Read what was appended since the last look, by this process or another."""
        size = os.fstat(self._file).st_size
        fresh = os.pread(self._file, size - self._read_to, self._read_to)
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for line in whole.splitlines():
            entry = json.loads(line)
            if entry.get("kind") == self.kind:
                self._entries[entry["id"]] = _Entry(
                    entry["id"],
                    entry["to"],
                    entry["text"],
                    datetime.fromisoformat(entry["at"]),
                    entry["fate"],
                )

    @staticmethod
    def _receipt(entry: _Entry) -> Receipt:
        state = _FINAL.get(entry.fate, AttemptState.SENT)
        return Receipt(entry.provider_id, str(state), state, created_at=entry.at)


@contextmanager
def _alone(file: int) -> Iterator[None]:
    """While no other process writes to the file."""
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
