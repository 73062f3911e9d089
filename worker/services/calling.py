"""The call list: whom a person at the centre must telephone, why, what to say, what was tried."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from worker.domain.calendar import in_china
from worker.domain.errors import BadData, QidaError
from worker.domain.wording import Matter, variables
from worker.services.context import Context, Records
from worker.services.messages import deadline_of
from worker.services.operations import iso, require_centre, tries
from worker.services.reasons import why
from worker.store.audit import Entry, append_audit
from worker.store.cases import Call, call_tasks, contact, reminders_of_deadline
from worker.store.database import Session
from worker.store.tables import CaseRow, DeadlineRow

CallState = Literal["open", "done"]

_SAID = ("act", "until", "place", "papers", "consequence", "ready_on", "last_date",
         "first_opening", "advice")  # fmt: skip
"""Those of the words of a message that a caller reads out; what does not apply is left out."""


def call_list(
    records: Records, *, centre_id: str | None = None, state: CallState = "open"
) -> list[dict[str, object]]:
    """Call tasks in a state, most urgent first: ids and reasons, nobody's name or number.

    Raises BadData for a centre that nobody knows.
    """
    with records.db.reading() as session:
        require_centre(session, centre_id)
        return [_row(call) for call in call_tasks(session, state=state, centre_id=centre_id)]


def _row(call: Call) -> dict[str, object]:
    task, case, deadline = call
    told = why(task.reason)
    return {
        "id": task.id,
        "centre": case.centre_id,
        "reference": case.reference,
        "rule": deadline.rule_id,
        "state": task.state,
        "reason": task.reason,
        "why": {"zh": told.zh, "en": told.en},
        "act_by": iso(task.act_by_at),
        "opened_at": iso(task.opened_at),
        "done_at": iso(task.done_at),
        "result": task.note.partition(":")[0] or None,
    }


def call_report(context: Context, task_id: str, *, actor: str, now: datetime) -> dict[str, object]:
    """Everything the caller of one task needs, the contact in the clear; that it was opened is
    in the audit trail before this returns. What a faulty file would say is left out.

    Raises BadData for a task that nobody knows.
    """
    with context.db.transaction() as session:
        call = _call(session, task_id)
        task, case, deadline = call
        opened = {"call_task": task.id}
        append_audit(session, Entry(task.centre_id, now, actor, "contact.opened", case.id, opened))
        return _row(call) | {
            "procedure": case.procedure,
            "note": task.note,
            "contact": _contact(context, case),
            "say": _words(context, case, deadline, now),
            "tried": list(_tried(session, deadline)),
        }


def _contact(context: Context, case: CaseRow) -> dict[str, object]:
    keys = context.keys
    return {
        "name": contact(keys, case, "citizen", "name"),
        "phone": contact(keys, case, "citizen", "sms"),
        "second_phone": contact(keys, case, "second_contact", "sms"),
        "language": case.language,
    }


def _words(
    context: Context, case: CaseRow, deadline: DeadlineRow, now: datetime
) -> dict[str, dict[str, str]]:
    """What the messages say of this deadline, by name and language; none under a faulty file."""
    try:
        matter = Matter(
            rule=context.rule(deadline.rule_id),
            procedure=context.procedure(case.procedure),
            deadline=deadline_of(deadline),
            centre=context.centre(case.centre_id),
            first_opening=context.office(case.centre_id).first_opening(in_china(now)),
        )
    except QidaError:
        return {}
    zh, en = (variables(matter, language=language, now=now) for language in ("zh", "en"))
    return {name: {"zh": zh[name], "en": en[name]} for name in _SAID if zh[name]}


def _tried(session: Session, deadline: DeadlineRow) -> Iterator[dict[str, object]]:
    """Every attempt at telling of this deadline."""
    reminders = reminders_of_deadline(session, deadline.id)
    by_reminder = tries(session, reminders)
    for reminder in reminders:
        for one in by_reminder[reminder.id]:
            yield {"step": reminder.step, "recipient": reminder.recipient, **one}


def finish_call(
    records: Records,
    task_id: str,
    *,
    reached: bool | None,
    note: str,
    actor: str,
    now: datetime,
) -> None:
    """Take a task off the list; `reached` is None where the caller does not say.

    Raises BadData for a task that nobody knows or that is done already.
    """
    result = {True: "reached", False: "not_reached", None: "done"}[reached]
    with records.db.transaction() as session:
        task, _, _ = _call(session, task_id)
        session.refresh(task, with_for_update=True)  # of two who finish it one comes second
        if task.state != "open":
            raise BadData(
                f"电话任务 {task_id} 已于 {iso(task.done_at)} 完成",
                f"call task {task_id} was done at {iso(task.done_at)}",
            )
        task.state, task.done_at, task.done_by = "done", now, actor
        task.note = f"{result}: {note.strip()}" if note.strip() else result
        done = {"result": result}
        append_audit(session, Entry(task.centre_id, now, actor, "call.done", task.id, done))


def _call(session: Session, task_id: str) -> Call:
    found = call_tasks(session, state="", task_id=task_id)
    if not found:
        raise BadData(
            f"没有电话任务 {task_id}；编号见 qida calls list",
            f"no call task {task_id}; qida calls list shows their ids",
        )
    return found[0]
