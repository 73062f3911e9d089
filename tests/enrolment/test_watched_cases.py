"""Rosters in config/cases stay where they are and are read once, whoever reads them."""

import os
import shutil
from pathlib import Path

import pytest

from tests.enrolment.folders import dropped, held, lying, tick, tick_of_a_new_process
from tests.enrolment.office import GOOD, HEADING, REPORTED, Office
from worker.domain.errors import Text
from worker.logs import FIELDS

ROOT = Path(__file__).parents[2]
BAD = "B-1,national,电话挂失,2026-11-20 16:20,王五,10000000003 / 10000000004"


def put(office: Office, *lines: str, name: str = "cases.csv") -> Path:
    """A roster of these lines in config/cases, lying still."""
    return lying(office.roster(*lines, name=f"config/cases/{name}"))


def test_a_file_stays_and_is_read_once(office: Office) -> None:
    path = put(office, REPORTED)

    first, second = tick(office), tick(office)

    assert first["new"] == 1
    assert second == {}
    assert path.exists()


@pytest.mark.parametrize("row", [REPORTED, BAD])
def test_what_one_process_read_another_does_not_read_again(office: Office, row: str) -> None:
    put(office, row)

    first, second = tick(office), tick_of_a_new_process(office)

    assert first["files"] == 1
    assert second == {}


def test_a_file_written_anew_with_the_same_content_is_not_read_again(office: Office) -> None:
    path = put(office, REPORTED)
    tick(office)

    os.utime(path, (1, 1))
    counts = tick(office)

    assert counts == {}


def test_a_changed_file_is_read_again(office: Office) -> None:
    put(office, REPORTED)
    tick(office)

    put(office, REPORTED, GOOD)
    changed = tick_of_a_new_process(office)
    put(office, REPORTED)
    changed_back = tick_of_a_new_process(office)

    assert changed["new"] == 1
    assert changed_back["files"] == 1


def test_errors_are_kept_under_var_and_go_when_the_file_is_mended(office: Office) -> None:
    put(office, BAD)
    tick(office)
    wrong = list(held(office, "errors"))

    put(office, BAD.replace(" / 10000000004", ""))
    tick(office)

    assert wrong == ["cases.errors.csv", "cases.errors.txt"]
    assert list(held(office, "errors")) == []


def test_the_errors_of_a_file_still_wrong_stand_in_place_of_the_earlier_ones(
    office: Office,
) -> None:
    put(office, BAD)
    tick(office)

    put(office, REPORTED, BAD)
    tick(office)

    errors = held(office, "errors")
    assert list(errors) == ["cases.errors.csv", "cases.errors.txt"]
    assert "row 3" in errors["cases.errors.txt"].read_text("utf-8")
    assert "row 2" not in errors["cases.errors.txt"].read_text("utf-8")


def test_files_that_differ_in_suffix_have_errors_of_their_own(office: Office) -> None:
    put(office, BAD)
    dropped(office, "config/cases/cases.xlsx", b"no workbook")

    tick(office)

    assert list(held(office, "errors")) == [
        "cases.errors.csv", "cases.errors.txt", "cases.xlsx.errors.txt",
    ]  # fmt: skip


@pytest.mark.parametrize("spoilt", [b"", b"\0" * 90, b"\xff\xfe"])
def test_a_lost_record_makes_the_file_be_read_again(office: Office, spoilt: bytes) -> None:
    put(office, REPORTED)
    tick(office)
    [record] = held(office, "seen").values()

    record.write_bytes(spoilt)
    first, second = tick_of_a_new_process(office), tick_of_a_new_process(office)

    assert first["files"] == 1
    assert second == {}


def test_half_a_record_makes_the_file_be_read_again(office: Office) -> None:
    put(office, REPORTED)
    tick(office)
    [record] = held(office, "seen").values()
    whole = record.read_bytes()

    for length in (0, 1, 32, 33, 34, len(whole) - 1):
        record.write_bytes(whole[:length])

        assert tick_of_a_new_process(office)["files"] == 1


