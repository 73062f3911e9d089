"""An import survives its worker: no row twice, none lost, and the same is told of it."""

import json
import os
import signal
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import func, select

from tests.services.desk import DELIVERED, Desk, both_engines
from worker.domain.errors import BadData, Unavailable
from worker.services.applying import Desk as Applying
from worker.services.approving import approve, cancel, error_list, import_report
from worker.services.context import Context
from worker.services.enrolment import enrol_file
from worker.services.erasing import erase_case
from worker.services.importing import check_now, take_imports
from worker.services.key_rotation import key_report, rotate_keys
from worker.services.operations import case_listing, case_report, find_case
from worker.services.turning_away import NotThere
from worker.services.uploads import Upload
from worker.store.database import Session
from worker.store.imports import ImportRow
from worker.store.installation import stamp
from worker.store.tables import CaseEventRow

HEADING = "编号,业务,事项,发生时间,姓名,手机"
WAITS = "W-1,national,领卡,2026-11-20 09:00,李四,10000000001"
WAITED_FOR = "W-1,,申请补卡,2026-11-10 09:00,,"
NEVER = "W-2,national,领卡,2026-11-20 09:00,李四,10000000001"
UNREADABLE = "B-1,national,电话挂矢,2026-11-20 16:20,李四,10000000002"
UNKNOWN = "B-2,nowhere,电话挂失,2026-11-20 16:20,李四,10000000002"
AGAIN = "C-3,,书面挂失,2026-11-20 16:25,,"


def plain(numbers: Iterable[int]) -> list[str]:
    return [f"C-{number},national,电话挂失,2026-11-20 16:20,张三,{DELIVERED}" for number in numbers]


ROSTER = [
    WAITS, *plain(range(15)), UNREADABLE, *plain(range(15, 30)), UNKNOWN, NEVER,
    *plain(range(30, 45)), AGAIN, WAITED_FOR, *plain(range(45, 60)), "C-1,,寄丢,2026-11-20,,",
]  # fmt: skip
"""Rows that wait, come back to a case, or are wrong, some chunks apart."""


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.services.enrolment.CHUNK", 10)
    monkeypatch.setattr("worker.services.uploads._PIECE", 1000)


def hand_in(desk: Desk, rows: Iterable[str], *, dry_run: bool = False) -> str:
    upload = Upload.begin(
        desk.context, "demo", "key:1", is_yaml=False, dry_run=dry_run, now=desk.now
    )
    upload.add("\n".join([HEADING, *rows, ""]).encode())
    row, _ = upload.finish(now=desk.now)
    return row.id


def work(desk: Desk) -> None:
    take_imports(desk.context, now=desk.now)


def told(desk: Desk, import_id: str) -> dict[str, Any]:
    """What is told of an import that does not depend on when it was worked on."""
    timeless = import_report(desk.context, import_id)
    for name in ("id", "repeats", "created_at", "updated_at", "finished_at"):
        del timeless[name]
    return timeless


def recorded(desk: Desk) -> dict[str, list[str]]:
    """Every case with its events."""
    references = [str(case["reference"]) for case in case_listing(desk.context)]
    return {one: events(desk, one) for one in references}


def events(desk: Desk, reference: str) -> list[str]:
    found: Any = case_report(desk.context, find_case(desk.context, reference))
    return sorted(event["event"] for event in found["events"])


def life(desk: Desk, crash_at: str) -> int:
    """A worker in a process of its own, killed where it is told; its exit code."""
    child = os.fork()
    if child == 0:
        os.environ["QIDA_CRASH_AT"] = crash_at
        for engine in (desk.context.db.engine, desk.context.db.reader):
            engine.dispose(close=False)  # connections are the parent's
        work(desk)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@both_engines
def test_an_import_does_what_enrolling_the_file_does(desk: Desk) -> None:
    import_id = hand_in(desk, ROSTER)

    work(desk)

    report = import_report(desk.context, import_id)
    roster = desk.context.home / "import.csv"
    roster.write_text("\n".join([HEADING, *ROSTER, ""]), "utf-8")
    again = enrol_file(desk.context, roster, now=desk.now)
    errors: Any = report["errors"]
    assert (report["state"], report["new"], report["changed"]) == ("done", 61, 0)
    assert (again.new, again.changed, again.unchanged) == (0, 0, 61)
    assert [fault.place for fault in again.faults] == [error["place"] for error in errors]
    assert report["bad_rows"] == again.bad == 4
    assert report["rows"] == report["rows_done"] == len(ROSTER)
    assert events(desk, "W-1") == ["collected", "replacement_applied"]


