"""`qida audit verify`: the chain is walked, and what breaks it is named."""

import sqlite3

from tests.cli.command import BAD_DATA, NOW, OK, REPORTED, Qida


def entries_of(qida: Qida) -> Qida:
    """A change of contact and an event taken back leave entries."""
    changed = REPORTED.replace("10000000001", "10000000006")
    for number in ("10000000008", "10000000009"):
        line = changed.replace("10000000006", number)
        assert qida("enrol", qida.roster(line), *NOW).code == OK
    return qida


def run(qida: Qida, statement: str) -> None:
    with sqlite3.connect(qida.home / "var" / "qida.db") as connection:
        connection.execute(statement)


def test_a_chain_that_holds_shows_its_head(enrolled: Qida) -> None:
    done = entries_of(enrolled)("audit", "verify", "--json")

    [report] = done.rows
    assert done.code == OK
    assert report["entries"] >= 2
    assert report["head"].startswith(f"{report['entries']}:")
    assert report["head_at"] == "2026-11-23T10:00:00+08:00"


def test_a_changed_entry_is_named_and_the_exit_code_says_so(enrolled: Qida) -> None:
    run(entries_of(enrolled), "UPDATE audit_entry SET actor = 'x' WHERE seq = 1")

    done = enrolled("audit", "verify")

    assert (done.code, done.out) == (BAD_DATA, "")
    assert "at entry 1: its content does not match its hash" in done.err
    assert done.is_clear


def test_a_removed_tail_shows_against_the_head_kept_elsewhere(enrolled: Qida) -> None:
    [kept] = entries_of(enrolled)("audit", "verify", "--json").rows
    before = enrolled("audit", "verify", "--expect", kept["head"])
    run(enrolled, f"DELETE FROM audit_entry WHERE seq = {kept['entries']}")  # noqa: S608

    alone = enrolled("audit", "verify")
    against = enrolled("audit", "verify", "--expect", kept["head"])

    assert (before.code, alone.code, against.code) == (OK, OK, BAD_DATA)
    assert "the tail was removed" in against.err


def test_an_entry_that_is_there_with_another_hash_is_not_called_missing(enrolled: Qida) -> None:
    done = entries_of(enrolled)("audit", "verify", "--expect", "1:abc")

    assert done.code == BAD_DATA
    assert "entry 1 has another hash" in done.err
    assert done.is_clear


def test_an_expectation_without_sense_is_refused(enrolled: Qida) -> None:
    done = enrolled("audit", "verify", "--expect", "yesterday")

    assert done.code == BAD_DATA
    assert done.is_clear
