"""The duty `imports`: files handed in over HTTP are checked whole, then applied chunk by chunk.

What a chunk leads to and how far the file was taken are written in one transaction, so that a
process may die at any moment: whoever comes next goes on behind the last chunk.
"""

import json
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from worker.clock import pause
from worker.domain.errors import Fault, Text, Unavailable
from worker.rosters import RosterRow
from worker.services.context import Context
from worker.services.enrolment import Bookmark, enrol_rows
from worker.services.holding import most_at_once, nearest_act_by
from worker.services.import_turns import LEASE, Lost, Turn
from worker.services.uploads import CutShort, erase_file, forget_upload
from worker.store.audit import Entry, append_audit
from worker.store.database import Session
from worker.store.imports import ImportRow, claim_import, left_alone, with_parts

log = logging.getLogger(__name__)

_TOLD_EVERY = 5_000
"""Rows between two notes of how far the check has come."""

_PAUSE = 0.02
"""Seconds between two chunks in which others may write. SQLite has no queue: who waits asks again
every 100 ms at most (sqlite3_busy_timeout), and the next chunk would nearly always be first."""

FILE_KEPT = timedelta(days=7)
"""How long a file with mistakes is kept for its errors.csv, and one that is held for an answer."""

_NEVER_CAME = timedelta(hours=1)


def take_imports(
    context: Context, *, now: datetime, keep_going: Callable[[], bool] = lambda: True
) -> Counter[str]:
    """Check and apply what was handed in, the shortest first; then erase what is not needed.

    Raises Unavailable where the database is out of reach: it goes on when it is back.
    """
    counts: Counter[str] = Counter()
    while keep_going() and (turn := _claimed(context, now, keep_going)):
        counts += _work(turn)
    return +(counts + _tidy(context, now))


def check_now(context: Context, import_id: str, *, now: datetime) -> None:
    """Check one import at once (a dry run: whole), unless somebody does so already."""
    turn = _claimed(context, now, lambda: True, import_id)
    if turn is not None:
        _work(turn)


def _claimed(
    context: Context, now: datetime, keep_going: Callable[[], bool], import_id: str | None = None
) -> Turn | None:
    owner = secrets.token_hex(16)
    with context.db.transaction() as session:
        row = claim_import(session, owner, now=now, lease=LEASE, import_id=import_id)
    return Turn(context, row, now, keep_going) if row is not None else None


def _work(turn: Turn) -> Counter[str]:
    """One turn of one import. What nobody foresaw leaves it to be tried again after its lease."""
    try:
        if turn.row.state == "checking" and not turn.row.dry_run:
            return _check(turn)
        return _apply(turn)
    except (Lost, CutShort):
        return Counter(lost=1)
    except Unavailable:
        with suppress(Unavailable):
            turn.let_go()
        raise
    except Exception:  # logged by its kind: its text may repeat what the cells hold
        log.exception("import.failed", extra={"import_id": turn.row.id})
        return Counter(error=1)


def _check(turn: Turn) -> Counter[str]:
    """Read the whole file, and decide whether it may be applied."""
    turn.begin_anew()
    report = turn.report
    for seen, entry in enumerate(turn.entries(), 1):
        if isinstance(entry, Fault):
            report.blame([entry])
        else:
            report.rows += 1
        if seen % _TOLD_EVERY == 0:
            turn.go_over("checking", rows_done=report.rows + turn.refused)
            if not turn.keep_going():
                turn.let_go()
                return Counter()
    return _decide(turn)


def _decide(turn: Turn) -> Counter[str]:
    rows, good = turn.report.rows + turn.refused, turn.report.rows
    turn.report.rows = 0
    if not good:
        _say_empty(turn)
        turn.end("refused", rows=rows, rows_done=rows)
        return Counter(checked=1, refused=1)
    most = most_at_once(turn.context, turn.row.centre_id, rows, turn.now)
    if rows <= most:
        turn.end("queued", rows=rows, rows_done=rows - good)
        return Counter(checked=1)
    turn.go_over("checking", rows=rows, rows_done=rows - good)
    until = nearest_act_by(turn.context, turn.row.centre_id, turn.entries(), turn.now)
    turn.end("held", held_above=most, nearest_act_by_at=until)
    _say_held(turn.row, rows, until)
    return Counter(checked=1, held=1)


