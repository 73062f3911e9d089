"""`qida reminders forecast`: what cannot make it is known before it is too late."""

from tests.cli.command import OK, Qida


def test_what_cannot_make_it_is_listed_beforehand(enrolled: Qida) -> None:
    words = ["reminders", "forecast", "--now", "2026-11-23T09:00:00+08:00", "--json"]

    at_once = enrolled(*words, "--rate", "100")
    too_slow = enrolled(*words, "--rate", "0.00001")

    assert (at_once.code, at_once.rows) == (OK, [])
    late = too_slow.rows
    assert late
    assert all(row["its_turn_at"] >= row["useless_after"] for row in late)
    assert [row["useless_after"] for row in late] == sorted(row["useless_after"] for row in late)


def test_without_a_pace_it_says_that_none_is_set(enrolled: Qida) -> None:
    done = enrolled("reminders", "forecast", "--now", "2026-11-23T09:00:00+08:00")

    assert done.code == OK
    assert "QIDA_SMS_PARTS_PER_SECOND" in done.err
