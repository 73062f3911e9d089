"""The attempt ledger: what was tried, what the provider said, and what is still open."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam
from sqlalchemy import select as select_columns  # SQLModel's has types for four at most
from sqlmodel import col, func, select, update

from worker.domain.delivery import AttemptState
from worker.domain.limits import Sent
from worker.store.database import Session, insert_values, new_id
from worker.store.tables import AttemptEventRow, AttemptRow, OptOutRow, ReminderRow

_ATTEMPTS = AttemptRow.metadata.tables["attempt"]
_EVENTS = AttemptEventRow.metadata.tables["attempt_event"]
_OUTCOME = update(_ATTEMPTS).where(
    _ATTEMPTS.c.id == bindparam("of"),
    _ATTEMPTS.c.state == AttemptState.SUBMITTING,
    _ATTEMPTS.c.owner == bindparam("by"),
)
# Whole batches are written through the tables: session objects take six times as long.
_AT_FIRST: Mapping[str, object] = {
    "state": AttemptState.SUBMITTING, "provider_status": "", "code": "", "misses": 0,
}  # fmt: skip
_NEVER_LEFT = (AttemptState.NOT_SENT, AttemptState.REJECTED)


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """An attempt as it begins, which is all of it until the provider has answered."""

    id: str
    centre_id: str
    case_id: str
    reminder_id: str
    number: int
    ref: str
    channel_name: str
    kind: str
    owner: str
    lease_until_at: datetime
    address_sealed: bytes
    address_index: str
    body_sealed: bytes
    body_hash: str
    template: str
    parts: int
    carries: str
    started_at: datetime
    simulated: bool

    def row(self) -> dict[str, object]:
        """Its columns."""
        return {**_AT_FIRST, **{name: getattr(self, name) for name in self.__slots__}}


def insert_attempts(session: Session, rows: Sequence[Mapping[str, object]]) -> None:
    """Write attempts as `submitting`: durable before the first byte leaves (DESIGN §5.1)."""
    insert_values(session, _ATTEMPTS, rows)


def record_outcomes(
    session: Session, owner: str, verdicts: Mapping[str, Mapping[str, object]]
) -> int:
    """Write what the provider said, by attempt, where it is still open and `owner`'s (DESIGN
    §5.5); returns for how many. Every verdict names the same columns."""
    rows = [{"of": attempt_id, "by": owner, **verdict} for attempt_id, verdict in verdicts.items()]
    return session.connection().execute(_OUTCOME, rows).rowcount


def move_attempt(
    session: Session, attempt_id: str, expected: AttemptState, values: Mapping[str, object]
) -> bool:
    """Change an attempt if it still is in the state the caller read."""
    result = session.execute(
        update(AttemptRow)
        .where(col(AttemptRow.id) == attempt_id, col(AttemptRow.state) == expected)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]  # CursorResult of an UPDATE


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of an attempt, in the provider's own words."""

    status: str
    provider_id: str = ""
    code: str = ""
    raw: str = ""


def add_event(
    session: Session, attempt: AttemptRow, source: str, seen: Seen, *, now: datetime
) -> None:
    """Keep what was seen of an attempt; events are never dropped nor changed."""
    session.add(AttemptEventRow(**_event(attempt, source, seen, now)))


def add_events(
    session: Session, seen: Iterable[tuple[NewAttempt, Seen]], source: str, *, now: datetime
) -> None:
    """The same for many attempts at once."""
    rows = [_event(attempt, source, one, now) for attempt, one in seen]
    insert_values(session, _EVENTS, rows)


def _event(
    attempt: AttemptRow | NewAttempt, source: str, seen: Seen, now: datetime
) -> dict[str, Any]:
    return {
        "id": new_id(now),
        "centre_id": attempt.centre_id,
        "attempt_id": attempt.id,
        "source": source,
        "provider_id": seen.provider_id,
        "status": seen.status,
        "code": seen.code,
        "raw": seen.raw,
        "at": now,
    }


def due_for_check(
    session: Session, states: Iterable[AttemptState], now: datetime, limit: int
) -> Sequence[AttemptRow]:
    """Attempts in one of `states` whose next look-up or poll is due."""
    return session.exec(
        select(AttemptRow)
        .where(
            col(AttemptRow.next_check_at).is_not(None),
            col(AttemptRow.next_check_at) <= now,
            col(AttemptRow.state).in_(list(states)),
        )
        .order_by(col(AttemptRow.next_check_at))
        .limit(limit)
    ).all()


