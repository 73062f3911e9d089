"""The judge: what the provider's ledger says against what the database claims.

It imports nothing of `worker`, so that no mistake there can excuse itself here, and reads the
ledger, the acknowledgements and the tables as they lie on the disk. `docs/proofs.md` explains the
invariants I0 to I7.
"""

import argparse
import hashlib
import hmac
import json
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

Kind = Literal["lost", "twice", "wrong"]
Row = Mapping[str, Any]

FINAL = {"delivered", "undelivered", "unconfirmed", "cancelled", "expired", "needs_person"}
ON_ITS_WAY = {"accepted", "sent"}
TOLD = {"accepted", "sent", "delivered", "unconfirmed"}
"""A reminder in one of these claims that a message left."""

MAY_HAVE_LEFT = {"accepted", "sent", "delivered", "undelivered", "unconfirmed", "uncertain"}
"""States of an attempt whose message stands in the ledger; the sandbox has no other ends."""

TWINS = timedelta(minutes=4)
"""How near in time two identical messages to one address must have been tried for a provider's
list, which knows no refs, to take one for the other."""

LOOK_UPS = timedelta(minutes=45)
"""So long after an attempt its look-ups are over (decision 0003); until then it may be in doubt."""

GRACE = timedelta(minutes=5)
"""What fell due within the last minutes before the end may still be waiting for its turn."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken invariant: its number, how it hurts, and which row shows it."""

    invariant: str
    kind: Kind
    what: str


@dataclass(frozen=True, slots=True)
class Books:
    """Everything the judge reads."""

    ledger: list[Row]
    acknowledged: list[Row]
    tables: Mapping[str, list[Row]]
    damage: list[str]
    ended_at: datetime


@dataclass(slots=True)
class Report:
    """The verdict, with the counts that make it worth something."""

    counts: dict[str, int] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    again_after_lost: list[str] = field(default_factory=list)
    twins: list[str] = field(default_factory=list)

    def of_kind(self, kind: Kind) -> int:
        """How many violations hurt in this way."""
        return sum(one.kind == kind for one in self.violations)

    def take_in(self, other: "Report") -> None:
        """Add the report on other books."""
        self.counts = dict(Counter(self.counts) + Counter(other.counts))
        self.violations += other.violations
        self.again_after_lost += other.again_after_lost
        self.twins += other.twins


def check(books: Books) -> Report:
    """Hold the books against every invariant."""
    facts = _Facts(books)
    found = [
        *(Violation("I0", "wrong", damage) for damage in books.damage),
        *_acknowledged(facts),
        *_settled(facts),
        *_twice(facts),
        *_ledger_against_attempts(facts),
        *_lost(facts),
        *_carried(facts),
        *_duties(facts),
    ]
    again = sorted({str(one["reminder_id"]) for one in facts.attempts if one["state"] == "lost"})
    return Report(_counts(facts), found, again, facts.twins)


@dataclass(slots=True)
class _Facts:
    """The books, arranged for looking up. `credited` says whose message each entry is."""

    books: Books
    attempts: list[Row] = field(init=False)
    reminders: dict[str, Row] = field(init=False)
    deadlines: dict[str, Row] = field(init=False)
    credited: dict[str, Row] = field(default_factory=dict)
    entries: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    attempts_of: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    twins: list[str] = field(default_factory=list)
    reached: set[str] = field(init=False)

    def __post_init__(self) -> None:
        tables = self.books.tables
        self.attempts = tables["attempt"]
        self.reminders = {row["id"]: row for row in tables["reminder"]}
        self.deadlines = {row["id"]: row for row in tables["deadline"]}
        for attempt in self.attempts:
            self.attempts_of[attempt["reminder_id"]].append(attempt)
        self.reached = {
            row["deadline_id"] for row in tables["reminder"] if row["state"] == "delivered"
        }
        self._credit()

    def _credit(self) -> None:
        by_ref = {row["ref"]: row for row in self.attempts}
        bound = {row["provider_id"]: row for row in self.attempts if row["provider_id"]}
        for entry in self.books.ledger:
            own, holder = by_ref.get(entry["ref"]), bound.get(entry["id"])
            if own is None:
                continue
            if holder is not None and holder is not own and _are_twins(own, holder):
                own = holder
                self.twins.append(entry["id"])
            self.credited[entry["id"]] = own
            self.entries[own["reminder_id"]].append(entry)

    def messages(self, reminder: Row) -> list[Row]:
        """The ledger's entries that told of this reminder: its own, and its carrier's."""
        carrier = reminder["carried_by"]
        own = self.entries.get(reminder["id"], [])
        return own + (self.entries.get(carrier, []) if carrier else [])


