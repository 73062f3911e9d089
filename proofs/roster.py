"""Invented citizens and what happens to them, drawn from a seed.

Nearly everyone has an address of their own, so that the caps on messages to one number leave the
numbers high enough to prove something; the sandbox reads an address's fate from it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random

from worker.rosters import RosterRow

Key = tuple[str, str, str]

ANSWER_LOST = "mail answer lost"
"""A fate that keeps the look-ups busy, without the cap that holds for numbers."""

_STARTS = {
    "reported_by_phone": 4,  # a lapse: up to five reminders
    "replacement_applied": 3,  # two rules at once: one reminder is carried by the other
    "pre_reported_in_writing": 3,  # a step: one reminder
}
_SEQUELS = {
    "reported_by_phone": ("reported_in_writing", "found", "cancelled"),
    "replacement_applied": ("collected",),
    "pre_reported_in_writing": ("reported_in_writing",),
}
_FATES = {
    "delivered": 55,
    ANSWER_LOST: 18,
    "mail undelivered": 4,
    "mail rejected": 4,
    "mailed": 5,
    "answer lost": 3,
    "undelivered, then mail": 5,
    "rejected, then mail": 4,
    "no receipt": 2,
}
_SHARED = {
    "answer lost": "10000000005",
    "undelivered, then mail": "10000000002",
    "rejected, then mail": "10000000003",
    "no receipt": "10000000004",
}
_MAILBOX = {
    ANSWER_LOST: "answer_lost",
    "mail undelivered": "undelivered",
    "mail rejected": "rejected",
}


def key_of(row: RosterRow) -> Key:
    """What an acknowledgement names: case, event and instant."""
    if row.event is None or row.occurred_at is None:
        raise ValueError(row.place)
    return row.reference, row.event, row.occurred_at.isoformat()


def acknowledgement(rows: Iterable[RosterRow]) -> str:
    """Lines for the list of acknowledgements that the judge reads."""
    names = ("reference", "event", "at")
    lines = [json.dumps(dict(zip(names, key_of(row), strict=True))) for row in rows]
    return "".join(f"{line}\n" for line in lines)


@dataclass(slots=True)
class Citizens:
    """Draws rows, and offers each again until its enrolment was acknowledged."""

    rng: Random
    mail_only: bool = False
    _serial: int = 1000
    _waiting: dict[Key, RosterRow] = field(default_factory=dict)
    _on_file: list[RosterRow] = field(default_factory=list)
    _read: int = 0

    def rows(self, count: int, now: datetime, fate: str = "") -> list[RosterRow]:
        """What waits, new cases, and sequels of cases on file; `count` in all, or all waiting.

        `fate` is that of every new case; without it, they differ.
        """
        while len(self._waiting) < count:
            sequel = self._on_file and self.rng.random() < 0.4
            row = self._sequel(now) if sequel else self._new(now, fate or self._drawn(_FATES))
            self._waiting[key_of(row)] = row
        return list(self._waiting.values())

    def take_note(self, acknowledged: Path) -> None:
        """Read what was acknowledged since the last look."""
        text = acknowledged.read_text("utf-8") if acknowledged.exists() else ""
        lines = text[self._read :].splitlines()
        self._read = len(text)
        for line in lines:
            row = self._waiting.pop(tuple(json.loads(line).values()), None)
            if row is not None and row.event in _SEQUELS:
                self._on_file.append(row)

    def _new(self, now: datetime, fate: str) -> RosterRow:
        self._serial += 1
        reference = f"P-{self._serial}"
        mailbox = _MAILBOX.get(fate, "test")
        mail = f"{mailbox}@c{self._serial}.example.com"
        phone = _SHARED.get(fate, f"+86154{self._serial:08d}" if fate == "delivered" else None)
        if self.mail_only:
            phone = None
        return RosterRow(
            place=reference,
            reference=reference,
            procedure="national",
            event=self._drawn(_STARTS),
            occurred_at=now,
            name="测试甲",
            phone=phone,
            email=mail if phone is None or "mail" in fate else None,
            card_last4=f"{self._serial % 10_000:04d}",
        )

    def _sequel(self, now: datetime) -> RosterRow:
        before = self._on_file.pop(self.rng.randrange(len(self._on_file)))
        return RosterRow(
            place=before.reference,
            reference=before.reference,
            event=self.rng.choice(_SEQUELS[before.event or ""]),
            occurred_at=now,
        )

    def _drawn(self, weights: dict[str, int]) -> str:
        return self.rng.choices(list(weights), list(weights.values()))[0]
