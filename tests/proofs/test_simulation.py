"""The simulation, small: seeds are clean and repeat, and a planted bug is shown by its seed."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proofs.simulation import books, judge, manners
from proofs.simulation.books import Books, Taken

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
ENDED_AT = NOON + timedelta(days=6)
NUMBER = "+8613800000042"


def simulate(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proofs", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_seeds_lose_nothing_and_repeat_nothing() -> None:
    done = simulate("--simulate", "--seeds", "4")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "simulation: 4 seeds" in done.stdout
    assert "0 lost, 0 twice, 0 wrong" in done.stdout


def test_a_seed_makes_one_history(tmp_path: Path) -> None:
    histories = {
        simulate("--replay", "3", PYTHONHASHSEED=hashes, TMPDIR=str(tmp_path)).stdout.split()[3]
        for hashes in ("1", "2")
    }

    assert len(histories) == 1


@pytest.mark.parametrize(
    ("plant", "invariant"),
    [("resend_if_unsure", "S3 twice"), ("forget_if_unsure", "S5 lost")],
)
def test_a_planted_bug_is_shown_by_some_seed(plant: str, invariant: str) -> None:
    done = simulate("--simulate", "--planted", plant, "--seeds", "60")

    assert done.returncode == 1, done.stdout + done.stderr
    assert invariant in done.stdout


def test_every_plant_changes_what_is_really_used() -> None:
    plant_all = (
        "from proofs.simulation.planted import PLANTED\n"
        "from proofs.plants import PLANTS\n"
        "for plant in (*PLANTS.values(), *PLANTED.values()): plant()\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", plant_all], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", [books, judge, manners])
def test_the_judge_imports_nothing_of_what_it_judges(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))

    imported = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    own = {f"proofs.simulation.{name}" for name in ("books", "manners")}
    assert {name.partition(".")[0] for name in imported - own} <= sys.stdlib_module_names


# The judge: silent over sound books, never over spoiled ones


def at(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")


def taken(**changes: Any) -> Taken:
    sound: dict[str, Any] = {
        "id": "SM1",
        "ref": "ref-1",
        "kind": "sms",
        "to": NUMBER,
        "text": "x",
        "at": NOON,
    }
    return Taken(**(sound | changes))


def attempt(**changes: Any) -> dict[str, Any]:
    row = {"id": "a1", "reminder_id": "r1", "number": 1, "ref": "ref-1", "kind": "sms"}
    row |= {"state": "delivered", "started_at": at(NOON), "address_index": "t1", "body_hash": "x"}
    row |= {"provider_id": "SM1", "next_check_at": None, "misses": 0, "code": ""}
    return row | changes


def reminder(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"id": "r1", "deadline_id": "d1", "step": "at_once", "state": "delivered"}
    row |= {"due_at": at(NOON), "created_at": at(NOON), "carried_by": None, "reason": ""}
    return row | changes


def deadline(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"id": "d1", "case_id": "c1", "kind": "lapse", "state": "lapsed"}
    row |= {"act_by_at": at(NOON + timedelta(days=3)), "created_at": at(NOON), "settled_at": None}
    return row | changes


def status(said: str, code: int | None = None, sid: str = "SM1") -> dict[str, Any]:
    return {"what": "status", "sid": sid, "status": said, "code": code, "since": NOON.isoformat()}


def enrolled(**changes: Any) -> dict[str, Any]:
    row = {"what": "enrolled", "reference": "S-1", "event": "reported_by_phone"}
    return row | {"happened": NOON.isoformat(), "at": NOON.isoformat()} | changes


def event(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"case_id": "c1", "event": "reported_by_phone", "voided_at": None}
    return row | {"occurred_at": at(NOON), "recorded_at": at(NOON)} | changes


def seen(**changes: Any) -> dict[str, Any]:
    row = {"id": "e1", "attempt_id": "a1", "source": "callback", "provider_id": "SM1"}
    return row | {"status": "delivered", "code": "", "at": at(NOON)} | changes


def sound(**spoiled: Any) -> Books:
    tables: dict[str, list[books.Row]] = {
        "case": [{"id": "c1", "reference": "S-1"}],
        "case_event": [event()],
        "deadline": [deadline()],
        "reminder": [reminder()],
        "attempt": [attempt()],
        "attempt_event": [seen()],
        "call_task": [],
        "opt_out": [],
        "job_run": [{"duty": "send", "state": "ok", "error": ""}],
    }
    tables |= {name: rows for name, rows in spoiled.items() if name in tables}
    return Books(
        tables,
        spoiled.get("taken", [taken()]),
        spoiled.get("journal", [status("delivered")]),
        spoiled.get("acknowledged", [enrolled()]),
        ENDED_AT,
    )


def test_sound_books_have_no_violation() -> None:
    report = judge.check(sound())

    assert report.violations == []
    assert report.counts["messages"] == 1


def again(**first: Any) -> dict[str, Any]:
    """A second message of the same reminder, six hours after the first."""
    later = NOON + timedelta(hours=2)
    second = attempt(id="a2", number=2, ref="ref-2", provider_id="SM2", started_at=at(later))
    return {
        "attempt": [attempt(**first), second],
        "taken": [taken(), taken(id="SM2", ref="ref-2", at=later)],
    }


def test_a_message_that_failed_for_now_may_be_sent_once_more() -> None:
    journal = [status("undelivered", 30003), status("delivered", sid="SM2")]

    report = judge.check(sound(journal=journal, **again(state="undelivered")))

    assert report.violations == []
    assert report.exceptions == []  # the first one did not arrive


def lists(count: int, *sids: str) -> list[dict[str, Any]]:
    """So many whole lists, the last of them 43 minutes after noon."""
    last = NOON + timedelta(minutes=43)
    return [
        {"what": "listed", "to": NUMBER, "sids": list(sids), "whole": True,
         "at": (last - timedelta(minutes=number)).isoformat()}
        for number in range(count)
    ]  # fmt: skip


AUDITED = {"duty": "audit", "state": "ok", "error": "",
           "started_at": at(NOON + timedelta(days=2, hours=23)),
           "finished_at": at(NOON + timedelta(days=2, hours=23))}  # fmt: skip
LOST = {"state": "lost", "provider_id": None, "misses": 4}
GIVEN_UP = seen(source="find", status="missing", at=at(NOON + timedelta(minutes=43)))


def test_a_message_no_list_showed_may_be_sent_once_more() -> None:
    journal = [*lists(4), status("delivered", sid="SM2")]

    report = judge.check(sound(journal=journal, attempt_event=[GIVEN_UP], **again(**LOST)))

    assert report.violations == []
    assert "sent again 2:00:00 after it" in report.exceptions[0]


def stopped(when: datetime, ref: str) -> dict[str, Any]:
    """The provider's word that this number has stopped the sender."""
    url = f"http://127.0.0.1:8080/hooks/twilio/{ref}#rc=5"
    return {"what": "refused", "to": NUMBER, "code": 21610, "callback": url, "at": str(when)}


