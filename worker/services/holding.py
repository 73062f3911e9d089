"""When a file is so far out of the ordinary that a person must release it, and how urgent it is.

A wrong file can tell thousands of people a date; one that waits too long tells them none.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from statistics import median

from worker.domain.calendar import ONE_DAY, in_china, midnight
from worker.domain.cases import deadlines_of
from worker.domain.delivery import DeadlineState
from worker.domain.errors import BadData, Fault
from worker.domain.rules import RuleKind
from worker.rosters import RosterRow
from worker.services.applying import event_in
from worker.services.context import Context
from worker.services.refusing import first_filled
from worker.store.imports import events_by_day

AT_LEAST = 1_000
_TIMES = 3
_DAYS = 28


def most_at_once(context: Context, centre_id: str, rows: int, now: datetime) -> int:
    """How many rows a file of this centre may have without anybody's word: three times its usual
    day, at least 1,000.

    The usual day is the median of the events it recorded a day, over those of the last four weeks
    on which it recorded any. It is looked up only where `rows` come to more than the least.
    """
    if rows <= AT_LEAST:
        return AT_LEAST
    today = in_china(now).date()
    begins = [midnight(today - ONE_DAY * back) for back in range(_DAYS, -1, -1)]
    with context.db.reading() as session:
        found = events_by_day(session, centre_id, begins)
    worked = [count for count in found if count]
    return max(AT_LEAST, int(_TIMES * median(worked))) if worked else AT_LEAST


def nearest_act_by(
    context: Context, centre_id: str, entries: Iterable[RosterRow | Fault], now: datetime
) -> datetime | None:
    """The first counter minute that people of a file must not miss; None if there is none.

    Rows of one case that stand together are worked out together. Those of a case already on file
    that do not name its procedure are passed over: its own reminders are planned.
    """
    rows = (entry for entry in entries if isinstance(entry, RosterRow))
    return min(
        (
            act_by
            for _, of_case in groupby(rows, key=lambda row: row.reference)
            for act_by in _open_lapses(context, centre_id, list(of_case), now)
        ),
        default=None,
    )


def _open_lapses(
    context: Context, centre_id: str, rows: Sequence[RosterRow], now: datetime
) -> Iterator[datetime]:
    name = first_filled(rows, "procedure")
    if name not in context.centre(centre_id).procedures or name not in context.rulebook.procedures:
        return
    bank = first_filled(rows, "bank")
    try:
        found = deadlines_of(
            context.procedure(name),
            [event for row in rows if (event := event_in(row))],
            lambda rule: context.terms(rule, centre_id, bank),
            context.calendar(centre_id),
            context.office(centre_id),
            now,
        )
    except BadData:  # told when it is applied
        return
    for one in found:
        act_by = one.deadline.act_by
        is_open_lapse = one.state is DeadlineState.OPEN and one.rule.kind is RuleKind.LAPSE
        if is_open_lapse and act_by is not None and act_by > now:
            yield act_by
