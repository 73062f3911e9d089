"""What operators see: job runs, cases, reminders and the call list."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from worker.clock import monotonic
from worker.domain.calendar import in_china
from worker.domain.deadlines import as_json
from worker.domain.errors import BadData, QidaError
from worker.services.context import Context
from worker.services.messages import deadline_of
from worker.store.attempts import attempts_of
from worker.store.cases import (
    CaseFile,
    case_files,
    case_id_of,
    find_cases,
    list_deadlines,
    open_call_tasks,
    voided_events,
)
from worker.store.database import new_id
from worker.store.job_runs import fold_idle_run, list_runs
from worker.store.reminders import list_reminders
from worker.store.tables import JobRunRow

log = logging.getLogger(__name__)


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
    context: Context, *, centre_id: str | None = None, state: str | None = None
) -> list[dict[str, object]]:
    """Cases in short, by reference. Raises BadData for a centre that nobody knows."""
    with context.db.reading() as session:
        rows: list[dict[str, object]] = [
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
    return _of_centre(context, centre_id, rows)


def _of_centre(
    context: Context, centre_id: str | None, rows: list[dict[str, object]]
) -> list[dict[str, object]]:
    """The rows; none for a centre that does not exist would be a wrong answer. Raises BadData."""
    if centre_id is not None and not rows:
        context.centre(centre_id)
    return rows


def case_report(context: Context, case_id: str) -> dict[str, object]:
    """One case whole: events, deadlines, reminders and what became of each attempt."""
    with context.db.reading() as session:
        file = case_files(session, [case_id])[case_id]
        attempts = attempts_of(session, [row.id for row in file.reminders])
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
            "deadlines": _deadlines(file),
            "reminders": [
                {
                    "id": row.id,
                    "rule": _rule_of(file, row.deadline_id),
                    "step": row.step,
                    "recipient": row.recipient,
                    "channel": row.channel,
                    "due_at": iso(row.due_at),
                    "state": row.state,
                    "reason": row.reason,
                    "attempts": [
                        {"number": one.number, "state": one.state, "code": one.code,
                         "started_at": iso(one.started_at), "parts": one.parts,
                         "simulated": one.simulated}
                        for one in attempts
                        if one.reminder_id in (row.id, row.carried_by)
                    ],
                }
                for row in file.reminders
            ],
        }  # fmt: skip


def _deadlines(file: CaseFile) -> list[dict[str, object]]:
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


def _rule_of(file: CaseFile, deadline_id: str) -> str:
    return next(row.rule_id for row in file.deadlines if row.id == deadline_id)


def reminder_listing(
    context: Context,
    *,
    centre_id: str | None = None,
    state: str | None = None,
    reference: str | None = None,
) -> list[dict[str, object]]:
    """Reminders by due instant (DESIGN §7): id, reference, rule, step, channel, due, state.

    Raises BadData for a centre that nobody knows.
    """
    with context.db.reading() as session:
        rows: list[dict[str, object]] = [
            {
                "id": due.reminder.id,
                "reference": due.case.reference,
                "centre": due.case.centre_id,
                "rule": due.deadline.rule_id,
                "step": due.reminder.step,
                "recipient": due.reminder.recipient,
                "channel": due.reminder.channel,
                "due_at": iso(due.reminder.due_at),
                "state": due.reminder.state,
                "reason": due.reminder.reason,
                "attempts": due.reminder.attempts,
            }
            for due in list_reminders(
                session, centre_id=centre_id, state=state, reference=reference
            )
        ]
    return _of_centre(context, centre_id, rows)


def iso(at: datetime | None) -> str | None:
    """An instant for programs: ISO 8601 at +08:00."""
    return None if at is None else in_china(at).isoformat(timespec="seconds")


def find_case(context: Context, reference: str, *, centre_id: str | None = None) -> str:
    """The id of a case by its reference. Raises BadData for none, or for one at each of several."""
    with context.db.reading() as session:
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
    context: Context, *, duty: str | None = None, limit: int = 100
) -> list[dict[str, object]]:
    """Job runs, newest first: what each did, how long it took, what went wrong."""
    with context.db.reading() as session:
        return [
            {
                "duty": row.duty,
                "state": row.state,
                "started_at": iso(row.started_at),
                "finished_at": iso(row.finished_at),
                "seconds": round((row.finished_at - row.started_at).total_seconds(), 3),
                "runs": row.runs,
                "counts": json.loads(row.counts),
                "error": row.error,
            }
            for row in list_runs(session, duty, limit)
        ]


def call_list(context: Context) -> list[dict[str, object]]:
    """Open call tasks, most urgent first."""
    with context.db.reading() as session:
        return [
            {
                "reference": case.reference,
                "centre": case.centre_id,
                "rule": deadline.rule_id,
                "reason": task.reason,
                "act_by": iso(task.act_by_at),
                "opened_at": iso(task.opened_at),
            }
            for task, case, deadline in open_call_tasks(session)
        ]


def deadline_listing(context: Context) -> list[dict[str, object]]:
    """Every deadline with its state and dates, by case."""
    with context.db.reading() as session:
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