def _are_twins(one: Row, other: Row) -> bool:
    """The same text to the same address at the same time: nobody can tell, and nobody minds."""
    apart = abs(_instant(one["started_at"]) - _instant(other["started_at"]))
    return apart <= TWINS and all(
        one[name] == other[name] for name in ("address_index", "body_hash")
    )


def _acknowledged(facts: _Facts) -> Iterator[Violation]:
    """I1: what enrolment acknowledged is there, with its event, its deadlines and reminders."""
    tables = facts.books.tables
    ids = {row["id"]: row["reference"] for row in tables["case"]}
    events = {
        (ids.get(row["case_id"]), row["event"], _instant(row["occurred_at"]))
        for row in tables["case_event"]
        if row["voided_at"] is None
    }
    with_deadline = {ids.get(row["case_id"]) for row in tables["deadline"]}
    for row in facts.books.acknowledged:
        reference, event = row["reference"], row["event"]
        if reference not in with_deadline:
            yield Violation("I1", "lost", f"case {reference} was acknowledged, with no deadline")
        if (reference, event, _instant(row["at"])) not in events:
            yield Violation("I1", "lost", f"case {reference}: {event} was acknowledged, not kept")
    planned = {row["deadline_id"] for row in tables["reminder"]}
    for deadline_id in facts.deadlines.keys() - planned:
        yield Violation("I1", "lost", f"deadline {deadline_id} has no reminder at all")
    for reference, count in Counter(ids.values()).items():
        if count > 1:
            yield Violation("I1", "wrong", f"case {reference} is there {count} times")


def _settled(facts: _Facts) -> Iterator[Violation]:
    """I2: after the quiet period everything is in one known state and nothing hangs."""
    by = facts.books.ended_at - GRACE
    doubted = {one["reminder_id"] for one in facts.attempts if _is_young_doubt(facts, one, by)}
    for row in facts.reminders.values():
        state = row["state"]
        if state in FINAL | ON_ITS_WAY or (row["carried_by"] or row["id"]) in doubted:
            continue
        if state != "planned":
            yield Violation("I2", "wrong", f"reminder {row['id']} hangs in {state!r}")
        elif _instant(row["due_at"]) < by:
            yield Violation("I2", "lost", f"reminder {row['id']} was due and is still planned")
    for attempt in facts.attempts:
        state = attempt["state"]
        if state in ("submitting", "uncertain") and not _is_young_doubt(facts, attempt, by):
            yield Violation("I2", "wrong", f"attempt {attempt['id']} hangs in {state!r}")
        elif state in ON_ITS_WAY and not _looked_at_again(attempt, by):
            yield Violation("I2", "lost", f"attempt {attempt['id']} is {state}, nobody asks on")


def _is_young_doubt(facts: _Facts, attempt: Row, by: datetime) -> bool:
    """Whether it is so young that its look-ups are still to come, and they will come."""
    is_young = _instant(attempt["started_at"]) > facts.books.ended_at - LOOK_UPS
    return attempt["state"] == "uncertain" and is_young and _looked_at_again(attempt, by)


def _looked_at_again(attempt: Row, by: datetime) -> bool:
    check_at = attempt["next_check_at"]
    return check_at is not None and _instant(check_at) >= by


def _twice(facts: _Facts) -> Iterator[Violation]:
    """I3: one message a reminder. A second attempt may follow only one that never arrived."""
    for ref, count in Counter(entry["ref"] for entry in facts.books.ledger).items():
        if count > 1:
            yield Violation("I3", "twice", f"ref {ref} was submitted {count} times")
    told: dict[tuple[str, ...], int] = Counter()
    for row in facts.reminders.values():
        told[_what_is_told(row)] += len(facts.messages(row))
    for what, count in told.items():
        if count > 1:
            yield Violation("I3", "twice", f"{count} messages for {' '.join(what)}")


def _what_is_told(reminder: Row) -> tuple[str, ...]:
    """A step of a deadline is one telling, also if a bug planned it as two reminders."""
    return tuple(str(reminder[name]) for name in ("deadline_id", "step", "recipient", "channel"))


