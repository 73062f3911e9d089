"""The judge: silent over sound books, and never silent over spoiled ones."""

import ast
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from proofs import checker, stopped
from proofs.checker import Books, check

ENDED_AT = datetime(2026, 3, 4, 4, 0, tzinfo=UTC)
Spoil = Callable[[Any], dict[str, Any]]


def books(ledgers: Any, **spoiled: Any) -> Books:
    ledger = spoiled.pop("ledger", [ledgers.entry()])
    acknowledged = spoiled.pop("acknowledged", [ledgers.acknowledged()])
    damage = spoiled.pop("damage", [])
    return Books(ledger, acknowledged, ledgers.tables(**spoiled), damage, ENDED_AT)


@pytest.mark.parametrize(("judge", "beside"), [(checker, {"psycopg"}), (stopped, set())])
def test_a_judge_imports_nothing_of_what_it_judges(judge: ModuleType, beside: set[str]) -> None:
    tree = ast.parse(Path(str(judge.__file__)).read_text("utf-8"))

    imported = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    rooms = {name.partition(".")[0] for name in imported}
    assert rooms - sys.stdlib_module_names == beside


def test_sound_books_have_no_violation(ledgers: Any) -> None:
    report = check(books(ledgers))

    assert report.violations == []
    assert report.counts["messages"] == 1


def test_a_second_attempt_after_one_that_never_left_is_sound_and_listed(ledgers: Any) -> None:
    never_left = ledgers.attempt(id="a0", ref="ref-0", state="lost", provider_id=None)

    report = check(books(ledgers, attempt=[never_left, ledgers.attempt()]))

    assert report.violations == []
    assert report.again_after_lost == ["r1"]


def test_identical_texts_of_the_same_minutes_may_stand_for_each_other(ledgers: Any) -> None:
    never_left = ledgers.attempt()  # the list showed it the message of its twin
    left = ledgers.attempt(
        id="a2", reminder_id="r2", ref="ref-2", state="lost", provider_id=None,
        started_at="2026-03-02 04:03:00.000000",
    )  # fmt: skip
    again = ledgers.attempt(id="a3", reminder_id="r2", ref="ref-3", provider_id="SB3")
    ledger = [ledgers.entry(ref="ref-2"), ledgers.entry(id="SB3", ref="ref-3")]
    reminders = [ledgers.reminder(), ledgers.reminder(id="r2", step="last_day")]

    report = check(
        books(ledgers, ledger=ledger, attempt=[never_left, left, again], reminder=reminders)
    )

    assert report.violations == []
    assert report.twins == ["SB1"]


def test_nobody_need_call_a_person_who_was_told_by_another_message(ledgers: Any) -> None:
    too_late = ledgers.reminder(id="r2", step="last_day", state="expired", reason="too_late")

    report = check(books(ledgers, reminder=[ledgers.reminder(), too_late]))

    assert report.violations == []


@pytest.mark.parametrize(("never_left_at", "found"), [("03:30", []), ("04:30", ["I5"])])
def test_what_never_left_may_be_dropped_for_a_later_step_alone(
    ledgers: Any, never_left_at: str, found: list[str]
) -> None:
    dropped = ledgers.reminder(id="r2", state="cancelled", reason="a_later_step_went_out")
    never_left = ledgers.attempt(
        id="a2", reminder_id="r2", ref="ref-2", state="lost", provider_id=None,
        started_at=f"2026-03-02 {never_left_at}:00.000000",
    )  # fmt: skip
    told = ledgers.reminder(step="last_day")  # its message left at noon in Beijing, 04:00 UTC

    report = check(
        books(ledgers, reminder=[told, dropped], attempt=[ledgers.attempt(), never_left])
    )

    assert [one.invariant for one in report.violations] == found


