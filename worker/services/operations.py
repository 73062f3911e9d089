"""What operators see: job runs, cases with all that became of them, and reminders."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from worker.clock import monotonic
from worker.domain.calendar import in_china
from worker.domain.deadlines import as_json
from worker.domain.delivery import AttemptState
from worker.domain.errors import BadData, QidaError
from worker.domain.reminders import Hours, hours_at, later
from worker.services.context import Context, Records
from worker.services.messages import deadline_of
from worker.store.attempts import attempts_of, events_of
from worker.store.cases import (
    CaseFile,
    case_files,
    case_id_of,
    centre_ids,
    find_cases,
    list_deadlines,
    voided_events,
)
from worker.store.database import Session, new_id
from worker.store.job_runs import JobRunRow, fold_idle_run, last_work, list_runs
from worker.store.reminders import Due, count_planned, list_reminders
from worker.store.tables import AttemptEventRow, AttemptRow, ReminderRow

log = logging.getLogger(__name__)

EVERY: Mapping[str, timedelta] = {
    "reload": timedelta(seconds=5),
    "inbox": timedelta(seconds=5),
    "imports": timedelta(seconds=2),
    "recalculate": timedelta(minutes=1),
    "rescue": timedelta(seconds=30),
    "settle": timedelta(seconds=15),
    "poll": timedelta(seconds=30),
    "send": timedelta(seconds=2),
    "bounces": timedelta(seconds=30),
    "audit": timedelta(minutes=3),
    "staff": timedelta(minutes=1),
    "forecast": timedelta(minutes=15),
    "redact": timedelta(minutes=5),
    "sweep": timedelta(minutes=30),
    "retain": timedelta(hours=1),
    "rehearse": timedelta(seconds=5),
}
"""The duties of a worker by name, as job runs record them, in the order of one pass; and how often
each is done. `rehearse` is all of them for the cases of test keys, beside a live installation."""

DUTIES = tuple(EVERY)


def last_worked_at(context: Context, duty: str) -> datetime | None:
    """When a duty last did something, by whichever process."""
    with context.db.reading() as session:
        return last_work(session, duty)


def run_duty(
    context: Context,
    name: str,
    duty: Callable[[Context, datetime], Mapping[str, int]],
    *,
    now: datetime,
) -> Counter[str]:
    """Run a duty once and record the run.

    A failure is recorded, logged and counted as `error`, never raised.
    """
    begun = monotonic()
    counts: Counter[str] = Counter()
    error = ""
    try:
        counts.update(duty(context, now))
    except Exception as problem:
        error = type(problem).__name__
        counts["error"] = 1
        reason = problem.text.en if isinstance(problem, QidaError) else ""
        log.exception("job.failed", extra={"duty": name, "reason": reason})
    finished_at = now + timedelta(seconds=monotonic() - begun)
    _record_run(context, name, counts, error, now, finished_at)
    if counts and not error:
        log.info("job.finished", extra={"duty": name, "counts": dict(counts)})
    return counts


def _record_run(
    context: Context,
    name: str,
    counts: Mapping[str, int],
    error: str,
    started_at: datetime,
    finished_at: datetime,
) -> None:
    """A row when work was done or failed; idle runs are folded into one row an hour."""
    worked = {key: count for key, count in counts.items() if count}
    try:
        with context.db.transaction() as session:
            if not worked and not error and fold_idle_run(session, name, finished_at):
                return
            run = JobRunRow(
                id=new_id(started_at),
                duty=name,
                state="failed" if error else "ok",
                started_at=started_at,
                finished_at=finished_at,
                runs=1,
                counts=json.dumps(worked, sort_keys=True),
                error=error,
            )
            session.add(run)
    except Exception:
        log.exception("job.not_recorded", extra={"duty": name})


def case_listing(
    records: Records, *, centre_id: str | None = None, state: str | None = None
) -> list[dict[str, object]]:
    """Cases in short, by reference. Raises BadData for a centre that nobody knows."""
    with records.db.reading() as session:
        require_centre(session, centre_id)
        return [
            {
                "id": case.id,
                "centre": case.centre_id,
                "reference": case.reference,
                "procedure": case.procedure,
                "state": case.state,
                "created_at": iso(case.created_at),
            }
            for case in find_cases(session, centre_id=centre_id, state=state)
        ]


def require_centre(session: Session, centre_id: str | None) -> None:
    """An empty list for a centre that does not exist would be a wrong answer. Raises BadData."""
    known = centre_ids(session) if centre_id is not None else []
    if centre_id is not None and centre_id not in known:
        raise BadData(
            f"没有网点 {centre_id}；已配置：{'、'.join(known)}",
            f"no centre {centre_id}; configured: {', '.join(known)}",
        )


def case_report(records: Records, case_id: str) -> dict[str, object]:
    """One case whole: events, deadlines, reminders and what became of each attempt."""
    with records.db.reading() as session:
        file = case_files(session, [case_id])[case_id]
        case = file.case
        return {
            "id": case.id,
            "centre": case.centre_id,
            "reference": case.reference,
            "procedure": case.procedure,
            "state": case.state,
            "events": [
                {"id": row.id, "event": row.event, "occurred_at": iso(row.occurred_at),
                 "voided_at": iso(row.voided_at), "void_reason": row.void_reason}
                for row in [*file.events, *voided_events(session, case_id)]
            ],
            "deadlines": deadline_rows(file),
            "reminders": reminder_rows(session, file),
        }  # fmt: skip


def reminder_rows(session: Session, file: CaseFile) -> list[dict[str, object]]:
    """The reminders of a case, each with what was tried."""
    rules = {row.id: row.rule_id for row in file.deadlines}
    tried = tries(session, file.reminders)
    return [
        {
            "id": row.id,
            "rule": rules[row.deadline_id],
            "step": row.step,
            "recipient": row.recipient,
            "channel": row.channel,
            "due_at": iso(row.due_at),
            "state": row.state,
            "reason": row.reason,
            "attempts": tried[row.id],
        }
        for row in file.reminders
    ]


def tries(session: Session, reminders: Iterable[ReminderRow]) -> dict[str, list[dict[str, object]]]:
    """What was tried for each reminder, by its id: its own attempts, or those that carried it."""
    carriers = {row.id: row.carried_by or row.id for row in reminders}
    attempts = attempts_of(session, {*carriers, *carriers.values()})
    seen: dict[str, list[AttemptEventRow]] = {one.id: [] for one in attempts}
    for event in events_of(session, seen):
        seen[str(event.attempt_id)].append(event)
    return {
        reminder: [
            _attempt(one, seen[one.id]) for one in attempts if one.reminder_id in (reminder, by)
        ]
        for reminder, by in carriers.items()
    }


def _attempt(one: AttemptRow, seen: Iterable[AttemptEventRow]) -> dict[str, object]:
    """One attempt; `reminder` is whose message it was. Delivered is only what a receipt says."""
    accepted = next((event.at for event in seen if event.provider_id), None)
    delivered = next((event.at for event in seen if event.status == one.provider_status), None)
    is_delivered = one.state == AttemptState.DELIVERED
    return {
        "id": one.id,
        "reminder": one.reminder_id,
        "channel": one.kind,
        "number": one.number,
        "state": one.state,
        "code": one.code,
        "provider": one.channel_name,
        "provider_id": one.provider_id,
        "started_at": iso(one.started_at),
        "accepted_at": iso(accepted),
        "delivered_at": iso(delivered) if is_delivered else None,
        "parts": one.parts,
        "simulated": one.simulated,
    }


def deadline_rows(file: CaseFile) -> list[dict[str, object]]:
    """The deadlines of a case, in the order of its file."""
    return [
        {
            "id": row.id,
            "rule": row.rule_id,
            "state": row.state,
            "started_at": iso(row.started_at),
            **as_json(deadline_of(row)),
            "calendar_version": row.calendar_version,
            "rule_version": row.rule_version,
        }
        for row in file.deadlines
    ]


def named(due: Due) -> dict[str, object]:
    """What every listing of reminders says of one, first."""
    return {
        "id": due.reminder.id,
        "reference": due.case.reference,
        "centre": due.case.centre_id,
        "rule": due.deadline.rule_id,
        "step": due.reminder.step,
        "recipient": due.reminder.recipient,
        "channel": due.reminder.channel,
    }


def reminder_listing(
    records: Records,
    *,
    centre_id: str | None = None,
    state: str | None = None,
    reference: str | None = None,
) -> list[dict[str, object]]:
    """Reminders by due instant (DESIGN §7): id, reference, rule, step, channel, due, state.

    Raises BadData for a centre that nobody knows.
    """
    with records.db.reading() as session:
        require_centre(session, centre_id)
        return [
            {
                **named(due),
                "due_at": iso(due.reminder.due_at),
                "state": due.reminder.state,
                "reason": due.reminder.reason,
                "attempts": due.reminder.attempts,
            }
            for due in list_reminders(
                session, centre_id=centre_id, state=state, reference=reference
            )
        ]


def waiting_for_hours(records: Records, now: datetime) -> tuple[int, datetime]:
    """How many reminders go out at the next allowed hour, and when that is; none during them."""
    opens = later(now)
    if hours_at(now) is Hours.ALLOWED:
        return 0, opens
    with records.db.reading() as session:
        return count_planned(session, opens), opens


def iso(at: datetime | None) -> str | None:
    """An instant for programs: ISO 8601 at +08:00."""
    return None if at is None else in_china(at).isoformat(timespec="seconds")


def find_case(records: Records, reference: str, *, centre_id: str | None = None) -> str:
    """The id of a case by its reference. Raises BadData for none, or for one at each of several."""
    with records.db.reading() as session:
        ids = case_id_of(session, reference, centre_id)
    if len(ids) == 1:
        return ids[0]
    if ids:
        raise BadData(
            f"多个网点都有编号 {reference}；请用 --centre 写明网点",
            f"several centres have a case {reference}; name one with --centre",
        )
    raise BadData(f"没有编号为 {reference} 的案件", f"no case has the reference {reference}")


def run_listing(
    records: Records, *, duty: str | None = None, before: str = "", limit: int = 100
) -> list[dict[str, object]]:
    """Job runs, newest first and older than the run `before`: what each did, how long it took,
    what went wrong.

    Raises BadData for a duty that does not exist.
    """
    if duty not in (None, *DUTIES):
        raise BadData(
            f"没有任务 {duty}；共有：{'、'.join(DUTIES)}",
            f"no duty {duty}; there are: {', '.join(DUTIES)}",
        )
    with records.db.reading() as session:
        return [
            {
                "id": row.id,
                "duty": row.duty,
                "state": row.state,
                "started_at": iso(row.started_at),
                "finished_at": iso(row.finished_at),
                "seconds": round((row.finished_at - row.started_at).total_seconds(), 3),
                "runs": row.runs,
                "counts": json.loads(row.counts),
                "error": row.error,
            }
            for row in list_runs(session, duty, before=before, limit=limit)
        ]


def deadline_listing(records: Records) -> list[dict[str, object]]:
    """Every deadline with its state and dates, by case."""
    with records.db.reading() as session:
        return [
            {
                "id": row.id,
                "reference": case.reference,
                "rule": row.rule_id,
                "state": row.state,
                "act_by": iso(row.act_by_at),
                "ready_on": row.ready_on.isoformat() if row.ready_on else None,
                "ends_at": iso(row.ends_at),
            }
            for row, case in list_deadlines(session)
        ]
