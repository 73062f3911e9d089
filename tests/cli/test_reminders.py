"""`qida reminders`: what cannot make it is known beforehand, who was told again afterwards."""

import sqlite3
from contextlib import closing

from tests.cli.command import NOW, OK, Qida


def test_what_cannot_make_it_is_listed_beforehand(enrolled: Qida) -> None:
    words = ["reminders", "forecast", "--now", "2026-11-23T09:00:00+08:00", "--json"]

    at_once = enrolled(*words, "--rate", "100")
    too_slow = enrolled(*words, "--rate", "0.00001")

    assert (at_once.code, at_once.rows) == (OK, [])
    late = too_slow.rows
    assert late
    assert all(row["its_turn_at"] >= row["useless_after"] for row in late)
    assert [row["useless_after"] for row in late] == sorted(row["useless_after"] for row in late)


def test_who_was_sent_a_second_message_is_listed(enrolled: Qida) -> None:
    enrolled("tick", *NOW)
    with closing(sqlite3.connect(enrolled.home / "var" / "qida.db")) as db, db:
        first, reminder = db.execute("SELECT id, reminder_id FROM attempt LIMIT 1").fetchone()
        columns = [row[1] for row in db.execute("PRAGMA table_info(attempt)")]
        later = {"id": "'a2'", "number": "2", "ref": "'r2'", "provider_id": "'P2'",
                 "started_at": "datetime(started_at, '+50 minutes') || '.000000'"}  # fmt: skip
        values = ", ".join(later.get(name, name) for name in columns)
        db.execute("UPDATE attempt SET state = 'lost', misses = 4, provider_id = NULL"
                   " WHERE id = ?", [first])  # fmt: skip
        db.execute(f"INSERT INTO attempt SELECT {values} FROM attempt WHERE id = ?", [first])  # noqa: S608
        db.execute("UPDATE attempt SET state = 'accepted' WHERE id = 'a2'")
        db.execute("UPDATE reminder SET attempts = 2 WHERE id = ?", [reminder])
        db.execute("UPDATE attempt_event SET source = 'find', status = 'missing', provider_id = ''"
                   " WHERE attempt_id = ?", [first])  # fmt: skip

    table = enrolled.where(QIDA_LANG="zh")("reminders", "list", "--again")
    [pair] = enrolled("reminders", "list", "--again", "--json").rows
    all_of_them = enrolled("reminders", "list", "--json").rows

    assert "无下落" in table.out
    assert "P2" in table.out
    assert "1 条提醒发了第二次" in table.err
    assert (pair["id"], pair["again"]["id"]) == (reminder, "a2")
    assert pair["again"]["started_at"].endswith("+08:00")
    assert len(all_of_them) > 1


def test_without_a_pace_it_says_that_none_is_set(enrolled: Qida) -> None:
    done = enrolled("reminders", "forecast", "--now", "2026-11-23T09:00:00+08:00")

    assert done.code == OK
    assert "QIDA_SMS_PARTS_PER_SECOND" in done.err


def test_why_a_reminder_was_cancelled_is_told_in_words_and_kept_as_a_code(enrolled: Qida) -> None:
    written = ("reported_in_writing", "--at", "2026-11-23T09:30:00+08:00")
    enrolled("cases", "event", "A-1", *written, "--now", "2026-11-23T10:00:00+08:00")
    words = ("reminders", "list", "--case", "A-1", "--state", "cancelled")

    rows = enrolled(*words, "--json").rows
    chinese = enrolled.where(QIDA_LANG="zh")(*words).out
    english = enrolled.where(QIDA_LANG="en")(*words).out

    assert {row["reason"] for row in rows} == {"settled"}
    assert "已办妥" in chinese
    assert "the matter is settled" in english
    assert chinese.count("settled") == 0


def test_what_is_past_its_use_is_not_said_to_be_late_for_the_pace(enrolled: Qida) -> None:
    done = enrolled("reminders", "forecast", "--now", "2027-03-01T09:00:00+08:00", "--json")

    assert (done.code, done.rows) == (OK, [])