REFUSED = [attempt(id=f"a{n}", number=n, ref=f"ref-{n}", state="rejected", provider_id=None)
           for n in (2, 3)]  # fmt: skip


def test_a_number_whose_refusal_died_with_its_worker_may_be_tried_again() -> None:
    lost = REFUSED[0] | {"state": "lost", "kind": "email"}
    journal = [status("delivered"), stopped(NOON, "ref-2"),
               stopped(NOON + timedelta(hours=2), "ref-3")]  # fmt: skip

    report = judge.check(sound(attempt=[attempt(), lost, REFUSED[1]], journal=journal))

    assert {one.invariant for one in report.violations} <= {"S4"}


SPOILED: dict[str, tuple[str, str, Callable[[], dict[str, Any]]]] = {
    "an acknowledged event is gone": (
        "S1", "lost", lambda: {"acknowledged": [enrolled(event="found")]},
    ),
    "an acknowledged event is void": (
        "S1", "lost", lambda: {"case_event": [event(voided_at=at(NOON))]},
    ),
    "a due reminder forgotten": (
        "S2", "lost",
        lambda: {"reminder": [reminder(state="planned")], "attempt": [], "taken": []},
    ),
    "an attempt hanging": ("S2", "wrong", lambda: {"attempt": [attempt(state="uncertain")]}),
    "nobody asks after a message": ("S2", "lost", lambda: {"attempt": [attempt(state="sent")]}),
    "sent again without need": ("S3", "twice", lambda: again()),
    "one ref twice": ("S3", "twice", lambda: {"taken": [taken(), taken(id="SM2")]}),
    "given up after three lists": (
        "S4", "wrong",
        lambda: {"journal": [*lists(3)], "attempt_event": [GIVEN_UP], **again(**LOST)},
    ),
    "given up though it stood in the list": (
        "S4", "wrong",
        lambda: {"journal": [*lists(4, "SM1")], "attempt_event": [GIVEN_UP], **again(**LOST)},
    ),
    "given up too soon": (
        "S4", "wrong", lambda: {"attempt_event": [seen(source="find")], **again(**LOST)},
    ),
    "sent off the record": (
        "S5", "wrong", lambda: {"taken": [taken(), taken(id="SM2", ref="?", text="y")]},
    ),
    "left, and said not to have": (
        "S5", "wrong", lambda: {"attempt": [attempt(state="rejected", provider_id=None)]},
    ),
    "nothing left, and said to have": ("S5", "lost", lambda: {"taken": []}),
    "called delivered by nobody": ("S6", "wrong", lambda: {"journal": [status("sent")]}),
    "the last word heard and not kept": (
        "S6", "wrong",
        lambda: {"attempt": [attempt(state="unconfirmed")],
                 "journal": [status("delivered"),
                             {"what": "told", "sid": "SM1", "status": "delivered"}]},
    ),
    "told after the end": (
        "S7", "wrong",
        lambda: {"deadline": [deadline(state="settled",
                                       settled_at=at(NOON - timedelta(hours=1)))]},
    ),
    "told at night": (
        "S8", "wrong",
        lambda: {"attempt": [attempt(started_at=at(NOON + timedelta(hours=12)))]},
    ),
    "told when nothing can be done": (
        "S9", "wrong",
        lambda: {"deadline": [deadline(act_by_at=at(NOON - timedelta(hours=1)))]},
    ),
    "neither told nor called": (
        "S10", "lost", lambda: {"attempt": [], "taken": [], "reminder": [], "journal": []},
    ),
    "called when it was too late": (
        "S10", "lost",
        lambda: {"journal": [status("undelivered", 30006)],
                 "call_task": [{"deadline_id": "d1", "opened_at": at(NOON + timedelta(days=4))}],
                 "job_run": [AUDITED]},
    ),
    "a stranger believed": (
        "S11", "wrong",
        lambda: {"attempt_event": [seen(code="39999")], "journal": [status("delivered")]},
    ),
    "five messages in a day": (
        "S12", "twice",
        lambda: {"taken": [taken(id=f"SM{n}", ref=f"r{n}", text=f"{n}") for n in range(5)]},
    ),
    "the same text three times in a day": (
        "S12", "twice", lambda: {"taken": [taken(id=f"SM{n}", ref=f"r{n}") for n in range(3)]},
    ),
    "sent to someone who refused": (
        "S12", "wrong",
        lambda: {"acknowledged": [{"what": "refused", "to": NUMBER,
                                   "at": (NOON - timedelta(hours=1)).isoformat()}]},
    ),
    "a number that is known to refuse tried again": (
        "S12", "wrong",
        lambda: {"opt_out": [{"address_index": "t1", "created_at": at(NOON)}],
                 "journal": [status("delivered"), stopped(NOON + timedelta(hours=2), "ref-9")]},
    ),
    "a number that stopped us tried again": (
        "S12", "wrong",
        lambda: {"attempt": [attempt(), *REFUSED],
                 "journal": [status("delivered"), stopped(NOON, "ref-2"),
                             stopped(NOON + timedelta(hours=2), "ref-3")]},
    ),
    "sent long after its claim": (
        "S14", "wrong",
        lambda: {"attempt": [attempt(started_at=at(NOON - timedelta(minutes=20)))]},
    ),
    "a duty failed": (
        "S13", "wrong",
        lambda: {"job_run": [{"duty": "send", "state": "failed", "error": "KeyError"}]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILED)
def test_spoiled_books_are_found_out(case: str) -> None:
    invariant, kind, spoil = SPOILED[case]

    report = judge.check(sound(**spoil()))

    assert (invariant, kind) in {(one.invariant, one.kind) for one in report.violations}


def test_the_books_are_read_as_they_lie_on_the_disk(tmp_path: Path) -> None:
    outcome = simulate("--replay", "8", TMPDIR=str(tmp_path))
    (home,) = tmp_path.glob("qida-seed-8-*")

    read = books.read(home, ENDED_AT)

    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert len(read.acknowledged) > 0
    ledger = (home / "ledger.jsonl").read_text("utf-8").splitlines()
    assert {json.loads(line)["sid"] for line in ledger} <= {one.id for one in read.taken}
