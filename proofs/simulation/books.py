"""The books of one seed as they lie on the disk: tables, ledger, journal, acknowledgements.

It imports nothing of `worker`, like the judge that reads them.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

Row = Mapping[str, Any]

_TABLES = (
    "case", "case_event", "deadline", "reminder", "attempt", "attempt_event", "call_task",
    "opt_out", "job_run",
)  # fmt: skip

TWINS = timedelta(minutes=4)
"""How near two identical messages to one number must be for a list, which knows no refs, to show
one for the other."""


Kind = Literal["lost", "twice", "wrong"]
CHINA = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken invariant: its number, how it hurts, and which row shows it."""

    invariant: str
    kind: Kind
    what: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A message the provider or the relay took: whose attempt it was by the ref it carried."""

    id: str
    ref: str
    kind: str
    to: str
    text: str
    at: datetime


@dataclass(slots=True)
class Books:
    """Everything the judge reads, arranged for looking up."""

    tables: Mapping[str, list[Row]]
    taken: list[Taken]
    journal: list[Row]
    acknowledged: list[Row]
    ended_at: datetime
    cases: dict[str, Row] = field(init=False)
    deadlines: dict[str, Row] = field(init=False)
    reminders: dict[str, Row] = field(init=False)
    by_ref: dict[str, Row] = field(init=False)
    by_sid: dict[str, Row] = field(init=False)
    attempts_of: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    messages_of: dict[str, list[Taken]] = field(default_factory=lambda: defaultdict(list))
    credited: dict[str, Row] = field(default_factory=dict)
    told: dict[str, list[tuple[datetime, str, int | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def __post_init__(self) -> None:
        tables = self.tables
        self.cases = {row["id"]: row for row in tables["case"]}
        self.deadlines = {row["id"]: row for row in tables["deadline"]}
        self.reminders = {row["id"]: row for row in tables["reminder"]}
        self.by_ref = {row["ref"]: row for row in tables["attempt"]}
        self.by_sid = {row["provider_id"]: row for row in tables["attempt"] if row["provider_id"]}
        for row in sorted(tables["attempt"], key=lambda one: int(one["number"])):
            self.attempts_of[row["reminder_id"]].append(row)
        for line in self.journal:
            if line["what"] == "status":
                since = datetime.fromisoformat(line["since"])
                self.told[line["sid"]].append((since, line["status"], line["code"]))
        for one in self.taken:
            self._credit(one)

    def _credit(self, one: Taken) -> None:
        """Whose message it is: its own attempt's, or that of the twin it is bound to."""
        own, holder = self.by_ref.get(one.ref), self.by_sid.get(one.id)
        if own is None:
            return
        if holder is not None and holder is not own and _are_twins(own, holder):
            own = holder
        self.credited[one.id] = own
        self.messages_of[own["id"]].append(one)

    def said_of(self, what: str) -> list[Row]:
        """The journal's lines of one kind."""
        return [line for line in self.journal if line["what"] == what]

    def final_of(self, one: Taken) -> tuple[str, int | None]:
        """The last word of the provider on a message, and its code."""
        statuses = self.told.get(one.id)
        return (statuses[-1][1], statuses[-1][2]) if statuses else ("", None)

    def reminder_of(self, one: Taken) -> Row | None:
        """The reminder a message told of, as a leader if it carried others."""
        attempt = self.credited.get(one.id)
        return self.reminders[attempt["reminder_id"]] if attempt else None

    def was_closed(self, since: datetime, until: datetime) -> bool:
        """Whether no worker was up at some moment of a span."""
        spans = ((instant(one["since"]), instant(one["until"])) for one in self.said_of("closed"))
        return any(begin < until and since < end for begin, end in spans)


def _are_twins(one: Row, other: Row) -> bool:
    apart = abs(instant(one["started_at"]) - instant(other["started_at"]))
    return apart <= TWINS and all(
        one[name] == other[name] for name in ("address_index", "body_hash")
    )


def read(home: Path, ended_at: datetime) -> Books:
    """The books of an installation."""
    journal = _lines(home / "journal.jsonl")
    taken = [_sms(line) for line in _lines(home / "ledger.jsonl")]
    taken += [_mail(line) for line in journal if line["what"] == "mail"]
    taken.sort(key=lambda one: one.at)
    acknowledged = _lines(home / "acknowledged.jsonl")
    return Books(_tables(home / "var" / "qida.db"), taken, journal, acknowledged, ended_at)


def _sms(line: Row) -> Taken:
    return Taken(
        line["sid"],
        ref_in(line["status_callback"]),
        "sms",
        line["to"],
        line["body"],
        instant(line["at"]),
    )


def ref_in(callback: object) -> str:
    """The ref that a status-callback URL carries."""
    return str(callback).partition("#")[0].rpartition("/")[2]


def _mail(line: Row) -> Taken:
    ref = line["ref"]
    return Taken(f"mail {ref} {line['at']}", ref, "email", line["to"], line["of"],
                 instant(line["at"]))  # fmt: skip


def _tables(path: Path) -> dict[str, list[Row]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    read = {name: [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')]  # noqa: S608  # the names are the constants above
            for name in _TABLES}  # fmt: skip
    connection.close()
    return {name: [*rows] for name, rows in read.items()}


def _lines(path: Path) -> list[Row]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def instant(value: object) -> datetime:
    """Tables keep instants as text in UTC without saying so; files say it."""
    at = datetime.fromisoformat(str(value))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