def test_the_record_names_nobody(office: Office) -> None:
    put(office, REPORTED, name="张三 10000000001.csv")

    tick(office)

    [(name, record)] = held(office, "seen").items()
    assert len(name) == 8
    assert "10000000001" not in name + record.read_text("utf-8")


def test_a_database_put_back_to_an_earlier_state_reads_again(office: Office) -> None:
    put(office, GOOD, name="a.csv")
    tick(office)
    backup = office.content()
    put(office, REPORTED, name="b.csv")
    tick(office)

    take_back_to(office, backup)
    counts = tick_of_a_new_process(office)

    assert (counts["files"], counts["new"]) == (1, 1)  # b.csv; the backup holds what a.csv said
    assert office.events("A-1") == ["reported_by_phone"]


@pytest.mark.parametrize("row", [REPORTED, BAD])
def test_another_database_reads_for_itself(office: Office, row: str) -> None:
    empty = office.content()
    put(office, row)
    tick(office)

    take_back_to(office, empty)
    counts = tick_of_a_new_process(office)

    assert counts["files"] == 1


def test_a_file_is_read_again_under_other_rules(office: Office) -> None:
    row = GOOD.replace("national,", "national,second,")
    path = dropped(office, "config/cases/cases.csv")
    path.write_text(f"{HEADING.replace('事项', '网点,事项')}\n{row}\n", "utf-8")
    lying(path)
    refused = tick(office)

    shutil.copytree(ROOT / "config" / "centres", office.home / "config" / "centres")
    demo = office.home / "config" / "centres" / "demo.yaml"
    shutil.copy(demo, demo.with_name("second.yaml"))
    counts = tick(office)

    assert refused == {"files": 1, "bad_rows": 1}
    assert counts["new"] == 1
    assert list(held(office, "errors")) == []


@pytest.mark.parametrize("folder", ["config/cases", "var/inbox"])
def test_a_file_that_may_not_be_read_waits_until_it_may_and_stops_no_other(
    office: Office, caplog: pytest.LogCaptureFixture, folder: str
) -> None:
    path = lying(office.roster(REPORTED, name=f"{folder}/a.csv"))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root may read every file")
    lying(office.roster(GOOD, name=f"{folder}/b.csv"))

    blind, still_blind = tick(office), tick(office)
    path.chmod(0o600)
    seeing = tick(office)

    assert (blind["new"], blind["error"], still_blind) == (1, 1, {})
    [told] = [vars(one) for one in caplog.records if one.msg == "file.failed"]
    assert told["reason"] == "Permission denied"
    assert "check the rights" in told["mend"]
    assert seeing["new"] == 1


def test_a_fault_of_the_configuration_is_told_with_place_and_mend_but_no_value(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(ROOT / "config" / "centres", office.home / "config" / "centres")
    tick(office)
    demo = office.home / "config" / "centres" / "demo.yaml"

    demo.write_text(demo.read_text("utf-8") + "abroad_numbers: 张三\n", "utf-8")
    tick(office)

    [told] = [vars(one) for one in caplog.records if one.msg == "config.fault"]
    line = len(demo.read_text("utf-8").splitlines())
    assert told["place"] == f"config/centres/demo.yaml:{line}:17"
    assert told["code"] == "wrong_type"
    assert told["mend"] == str(
        Text("写 true 或 false，不加引号", "write true or false without quotes")
    )
    assert "张三" not in f"{told['reason']} {told['mend']}"
    assert {"place", "code", "reason", "mend"} <= set(FIELDS)


def take_back_to(office: Office, backup: dict[str, list[tuple[object, ...]]]) -> None:
    """Put the database back to what it held."""
    with office.context.db.engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for table, rows in backup.items():
            connection.exec_driver_sql(f'DELETE FROM "{table}"')  # noqa: S608 - our own tables
            for row in rows:
                marks = ", ".join("?" * len(row))
                connection.exec_driver_sql(f'INSERT INTO "{table}" VALUES ({marks})', row)  # noqa: S608 - our own tables