def _ledger_against_attempts(facts: _Facts) -> Iterator[Violation]:
    """I4: ledger and attempts agree, in both directions, message by message."""
    by_id = {entry["id"]: entry for entry in facts.books.ledger}
    alike = Counter((entry["to"], entry["text"]) for entry in facts.books.ledger)
    for entry in facts.books.ledger:
        attempt = facts.credited.get(entry["id"])
        if attempt is None:
            kind: Kind = "twice" if alike[entry["to"], entry["text"]] > 1 else "wrong"
            yield Violation("I4", kind, f"ref {entry['ref']} left without an attempt on record")
        elif attempt["state"] not in MAY_HAVE_LEFT:
            said = f"attempt {attempt['id']} left and is called {attempt['state']!r}"
            yield Violation("I4", "wrong", said)
    for attempt in facts.attempts:
        if attempt["state"] not in MAY_HAVE_LEFT - {"uncertain"}:
            continue
        entry_of = by_id.get(attempt["provider_id"])
        if entry_of is None:
            said = f"attempt {attempt['id']} is {attempt['state']}, yet nothing ever left"
            yield Violation("I4", "lost", said)
        elif facts.credited.get(entry_of["id"]) is not attempt:
            yield Violation("I4", "wrong", f"attempt {attempt['id']} is bound to another's message")


def _lost(facts: _Facts) -> Iterator[Violation]:
    """I5: every reminder was told, or ended in a named state with its reason."""
    called = {row["deadline_id"] for row in facts.books.tables["call_task"]}
    for row in facts.reminders.values():
        state, told = row["state"], bool(facts.messages(row))
        if state in TOLD and not told:
            yield Violation("I5", "lost", f"reminder {row['id']} is {state}, yet nothing left")
        elif state in ("cancelled", "expired", "planned") and told:
            yield Violation("I5", "wrong", f"reminder {row['id']} left and is called {state}")
        elif state in FINAL - TOLD and not (told or row["reason"] or _refused(facts, row)):
            yield Violation("I5", "lost", f"reminder {row['id']} is {state} for no reason")
        elif state == "cancelled" and _is_awaited(facts, row):
            yield Violation("I5", "lost", f"reminder {row['id']} is cancelled, its deadline open")
        elif state in ("expired", "needs_person") and not _called_if_needed(facts, row, called):
            yield Violation("I5", "lost", f"reminder {row['id']} is {state} and nobody calls")


def _is_awaited(facts: _Facts, reminder: Row) -> bool:
    """Whether its deadline is open, and no later step of the same plan left to the same person by
    the same means: that one told the same date."""
    alike = ("deadline_id", "recipient", "channel", "plan_version")
    return facts.deadlines[reminder["deadline_id"]]["state"] == "open" and not any(
        all(other[name] == reminder[name] for name in alike)
        and other["id"] != reminder["id"]
        and facts.messages(other)
        and _left_after(facts, other, reminder)
        for other in facts.reminders.values()
    )


def _left_after(facts: _Facts, other: Row, reminder: Row) -> bool:
    """Whether `other` was tried after every attempt at `reminder` had begun."""
    begun = [one["started_at"] for one in facts.attempts_of.get(reminder["id"], ())]
    return bool(begun) and any(
        one["started_at"] > max(begun) for one in facts.attempts_of.get(other["id"], ())
    )


def _refused(facts: _Facts, reminder: Row) -> bool:
    tried = facts.attempts_of.get(reminder["carried_by"] or reminder["id"], [])
    return any(attempt["state"] == "rejected" for attempt in tried)


def _called_if_needed(facts: _Facts, reminder: Row, called: set[str]) -> bool:
    """Before a lapse of which no message was delivered, a person must have been asked to call."""
    deadline_id = reminder["deadline_id"]
    is_lapse = facts.deadlines[deadline_id]["kind"] == "lapse" and reminder["step"] != "lapsed"
    return not is_lapse or deadline_id in called | facts.reached


def _carried(facts: _Facts) -> Iterator[Violation]:
    """I6: who rides along, rides with a leader of the same case that was itself submitted."""
    for row in facts.reminders.values():
        if not row["carried_by"]:
            continue
        leader = facts.reminders.get(row["carried_by"])
        if leader is None or leader["case_id"] != row["case_id"] or leader["carried_by"]:
            yield Violation("I6", "wrong", f"reminder {row['id']} is carried by no leader")
        elif row["state"] in TOLD and not facts.entries.get(leader["id"]):
            yield Violation("I6", "lost", f"reminder {row['id']} rode with one that never left")


def _duties(facts: _Facts) -> Iterator[Violation]:
    """I7: a killed worker leaves nothing behind that makes a later duty fail."""
    for row in facts.books.tables["job_run"]:
        if row["state"] == "failed":
            yield Violation("I7", "wrong", f"duty {row['duty']} failed: {row['error']}")