@pytest.mark.parametrize(
    ("started_at", "next_check_at", "violations"),
    [("03:30", "04:13", 0), ("03:30", None, 2), ("03:10", "04:13", 2)],
    ids=["young and asked about", "young and forgotten", "past its last look-up"],
)
def test_only_a_young_attempt_that_is_asked_about_may_be_in_doubt_at_the_end(
    ledgers: Any, started_at: str, next_check_at: str | None, violations: int
) -> None:
    day = ENDED_AT.date()
    attempt = ledgers.attempt(
        state="uncertain", provider_id=None, started_at=f"{day} {started_at}:00.000000",
        next_check_at=next_check_at and f"{day} {next_check_at}:00.000000",
    )  # fmt: skip

    report = check(
        books(ledgers, attempt=[attempt], reminder=[ledgers.reminder(state="uncertain")])
    )

    assert [one.invariant for one in report.violations] == ["I2"] * violations


SPOILED: dict[str, tuple[str, str, Spoil]] = {
    "the file is damaged": ("I0", "wrong", lambda _: {"damage": ["row 3 missing from index"]}),
    "an acknowledged case is gone": (
        "I1", "lost", lambda it: {"acknowledged": [it.acknowledged(reference="P-2")]},
    ),
    "an acknowledged event is gone": (
        "I1", "lost", lambda it: {"acknowledged": [it.acknowledged(event="found")]},
    ),
    "an acknowledged case without deadlines": (
        "I1", "lost", lambda _: {"deadline": [], "reminder": [], "attempt": [], "ledger": []},
    ),
    "a deadline without reminders": (
        "I1", "lost", lambda _: {"reminder": [], "attempt": [], "ledger": []},
    ),
    "a case twice": (
        "I1", "wrong", lambda _: {"case": [{"id": f"c{n}", "reference": "P-1"} for n in (1, 2)]},
    ),
    "an unknown state": ("I2", "wrong", lambda it: {"reminder": [it.reminder(state="odd")]}),
    "a due reminder forgotten": (
        "I2", "lost",
        lambda it: {"reminder": [it.reminder(state="planned")], "attempt": [], "ledger": []},
    ),
    "an attempt hanging": ("I2", "wrong", lambda it: {"attempt": [it.attempt(state="uncertain")]}),
    "nobody asks after a message": (
        "I2", "lost", lambda it: {"attempt": [it.attempt(state="sent", next_check_at=None)]},
    ),
    "one ref twice": ("I3", "twice", lambda it: {"ledger": [it.entry(), it.entry(id="SB2")]}),
    "one reminder in two messages": (
        "I3", "twice",
        lambda it: {
            "ledger": [it.entry(), it.entry(id="SB2", ref="ref-2")],
            "attempt": [it.attempt(), it.attempt(id="a2", ref="ref-2", provider_id="SB2")],
        },
    ),
    "one step planned and told as two reminders": (
        "I3", "twice",
        lambda it: {
            "ledger": [it.entry(), it.entry(id="SB2", ref="ref-2")],
            "reminder": [it.reminder(), it.reminder(id="r2")],
            "attempt": [
                it.attempt(),
                it.attempt(id="a2", reminder_id="r2", ref="ref-2", provider_id="SB2"),
            ],
        },
    ),
    "a message nobody has on record": (
        "I4", "wrong", lambda it: {"ledger": [it.entry(), it.entry(id="SB2", ref="?", text="x2")]},
    ),
    "the same text sent off the record": (
        "I4", "twice", lambda it: {"ledger": [it.entry(), it.entry(id="SB2", ref="?")]},
    ),
    "a message left and was taken for lost": (
        "I4", "wrong", lambda it: {"attempt": [it.attempt(state="lost")]},
    ),
    "bound to an identical message of hours later": (
        "I4", "wrong",
        lambda it: {
            "ledger": [it.entry(ref="ref-2")],
            "attempt": [
                it.attempt(),
                it.attempt(id="a2", ref="ref-2", state="lost", provider_id=None,
                           started_at="2026-03-02 09:00:00.000000"),
            ],
        },
    ),
    "bound to the same minutes' message to someone else": (
        "I4", "wrong",
        lambda it: {
            "ledger": [it.entry(ref="ref-2")],
            "attempt": [
                it.attempt(),
                it.attempt(id="a2", ref="ref-2", state="lost", provider_id=None,
                           address_index="t2"),
            ],
        },
    ),
    "delivered, yet nothing left": ("I4", "lost", lambda _: {"ledger": []}),
    "bound to another's message": (
        "I4", "wrong",
        lambda it: {"ledger": [it.entry(id="SB2"), it.entry(id="SB1", ref="?")]},
    ),
    "told, without any attempt": ("I5", "lost", lambda _: {"attempt": [], "ledger": []}),
    "told, and called cancelled": (
        "I5", "wrong", lambda it: {"reminder": [it.reminder(state="cancelled", reason="x")]},
    ),
    "ended for no reason": (
        "I5", "lost",
        lambda it: {"reminder": [it.reminder(state="expired")], "attempt": [], "ledger": []},
    ),
    "cancelled under an open deadline": (
        "I5", "lost",
        lambda it: {
            "reminder": [it.reminder(state="cancelled", reason="x")],
            "attempt": [],
            "ledger": [],
        },
    ),
    "too late, and nobody calls": (
        "I5", "lost",
        lambda it: {
            "reminder": [it.reminder(state="expired", reason="too_late")],
            "attempt": [],
            "ledger": [],
        },
    ),
    "carried by one that never left": (
        "I6", "lost",
        lambda it: {
            "reminder": [
                it.reminder(state="planned", due_at=it.later),
                it.reminder(id="r2", step="last_day", carried_by="r1"),
            ],
            "attempt": [],
            "ledger": [],
        },
    ),
    "carried by nobody": (
        "I6", "wrong", lambda it: {"reminder": [it.reminder(), it.reminder(id="r2", step="last_day",
                                                                      carried_by="r9")]},
    ),
    "a duty failed": (
        "I7", "wrong",
        lambda _: {"job_run": [{"duty": "send", "state": "failed", "error": "KeyError"}]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILED)
def test_spoiled_books_are_found_out(ledgers: Any, case: str) -> None:
    invariant, kind, spoil = SPOILED[case]

    report = check(books(ledgers, **spoil(ledgers)))

    assert (invariant, kind) in {(one.invariant, one.kind) for one in report.violations}


def test_the_command_reads_the_files_and_fails_on_a_violation(ledgers: Any, tmp_path: Path) -> None:
    _write(tmp_path, ledgers, [ledgers.entry()])
    sound = _judge(tmp_path)
    _write(tmp_path, ledgers, [ledgers.entry(), ledgers.entry(id="SB2")])

    spoiled = _judge(tmp_path)

    assert sound.returncode == 0, sound.stderr
    assert spoiled.returncode == 1
    assert "I3 twice: ref ref-1 was submitted 2 times" in spoiled.stdout


def _write(folder: Path, ledgers: Any, entries: list[dict[str, Any]]) -> None:
    lines = [{"ledger": "sandbox", "key": "00"}, *entries]
    (folder / "ledger").write_text("\n".join(map(json.dumps, lines)))
    (folder / "acknowledged").write_text(json.dumps(ledgers.acknowledged()))
    (folder / "db").unlink(missing_ok=True)
    connection = sqlite3.connect(folder / "db")
    for table, rows in ledgers.tables().items():
        columns = list(rows[0]) if rows else ["deadline_id"]
        marks = ", ".join("?" * len(columns))
        connection.execute(f'CREATE TABLE "{table}" ({", ".join(columns)})')
        connection.executemany(
            f'INSERT INTO "{table}" VALUES ({marks})',  # noqa: S608  # names from the builder
            [tuple(row.values()) for row in rows],
        )
    connection.commit()
    connection.close()


def _judge(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "proofs.checker", "--ended-at", ENDED_AT.isoformat()),
            *("--database", f"sqlite:///{folder / 'db'}", "--ledger", str(folder / "ledger")),
            *("--acknowledged", str(folder / "acknowledged")),
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
