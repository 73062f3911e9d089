"""Files put into the watched folders are taken in by themselves, once they lie still."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from tests.enrolment.office import GOOD, REPORTED, Office

BAD = "B-1,national,电话挂失,2026-11-20 16:20,王五,10000000003 / 10000000004"
A_DAY = 24 * 3600.0


def lying(path: Path, seconds: float = 6.0) -> Path:
    """The file as if it had been written so long ago."""
    at = path.stat().st_mtime - seconds
    os.utime(path, (at, at))
    return path


def done(office: Office) -> dict[str, Path]:
    """What var/done holds, by name without its time."""
    folder = office.home / "var" / "done"
    return {path.name.partition("-")[2]: path for path in folder.iterdir()}


def tick(office: Office) -> dict[str, int]:
    """One pass of every duty; what the inbox did."""
    return dict(office.duties.tick()["inbox"])


def test_a_settled_file_of_the_inbox_is_enrolled_and_put_away(office: Office) -> None:
    path = lying(office.roster(REPORTED, name="var/inbox/名单.csv"))

    counts = tick(office)

    assert counts["new"] == 1
    assert not path.exists()
    assert list(done(office)) == ["名单.csv"]
    assert office.events("A-1") == ["reported_by_phone"]


def test_a_file_just_written_waits(office: Office) -> None:
    path = office.roster(REPORTED, name="var/inbox/cases.csv")

    counts = tick(office)

    assert counts == {}
    assert path.exists()
    assert office.cases() == []


@pytest.mark.parametrize("name", [".cases.csv", "~$cases.xlsx", "cases.csv.part", "read me.txt"])
def test_what_is_no_finished_roster_is_left_alone(office: Office, name: str) -> None:
    path = lying(office.roster(REPORTED, name=f"var/inbox/{name}"))

    tick(office)

    assert path.exists()
    assert office.cases() == []


def test_the_errors_of_a_file_lie_beside_it_and_the_good_rows_are_in(office: Office) -> None:
    lying(office.roster(BAD, GOOD, name="var/inbox/cases.csv"))

    counts = tick(office)

    assert (counts["new"], counts["bad_rows"]) == (1, 1)
    beside = done(office)
    assert sorted(beside) == ["cases.csv", "cases.csv.errors.csv", "cases.csv.errors.txt"]
    text = beside["cases.csv.errors.txt"].read_text("utf-8")
    assert "row 2, column F 手机" in text
    assert "一个单元格里不止一个号码" in text
    assert "more than one number in one cell" in text
    rows = beside["cases.csv.errors.csv"].read_text("utf-8-sig").splitlines()
    assert rows[1].startswith("B-1,")
    assert "备用手机" in rows[1]
    assert rows[2].startswith("A-2,")


def test_the_list_of_errors_may_be_mended_and_put_back(office: Office) -> None:
    lying(office.roster(BAD, GOOD, name="var/inbox/cases.csv"))
    tick(office)
    listed = done(office)["cases.csv.errors.csv"].read_text("utf-8-sig")

    mended = office.home / "var" / "inbox" / "mended.csv"
    mended.write_text(listed.replace("10000000003 / 10000000004", "10000000003"), "utf-8-sig")
    lying(mended)
    counts = tick(office)

    assert counts == {"files": 1, "new": 1, "events": 1, "planned": 5}
    assert [case["reference"] for case in office.cases()] == ["A-2", "B-1"]


def test_a_file_nobody_can_read_is_put_away_with_its_reason(office: Office) -> None:
    path = office.home / "var" / "inbox" / "cases.xlsx"
    path.parent.mkdir()
    path.write_bytes(b"no workbook")
    lying(path)

    tick(office)

    assert "named a workbook" in done(office)["cases.xlsx.errors.txt"].read_text("utf-8")


def test_a_file_is_erased_a_week_after_it_was_put_away(office: Office) -> None:
    lying(office.roster(REPORTED, BAD, name="var/inbox/cases.csv"), seconds=30 * A_DAY)
    tick(office)

    kept = done(office)
    for path in kept.values():
        lying(path, seconds=8 * A_DAY)
    counts = tick(office)

    assert len(kept) == 3  # an old file has its week too
    assert counts == {"erased": 3}
    assert done(office) == {}


def test_a_file_of_config_cases_stays_and_is_read_once(office: Office) -> None:
    path = lying(office.roster(REPORTED, name="config/cases/cases.csv"))

    first, second = tick(office), tick(office)

    assert first["new"] == 1
    assert second == {}
    assert path.exists()


def test_a_changed_file_of_config_cases_is_read_again(office: Office) -> None:
    lying(office.roster(REPORTED, name="config/cases/cases.csv"))
    tick(office)

    lying(office.roster(REPORTED, GOOD, name="config/cases/cases.csv"))
    counts = tick(office)

    assert counts["new"] == 1
    assert len(office.cases()) == 2


def test_errors_in_config_cases_are_kept_under_var(office: Office) -> None:
    lying(office.roster(BAD, name="config/cases/cases.csv"))

    tick(office)

    kept = sorted(path.suffix for path in (office.home / "var" / "errors").iterdir())
    assert kept == [".csv", ".txt"]


def test_a_yaml_file_is_taken_in_with_line_and_column_of_what_is_wrong(office: Office) -> None:
    path = office.home / "var" / "inbox" / "cases.yaml"
    path.parent.mkdir()
    path.write_text(
        "cases:\n"
        "  - reference: A-1\n"
        "    procedure: national\n"
        "    phone: '10000000001'\n"
        "    events:\n"
        "      - {event: reported_by_phone, occurred_at: 2026-11-20 16:20}\n"
        "      - {event: 挂了失, occurred_at: 2026-11-20 16:20}\n",
        "utf-8",
    )
    lying(path)

    tick(office)

    assert office.events("A-1") == ["reported_by_phone"]
    assert "cases.yaml:7:17" in done(office)["cases.yaml.errors.txt"].read_text("utf-8")


def test_a_file_stays_in_the_inbox_while_the_disk_is_full(office: Office) -> None:
    path = lying(office.roster(REPORTED, *more(200), name="var/inbox/cases.csv"))

    with no_room_left(office):
        failed = tick(office)
    counts = tick(office)

    assert failed == {"error": 1}
    assert counts["new"] == 201
    assert not path.exists()


def test_a_case_that_fails_unforeseen_stops_no_other_of_its_file(office: Office) -> None:
    lying(office.roster(REPORTED, GOOD, name="var/inbox/a.csv"))
    with office.context.db.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER t BEFORE INSERT ON \"case\" WHEN NEW.reference = 'A-1' "
            "BEGIN SELECT RAISE(ABORT, 'unforeseen'); END"
        )

    counts = tick(office)

    assert (counts["new"], counts["bad_rows"]) == (1, 1)
    text = done(office)["a.csv.errors.txt"].read_text("utf-8")
    assert "a.csv, row 2: unforeseen IntegrityError" in text


def test_a_file_that_cannot_be_put_away_stops_no_other_and_stays(office: Office) -> None:
    lying(office.roster(REPORTED, name="var/inbox/a.csv"))
    lying(office.roster(GOOD, name="config/cases/b.csv"))
    (office.home / "var" / "done").write_text("in the way")

    first, second = tick(office), tick(office)

    assert (first["error"], first["new"]) == (1, 2)
    assert second == {}  # not again and again, until it changes or the worker starts anew
    assert [path.name for path in (office.home / "var" / "inbox").iterdir()] == ["a.csv"]


def test_a_very_long_file_name_is_cut_when_the_file_is_put_away(office: Office) -> None:
    lying(office.roster(BAD, REPORTED, name=f"var/inbox/{'名' * 80}.csv"))

    counts = tick(office)

    assert counts["new"] == 1
    assert len(done(office)) == 3
    assert "名.csv" in next(iter(sorted(done(office))))


def test_the_name_of_a_file_is_kept_nowhere(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    lying(office.roster(REPORTED, name="var/inbox/张三 10000000001.csv"))

    tick(office)

    [source] = [row[6] for row in office.content()["case_event"]]
    assert re.fullmatch(r"[0-9a-f]{8}\.csv, row 2", source)
    places = [vars(record).get("place") for record in caplog.records]
    assert source.split(",")[0] in places


@contextmanager
def no_room_left(office: Office) -> Iterator[None]:
    """A database that cannot grow, as on a full disk."""
    engine, most = office.context.db.engine, [1]  # SQLite takes it for its present size

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {most[0]}")

    event.listen(engine, "checkout", limit)
    yield
    most[0] = 1 << 30


def more(count: int) -> list[str]:
    """Some more good rows."""
    return [GOOD.replace("A-2", f"C-{number}") for number in range(count)]