@both_engines
@pytest.mark.parametrize(
    "crash_at", ["after_enrol:1", "in_enrol:2", "in_import:3", "after_import:1"]
)
def test_a_worker_killed_again_and_again_takes_every_row_once(desk: Desk, crash_at: str) -> None:
    import_id = hand_in(desk, ROSTER)
    ends: list[int] = []
    while (not ends or ends[-1]) and len(ends) < 30:
        desk.clock.advance(timedelta(minutes=6))  # by then the lease of the one before is over
        ends.append(life(desk, crash_at))
    interrupted = told(desk, import_id)
    left = recorded(desk)

    again = hand_in(desk, ["# another file", *ROSTER])
    work(desk)

    assert (set(ends[:-1]), ends[-1]) == ({-signal.SIGKILL}, 0)
    assert len(ends) > (2 if crash_at == "after_import:1" else 4)
    assert (interrupted["state"], interrupted["new"], interrupted["changed"]) == ("done", 61, 0)
    assert (interrupted["bad_rows"], interrupted["events_recorded"]) == (4, 63)
    assert [error["row"] for error in interrupted["errors"]] == [18, 34, 35, 68]
    assert interrupted["rows_done"] == len(ROSTER)
    assert left == recorded(desk)
    assert told(desk, again)["new"] == 0
    assert told(desk, again)["events_recorded"] == 0


def test_a_stop_between_two_chunks_leaves_the_rest_for_the_next_worker(desk: Desk) -> None:
    import_id = hand_in(desk, ROSTER)
    check_now(desk.context, import_id, now=desk.now)
    answers = iter([True, True, True])

    take_imports(desk.context, now=desk.now, keep_going=lambda: next(answers, False))
    halfway = import_report(desk.context, import_id)
    work(desk)  # at once: a stop gives the lease back

    done = import_report(desk.context, import_id)
    assert halfway["state"] == "applying"
    assert 0 < int(str(halfway["rows_done"])) < len(ROSTER)
    assert (done["state"], done["new"], done["bad_rows"]) == ("done", 61, 4)


def test_a_dry_run_that_was_killed_begins_anew(desk: Desk) -> None:
    import_id = hand_in(desk, ROSTER, dry_run=True)
    desk.clock.advance(timedelta(minutes=6))
    killed = life(desk, "in_import:4")
    desk.clock.advance(timedelta(minutes=6))

    work(desk)

    report = import_report(desk.context, import_id)
    assert killed == -signal.SIGKILL
    assert (report["state"], report["new"], report["bad_rows"]) == ("done", 61, 4)
    assert case_listing(desk.context) == []


