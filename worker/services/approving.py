"""What people see of imports, and the word they give: approve one that is held, cancel one.

A centre sees and cancels its own. Only an operator approves: a file far out of the ordinary may
come from the centre's own system gone wrong, or from a key that was stolen.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import datetime

from worker.domain.errors import BadData, Fault
from worker.rosters import by_row, error_rows, row_of
from worker.services.context import Context, Records
from worker.services.operations import iso, require_centre
from worker.services.turning_away import NotThere
from worker.services.uploads import UploadedFile, erase_file, faults_of
from worker.store.audit import Entry, append_audit
from worker.store.database import Session
from worker.store.imports import UNFINISHED, ImportRow, find_import, holds_parts, list_imports

MOST_SHOWN = 20
"""Mistakes in an answer; errors.csv has them all."""

_BLOCK = 64 << 10


def import_listing(
    records: Records,
    *,
    centre_id: str | None = None,
    state: str | None = None,
    before: str = "",
    limit: int = 100,
) -> list[dict[str, object]]:
    """Imports, newest first. Raises BadData for a centre that nobody knows."""
    with records.db.reading() as session:
        require_centre(session, centre_id)
        found = list_imports(session, centre_id=centre_id, state=state, before=before, limit=limit)
        return [import_view(row) for row in found]


def import_view(row: ImportRow) -> dict[str, object]:
    """An import as it is told: counts, instants and states."""
    counts = json.loads(row.counts)
    return {
        "id": row.id,
        "centre": row.centre_id,
        "state": row.state,
        "reason": row.reason,
        "dry_run": row.dry_run,
        "kind": row.kind,
        "bytes": row.size,
        "rows": row.rows,
        "rows_done": row.rows_done,
        "bad_rows": counts.get("bad", 0),
        "new": counts.get("new", 0),
        "changed": counts.get("changed", 0),
        "unchanged": counts.get("unchanged", 0),
        "events_recorded": counts.get("events", 0),
        "reminders_planned": counts.get("planned", 0),
        "repeats": row.repeats,
        "held_above": row.held_above,
        "nearest_act_by": iso(row.nearest_act_by_at),
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "finished_at": iso(row.finished_at),
        "notes": json.loads(row.notes),
    }


def import_report(
    context: Context, import_id: str, *, centre_id: str | None = None
) -> dict[str, object]:
    """An import with its first mistakes, in the order of its rows. Raises NotThere."""
    with context.db.reading() as session:
        row = _found(session, import_id, centre_id)
    faults, _ = faults_of(context, import_id)
    shown = sorted(faults, key=row_of)[:MOST_SHOWN]
    return import_view(row) | {"errors": [_error(fault) for fault in shown]}


def _error(fault: Fault) -> dict[str, object]:
    return {
        "place": fault.place,
        "row": row_of(fault),
        "code": fault.code,
        "value": fault.value,
        "detail_zh": fault.message.zh,
        "detail_en": fault.message.en,
        "mend_zh": fault.mend.zh,
        "mend_en": fault.mend.en,
    }


def error_list(
    context: Context, import_id: str, *, centre_id: str | None = None, language: str = "zh"
) -> Iterator[str]:
    """errors.csv of an import: the file as it came and a column with what to mend, in blocks.

    Raises NotThere where there is no such import, no mistake, or its file was erased.
    """
    with context.db.reading() as session:
        row = _found(session, import_id, centre_id)
        is_there = holds_parts(session, import_id)
    faults, _ = faults_of(context, import_id)
    if not (is_there and faults):
        raise NotThere
    return _blocks(error_rows(UploadedFile(context, row), by_row(faults), language))


def _blocks(rows: Iterator[list[str]]) -> Iterator[str]:
    """CSV text with a byte order mark, which Excel needs."""
    buffer = io.StringIO(newline="")
    buffer.write("\ufeff")
    writer = csv.writer(buffer)
    for row in rows:
        writer.writerow(row)
        if buffer.tell() > _BLOCK:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def approve(records: Records, import_id: str, *, actor: str, now: datetime) -> dict[str, object]:
    """Let an import that is held be applied. Raises NotThere, BadData."""
    return _moved(records, import_id, ("held",), "queued", actor=actor, now=now)


def cancel(
    records: Records, import_id: str, *, actor: str, now: datetime, centre_id: str | None = None
) -> dict[str, object]:
    """End an import and erase its file. What was applied of it stays. Raises NotThere, BadData."""
    done = _moved(
        records, import_id, UNFINISHED, "cancelled", actor=actor, now=now, centre_id=centre_id
    )
    erase_file(records, import_id)
    return done


def _moved(  # noqa: PLR0913  # which, from where to where, by whom
    records: Records,
    import_id: str,
    states: Sequence[str],
    state: str,
    *,
    actor: str,
    now: datetime,
    centre_id: str | None = None,
) -> dict[str, object]:
    with records.db.transaction() as session:
        row = _found(session, import_id, centre_id, lock=True)
        if row.state not in states:
            raise BadData(
                f"该导入现在是 {row.state}，只有 {'、'.join(states)} 时可以这样做",
                f"the import is {row.state}; this can be done while it is {', '.join(states)}",
            )
        row.state, row.updated_at, row.owner, row.lease_until_at = state, now, None, None
        if state == "cancelled":
            row.reason, row.finished_at = "asked", now
        said = "approved" if state == "queued" else state
        append_audit(session, Entry(row.centre_id, now, actor, f"import.{said}", row.id, {}))
        return import_view(row)


def _found(
    session: Session, import_id: str, centre_id: str | None, *, lock: bool = False
) -> ImportRow:
    row = find_import(session, import_id, centre_id=centre_id, lock=lock)
    if row is None:
        raise NotThere
    return row