def stale_claims(session: Session, now: datetime, limit: int) -> Sequence[AttemptRow]:
    """Attempts left `submitting` by a worker that died or was paused past its lease."""
    return session.exec(
        select(AttemptRow)
        .where(
            AttemptRow.state == AttemptState.SUBMITTING,
            col(AttemptRow.lease_until_at) < now,
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def attempts_of(session: Session, reminder_ids: Iterable[str]) -> Sequence[AttemptRow]:
    """Every attempt of some reminders, oldest first."""
    return session.exec(
        select(AttemptRow)
        .where(col(AttemptRow.reminder_id).in_(list(reminder_ids)))
        .order_by(col(AttemptRow.started_at), col(AttemptRow.number))
    ).all()


def events_of(session: Session, attempt_ids: Iterable[str]) -> Sequence[AttemptEventRow]:
    """Everything seen of some attempts, oldest first."""
    return session.exec(
        select(AttemptEventRow)
        .where(col(AttemptEventRow.attempt_id).in_(list(attempt_ids)))
        .order_by(col(AttemptEventRow.at), col(AttemptEventRow.id))
    ).all()


def looked_for_in_vain(session: Session) -> Sequence[str]:
    """Reminders with more than one attempt, of which a provider's list did not show one."""
    return session.exec(
        select(AttemptRow.reminder_id)
        .join(ReminderRow, col(ReminderRow.id) == col(AttemptRow.reminder_id))
        .where(AttemptRow.misses > 0, ReminderRow.attempts > 1)
        .distinct()
    ).all()


def lost_before(session: Session, reminder_id: str, look_ups: int) -> int:
    """How many attempts of a reminder were given up as `lost`: the second is the last (promise 3).

    One whose look-ups were all in vain counts though a late receipt has given it another state.
    """
    given_up = (col(AttemptRow.state) == AttemptState.LOST) | (col(AttemptRow.misses) >= look_ups)
    return session.exec(
        select(func.count())
        .select_from(AttemptRow)
        .where(AttemptRow.reminder_id == reminder_id, given_up)
    ).one()


def bound_elsewhere(
    session: Session, channel_name: str, attempts_by_provider_id: Mapping[str, str]
) -> set[str]:
    """Which of a provider's messages belong to another attempt than the one thought of.

    A receipt may have bound a message to its own attempt before the answer was recorded.
    """
    if not attempts_by_provider_id:
        return set()
    found = session.exec(
        select(AttemptRow.provider_id, AttemptRow.id).where(
            AttemptRow.channel_name == channel_name,
            col(AttemptRow.provider_id).in_(list(attempts_by_provider_id)),
        )
    )
    return {
        provider_id
        for provider_id, attempt_id in found
        if provider_id is not None and attempts_by_provider_id[provider_id] != attempt_id
    }


class Tried(NamedTuple):
    """When an attempt was claimed, and when its call ended, if anything was heard of that."""

    id: str
    started_at: datetime
    ended_at: datetime | None


def in_doubt_beside(session: Session, attempt: AttemptRow) -> list[Tried]:
    """The attempt and, behind it, all others in doubt whose message a look-up cannot tell from its
    own: the same text to the same number."""
    ended_at = (
        select(func.min(AttemptEventRow.at))
        .where(AttemptEventRow.attempt_id == AttemptRow.id, AttemptEventRow.source == "submit")
        .scalar_subquery()
    )
    found = session.execute(
        select_columns(col(AttemptRow.id), col(AttemptRow.started_at), ended_at).where(
            col(AttemptRow.address_index) == attempt.address_index,
            col(AttemptRow.body_hash) == attempt.body_hash,
            col(AttemptRow.channel_name) == attempt.channel_name,
            col(AttemptRow.state).in_((AttemptState.SUBMITTING, AttemptState.UNCERTAIN)),
            col(AttemptRow.provider_id).is_(None),
        )
    )
    return sorted(map(Tried._make, found), key=lambda one: one.id != attempt.id)


def known_provider_ids(
    session: Session, channel_name: str, provider_ids: Sequence[str]
) -> set[str]:
    """Which of a provider's messages are ours. Asked in slices: a list may be long."""
    known: set[str] = set()
    for start in range(0, len(provider_ids), 500):
        known |= bound_elsewhere(
            session, channel_name, dict.fromkeys(provider_ids[start : start + 500], "")
        )
    return known


def redactions_due(session: Session, now: datetime, limit: int) -> Sequence[AttemptRow]:
    """Attempts whose text the provider should forget now."""
    return session.exec(
        select(AttemptRow)
        .where(col(AttemptRow.redact_at).is_not(None), col(AttemptRow.redact_at) <= now)
        .order_by(col(AttemptRow.redact_at))
        .limit(limit)
    ).all()


def move_redaction(session: Session, attempt_id: str, at: datetime | None) -> None:
    """When to ask again that a text be forgotten; None once it is."""
    session.execute(
        update(AttemptRow)
        .where(col(AttemptRow.id) == attempt_id)
        .values(redact_at=at)
        .execution_options(synchronize_session=False)
    )


def usual_parts(session: Session) -> float | None:
    """How many parts the latest SMS had on average; None before the first."""
    last = (
        select(AttemptRow.parts)
        .where(AttemptRow.kind == "sms")
        .order_by(col(AttemptRow.id).desc())
        .limit(500)
        .subquery()
    )
    parts = session.exec(select(func.avg(last.c.parts))).one()
    return None if parts is None else float(parts)


def sent_since(
    session: Session, addresses: Iterable[str], since: datetime
) -> dict[str, list[Sent]]:
    """What left for each address since an instant; uncertain messages count as sent."""
    found: dict[str, list[Sent]] = {}
    rows = session.execute(
        select_columns(
            col(AttemptRow.address_index),
            col(AttemptRow.body_hash),
            col(AttemptRow.started_at),
            col(ReminderRow.priority),
            col(AttemptRow.parts),
        )
        .join(ReminderRow, col(ReminderRow.id) == col(AttemptRow.reminder_id))
        .where(
            col(AttemptRow.address_index).in_(list(addresses)),
            col(AttemptRow.started_at) > since,
            col(AttemptRow.state).not_in(_NEVER_LEFT),
        )
        .order_by(col(AttemptRow.started_at))
    )
    for address, body_hash, started_at, priority, parts in rows:
        sent = Sent(body_hash, started_at, is_lapse=priority == 0, parts=parts)
        found.setdefault(address, []).append(sent)
    return found


def opted_out(session: Session, addresses: Iterable[str]) -> set[tuple[str, str | None]]:
    """Which addresses refused messages: pairs of address and centre, None for every centre."""
    rows = session.exec(
        select(OptOutRow.address_index, OptOutRow.centre_id).where(
            col(OptOutRow.address_index).in_(list(addresses))
        )
    )
    return set(rows.all())
