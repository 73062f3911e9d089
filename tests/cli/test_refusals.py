"""What keeps a command from working is told in one clear text, and nothing is changed."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.cli.command import (
    BAD_DATA,
    CONFIGURATION,
    GOOD,
    NOW,
    OK,
    ROOT,
    UNAVAILABLE,
    Done,
    Qida,
    lying_still,
    namespaces_work,
)
from worker.clock import SystemClock
from worker.store.database import Database
from worker.store.installation import stamp
from worker.store.keys import create_key_ring
from worker.store.migrations import migrate

in_a_namespace = pytest.mark.skipif(
    not namespaces_work(), reason="this machine lets nobody mount a small or read-only file system"
)


def cases(qida: Qida) -> list[str]:
    """The references on record."""
    return [row["reference"] for row in qida("cases", "list", "--json").rows]


def test_the_worker_does_not_start_without_a_channel(qida: Qida) -> None:
    done = qida.where(QIDA_SMS="", QIDA_EMAIL="")("run")

    assert done.code == CONFIGURATION
    assert done.is_clear
    assert len(done.err.splitlines()) == 2
    assert "QIDA_SMS=sandbox" in done.err
    assert not (qida.home / "var" / "qida.db").exists()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"QIDA_EMIAL": "sandbox"}, ["QIDA_EMIAL: 没有这个设置 -> 是否想写 QIDA_EMAIL？"]),
        ({"QIDA_FROBNICATE": "1"}, ["QIDA_FROBNICATE: there is no such setting"]),
        ({"QIDA_LOG": "xml"}, ["QIDA_LOG: 只能是 'json' 或 'plain'"]),
        ({"QIDA_SEND_BATCH": "0"}, ["QIDA_SEND_BATCH: 须不小于 1", "at least 1"]),
        ({"QIDA_SEND_BATCH": "many"}, ["QIDA_SEND_BATCH: 须为整数", "a whole number"]),
        ({"QIDA_DATABASE_URL_FILE": "/nowhere"}, ["QIDA_DATABASE_URL_FILE: 所指的文件读不到"]),
        ({"QIDA_LOG": "xml", "QIDA_SEND_BATCH": "0"}, ["QIDA_LOG", "QIDA_SEND_BATCH"]),
    ],
)
def test_a_wrong_setting_is_named_with_all_others(
    qida: Qida, settings: dict[str, str], told: list[str]
) -> None:
    done = qida.where(**settings)("jobs")

    assert done.code == CONFIGURATION
    assert done.is_clear
    assert [words for words in told if words not in done.err] == []


def test_the_value_of_a_wrong_setting_is_not_shown(qida: Qida) -> None:
    done = qida.where(QIDA_SMS="s3cret", QIDA_DATABASE_URL="postgresql://u:s3cret@/x:y:z")("jobs")

    assert done.code == CONFIGURATION
    assert "s3cret" not in done.err


def test_a_live_database_refuses_the_sandbox_and_the_clock_of_tests(qida: Qida) -> None:
    var = qida.home / "var"
    var.mkdir()
    db = Database.open(f"sqlite:///{var / 'qida.db'}")
    migrate(db)
    with db.transaction() as session:
        keys = create_key_ring(var / "keys.json")
        stamp(session, keys, stamp="live", now=SystemClock().now())
    db.close()

    refused = [
        qida("tick", *NOW),
        qida("enrol", qida.roster(GOOD), *NOW),
        qida("cases", "event", "A-1", "found", "--at", "2026-11-20T10:00:00Z", *NOW),
    ]

    assert {done.code for done in refused} == {CONFIGURATION}
    assert all(done.is_clear and "stamped live" in done.err for done in refused)
    with sqlite3.connect(var / "qida.db") as connection:
        assert connection.execute('SELECT count(*) FROM "case"').fetchone() == (0,)


def test_a_missing_key_file_is_never_replaced(enrolled: Qida) -> None:
    keys = enrolled.home / "var" / "keys.json"
    saved = keys.read_bytes()
    keys.unlink()

    done = enrolled("tick", *NOW)

    assert done.code == CONFIGURATION
    assert "restore it from its backup" in done.err
    assert done.is_clear
    assert not keys.exists()
    keys.touch(mode=0o600)
    keys.write_bytes(saved)
    assert cases(enrolled) == ["A-1", "A-2"]


def test_another_key_file_is_refused(enrolled: Qida) -> None:
    keys = enrolled.home / "var" / "keys.json"
    keys.unlink()
    create_key_ring(keys)

    done = enrolled("enrol", enrolled.roster(GOOD), *NOW)

    assert done.code == CONFIGURATION
    assert "does not belong to this database" in done.err
    assert done.is_clear


def test_a_key_file_that_others_may_read_is_refused(enrolled: Qida) -> None:
    (enrolled.home / "var" / "keys.json").chmod(0o644)

    done = enrolled("tick", *NOW)

    assert done.code == CONFIGURATION
    assert "chmod 600" in done.err
    assert done.is_clear


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("mysql://localhost/qida", CONFIGURATION),
        ("sqlite:////nowhere/at/all/qida.db", UNAVAILABLE),
        (f"sqlite:///{ROOT / 'LICENSE'}", UNAVAILABLE),
        ("postgresql://qida:s3cret@127.0.0.1:1/qida", UNAVAILABLE),
    ],
)
def test_a_database_out_of_reach_is_told_without_its_password(
    qida: Qida, url: str, code: int
) -> None:
    done = qida.where(QIDA_DATABASE_URL=url)("tick")

    assert done.code == code
    assert done.is_clear
    assert "s3cret" not in done.err


@in_a_namespace
def test_a_read_only_database_takes_nothing_and_says_so(enrolled: Qida) -> None:
    var = enrolled.home / "var"
    mounted = f"mount --bind -o ro {var} {var} && mount -o remount,bind,ro {var} && "
    read_only = enrolled.behind("unshare", "-rm", "sh", "-c", mounted + 'exec "$@"', "sh")
    roster = enrolled.roster(GOOD.replace("A-2", "A-3"))

    done = read_only.really("enrol", roster, *NOW)

    assert done.code == UNAVAILABLE
    assert done.is_clear
    assert cases(enrolled) == ["A-1", "A-2"]


@in_a_namespace
def test_a_full_disk_keeps_what_was_accepted_and_says_so(enrolled: Qida, tmp_path: Path) -> None:
    """4 MB hold the two cases and one chunk more, not two."""
    roster = enrolled.roster(*(GOOD.replace("A-2", f"B-{number}") for number in range(1100)))
    kept = tmp_path / "kept"
    script = (
        f"cp -a {enrolled.home}/var {kept} && mount -t tmpfs -o size=4m none {enrolled.home}/var"
        f' && cp -a {kept}/. {enrolled.home}/var/ && "$@"; code=$?;'
        f" cp -a {enrolled.home}/var/. {kept}/; exit $code"
    )

    done = enrolled.behind("unshare", "-rm", "sh", "-c", script, "sh").really("enrol", roster, *NOW)

    assert done.code == UNAVAILABLE
    assert done.is_clear
    assert "no room left" in done.err
    shutil.rmtree(enrolled.home / "var")
    shutil.copytree(kept, enrolled.home / "var")
    on_record = cases(enrolled)
    assert 2 < len(on_record) < 1102
    again = enrolled("enrol", roster, *NOW)
    assert again.code == OK
    assert again.out.startswith(f"{1102 - len(on_record)} new, ")
    assert f" {len(on_record) - 2} unchanged" in again.out


def test_broken_configuration_is_listed_whole_before_anything_starts(qida: Qida) -> None:
    config = qida.own_config()
    (config / "rules" / "chengdu.yaml").write_text("title: [\n", "utf-8")
    (config / "centres" / "demo.yaml").write_text("name: 甲\nhourz: 1\n", "utf-8")
    (config / "calendar").mkdir()
    (config / "calendar" / "2027.yaml").write_text("year: 2028\n", "utf-8")

    done = qida("tick")

    assert done.code == CONFIGURATION
    assert done.is_clear
    places = ["config/rules/chengdu.yaml:2:1", "config/centres/demo.yaml:2:1",
              "config/calendar/2027.yaml:1:1"]  # fmt: skip
    assert [place for place in places if place not in done.err] == []
    assert not (qida.home / "var" / "qida.db").exists()


def test_a_template_with_an_unknown_variable_is_found_by_line(qida: Qida) -> None:
    shutil.copytree(ROOT / "templates", qida.home / "templates")
    template = next((qida.home / "templates" / "sms" / "zh").iterdir())
    text = template.read_text("utf-8").rstrip()
    template.write_text(text + "{{ nobody }}\n", "utf-8")
    last_line = len(text.splitlines())

    checked, ticked = qida("templates", "check"), qida("tick")

    for done in (checked, ticked):
        assert done.code == CONFIGURATION
        assert f"{template.name}:{last_line}: 没有这个变量 [nobody]" in done.err
        assert "no such variable [nobody]" in done.err
        assert done.is_clear


def test_an_own_configuration_takes_the_place_of_the_shipped_one(qida: Qida) -> None:
    centre = qida.own_config() / "centres" / "demo.yaml"
    centre.rename(centre.with_name("north.yaml"))

    own = qida("enrol", qida.roster(GOOD), *NOW)

    assert own.code == OK
    assert [row["centre"] for row in qida("cases", "list", "--json").rows] == ["north"]


def test_a_file_dropped_into_the_inbox_is_enrolled_by_a_tick(enrolled: Qida) -> None:
    lying_still(enrolled.roster(GOOD.replace("A-2", "A-3"), name="var/inbox/cases.csv"))

    done = enrolled("tick", *NOW)

    assert done.code == OK
    assert "inbox        events=1 files=1 new=1 planned=5" in done.out
    assert cases(enrolled) == ["A-1", "A-2", "A-3"]


def faults_of(done: Done) -> list[str]:
    """The lines of a roster's faults in English."""
    return [line for line in done.err.splitlines() if " -> " in line][1::2]


def test_faults_of_a_roster_are_told_by_row_in_both_languages(qida: Qida) -> None:
    roster = qida.roster(GOOD, GOOD.replace("A-2", "A-3").replace("national", "nationals"))

    done = qida("enrol", roster, *NOW)

    assert done.code == BAD_DATA
    assert done.out.startswith("1 new, ")
    assert done.out.endswith("1 bad row\n")
    assert "cases.csv 第 3 行 B 列（业务）: 没有业务 nationals -> 是否想写 national" in done.err
    assert [line.partition(" -> ")[0] for line in faults_of(done)] == [
        "cases.csv, row 3, column B 业务: no procedure nationals"
    ]
