"""Telling a centre's staff whom to call: new tasks in bundles, and all open ones each morning.

The mail names cases by the centre's own reference and nobody by name or number; the list itself
(`qida calls list`) holds the same tasks whether the mail arrives or not.
"""

import logging
import secrets
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from worker.domain.calendar import in_china
from worker.domain.centres import Centre
from worker.domain.delivery import Accepted, Channel, NotSent, SendRequest, Unsendable
from worker.domain.reminders import OPENS
from worker.services.context import Context
from worker.services.reasons import why
from worker.store.cases import Call, call_tasks
from worker.store.staff import digest_sent, mark_mailed, note_digest

log = logging.getLogger(__name__)

BUNDLE = timedelta(minutes=10)
"""How long the first new task waits for others (DESIGN §5)."""


def mail_staff(context: Context, *, now: datetime) -> Counter[str]:
    """Send each centre its new call tasks, ten minutes after the first, and at 09:00 all open ones.

    A mail that certainly did not leave is tried again at the next pass; one refused or in doubt is
    not: the morning's list follows, and `qida calls list` holds the same.
    """
    counts: Counter[str] = Counter()
    channel = next((one for one in context.channels.values() if one.kind == "email"), None)
    if channel is None:
        return counts
    for centre in context.centres.values():
        if centre.staff_email:
            counts += _mail_centre(context, channel, centre, now)
    return counts


def _mail_centre(context: Context, channel: Channel, centre: Centre, now: datetime) -> Counter[str]:
    morning = in_china(now).replace(hour=OPENS.hour, minute=0, second=0, microsecond=0)
    with context.db.reading() as session:
        calls = call_tasks(session, state="open", centre_id=centre.id)
        last_digest_at = digest_sent(session, centre.id)
    fresh = [call for call in calls if call[0].mailed_at is None]
    is_digest = now >= morning and (last_digest_at is None or last_digest_at < morning)
    listed = calls if is_digest else fresh
    is_ripe = any(call[0].opened_at <= now - BUNDLE for call in fresh)
    if is_digest and not listed:
        with context.db.transaction() as session:
            note_digest(session, centre.id, now)  # nobody to call this morning: that is told too
    if not listed or not (is_digest or is_ripe):
        return Counter()
    if not _sent(channel, centre, listed, now, is_digest=is_digest):
        return Counter({"not_sent": 1})
    with context.db.transaction() as session:
        mark_mailed(session, [task.id for task, _, _ in listed], now)
        if is_digest:
            note_digest(session, centre.id, now)
    return Counter({"mails": 1, "tasks": len(listed)})


def _sent(
    channel: Channel, centre: Centre, calls: Sequence[Call], now: datetime, *, is_digest: bool
) -> bool:
    text = _text(centre, calls, is_digest=is_digest)
    request = SendRequest(
        to=centre.staff_email,
        subject=f"【{centre.signature}】{len(calls)} 件须电话联系 / {len(calls)} to call",
        text=text,
        message_id=f"staff-{sha256(f'{centre.id}{now:%Y%m%d}{text}'.encode()).hexdigest()[:32]}",
    )
    try:
        outcome = channel.submit(channel.prepare(request), secrets.token_hex(16), now=now)
    except Unsendable as refusal:
        log.error("staff.unsendable", extra={"centre_id": centre.id, "code": refusal.code})  # noqa: TRY400 - the code says it all
        return False
    if not isinstance(outcome, Accepted):
        log.warning("staff.not_mailed", extra={"centre_id": centre.id})
    return not isinstance(outcome, NotSent)


def _text(centre: Centre, calls: Sequence[Call], *, is_digest: bool) -> str:
    head = "尚未联系到的全部案件" if is_digest else "新增须电话联系的案件"
    lines = [f"{centre.name}：{head}（{len(calls)} 件），按最迟办理时间排列。",
             f"Cases to call, most urgent first ({len(calls)}).", ""]  # fmt: skip
    for task, case, deadline in calls:
        act_by = f"{in_china(task.act_by_at):%Y-%m-%d %H:%M}" if task.act_by_at else "-"
        said = why(task.reason)
        lines.append(f"{act_by}  {case.reference}  {deadline.rule_id}")
        lines.append(f"    {said.zh} / {said.en}")
        lines.append(f"    qida calls show {task.id}")
    return "\n".join(lines) + "\n"
