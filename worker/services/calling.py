"""The call list: whom a person at the centre must telephone, why, what to say, what was tried."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal

from worker.domain.calendar import in_china
from worker.domain.errors import BadData, QidaError, Text
from worker.domain.wording import Matter, variables
from worker.services.context import Context, Records
from worker.services.messages import deadline_of
from worker.services.operations import iso, require_centre, tries
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


def why(reason: str) -> Text:
    """A task's reason, `code` or `code:detail`, in words; an unknown one as it stands."""
    code, _, detail = reason.partition(":")
    if code == "not_reached":
        code, _, detail = detail.partition(":")
    said = _WHY.get(code)
    if said is None:
        return Text(reason, reason)
    detail = detail.strip()
    return Text(f"{said.zh}（{detail}）", f"{said.en} ({detail})") if detail else said


_WHY: Mapping[str, Text] = {
    "nobody_reached": Text("期限将至，没有任何消息送达", "no message reached anyone in time"),
    "no_time_after_the_night": Text("等到早上再发就来不及", "after the night it is too late"),
    "too_late_to_write": Text("已来不及发消息", "it is too late to write"),
    "lapsed_before_enrolment": Text("登记前刚逾期", "it had just lapsed before enrolment"),
    "capped": Text("短信已达上限，期限前轮不到", "SMS limits leave no room in time"),
    "lost_twice": Text("两次提交都没有下落", "two submissions were lost"),
    "no_address": Text("没有号码也没有邮箱", "there is no number and no address"),
    "not_composed": Text("消息无法生成", "the message could not be written"),
    "no_sms_channel": Text("没有配置短信渠道", "no SMS channel is set"),
    "no_email_channel": Text("没有配置邮件渠道", "no e-mail channel is set"),
    "opted_out": Text("本人拒收消息", "this person refused messages"),
    "unsendable": Text("该号码或邮箱不能发送", "this number or address cannot be written to"),
    "rejected": Text("运营商拒收", "the provider refused the message"),
    "refused": Text("运营商不接受本单位的账户或设置", "the provider refuses our account or set-up"),
    "channel_rests": Text("发送渠道暂停，等不及恢复", "the channel rests for too long"),
    "not_on_team_list": Text("试用密钥不能发给此号码或邮箱", "a trial key may not write to them"),
    "not_sent": Text("没能交给运营商", "it could not be handed to the provider"),
    "no_receipt": Text("没有回执", "no receipt came"),
    "undelivered": Text("未送达", "not delivered"),
    "failed": Text("发送失败", "sending failed"),
    "canceled": Text("被运营商取消", "the provider cancelled it"),
}
