"""Files put into the watched folders are taken in by themselves, once they lie still."""

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from tests.enrolment.folders import A_DAY, done, dropped, held, lying, tick
from tests.enrolment.office import GOOD, REPORTED, Office
from worker.logs import FIELDS
from worker.services.inbox import Version

BAD = "B-1,national,电话挂失,2026-11-20 16:20,王五,10000000003 / 10000000004"


def test_a_settled_file_of_the_inbox_is_enrolled_and_put_away(office: Office) -> None:
    path = lying(office.roster(REPORTED, name="var/inbox/名单.csv"))

    counts = tick(office)

    assert counts["new"] == 1
    assert not path.exists()
    assert list(done(office)) == ["名单.csv"]
    assert office.events("A-1") == ["reported_by_phone"]


@pytest.mark.parametrize("folder", ["var/inbox", "config/cases"])
def test_a_file_waits_while_it_is_written(office: Office, folder: str) -> None:
    path = office.roster(REPORTED, name=f"{folder}/cases.csv")

    just_begun = tick(office)
    lying(path)
    with path.open("a", encoding="utf-8") as handle:
        handle.write(f"{GOOD}\r\n")
    still_growing = tick(office)
    lying(path)
    finished = tick(office)

    assert just_begun == still_growing == {}
    assert finished["new"] == 2


def test_a_sender_with_a_fast_clock_is_not_waited_for() -> None:
    ahead = Version(modified=9_000.0, changed=1_000.0, size=1)
    kept_its_time = Version(modified=10.0, changed=1_000.0, size=1)

    assert ahead.touched == 1_000.0
    assert kept_its_time.touched == 10.0


