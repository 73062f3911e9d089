"""`qida calls`: whom to telephone, what to say, and what came of it."""

import sqlite3
from typing import Any

import pytest

from tests.cli.command import BAD_DATA, GOOD, NOW, OK, Qida
from worker.domain.errors import Text
from worker.services.reasons import why

REFUSED = GOOD.replace("A-2", "A-3").replace("10000000007", "10000000003")


@pytest.fixture
def called(qida: Qida) -> Qida:
    """The command after the provider refused the number of 李四 and his second contact's."""
    heading = "编号,业务,事项,发生时间,姓名,手机,备用手机"
    qida("enrol", qida.roster(f"{REFUSED},10000000013", heading=heading), *NOW)
    with sqlite3.connect(qida.home / "var" / "qida.db") as connection:
        connection.execute('UPDATE "case" SET second_phone_sealed = NULL')  # no rung is left
    qida("tick", *NOW)
    return qida


def task(qida: Qida, *words: str) -> Any:  # a row as JSON has it
    """The one task on the list."""
    [row] = qida("calls", "list", *words, "--json").rows
    return row


def entries(qida: Qida, action: str) -> list[tuple[str, str]]:
    """Who and what the audit trail names for an action."""
    with sqlite3.connect(qida.home / "var" / "qida.db") as connection:
        found = connection.execute(
            "SELECT actor, subject FROM audit_entry WHERE action = ?", (action,)
        )
        return found.fetchall()


def test_the_call_list_says_why_and_until_when(called: Qida) -> None:
    row = task(called)

    assert (row["centre"], row["reference"]) == ("demo", "A-3")
    assert row["rule"] == "national.phone-loss-report"
    assert row["reason"].startswith("not_reached:rejected:")
    assert row["why"]["zh"].startswith("运营商拒收（")
    assert row["why"]["en"].startswith("the provider refused the message (")
    assert row["act_by"] == "2026-11-25T17:00:00+08:00"
    assert row["opened_at"] == "2026-11-23T10:00:00+08:00"


def test_no_list_and_no_error_of_calls_shows_a_name_or_number(called: Qida) -> None:
    task_id = task(called)["id"]

    told = [
        called("calls", "list"),
        called("calls", "list", "--json"),
        called("calls", "done", task_id, "--note", "张三 10000000003"),
        called("calls", "done", task_id),
        called("calls", "list", "--state", "done"),
        called("calls", "list", "--state", "done", "--json"),
    ]

    said = "".join(done.out + done.err for done in told)
    assert not any(personal in said for personal in ("张三", "李四", "1000000"))


def test_a_task_shows_whom_to_ring_what_to_say_and_what_was_tried(called: Qida) -> None:
    [shown] = called("calls", "show", task(called)["id"], "--json").rows

    assert shown["contact"] == {
        "name": "李四",
        "phone": "10000000003",
        "second_phone": "",
        "language": "zh",
    }
    assert shown["say"]["until"] == {"zh": "11月25日周三17:00前", "en": "by 17:00 Wed 25 Nov"}
    assert {"act", "place", "papers", "consequence"} <= shown["say"].keys()
    [tried] = shown["tried"]
    assert (tried["channel"], tried["state"]) == ("sms", "rejected")
    assert tried["started_at"] == "2026-11-23T10:00:00+08:00"


def test_a_task_reads_well(called: Qida) -> None:
    done = called.where(QIDA_LANG="zh")("calls", "show", task(called)["id"])

    lines = done.out.splitlines()
    assert (done.code, done.err) == (OK, "")
    assert "姓名  李四" in lines
    assert "手机  10000000003" in lines
    assert any(line.startswith("最迟") and line.endswith("11月25日周三17:00前") for line in lines)
    assert lines[-1].startswith("短信  本人")
    assert "被拒收" in lines[-1]


def test_opening_a_contact_is_audited(called: Qida) -> None:
    [case] = called("cases", "list", "--json").rows
    before = entries(called, "contact.opened")

    called("calls", "show", task(called)["id"])

    assert before == []
    assert entries(called, "contact.opened") == [("cli", case["id"])]


def test_a_faulty_rule_file_keeps_nobody_from_telephoning(called: Qida) -> None:
    (called.own_config() / "rules" / "national.yaml").write_text("title: [\n", "utf-8")

    done = called("calls", "show", task(called)["id"])

    assert done.code == OK
    assert "10000000003" in done.out
    assert "qida rules check" in done.err


@pytest.mark.parametrize(
    ("words", "result"),
    [(["--reached"], "reached"), (["--not-reached"], "not_reached"), ([], "done")],
)
def test_a_call_that_was_made_leaves_the_list_with_its_result(
    called: Qida, words: list[str], result: str
) -> None:
    task_id = task(called)["id"]

    done = called("calls", "done", task_id, "--note", "明天去办", *words)

    assert (done.code, done.out) == (OK, "")
    assert called("calls", "list", "--json").rows == []
    row = task(called, "--state", "done")
    assert (row["id"], row["result"]) == (task_id, result)
    assert row["done_at"] is not None
    [shown] = called("calls", "show", task_id, "--json").rows
    assert shown["note"] == f"{result}: 明天去办"
    assert entries(called, "call.done") == [("cli", task_id)]


def test_a_call_is_done_once(called: Qida) -> None:
    task_id = task(called)["id"]
    called("calls", "done", task_id, "--reached")

    again = called("calls", "done", task_id, "--not-reached")

    assert (again.code, again.out) == (BAD_DATA, "")
    assert again.is_clear
    assert task(called, "--state", "done")["result"] == "reached"


def test_the_list_is_of_one_centre_if_asked(called: Qida) -> None:
    of_demo = called("calls", "list", "--centre", "demo", "--json")
    of_another = called("calls", "list", "--centre", "nowhere", "--json")

    assert len(of_demo.rows) == 1
    assert (of_another.code, of_another.out) == (BAD_DATA, "")


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("nobody_reached", Text("期限将至，没有任何消息送达", "no message reached anyone in time")),
        ("not_reached:no_receipt", Text("没有回执", "no receipt came")),
        ("not_reached:undelivered:30003", Text("未送达（30003）", "not delivered (30003)")),
        (
            "ladder:undelivered:30003",
            Text("改用其他方式：未送达（30003）", "by another means: not delivered (30003)"),
        ),
        ("", Text("", "")),
        ("something_new: x", Text("something_new: x", "something_new: x")),
    ],
)
def test_a_reason_is_told_in_words(reason: str, told: Text) -> None:
    assert why(reason) == told
