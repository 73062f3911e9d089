"""Commands that only look: they work beside any fault, make nothing, and speak our language."""

import shutil
import sqlite3

import pytest

from tests.cli.command import CONFIGURATION, NOW, OK, ROOT, Qida
from worker.cli.words import CELLS
from worker.domain.delivery import AttemptState, DeadlineState, ReminderState
from worker.services.operations import DUTIES

LOOKING = [
    ["jobs"],
    ["cases", "list"],
    ["cases", "show", "A-1"],
    ["reminders", "list"],
    ["calls", "list"],
]
looking = pytest.mark.parametrize("words", LOOKING, ids=" ".join)


@pytest.fixture
def faulty(enrolled: Qida) -> Qida:
    """The command over two cases after every kind of file was broken; the keys are gone too."""
    config = enrolled.own_config()
    shutil.copytree(ROOT / "templates", enrolled.home / "templates")
    (config / "rules" / "national.yaml").write_text("title: [\n", "utf-8")
    (config / "centres" / "demo.yaml").write_text("name: 1\nhourz: 2\n", "utf-8")
    next((enrolled.home / "templates" / "sms" / "zh").iterdir()).write_text("{{ x", "utf-8")
    (enrolled.home / "var" / "keys.json").unlink()
    return enrolled.where(QIDA_SMS="", QIDA_EMAIL="")


@looking
def test_looking_needs_neither_sound_files_nor_a_channel_nor_keys(
    faulty: Qida, words: list[str]
) -> None:
    done = faulty(*words)

    assert (done.code, done.err) == (OK, "")
    assert not (faulty.home / "var" / "keys.json").exists()


@looking
def test_looking_into_a_mistyped_home_makes_nothing(qida: Qida, words: list[str]) -> None:
    home = qida.home / "mistyped"

    done = qida.where(QIDA_HOME=str(home))(*words)

    assert (done.code, done.out) == (CONFIGURATION, "")
    assert done.is_clear
    assert f"QIDA_HOME is {home}" in done.err
    assert not home.exists()


@looking
def test_looking_into_a_database_of_something_else_adds_no_table(
    qida: Qida, words: list[str]
) -> None:
    path = qida.home / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (id)")

    done = qida.where(QIDA_DATABASE_URL=f"sqlite:///{path}")(*words)

    assert done.code == CONFIGURATION
    assert done.is_clear
    with sqlite3.connect(path) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("other",)]


def test_a_case_shows_where_it_belongs_and_what_was_tried(enrolled: Qida) -> None:
    enrolled("tick", *NOW)
    enrolled("tick", "--now", "2026-11-23T10:06:00+08:00")

    done = enrolled("cases", "show", "A-1")

    lines = done.out.splitlines()
    assert lines[:3] == ["reference  A-1", "centre     demo", "procedure  national"]
    heads, attempt = (line.split() for line in lines[lines.index("attempts:") + 1 :][:2])
    tried = dict(zip(heads, attempt, strict=False))  # the last cell, a code, is empty
    assert (tried["channel"], tried["number"], tried["state"]) == ("sms", "1", "delivered")
    assert tried["started_at"] == tried["accepted_at"] == "2026-11-23T10:00:00+08:00"
    assert tried["delivered_at"] == "2026-11-23T10:06:00+08:00"
    assert tried["provider_id"].startswith("SB")


def test_reminders_name_their_centre(enrolled: Qida) -> None:
    heads, *rows = enrolled("reminders", "list").out.splitlines()

    assert heads.split()[:2] == ["centre", "reference"]
    assert {tuple(row.split()[:2]) for row in rows} == {("demo", "A-1"), ("demo", "A-2")}


def test_a_tick_at_night_says_what_waits_for_the_morning(enrolled: Qida) -> None:
    at_night = enrolled("tick", "--now", "2026-11-23T22:30:00+08:00")
    by_day = enrolled("tick", "--now", "2026-11-24T09:00:00+08:00")

    assert "4 reminders wait for 09:00 on 11-24" in at_night.err
    assert "4 条提醒等到 11-24 09:00" in at_night.err
    assert "wait for" not in by_day.err


def test_an_unknown_duty_is_told_those_there_are(enrolled: Qida) -> None:
    ticked = enrolled("tick", *NOW, "--json").rows
    done = enrolled("jobs", "--duty", "foo")

    here = [duty for duty in DUTIES if duty != "rehearse"]  # that one only on a live installation
    assert [row["duty"] for row in ticked] == here
    assert f"no duty foo; there are: {', '.join(DUTIES)}" in done.err


@looking
def test_tables_are_chinese_where_only_chinese_is_wanted(enrolled: Qida, words: list[str]) -> None:
    enrolled("tick", *NOW)

    done = enrolled.where(QIDA_LANG="zh")(*words)

    assert not any(letter.isascii() and letter.isalpha() for letter in done.out.splitlines()[0][:4])
    assert not {"planned", "accepted", "open", "state"} & set(done.out.split())


@looking
def test_data_for_programs_is_the_same_in_every_language(enrolled: Qida, words: list[str]) -> None:
    enrolled("tick", *NOW)

    chinese, both = (
        enrolled.where(QIDA_LANG=language)(*words, "--json") for language in ("zh", "both")
    )

    assert chinese == both


def test_every_state_has_a_chinese_word() -> None:
    states = {*AttemptState, *ReminderState, *DeadlineState, "open", "closed", "done", "ok"}

    assert states - CELLS["state"].keys() == set()