def test_a_cancelled_import_stops_at_its_next_chunk(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = hand_in(desk, ROSTER)
    check_now(desk.context, import_id, now=desk.now)

    def cancelled_meanwhile(_: float) -> None:
        if import_report(desk.context, import_id)["state"] == "applying":
            cancel(desk.context, import_id, actor="cli", now=desk.now)

    monkeypatch.setattr("worker.services.importing.pause", cancelled_meanwhile)
    work(desk)

    report = import_report(desk.context, import_id)
    assert (report["state"], report["reason"]) == ("cancelled", "asked")
    assert 0 < len(case_listing(desk.context)) < 20
    with pytest.raises(NotThere):
        error_list(desk.context, import_id)


def test_what_breaks_the_database_off_is_gone_on_with_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = hand_in(desk, ROSTER)
    chunks = iter(range(10))
    enrol = Applying.enrol

    def breaks_once(self: Applying, session: Session, rows: Any) -> None:
        if next(chunks) == 2:
            raise Unavailable("磁盘已满", "full")
        enrol(self, session, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Applying, "enrol", breaks_once)
        with pytest.raises(Unavailable):
            work(desk)
    work(desk)

    report = import_report(desk.context, import_id)
    assert (report["state"], report["new"], report["events_recorded"]) == ("done", 61, 63)


def test_what_nobody_foresaw_stops_one_import_and_no_other(desk: Desk) -> None:
    broken, good = hand_in(desk, ROSTER), hand_in(desk, plain(range(3)))
    with desk.context.db.transaction() as session:
        session.get_one(ImportRow, broken).size += 10**9  # so that it takes its turn last
        session.get_one(ImportRow, broken).counts = "?"
        session.get_one(ImportRow, broken).state = "queued"

    counts = take_imports(desk.context, now=desk.now)

    assert counts["error"] == 1
    assert import_report(desk.context, good)["state"] == "done"


@both_engines
def test_two_workers_never_have_the_same_import(desk: Desk) -> None:
    import_id = hand_in(desk, ROSTER)
    seen: list[int] = []

    def another(_: float) -> None:
        seen.append(sum(take_imports(desk.context, now=desk.now).values()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("worker.services.importing.pause", another)
        work(desk)

    assert seen
    assert set(seen) == {0}
    assert import_report(desk.context, import_id)["new"] == 61


def test_the_shortest_file_is_taken_first(desk: Desk) -> None:
    long, short = hand_in(desk, ROSTER), hand_in(desk, plain([100]))
    check_now(desk.context, long, now=desk.now)
    check_now(desk.context, short, now=desk.now)
    answers = iter([True, True])

    take_imports(desk.context, now=desk.now, keep_going=lambda: next(answers, False))

    states = [import_report(desk.context, one)["state"] for one in (long, short)]
    assert states == ["queued", "done"]


def test_a_key_change_in_the_middle_leaves_every_piece_readable(desk: Desk) -> None:
    import_id = hand_in(desk, ROSTER)
    check_now(desk.context, import_id, now=desk.now)
    with desk.context.db.transaction() as session:
        stamp(session, desk.context.keys, stamp="test", now=desk.now)

    rotated = rotate_keys(desk.context, actor="cli", now=desk.now)
    work(desk)

    assert rotated.resealed > 2
    assert rotated.unreadable == key_report(desk.context)["unreadable"] == 0
    assert import_report(desk.context, import_id)["new"] == 61
    assert "".join(error_list(desk.context, import_id)).count("\r\n") == len(ROSTER) + 1


def test_erasing_a_person_erases_the_kept_file_that_names_them(desk: Desk) -> None:
    named = hand_in(desk, [*ROSTER, f"E-1,national,电话挂失,2026-11-20 16:20,欧阳罕见,{DELIVERED}"])
    work(desk)
    pending = hand_in(desk, ["E-2,national,电话挂失,2026-11-20 16:20,欧阳罕见,10000000077"])
    case_id = find_case(desk.context, "E-1")

    erased = erase_case(desk.context, case_id, actor="cli", now=desk.now)

    assert (erased.files, pending in erased.imports) == (1, True)
    with pytest.raises(NotThere):
        error_list(desk.context, named)
    work(desk)
    assert events(desk, "E-2") == ["reported_by_phone"]


def test_an_audit_entry_tells_each_step_and_who_took_it(desk: Desk) -> None:
    import_id = hand_in(desk, plain(range(1001)))
    check_now(desk.context, import_id, now=desk.now)
    approve(desk.context, import_id, actor="key:operator", now=desk.now)
    with pytest.raises(BadData):
        approve(desk.context, import_id, actor="key:operator", now=desk.now)

    told: list[Any] = [desk.audited(f"import.{step}") for step in ("received", "held", "approved")]
    size = import_report(desk.context, import_id)["bytes"]
    assert told == [[{"bytes": size, "dry_run": False}], [{"dry_run": False}], [{}]]


def count_events(context: Context) -> int:
    with context.db.reading() as session:
        return session.exec(select(func.count()).select_from(CaseEventRow)).one()


def test_counts_are_kept_as_they_are_told(desk: Desk) -> None:
    import_id = hand_in(desk, ROSTER)

    work(desk)

    with desk.context.db.reading() as session:
        kept = json.loads(session.get_one(ImportRow, import_id).counts)
    assert kept["events"] == count_events(desk.context) == 63
