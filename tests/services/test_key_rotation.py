"""A new key for everything sealed: whatever moment it is broken off at, every row opens."""

import os
import signal
from dataclasses import replace

import pytest
from sqlmodel import col, select

from tests.services.desk import DELIVERED, SECOND, Desk, both_engines
from worker.domain.errors import BadData
from worker.services.erasing import export_case
from worker.services.key_rotation import key_report, retire_keys, rotate_keys
from worker.services.operations import find_case
from worker.store.database import Database
from worker.store.installation import check, stamp
from worker.store.keys import load_key_ring
from worker.store.resealing import sealed_places
from worker.store.tables import AttemptRow, CaseRow

CASES = 12


@pytest.fixture
def filled(desk: Desk) -> Desk:
    """A stamped database of a dozen cases, each with a message."""
    with desk.context.db.transaction() as session:
        stamp(session, desk.context.keys, stamp="test", now=desk.now)
    for number in range(CASES):
        desk.enrol(f"A-{number}", name="张三", phone=f"100000000{number + 20}",
                   email=f"p{number}@example.com", second_phone=SECOND)  # fmt: skip
    desk.send()
    return desk


def opened(desk: Desk) -> list[object]:
    """Contact and messages of every case, in the clear."""
    found: list[object] = []
    for number in range(CASES):
        case_id = find_case(desk.context, f"A-{number}")
        held = export_case(desk.context, case_id, actor="test", now=desk.now)
        found.append((held["contact"], held["messages"]))
    return found


def rotate(desk: Desk) -> int:
    return rotate_keys(desk.context, actor="cli", now=desk.now).resealed


def test_every_sealed_column_is_found() -> None:
    names = {(place.table.name, place.column) for place in sealed_places()}

    assert names >= {
        ("installation", "key_check"),
        ("case", "name_sealed"), ("case", "phone_sealed"), ("case", "email_sealed"),
        ("case", "second_phone_sealed"), ("attempt", "address_sealed"), ("attempt", "body_sealed"),
    }  # fmt: skip


@both_engines
def test_everything_is_under_the_new_key_and_reads_as_before(filled: Desk) -> None:
    before, old = opened(filled), filled.context.keys.current.hex()

    resealed = rotate(filled)

    report = key_report(filled.context)
    values = report["values"]
    assert isinstance(values, dict)
    assert resealed == 1 + CASES * 6
    assert report["current"] != old
    assert values == {report["current"]: resealed, old: 0}
    assert report["unreadable"] == 0
    assert opened(filled) == before
    with filled.context.db.reading() as session:
        check(session, filled.context.keys, wanted="test")


def test_an_address_is_found_by_its_index_as_before(filled: Desk) -> None:
    with filled.context.db.reading() as session:
        before = session.exec(select(CaseRow.phone_index).order_by(col(CaseRow.id))).all()

    rotate(filled)

    with filled.context.db.reading() as session:
        assert session.exec(select(CaseRow.phone_index).order_by(col(CaseRow.id))).all() == before
    filled.refuse(DELIVERED)
    filled.enrol("A-x", phone=DELIVERED)
    filled.send()
    assert filled.reasons() == ["not_reached:opted_out"]


def test_a_worker_under_way_takes_up_the_new_key(filled: Desk, other_desk: Desk) -> None:
    own = load_key_ring(filled.context.home / "keys.json")
    other_desk.context = replace(other_desk.context, keys=own)

    rotate(filled)
    other_desk.enrol("B-1", name="李四")

    assert left_with_old_keys(filled) == 0


def test_a_value_moved_to_another_row_is_left_alone_and_counted(filled: Desk) -> None:
    with filled.context.db.transaction() as session:
        one, other = session.exec(select(CaseRow).limit(2)).all()
        one.name_sealed, other.name_sealed = other.name_sealed, one.name_sealed

    done = rotate_keys(filled.context, actor="cli", now=filled.now)

    assert done.unreadable == 2
    assert key_report(filled.context)["unreadable"] == 2


def test_old_keys_go_only_when_nothing_needs_them(filled: Desk) -> None:
    rotate(filled)
    retire_keys(filled.context, actor="cli", now=filled.now)
    held = opened(filled)
    old = filled.context.keys.seal("x", **_NOWHERE)
    rotate(filled)
    with filled.context.db.transaction() as session:
        session.get_one(AttemptRow, filled.attempts()[0].id).body_sealed = old

    with pytest.raises(BadData, match="1 values are still sealed"):
        retire_keys(filled.context, actor="cli", now=filled.now)

    assert len(held) == CASES
    assert len(filled.context.keys.sealing) == 2


_NOWHERE = {"table": "t", "column": "c", "row_id": "r", "centre_id": ""}


@pytest.mark.parametrize("stop", range(1, 9))
def test_broken_off_at_any_batch_it_is_finished_by_the_next(
    filled: Desk, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = opened(filled)
    passed: list[int] = []

    def stop_here(_: str) -> None:
        passed.append(1)
        if len(passed) == stop:
            raise KeyboardInterrupt

    monkeypatch.setattr("worker.services.key_rotation.crash_point", stop_here)
    with pytest.raises(KeyboardInterrupt):
        rotate(filled)

    between = opened(filled)
    done = rotate_keys(filled.context, actor="cli", now=filled.now)

    report = key_report(filled.context)
    assert between == opened(filled) == before
    assert not done.begun
    assert len(filled.context.keys.sealing) == 2
    assert (report["unreadable"], done.unreadable) == (0, 0)


def test_killed_fifty_times_no_row_is_ever_unreadable(
    filled: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.services.key_rotation._BATCH", 5)
    before, killed = opened(filled), 0

    for life in range(80):  # one that had little left to do meets its end before its point
        killed += _rotated_and_killed(filled, 1 + life * 7 % 20) == -signal.SIGKILL
        assert key_report(filled.context)["unreadable"] == 0

    rotate(filled)
    assert killed >= 50
    assert not list(filled.context.home.glob("*.draft"))
    assert left_with_old_keys(filled) == 0
    assert opened(filled) == before


def test_a_ring_half_written_is_no_ring_and_goes_with_the_next(filled: Desk) -> None:
    before, home = opened(filled), filled.context.home
    (home / "keys.json.20261120").write_text("a copy somebody made", "utf-8")

    ended = _rotated_and_killed(filled, 1)
    drafts = len(list(home.glob("keys.json.*.draft")))
    unchanged = len(load_key_ring(home / "keys.json").sealing)
    rotate(filled)

    assert ended == -signal.SIGKILL
    assert (drafts, unchanged) == (1, 1)
    assert not list(home.glob("*.draft"))
    assert (home / "keys.json.20261120").exists()
    assert opened(filled) == before


def left_with_old_keys(desk: Desk) -> int:
    report = key_report(desk.context)
    values = report["values"]
    assert isinstance(values, dict)
    return sum(count for key, count in values.items() if key != report["current"])


def _rotated_and_killed(desk: Desk, point: int) -> int:
    """How a process ended that rotated with connections of its own, killed at the `point`th point
    it passed."""
    child = os.fork()
    if child == 0:
        os.environ["QIDA_CRASH_AT"] = f"in_rotate:{point}"
        home = desk.context.home
        context = replace(
            desk.context,
            db=Database.open(f"sqlite:///{home / 'qida.db'}"),
            keys=load_key_ring(home / "keys.json"),
        )
        rotate_keys(context, actor="cli", now=desk.now)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