def _say_empty(turn: Turn) -> None:
    """A file is not refused without a word."""
    if not turn.report.faults:
        said = Fault(f"import.{turn.row.kind}", _NO_ROW, _WRITE_ROWS, code="file.empty")
        turn.report.blame([said])


_NO_ROW = Text("名单里一行也没有", "there is no row in it")
_WRITE_ROWS = Text("请在列名下面每行写一个事项", "write one event a row below the column names")


def _say_held(row: ImportRow, rows: int, until: datetime | None) -> None:
    """The alert: a file waits for somebody's word, and until when that does no harm."""
    act_by = until.isoformat(timespec="seconds") if until else None
    said = {"import_id": row.id, "centre_id": row.centre_id, "count": rows, "act_by": act_by}
    log.error("import.held", extra=said | {"mend": str(_APPROVE)})


_APPROVE = Text(
    "请核对后运行 qida imports approve 或 cancel",
    "look into it, then qida imports approve or cancel",
)


def _apply(turn: Turn) -> Counter[str]:
    """Apply the file from where it was left; a dry run begins anew and takes every chunk back."""
    row, dry_run = turn.row, turn.row.dry_run
    if dry_run:
        turn.begin_anew()
    else:
        turn.take_up()
        turn.go_over("applying")
    before = turn.report.new
    bookmark = _bookmark(turn)
    enrol_rows(
        turn.context,
        _unlisted(turn),
        now=turn.now,
        dry_run=dry_run,
        progress=lambda _: pause(_PAUSE),
        bookmark=bookmark,
    )
    counts = Counter(new=turn.report.new - before) if not dry_run else Counter[str]()
    if not bookmark.is_done:
        turn.let_go()
        return counts
    rows = turn.report.rows + turn.refused if dry_run else row.rows
    if not turn.report.rows:
        _say_empty(turn)
    turn.end("done" if turn.report.rows else "refused", rows=rows, rows_done=rows)
    return counts + Counter(done=1)


def _bookmark(turn: Turn) -> Bookmark:
    """Where the file was left, and how that is kept."""
    row, state = turn.row, turn.row.state
    taken_before = row.rows_done - turn.report.rows

    def save(session: Session) -> None:
        waiting = [-one if is_event else one for one, is_event in bookmark.waiting.items()]
        turn.note(
            session,
            state,
            rows_done=taken_before + turn.report.rows,
            number=bookmark.number,
            waiting=json.dumps(waiting),
        )

    bookmark = Bookmark(turn.report, save, turn.goes_on)
    if not row.dry_run:
        bookmark.number = row.number
        bookmark.waiting = {abs(one): one < 0 for one in json.loads(row.waiting)}
    return bookmark


def _unlisted(turn: Turn) -> Iterator[RosterRow | Fault]:
    """Every row, and of what cannot be read only what is not listed or counted already."""
    known = {fault.place for fault in turn.report.faults}
    is_counted = turn.report.unlisted > 0
    for entry in turn.entries():
        if isinstance(entry, RosterRow) or not (entry.place in known or is_counted):
            yield entry


def _tidy(context: Context, now: datetime) -> Counter[str]:
    """Erase files that nobody needs any more, and end what nobody came back to."""
    counts: Counter[str] = Counter()
    with context.db.transaction() as session:
        never = [row.id for row in left_alone(session, ["receiving"], now - _NEVER_CAME)]
        for row in left_alone(session, ["held"], now - FILE_KEPT):
            row.state, row.reason, row.finished_at = "cancelled", "expired", now
            said = Entry(row.centre_id, now, "qida", "import.cancelled", row.id, {"why": "expired"})
            append_audit(session, said)
            log.error("import.expired", extra={"import_id": row.id, "centre_id": row.centre_id})
            counts["expired"] += 1
    with context.db.reading() as session:
        over = [row.id for row in with_parts(session) if _is_over(row, now)]
    for import_id in (*never, *over):
        counts["erased"] += erase_file(context, import_id)
    for import_id in never:
        forget_upload(context, import_id)
    return counts


def _is_over(row: ImportRow, now: datetime) -> bool:
    """Whether nothing of an import's file is needed any more."""
    if row.finished_at is None:
        return False
    is_clean = not json.loads(row.counts).get("bad", 0)
    return is_clean or row.state == "cancelled" or row.finished_at <= now - FILE_KEPT
