"""Evidence: what can be shown of a case to somebody who doubts it, chained link by link.

Each link carries the hash of the one before it, so that `scripts/verify-evidence` finds a changed
copy without Qida. Outcomes of the sandbox are no evidence: they are left out, and counted.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from worker.services.casebook import deadline_views
from worker.services.context import Context
from worker.services.erasing import open_of
from worker.services.operations import case_report, iso
from worker.store.attempts import attempts_of, events_of
from worker.store.audit import Entry, append_audit, head
from worker.store.cases import case_files
from worker.store.installation import stamp_of
from worker.store.tables import AttemptEventRow, AttemptRow, ReminderRow

FORMAT = "qida-evidence-1"

Link = dict[str, object]


def evidence(context: Context, case_id: str, *, actor: str, now: datetime) -> dict[str, object]:
    """A case's derivations, reminders, texts as far as they are kept, attempts and raw receipts,
    as links of a chain; that it was made is in the audit trail, whose head is the last link."""
    report, deadlines = case_report(context, case_id), deadline_views(context, case_id)
    case = {name: report[name] for name in ("id", "centre", "reference", "procedure", "state")}
    with context.db.transaction() as session:
        reminders = case_files(session, [case_id])[case_id].reminders
        tried = attempts_of(session, [row.id for row in reminders])
        real = [one for one in tried if not one.simulated]
        seen = events_of(session, [one.id for one in real])
        made = Entry(str(case["centre"]), now, actor, "evidence.made", case_id, {})
        append_audit(session, made)
        seq, digest = head(session)
        is_test = stamp_of(session) != "live"
    content: list[tuple[str, object]] = [
        ("case", case | {"made_at": iso(now), "test": is_test,
                         "simulated_left_out": len(tried) - len(real)}),
        *(("event", one) for one in _some(report["events"])),
        *(("deadline", one) for one in deadlines),
        *(("reminder", _reminder(one, real)) for one in reminders),
        *(("attempt", _attempt(context, one)) for one in real),
        *(("receipt", _receipt(one)) for one in seen),
        ("audit", {"head": f"{seq}:{digest}"}),
    ]  # fmt: skip
    links = list(_chained(content))
    return {"format": FORMAT, "links": links, "head": links[-1]["hash"]}


def _some(rows: object) -> list[object]:
    return list(rows) if isinstance(rows, list) else []


def _chained(content: Iterable[tuple[str, object]]) -> Iterator[Link]:
    """Number the links and hash each over the hash before it."""
    before = ""
    for seq, (kind, said) in enumerate(content, start=1):
        written = json.dumps([before, seq, kind, said], ensure_ascii=False, sort_keys=True,
                             separators=(",", ":"))  # fmt: skip
        digest = hashlib.sha256(written.encode()).hexdigest()
        yield {"seq": seq, "kind": kind, "content": said, "previous_hash": before, "hash": digest}
        before = digest


def _reminder(row: ReminderRow, real: Iterable[AttemptRow]) -> Link:
    """`delivered_by` names the attempt whose receipt says so; a sandbox's is none."""
    carrier = row.carried_by or row.id
    proving = [one.id for one in real
               if one.reminder_id in (row.id, carrier) and one.state == "delivered"]  # fmt: skip
    is_told = row.state == "delivered"
    return {
        "id": row.id,
        "deadline": row.deadline_id,
        "step": row.step,
        "recipient": row.recipient,
        "channel": row.channel,
        "due_at": iso(row.due_at),
        "state": "not_proved" if is_told and not proving else row.state,
        "reason": row.reason,
        "delivered_by": proving[0] if is_told and proving else None,
    }


def _attempt(context: Context, one: AttemptRow) -> Link:
    """`text` is null once it was erased; what is left of it then is its keyed digest."""
    return {
        "id": one.id,
        "reminder": one.reminder_id,
        "number": one.number,
        "provider": one.channel_name,
        "provider_id": one.provider_id,
        "channel": one.kind,
        "state": one.state,
        "provider_status": one.provider_status,
        "code": one.code,
        "template": one.template,
        "text": open_of(context, one, "body_sealed") or None,
        "text_digest": one.body_hash,
        "parts": one.parts,
        "started_at": iso(one.started_at),
    }


def _receipt(one: AttemptEventRow) -> Link:
    """A provider's callback is kept only if its signature was right; an answer that we asked for
    ourselves carries none."""
    return {
        "attempt": one.attempt_id,
        "source": one.source,
        "signature": "verified" if one.source == "callback" else "none",
        "provider_id": one.provider_id,
        "status": one.status,
        "code": one.code,
        "raw": one.raw,
        "at": iso(one.at),
    }