@pytest.mark.parametrize(
    "name",
    [".cases.csv", "~$cases.xlsx", ".~cases.xlsx", "cases.csv.part", "cases.tmp", "Thumbs.db"],
)
def test_what_is_hidden_or_unfinished_is_left_alone_without_a_word(
    office: Office, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    path = lying(office.roster(REPORTED, name=f"var/inbox/{name}"))

    tick(office)

    assert path.exists()
    assert office.cases() == []
    assert "file.ignored" not in caplog.messages


@pytest.mark.parametrize("folder", ["var/inbox", "config/cases"])
@pytest.mark.parametrize("name", ["名单 张三.txt", "名单.张三", "名单"])
def test_another_suffix_is_told_once_and_left_alone(
    office: Office, caplog: pytest.LogCaptureFixture, name: str, folder: str
) -> None:
    path = lying(office.roster(REPORTED, name=f"{folder}/{name}"))

    tick(office)
    tick(office)

    assert path.exists()
    assert office.cases() == []
    [told] = [vars(one) for one in caplog.records if one.getMessage() == "file.ignored"]
    assert re.fullmatch(r"(inbox|cases)/[0-9a-f]{8}", told["place"])
    assert "save it as .xlsx, .csv or .yaml" in told["mend"]
    assert {"place", "reason", "mend"} <= set(FIELDS)


def test_what_is_no_file_is_told_once_and_left_alone(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    folder = lying_folder(office, "var/inbox/x.csv")
    link = folder.with_name("y.csv")
    link.symlink_to("nowhere.csv")
    os.utime(link, (1, 1), follow_symlinks=False)
    os.mkfifo(folder.with_name("z.csv"))
    lying(folder.with_name("z.csv"))

    tick(office)
    counts = tick(office)

    reasons = [vars(one)["reason"] for one in caplog.records if one.msg == "file.ignored"]
    assert [reason.rpartition(" / ")[2] for reason in reasons] == [
        "a folder; what is in it is not read",
        "no ordinary file, or a link that leads nowhere",
        "no ordinary file, or a link that leads nowhere",
    ]
    assert counts == {}
    assert folder.is_dir()
    assert link.is_symlink()


@pytest.mark.parametrize("suffix", ["xls", "et", "ods", "numbers", "XLS"])
@pytest.mark.parametrize("start", [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x03\x04"])
def test_a_table_of_another_program_is_refused_with_how_to_save_it(
    office: Office, suffix: str, start: bytes
) -> None:
    path = dropped(office, f"var/inbox/名单.{suffix}", start + bytes(512))

    counts = tick(office)

    assert counts == {"files": 1, "bad_rows": 1}
    assert not path.exists()
    assert list(done(office)) == [f"名单.{suffix}", f"名单.{suffix}.errors.txt"]
    text = done(office)[f"名单.{suffix}.errors.txt"].read_text("utf-8")
    assert "另存为 .xlsx" in text
    assert ".xlsx" in text.splitlines()[1]


def test_a_file_without_a_byte_is_refused_with_what_belongs_in_it(office: Office) -> None:
    dropped(office, "var/inbox/cases.csv")

    tick(office)

    assert list(done(office)) == ["cases.csv", "cases.errors.txt"]
    assert "第一行写列名" in done(office)["cases.errors.txt"].read_text("utf-8")


def test_the_errors_of_a_file_lie_beside_it_and_the_good_rows_are_in(office: Office) -> None:
    lying(office.roster(BAD, GOOD, name="var/inbox/cases.csv"))

    counts = tick(office)

    assert (counts["new"], counts["bad_rows"]) == (1, 1)
    beside = done(office)
    assert sorted(beside) == ["cases.csv", "cases.errors.csv", "cases.errors.txt"]
    text = beside["cases.errors.txt"].read_text("utf-8")
    assert "row 2, column F 手机" in text
    assert "一个单元格里不止一个号码" in text
    assert "more than one number in one cell" in text
    rows = beside["cases.errors.csv"].read_text("utf-8-sig").splitlines()
    assert rows[1].startswith("B-1,")
    assert "备用手机" in rows[1]
    assert rows[2].startswith("A-2,")


def test_the_log_says_where_errors_are_listed(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    lying(office.roster(BAD, REPORTED, BAD, name="var/inbox/cases.csv"))

    tick(office)

    [told] = [vars(one) for one in caplog.records if one.msg == "errors.listed"]
    assert (told["place"], told["count"]) == ("var/done", 2)


def test_the_list_of_errors_may_be_mended_and_put_back(office: Office) -> None:
    lying(office.roster(BAD, GOOD, name="var/inbox/cases.csv"))
    tick(office)
    listed = done(office)["cases.errors.csv"].read_text("utf-8-sig")

    mended = office.home / "var" / "inbox" / "mended.csv"
    mended.write_text(listed.replace("10000000003 / 10000000004", "10000000003"), "utf-8-sig")
    lying(mended)
    counts = tick(office)

    assert counts == {"files": 1, "new": 1, "unchanged": 1, "events": 1, "planned": 5}
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
    text = done(office)["a.errors.txt"].read_text("utf-8")
    assert "a.csv, row 2: unforeseen IntegrityError" in text


def test_a_file_that_cannot_be_put_away_stops_no_other_and_stays(office: Office) -> None:
    lying(office.roster(REPORTED, name="var/inbox/a.csv"))
    lying(office.roster(GOOD, name="config/cases/b.csv"))
    (office.home / "var" / "done").write_text("in the way")

    first, second = tick(office), tick(office)

    assert (first["error"], first["new"]) == (1, 2)
    assert second == {}  # not again and again, until it changes or the worker starts anew
    assert [path.name for path in (office.home / "var" / "inbox").iterdir()] == ["a.csv"]


def test_names_begin_with_the_time_in_beijing(office: Office) -> None:
    lying(office.roster(BAD, name="var/inbox/cases.csv"))
    lying(office.roster(BAD, name="var/inbox/cases.yaml"))

    tick(office)

    assert list(held(office, "done")) == [
        "20261123T100000-cases.csv",
        "20261123T100000-cases.errors.csv",
        "20261123T100000-cases.errors.txt",
        "20261123T100000-cases.yaml",
        "20261123T100000-cases.yaml.errors.txt",
    ]


def test_a_name_put_in_again_within_a_second_replaces_nothing(office: Office) -> None:
    lying(office.roster(BAD, name="var/inbox/cases.csv"))
    tick(office)
    lying(office.roster(REPORTED, name="var/inbox/cases.csv"))
    tick(office)

    assert sorted(done(office)) == [
        "cases-2.csv", "cases.csv", "cases.errors.csv", "cases.errors.txt",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (b"a\nb.csv", "a_b"),
        (b"a'b\".csv", "a'b\""),
        ("名单.csv".encode("gb18030"), "____"),
        ("\u202e名单.csv".encode(), "_名单"),
    ],
)
def test_a_strange_name_hinders_nothing(office: Office, name: bytes, kept: str) -> None:
    lying(office.roster(BAD, GOOD, name=f"var/inbox/{os.fsdecode(name)}"))

    counts = tick(office)

    assert counts["new"] == 1
    assert list(done(office)) == [f"{kept}.csv", f"{kept}.errors.csv", f"{kept}.errors.txt"]
    text = done(office)[f"{kept}.errors.txt"].read_text("utf-8")
    assert text.startswith(f"{kept}.csv 第 2 行 F 列（手机）: ")


def test_a_file_that_is_written_while_it_is_read_is_read_again(office: Office) -> None:
    path = lying(office.roster(REPORTED, name="var/inbox/cases.csv"))

    with while_enrolling(office, lambda: append(path, GOOD)):
        first = tick(office)
    lying(path)
    second = tick(office)

    assert (first["new"], second["new"]) == (1, 1)
    assert list(done(office)) == ["cases.csv"]
    assert GOOD in done(office)["cases.csv"].read_text("utf-8")


def test_of_a_link_the_content_is_kept_and_the_original_stays(office: Office) -> None:
    original = lying(office.roster(REPORTED, name="elsewhere/cases.csv"))
    link = office.home / "var" / "inbox" / "cases.csv"
    link.parent.mkdir(parents=True)
    link.symlink_to(original)

    counts = tick(office)

    assert counts["new"] == 1
    assert not link.is_symlink()
    assert original.exists()
    assert not done(office)["cases.csv"].is_symlink()


def test_a_file_that_another_took_while_it_waited_is_no_error(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    lying(office.roster(REPORTED, name="var/inbox/a.csv"))
    taken = lying(office.roster(GOOD, name="var/inbox/b.csv"))

    with while_enrolling(office, lambda: taken.unlink(missing_ok=True)):
        counts = tick(office)

    assert counts == {"files": 1, "new": 1, "events": 1, "planned": 5}
    assert {"file.failed", "file.ignored"}.isdisjoint(caplog.messages)


def test_a_file_that_another_took_while_it_was_read_is_no_error(office: Office) -> None:
    path = lying(office.roster(BAD, REPORTED, name="var/inbox/cases.csv"))

    with while_enrolling(office, lambda: path.unlink(missing_ok=True)):
        counts = tick(office)

    assert counts["new"] == 1
    assert "error" not in counts
    assert not (office.home / "var" / "done").exists()


def test_a_folder_in_the_way_of_erasing_is_passed_over(office: Office) -> None:
    lying_folder(office, "var/done/mine", seconds=30 * A_DAY)
    old = dropped(office, "var/done/20261101T100000-cases.csv")
    lying(old, seconds=30 * A_DAY)

    counts = tick(office)

    assert counts == {"erased": 1}
    assert not old.exists()


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


def lying_folder(office: Office, name: str, seconds: float = 6.0) -> Path:
    """A folder nobody has touched for a while."""
    path = office.home / name
    path.mkdir(parents=True)
    return lying(path, seconds)


def append(path: Path, line: str) -> None:
    """Write on at the end of a file, once."""
    if line not in path.read_text("utf-8"):
        with path.open("a", encoding="utf-8") as handle:
            handle.write(f"{line}\r\n")


@contextmanager
def while_enrolling(office: Office, do: Callable[[], None]) -> Iterator[None]:
    """Do something whenever a case goes into the database: in the midst of a file."""
    engine = office.context.db.engine

    def look(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith('INSERT INTO "case"'):
            do()

    event.listen(engine, "before_cursor_execute", look)
    yield
    event.remove(engine, "before_cursor_execute", look)


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