def _counts(facts: _Facts) -> dict[str, int]:
    states = Counter(f"reminders {row['state']}" for row in facts.reminders.values())
    tries = Counter(f"attempts {row['state']}" for row in facts.attempts)
    return {
        "acknowledged": len(facts.books.acknowledged),
        "cases": len(facts.books.tables["case"]),
        "reminders": len(facts.reminders),
        "attempts": len(facts.attempts),
        "messages": len(facts.books.ledger),
        "carried": sum(bool(row["carried_by"]) for row in facts.reminders.values()),
        "call tasks": len(facts.books.tables["call_task"]),
        **dict(sorted((states + tries).items())),
    }


def _instant(value: object) -> datetime:
    """SQLite keeps instants as text in UTC, PostgreSQL hands out aware values."""
    at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


_TABLES = (
    "case", "case_event", "deadline", "reminder", "attempt", "call_task", "job_run",
)  # fmt: skip


def read_books(database: str, ledger: Path, acknowledged: Path, ended_at: datetime) -> Books:
    """Everything from the disk. A line of the ledger cut short is an error, not a message."""
    first, *entries = _lines(ledger)
    if first.get("ledger") != "sandbox":
        raise SystemExit(f"{ledger} is no sandbox ledger")
    staff = _keyed(first.get("key", ""), STAFF)
    entries = [entry for entry in entries if entry["to"] != staff]
    read = _read_postgresql if database.startswith("postgresql") else _read_sqlite
    tables, damage = read(database)
    return Books(entries, _lines(acknowledged), tables, damage, ended_at)


STAFF = "staff@example.com"
"""Where the shipped centre's call list goes: at least once, and nobody's reminder."""


def _keyed(key: str, address: str) -> str:
    """An address as the ledger holds it."""
    return hmac.new(bytes.fromhex(key), address.encode(), hashlib.sha256).hexdigest()[:32]


def _lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _read_sqlite(database: str) -> tuple[dict[str, list[Row]], list[str]]:
    connection = sqlite3.connect(f"file:{database.removeprefix('sqlite:///')}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    tables: dict[str, list[Row]] = {
        name: [dict(row) for row in connection.execute(_all_of(name))] for name in _TABLES
    }
    damage = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    orphans = [
        f"{row[0]} refers to a missing {row[2]}"
        for row in connection.execute("PRAGMA foreign_key_check")
    ]
    connection.close()
    return tables, [one for one in damage if one != "ok"] + orphans


def _read_postgresql(database: str) -> tuple[dict[str, list[Row]], list[str]]:
    import psycopg  # only where this engine is judged
    from psycopg.rows import dict_row

    with psycopg.connect(database) as connection, connection.cursor(row_factory=dict_row) as cursor:
        tables: dict[str, list[Row]] = {
            name: list(cursor.execute(_all_of(name).encode()).fetchall()) for name in _TABLES
        }
    return tables, []


def _all_of(table: str) -> str:
    return f'SELECT * FROM "{table}"'  # noqa: S608  # the names are the constants above


def described(report: Report, most: int = 20) -> Iterable[str]:
    """The verdict in lines for people."""
    yield "  " + ", ".join(f"{count} {name}" for name, count in report.counts.items())
    again = len(report.again_after_lost)
    yield f"  {again} reminders with an attempt that a look-up showed was never sent"
    yield f"  {len(report.twins)} messages credited to an identical one of the same minutes"
    for one in report.violations[:most]:
        yield f"  {one.invariant} {one.kind}: {one.what}"
    if len(report.violations) > most:
        yield f"  ... and {len(report.violations) - most} more"


def main() -> None:
    """Judge one set of books; exit code 1 on any violation."""
    parser = argparse.ArgumentParser(prog="python -m proofs.checker", description=__doc__)
    parser.add_argument("--database", required=True, help="sqlite:///FILE or postgresql://...")
    parser.add_argument("--ledger", required=True, type=Path)
    parser.add_argument("--acknowledged", required=True, type=Path)
    parser.add_argument("--ended-at", required=True, type=datetime.fromisoformat)
    parser.add_argument("--json", action="store_true", help="print the whole report as JSON")
    given = parser.parse_args()
    report = check(read_books(given.database, given.ledger, given.acknowledged, given.ended_at))
    print(json.dumps(asdict(report)) if given.json else "\n".join(described(report)))
    sys.exit(1 if report.violations else 0)


if __name__ == "__main__":
    main()
