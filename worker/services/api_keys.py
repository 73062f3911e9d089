"""API keys: made once and shown once, checked at every request, revoked for good.

The centre of a request is the centre of its key and comes from nowhere else. What a key may do is
its scopes; whom its cases may be written to is its kind (decision 0010).
"""

import hmac
import logging
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal, get_args

from worker.domain.errors import BadData, Unavailable
from worker.services.context import Context, Records
from worker.services.operations import iso
from worker.store.api_keys import (
    PresentedKey,
    find_key,
    is_use_worth_noting,
    list_keys,
    note_use,
    presented_key,
)
from worker.store.audit import Entry, append_audit
from worker.store.database import new_id
from worker.store.installation import stamp_of
from worker.store.tables import ApiKeyRow

log = logging.getLogger(__name__)

KeyKind = Literal["test", "team", "live"]

CentreScope = Literal["cases:read", "cases:write", "imports", "evidence"]
OperatorScope = Literal["job-runs", "metrics", "imports:approve"]
Scope = CentreScope | OperatorScope

OF_CENTRES: tuple[Scope, ...] = get_args(CentreScope)
OF_OPERATORS: tuple[Scope, ...] = get_args(OperatorScope)
_NOT_OF_TEAM: frozenset[Scope] = frozenset({"imports"})  # a file is other people's numbers

TEST_KEY = "qk_test_"
"""How a test key begins."""

_WRITTEN = re.compile(r"(qk_(?:test|team|live)_[0-9a-f]{12})_([0-9a-f]{64})")
_NO_HASH = "0" * 64


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key a request bears; an operator's belongs to no centre."""

    key_id: str
    kind: str
    centre_id: str | None
    scopes: frozenset[str] = frozenset()

    @property
    def team_only(self) -> bool:
        """Whether its cases are trials, written to nobody but the centre's listed team."""
        return self.kind == "team"

    @property
    def actor(self) -> str:
        """How the audit trail names it."""
        return f"key:{self.key_id}"


def create_key(  # noqa: PLR0913  # what a key is made of
    context: Context,
    *,
    centre_id: str | None,
    kind: KeyKind,
    name: str = "",
    days: int | None = None,
    scopes: Collection[str] = (),
    now: datetime,
) -> str:
    """Make a key, for an operator without `centre_id`; returns it in the clear, the only time.

    Without `scopes` it gets all that its kind may have. Raises BadData for a centre or scope that
    does not exist, and for a test key on a database that is sent from for real.
    """
    if centre_id is not None:
        context.centre(centre_id)
    held = _scopes(scopes, kind, is_operator=centre_id is None)
    prefix = f"qk_{kind}_{secrets.token_hex(6)}"
    secret = secrets.token_hex(32)
    with context.db.transaction() as session:
        if kind == "test" and stamp_of(session) != "test":
            raise BadData(
                "test 密钥不能存入正式库",
                "a live database takes no test keys",
            )
        key = ApiKeyRow(
            id=new_id(now),
            centre_id=centre_id,
            name=name,
            kind=kind,
            prefix=prefix,
            secret_sha256=_hash(secret),
            scopes=" ".join(held),
            created_at=now,
            expires_at=now + timedelta(days=days) if days else None,
        )
        session.add(key)
        made = {"prefix": prefix, "scopes": " ".join(held)}
        append_audit(session, Entry(centre_id, now, "cli", "key.created", key.id, made))
    return f"{prefix}_{secret}"


def _scopes(asked: Collection[str], kind: KeyKind, *, is_operator: bool) -> list[str]:
    """The scopes of a new key, in their usual order. Raises BadData."""
    may_have = [
        scope
        for scope in (OF_OPERATORS if is_operator else OF_CENTRES)
        if kind != "team" or scope not in _NOT_OF_TEAM
    ]
    if strange := sorted(set(asked) - set(may_have)):
        raise BadData(
            f"这种密钥没有权限 {'、'.join(strange)}；可用：{'、'.join(may_have)}",
            f"such a key has no scope {', '.join(strange)}; there are: {', '.join(may_have)}",
        )
    return [scope for scope in may_have if not asked or scope in asked]


def key_listing(records: Records, *, centre_id: str | None = None) -> list[dict[str, object]]:
    """Every key ever made, oldest first; nothing of a secret."""
    with records.db.reading() as session:
        return [
            {
                "id": key.id,
                "centre": key.centre_id,
                "name": key.name,
                "kind": key.kind,
                "prefix": key.prefix,
                "scopes": key.scopes.split(),
                "created_at": iso(key.created_at),
                "expires_at": iso(key.expires_at),
                "last_used_at": iso(key.last_used_at),
                "revoked_at": iso(key.revoked_at),
            }
            for key in list_keys(session, centre_id)
        ]


def has_key(records: Records, key_id: str) -> bool:
    """Whether a key of this id or prefix is on record here."""
    with records.db.reading() as session:
        return (session.get(ApiKeyRow, key_id) or find_key(session, key_id)) is not None


def revoke_key(records: Records, key_id: str, *, now: datetime) -> None:
    """Revoke a key by its id or prefix; one revoked before stays as it is. Raises BadData."""
    with records.db.transaction() as session:
        key = session.get(ApiKeyRow, key_id) or find_key(session, key_id)
        if key is None:
            raise BadData(
                "没有这个密钥；编号和前缀见 qida keys list",
                "no such key; qida keys list shows ids and prefixes",
            )
        if key.revoked_at is None:
            key.revoked_at = now
            gone = {"prefix": key.prefix}
            append_audit(session, Entry(key.centre_id, now, "cli", "key.revoked", key.id, gone))


def caller_of(context: Context, presented: str, *, now: datetime) -> Caller | None:
    """Whose key this is; None for one that is unknown, wrong, expired, revoked or out of place."""
    written = _WRITTEN.fullmatch(presented)
    if written is None:
        return None
    prefix, secret = written.groups()
    with context.db.looking_up() as connection:
        key = presented_key(connection, prefix)
    is_in_place = key is not None and (key.kind != "test" or key.stamp == "test")
    # An unknown prefix is compared as well, so that its answer takes as long
    is_right = hmac.compare_digest(key.secret_sha256 if key else _NO_HASH, _hash(secret))
    if key is None or not is_right or not is_in_place or not _is_in_force(key, now):
        return None
    if key.centre_id is not None and key.centre_id not in context.centres:
        return None
    _note_use(context, key, now)
    return Caller(key.id, key.kind, key.centre_id, frozenset(key.scopes.split()))


def _is_in_force(key: PresentedKey, now: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or now < key.expires_at)


def _note_use(context: Context, key: PresentedKey, now: datetime) -> None:
    """A busy database must not turn a reader away for the sake of a note."""
    if not is_use_worth_noting(key, now):
        return
    try:
        with context.db.transaction() as session:
            note_use(session, key.id, now)
    except Unavailable as error:
        log.warning("key.use_not_noted", extra={"reason": error.text.en})


def _hash(secret: str) -> str:
    """256 random bits need no slow hash."""
    return sha256(secret.encode()).hexdigest()
