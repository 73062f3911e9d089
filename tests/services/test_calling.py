"""The call list as services keep it, on both engines."""

import pytest

from tests.services.desk import DELIVERED, REJECTED, SECOND, Desk, Provider, both_engines
from worker.domain.delivery import Rejected
from worker.domain.errors import BadData
from worker.services.calling import call_list, call_report, finish_call
from worker.services.operations import case_report, find_case, iso
from worker.store.installation import is_set_up


@both_engines
def test_a_task_is_listed_opened_and_finished_once(desk: Desk) -> None:
    desk.enrol(phone=REJECTED)
    desk.send()
    [listed] = call_list(desk.context, centre_id="demo")
    task_id = str(listed["id"])

    shown = call_report(desk.context, task_id, actor="clerk", now=desk.now)
    finish_call(desk.context, task_id, reached=True, note="", actor="clerk", now=desk.now)
    with pytest.raises(BadData, match="was done at"):
        finish_call(desk.context, task_id, reached=False, note="", actor="clerk", now=desk.now)

    assert shown["contact"] == {"name": "张三", "phone": REJECTED, "second_phone": "",
                                "language": "zh"}  # fmt: skip
    assert call_list(desk.context) == []
    [done] = call_list(desk.context, state="done")
    assert (done["id"], done["result"]) == (task_id, "reached")
    assert desk.audited("contact.opened") == [{"call_task": task_id}]
    assert desk.audited("call.done") == [{"result": "reached"}]


@both_engines
def test_an_attempt_tells_when_it_was_accepted_and_delivered(desk: Desk) -> None:
    desk.enrol(phone=DELIVERED)
    desk.send()
    desk.after(minutes=5)
    seen_at = desk.now
    desk.poll()

    reminders = case_report(desk.context, find_case(desk.context, "A-1"))["reminders"]

    assert isinstance(reminders, list)
    [tried] = next(row["attempts"] for row in reminders if row["step"] == "at_once")
    assert (tried["state"], tried["accepted_at"]) == ("delivered", "2026-11-20T16:30:00+08:00")
    assert tried["delivered_at"] == iso(seen_at)


@both_engines
def test_a_database_that_was_never_stamped_is_not_set_up(desk: Desk) -> None:
    assert not is_set_up(desk.context.db)


def test_a_call_because_our_account_was_refused_is_told_in_words(desk: Desk) -> None:
    desk.through(Provider(Rejected("20003", "account")))
    desk.at("2026-11-25T16:20").enrol("A-1")
    desk.send()
    desk.at("2026-11-25T16:21").enrol("A-2", phone=SECOND)
    desk.send()

    told = {str(row["reason"]): row["why"] for row in call_list(desk.context)}

    assert told == {
        "not_reached:refused:20003": {
            "zh": "运营商不接受本单位的账户或设置（20003）",
            "en": "the provider refuses our account or set-up (20003)",
        },
        "not_reached:channel_rests:20003": {
            "zh": "发送渠道暂停，等不及恢复（20003）",
            "en": "the channel rests for too long (20003)",
        },
    }
