"""Changing the key that seals personal data, while the worker goes on.

First the new key is in the ring's file, durably, then rows are sealed anew in small transactions;
so whatever moment a process dies at, every row opens with the ring. Running it again goes on.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from worker.crashpoints import crash_point
from worker.domain.errors import BadData, Misconfigured
from worker.services.context import Context
from worker.store.audit import Entry, append_audit
from worker.store.installation import check, stamp_of
from worker.store.keys import KeyRing, add_key, drop_old_keys
from worker.store.resealing import Place, keys_in_use, reseal_some, sealed_places

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did. `begun` is false where it finished one that was broken off."""

    begun: bool
    resealed: int
    unreadable: int


def rotate_keys(context: Context, *, actor: str, now: datetime) -> Rotation:
    """Add a new sealing key and seal everything anew with it; or finish what was broken off.

    The index and digest keys stay as they are. Raises Misconfigured where ring and database do
    not belong together.
    """
    keys = context.keys
    _require_fit(context)
    current = keys.current
    unfinished = any(key_id != current and opens for key_id, opens in _in_use(context))
    if not unfinished:
        with context.db.exclusive("rotation"):
            _add(keys)
    crash_point("in_rotate")
    resealed, unreadable = _reseal_all(context)
    with context.db.transaction() as session:
        done = {"key": keys.current.hex(), "values": resealed, "unreadable": unreadable}
        append_audit(session, Entry(None, now, actor, "keys.rotated", "key_ring", done))
    context.db.scrub()
    return Rotation(not unfinished, resealed, unreadable)


def _add(keys: KeyRing) -> None:
    if keys.path is not None:
        add_key(keys.path)


def _in_use(context: Context) -> Counter[tuple[bytes, bool]]:
    with context.db.reading() as session:
        return keys_in_use(session, context.keys)


def _require_fit(context: Context) -> None:
    with context.db.reading() as session:
        check(session, context.keys, wanted="live" if stamp_of(session) == "live" else "test")


def _reseal_all(context: Context) -> tuple[int, int]:
    """Go through every column until a whole pass finds nothing: a claim that was under way may
    have been sealed with the old key a moment ago."""
    total = 0
    while True:
        passes = [_reseal(context, place) for place in sealed_places()]
        resealed = sum(done for done, _ in passes)
        total += resealed
        if not resealed:
            return total, sum(unreadable for _, unreadable in passes)


def _reseal(context: Context, place: Place) -> tuple[int, int]:
    resealed = unreadable = 0
    after: object = None
    while True:
        with context.db.transaction() as session:
            done = reseal_some(session, context.keys, place, after=after, limit=_BATCH)
            crash_point("in_rotate")
        resealed, unreadable = resealed + done.resealed, unreadable + done.unreadable
        after = done.last_id
        if done.seen < _BATCH:
            return resealed, unreadable


def key_report(context: Context) -> dict[str, object]:
    """How many sealed values each key holds, and how many do not open: each was tried."""
    in_use = _in_use(context)
    return {
        "current": context.keys.current.hex(),
        "values": {key_id.hex(): in_use[key_id, True] for key_id in context.keys.sealing},
        "unreadable": sum(count for (_, opens), count in in_use.items() if not opens),
    }


def retire_keys(context: Context, *, actor: str, now: datetime) -> int:
    """Take the old keys out of the ring, once nothing is sealed with them: then backups from
    before open never again. Returns how many went. Raises BadData while something is."""
    keys = context.keys
    _require_fit(context)
    if keys.path is None:
        raise Misconfigured("密钥没有文件", "the keys have no file")
    with context.db.exclusive("rotation"):  # no claim can be under way on SQLite
        current = keys.current
        left = sum(count for (key_id, _), count in _in_use(context).items() if key_id != current)
        if left:
            raise BadData(
                f"还有 {left} 个值由旧密钥加密；请先运行 qida keys rotate",
                f"{left} values are still sealed with an old key; run qida keys rotate first",
            )
        gone = drop_old_keys(keys.path)
    with context.db.transaction() as session:
        done = {"key": keys.current.hex(), "keys": gone}
        append_audit(session, Entry(None, now, actor, "keys.retired", "key_ring", done))
    return gone
