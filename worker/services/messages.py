"""From due reminders of one case to the one message that carries them."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from worker.domain.calendar import in_china
from worker.domain.deadlines import Deadline
from worker.domain.delivery import CalendarEntry, ChannelKind, Prepared, SendRequest
from worker.domain.errors import Misconfigured
from worker.domain.wording import Matter, variables
from worker.services.context import Context
from worker.store.cases import contact
from worker.store.claims import Picked, PickedDeadline
from worker.store.tables import DeadlineRow
from worker.templating import Rendered

_SIGNATURE = re.compile(r"^(【[^】]*】|\[[^\]]*\] )")


@dataclass(frozen=True, slots=True)
class Message:
    """One message for reminders of a case, the leading one first, as its channel takes it; with
    the keyed hashes that caps and refusals know it by, which are made once."""

    group: Sequence[Picked]
    prepared: Prepared
    address_index: str
    body_hash: str

    @property
    def leader(self) -> Picked:
        """The reminder that decides."""
        return self.group[0]

    def of(self, won: Collection[str]) -> "Message":
        """The same with those of its reminders that were won."""
        if all(due.reminder.id in won for due in self.group):
            return self
        return replace(self, group=[due for due in self.group if due.reminder.id in won])

    @property
    def is_sms(self) -> bool:
        """Whether it counts in SMS parts."""
        return self.group[0].reminder.channel == "sms"


def deadline_of(row: DeadlineRow | PickedDeadline) -> Deadline:
    """The stored deadline as the domain knows it, at UTC+8."""
    return Deadline(
        row.rule_id,
        in_china(row.started_at),
        _china(row.ends_at),
        row.last_date,
        _china(row.earliest_at),
        _china(row.latest_at),
        row.firm,
        row.consulted_to,
        _china(row.act_by_at),
        row.ready_on,
    )


def _china(at: datetime | None) -> datetime | None:
    return None if at is None else in_china(at)


def compose(context: Context, parts: Sequence[Picked], *, now: datetime) -> SendRequest:
    """One message for reminders of one case and recipient, the leading one first.

    Raises Misconfigured where a template is missing or wrong; BadData where the catalogue no
    longer holds the rule.
    """
    leader = parts[0]
    rendered = [_render(context, due, now) for due in _telling(parts)]
    first = rendered[0]
    _refuse_unregistered(context, leader, first)
    text = _joined([one.text for one in rendered])
    return SendRequest(
        to=contact(context.keys, leader.case, leader.reminder.recipient, leader.reminder.channel),
        text=text,
        subject=first.subject,
        html=first.html if len(rendered) == 1 else _html(context, first, text, leader),
        template=first.template,
        registration_id=first.registration_id if len(rendered) == 1 else "",
        variables=first.variables,
        language=leader.case.language,
        useless_after_at=leader.reminder.useless_after_at,
        message_id=leader.reminder.id,
        entry=_entry(leader, first),
    )


def _entry(leader: Picked, first: Rendered) -> CalendarEntry | None:
    """The leading deadline's day for the citizen's calendar; none for a second contact, for what
    has no date, or is over."""
    reminder = leader.reminder
    over = reminder.step == "lapsed"
    if reminder.channel != "email" or reminder.recipient != "citizen" or over:
        return None
    deadline = deadline_of(leader.deadline)
    on = deadline.day
    if on is None:
        return None
    unsure = (
        "" if deadline.firm else "（暂定）" if leader.case.language == "zh" else " (provisional)"
    )
    return CalendarEntry(
        uid=f"{leader.deadline.id}@qida",
        sequence=leader.deadline.plan_version - 1,
        on=on,
        summary=first.subject + unsure,
        description=first.text,
    )


def _refuse_unregistered(context: Context, leader: Picked, first: Rendered) -> None:
    """A channel that wants registered text gets nothing else. Raises Misconfigured."""
    if not context.channel(leader.reminder.channel).caps.needs_registered_text:
        return
    if context.templates.registered(first.template) is None:
        raise Misconfigured(
            f"模板 {first.template} 未备案；请备案后写入 templates/registered.yaml",
            f"template {first.template} is not registered; register it in registered.yaml",
        )


def _telling(parts: Sequence[Picked]) -> list[Picked]:
    """Those that have something to say: one a deadline, the leading one; a second contact hears
    only once that there is a message."""
    if parts[0].reminder.recipient != "citizen":
        return [parts[0]]
    return list({due.deadline.id: due for due in reversed(parts)}.values())[::-1]


def _html(context: Context, first: Rendered, text: str, leader: Picked) -> str:
    if leader.reminder.channel != "email":
        return ""
    hotline = first.variables.get("hotline", "")
    return context.templates.framed(
        first.subject, text, hotline=hotline, language=leader.case.language
    )


def _joined(texts: Sequence[str]) -> str:
    """Several texts as one: the sender is named once."""
    first, *rest = texts
    return "\n".join([first, *(_SIGNATURE.sub("", text) for text in rest)])


def _render(context: Context, due: Picked, now: datetime) -> Rendered:
    case, reminder = due.case, due.reminder
    procedure = context.procedure(case.procedure)
    rule = context.rule(due.deadline.rule_id)
    deadline = deadline_of(due.deadline)
    matter = Matter(
        rule=rule,
        procedure=procedure,
        deadline=deadline,
        centre=context.centre(case.centre_id),
        name=contact(context.keys, case, "citizen", "name"),
        card_last4=case.card_last4,
        bank=case.bank,
        first_opening=context.office(case.centre_id).first_opening(in_china(now)),
    )
    channel: ChannelKind = "sms" if reminder.channel == "sms" else "email"
    return context.templates.render(
        kind=rule.kind,
        step=reminder.step,
        rule_id=rule.id,
        channel=channel,
        language=case.language,
        variables=variables(matter, language=case.language, now=now),
        recipient=reminder.recipient,
    )
