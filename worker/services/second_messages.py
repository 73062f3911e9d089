"""Second messages: reminders that left again because their attempt was given up as lost.

Promise 3 of the design: nobody is told twice by accident, and where a provider never showed a
message and it was sent once more, the case is counted and listed, whatever turned up later.
"""

from collections.abc import Iterator, Sequence

from worker.services.context import Records
from worker.services.operations import iso, named, require_centre
from worker.store.attempts import attempts_of, events_of, looked_for_in_vain
from worker.store.database import Session
from worker.store.reminders import Due, reminders_by_id
from worker.store.tables import AttemptEventRow, AttemptRow

_NEVER_LEFT = ("not_sent", "rejected")


def second_messages(
    records: Records,
    *,
    centre_id: str | None = None,
    state: str | None = None,
    reference: str | None = None,
) -> list[dict[str, object]]:
    """Each attempt given up as lost with the one sent in its place, oldest first.

    Raises BadData for a centre that nobody knows.
    """
    with records.db.reading() as session:
        require_centre(session, centre_id)
        due = {
            one.reminder.id: one
            for one in reminders_by_id(session, looked_for_in_vain(session)).values()
            if centre_id in (None, one.case.centre_id)
            and state in (None, one.reminder.state)
            and reference in (None, one.case.reference)
        }
        return [
            _told(due[first.reminder_id], first, again, missed)
            for first, again, missed in _pairs(session, list(due))
        ]


Pair = tuple[AttemptRow, AttemptRow, list[AttemptEventRow]]


def _pairs(session: Session, reminder_ids: Sequence[str]) -> Iterator[Pair]:
    """A lost attempt, its successor, and the look-ups that did not show it."""
    left = [one for one in attempts_of(session, reminder_ids) if one.state not in _NEVER_LEFT]
    seen: dict[str, list[AttemptEventRow]] = {}
    for event in events_of(session, [one.id for one in left if one.misses]):
        seen.setdefault(str(event.attempt_id), []).append(event)
    for first in left:
        later = (one for one in left if one.reminder_id == first.reminder_id
                 and one.number > first.number)  # fmt: skip
        again = min(later, key=lambda one: one.number, default=None)
        before = [
            event for event in seen.get(first.id, ()) if again and event.at <= again.started_at
        ]
        missed = [event for event in before if _is_a_miss(event)]
        if again and missed and not any(map(_is_a_word_of_it, before)):
            yield first, again, missed


def _is_a_miss(event: AttemptEventRow) -> bool:
    return (event.source, event.status) == ("find", "missing")


def _is_a_word_of_it(event: AttemptEventRow) -> bool:
    """Whether the provider spoke of the message: then it was not lost, but failed and repeated."""
    return bool(event.provider_id) or event.source in ("callback", "poll", "bounce")


def _told(
    due: Due, first: AttemptRow, again: AttemptRow, missed: Sequence[AttemptEventRow]
) -> dict[str, object]:
    minutes = round((missed[-1].at - first.started_at).total_seconds() / 60)
    return {
        **named(due),
        "state": due.reminder.state,
        "why": {
            "zh": f"发出后没有答复，{minutes} 分钟内查询 {len(missed)} 次，运营商都没有这条消息",
            "en": f"no answer, and {len(missed)} look-ups in {minutes} minutes did not show it",
        },
        "given_up_at": iso(missed[-1].at),
        "first": _attempt(first),
        "again": _attempt(again),
    }


def _attempt(row: AttemptRow) -> dict[str, object]:
    return {
        "id": row.id,
        "number": row.number,
        "started_at": iso(row.started_at),
        "provider": row.channel_name,
        "provider_id": row.provider_id,
        "state": row.state,
        "code": row.code,
    }
