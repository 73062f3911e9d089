"""What receipts need to know: whose message one is about, and whether it was seen before."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, delete, func, select

from worker.domain.delivery import OPEN_ATTEMPTS, AttemptState
from worker.store.attempts import Seen
from worker.store.database import Session, insert_new, new_id
from worker.store.tables import AttemptEventRow, AttemptRow, OptOutRow, ReminderRow

_LEFT_NOTHING = (AttemptState.NOT_SENT, AttemptState.REJECTED)
_SILENT = (AttemptState.ACCEPTED, AttemptState.SENT, AttemptState.UNCONFIRMED)
_HEARD = (AttemptState.DELIVERED, AttemptState.UNDELIVERED, AttemptState.FAILED)


def attempt_by_ref(session: Session, ref: str) -> AttemptRow | None:
    """The attempt that carried `ref`, locked."""
    return session.exec(
        select(AttemptRow).where(AttemptRow.ref == ref).with_for_update()
    ).one_or_none()


def attempt_by_provider_id(
    session: Session, channel_name: str, provider_id: str
) -> AttemptRow | None:
    """The attempt a provider's message belongs to, locked."""
    return session.exec(
        select(AttemptRow)
        .where(AttemptRow.channel_name == channel_name, AttemptRow.provider_id == provider_id)
        .with_for_update()
    ).one_or_none()


def is_bound_by_look_up(session: Session, attempt: AttemptRow) -> bool:
    """Whether only a look-up says that the attempt's message is its own: neither the answer to its
    submission nor a callback has named it."""
    said_by = select(AttemptEventRow.source).where(
        AttemptEventRow.attempt_id == attempt.id,
        AttemptEventRow.provider_id == attempt.provider_id,
        col(AttemptEventRow.source).in_(("find", "submit", "callback")),
    )
    return set(session.exec(said_by)) == {"find"}


def latest_attempt(session: Session, reminder_id: str) -> AttemptRow | None:
    """The last attempt of a reminder, locked: a bounce may name no more than its message."""
    return session.exec(
        select(AttemptRow)
        .where(AttemptRow.reminder_id == reminder_id)
        .order_by(col(AttemptRow.number).desc())
        .limit(1)
        .with_for_update()
    ).one_or_none()


def was_seen(session: Session, attempt_id: str | None, source: str, seen: Seen) -> bool:
    """Whether the same was seen before: a signed callback can be replayed for ever."""
    found = select(AttemptEventRow.id).where(
        AttemptEventRow.attempt_id == attempt_id,
        AttemptEventRow.source == source,
        AttemptEventRow.provider_id == seen.provider_id,
        AttemptEventRow.status == seen.status,
        AttemptEventRow.code == seen.code,
    )
    return session.exec(found.limit(1)).first() is not None


def add_orphan(session: Session, source: str, seen: Seen, *, now: datetime) -> None:
    """Keep what was seen of a message that is none of ours."""
    session.add(
        AttemptEventRow(
            id=new_id(now),
            source=source,
            provider_id=seen.provider_id,
            status=seen.status,
            code=seen.code,
            raw=seen.raw,
            at=now,
        )
    )


def orphans(session: Session, provider_ids: Sequence[str]) -> set[str]:
    """Which of a provider's messages were already found to be none of ours, by a sweep."""
    found: set[str] = set()
    for start in range(0, len(provider_ids), 500):
        found.update(
            session.exec(
                select(AttemptEventRow.provider_id).where(
                    col(AttemptEventRow.attempt_id).is_(None),
                    AttemptEventRow.source == "sweep",
                    col(AttemptEventRow.provider_id).in_(provider_ids[start : start + 500]),
                )
            )
        )
    return found


def other_open_attempt(session: Session, attempt: AttemptRow) -> bool:
    """Whether another attempt of the same reminder may still reach the person.

    Locks the reminder first: whoever claims it at this moment has either written the attempt that
    is looked for, or waits.
    """
    reminder = select(ReminderRow.id).where(ReminderRow.id == attempt.reminder_id)
    session.exec(reminder.with_for_update()).one()
    found = select(AttemptRow.id).where(
        AttemptRow.reminder_id == attempt.reminder_id,
        AttemptRow.id != attempt.id,
        col(AttemptRow.state).in_(list(OPEN_ATTEMPTS)),
    )
    return session.exec(found).first() is not None


def failed_before(session: Session, attempt: AttemptRow) -> bool:
    """Whether an earlier attempt of the same reminder came back undelivered."""
    found = select(AttemptRow.id).where(
        AttemptRow.reminder_id == attempt.reminder_id,
        AttemptRow.id != attempt.id,
        col(AttemptRow.state).in_((AttemptState.UNDELIVERED, AttemptState.FAILED)),
    )
    return session.exec(found).first() is not None


def was_tried_again(session: Session, attempt: AttemptRow) -> bool:
    """Whether a later attempt of the same reminder left, or may have."""
    found = select(AttemptRow.id).where(
        AttemptRow.reminder_id == attempt.reminder_id,
        AttemptRow.number > attempt.number,
        col(AttemptRow.state).not_in(_LEFT_NOTHING),
    )
    return session.exec(found).first() is not None


def add_opt_out(
    session: Session, address_index: str, centre_id: str | None, source: str, now: datetime
) -> None:
    """Remember that an address wants no messages, of one centre or (None) of any."""
    row = {
        "id": new_id(now),
        "centre_id": centre_id,
        "address_index": address_index,
        "source": source,
        "created_at": now,
    }
    unique = ("address_index", "centre_id") if centre_id else ("address_index",)
    insert_new(session, OptOutRow, [row], unique=unique)


def remove_opt_out(session: Session, address_index: str, centre_id: str) -> None:
    """One centre may write to an address again; what holds for every centre stays."""
    session.execute(
        delete(OptOutRow).where(
            col(OptOutRow.address_index) == address_index, col(OptOutRow.centre_id) == centre_id
        )
    )


def receipts_of_last(
    session: Session, channel_name: str, count: int, before: datetime
) -> tuple[int, int]:
    """Of a sender's last `count` messages that began before an instant: how many brought a
    receipt, and how many there were."""
    last = (
        select(AttemptRow.state)
        .where(
            AttemptRow.channel_name == channel_name,
            col(AttemptRow.state).in_((*_SILENT, *_HEARD)),
            col(AttemptRow.started_at) <= before,
        )
        .order_by(col(AttemptRow.started_at).desc())
        .limit(count)
        .subquery()
    )
    rows = dict(session.exec(select(last.c.state, func.count()).group_by(last.c.state)).all())
    return sum(rows.get(state, 0) for state in _HEARD), sum(rows.values())
