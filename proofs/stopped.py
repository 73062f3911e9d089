"""The judge of stopped workers: their databases against the provider's ledger.

It imports nothing of `worker`. A home's numbers say how the provider answers them: after so many
fifteenths of the longest answer, or never.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

TAKEN, NOT_TAKEN = 98, 99
"""Classes of numbers that are never answered: the message was taken, or was not."""

_HANGING = {TAKEN, NOT_TAKEN}
_TOLD = ("accepted", "sent", "delivered")


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: the longest answer, the grace for what hangs, and what may pass until the exit."""

    answer: float
    grace: float
    most: float

    def answered_after(self, number_class: int) -> timedelta:
        """How long a number of this class waits for its answer."""
        return timedelta.max if number_class in _HANGING else number_class * self._fifteenth

    @property
    def _fifteenth(self) -> timedelta:
        return timedelta(seconds=self.answer / 15)


@dataclass(frozen=True, slots=True)
class Stop:
    """One worker to be stopped: which home, and the classes of its cases' numbers."""

    number: int
    home: Path
    classes: Sequence[int]

    @property
    def hangs(self) -> bool:
        """Whether some of its calls are never answered."""
        return bool(_HANGING & set(self.classes))

    @property
    def phones(self) -> dict[str, int]:
        """A number a case with its class, told apart by class, home and case. 154 is given to
        nobody."""
        return {
            f"+86154{one:02}{self.number:03}{case:03}": one for case, one in enumerate(self.classes)
        }


@dataclass(frozen=True, slots=True)
class Ended:
    """How one stop went: when the signal came, how long the end took, and attempts by state."""

    stop: Stop
    signalled_at: datetime
    seconds: float
    code: int
    before: Counter[str]
    after: Counter[str]

    def on_wire(self, ledger: "Ledger", times: Times) -> int:
        """Messages that the provider had taken and not yet answered when the signal came."""
        return sum(
            at <= self.signalled_at < _later(at, times.answered_after(number_class))
            for number_class, at in ledger.of(self.stop)
        )

    def faults(self, ledger: "Ledger", times: Times) -> Iterator[str]:
        """What must not be, right after the exit; `ledger` is as it was then."""
        taken = Counter(number_class in _HANGING for number_class, _ in ledger.of(self.stop))
        told, unsure = sum(self.after[state] for state in _TOLD), self.after["uncertain"]
        most_unsure = taken[True] + self.stop.classes.count(NOT_TAKEN)
        if self.code:
            yield f"exit code {self.code}"
        if self.seconds > times.most:
            yield f"took {self.seconds:.1f} s to end"
        if self.after["submitting"]:
            yield f"{self.after['submitting']} attempts left unfinished"
        if told != taken[False]:
            yield f"{taken[False]} messages were answered, {told} are on record"
        if not taken[True] <= unsure <= most_unsure:
            yield f"{unsure} attempts uncertain, of {taken[True]} to {most_unsure} that hung"


def _later(at: datetime, by: timedelta) -> datetime:
    return at.max.replace(tzinfo=at.tzinfo) if by == timedelta.max else at + by


class Ledger:
    """The provider's own, by number."""

    def __init__(self, path: Path) -> None:
        self._at: dict[str, list[datetime]] = {}
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            at = datetime.fromisoformat(row["at"])
            self._at.setdefault(row["to"], []).append(at)

    def of(self, stop: Stop) -> list[tuple[int, datetime]]:
        """Each message to one of its numbers: the number's class, and when it was taken."""
        return [(one, at) for phone, one in stop.phones.items() for at in self._at.get(phone, ())]

    def count(self, phone: str) -> int:
        """How many messages a number got."""
        return len(self._at.get(phone, ()))


def attempts(home: Path) -> Counter[str]:
    """How many attempts there are in each state, as the file has it."""
    return Counter(dict(_read(home, "SELECT state, count(*) FROM attempt GROUP BY state")))


def _read(home: Path, query: str) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(f"file:{home}/var/qida.db?mode=ro", uri=True)) as connection:
        return list(connection.execute(query))


def judged(ended: Sequence[Ended], ledger: Ledger, times: Times) -> list[str]:
    """What was wrong with the stops."""
    return [
        f"stop {one.stop.number}: {fault}" for one in ended for fault in one.faults(ledger, times)
    ]


def proved_nothing(ended: Sequence[Ended], ledger: Ledger, times: Times) -> list[str]:
    """What was wrong with the proof: a signal that found no call on the wire tells nothing."""
    faults = [
        f"stop {one.stop.number}: nothing was on the wire" for one in ended
        if not one.on_wire(ledger, times)
    ]  # fmt: skip
    if not any(one.after["uncertain"] for one in ended if one.stop.hangs):
        faults.append("no call hung")
    return faults


def settled(stops: Sequence[Stop], ledger: Ledger) -> Iterator[str]:
    """After the restart: everyone told once, by the provider's own ledger, and nothing open."""
    query = "SELECT state, count(*) FROM reminder WHERE step = 'at_once' GROUP BY state"
    for stop in stops:
        name, states = f"home {stop.number}", Counter(dict(_read(stop.home, query)))
        for phone in stop.phones:
            if ledger.count(phone) != 1:
                yield f"{name}: {ledger.count(phone)} messages to one"
        told, tried = sum(states.pop(state, 0) for state in _TOLD), attempts(stop.home)
        if told != len(stop.classes) or states:
            yield f"{name}: {told} of {len(stop.classes)} reminders told, others {dict(states)}"
        if tried["submitting"] or tried["uncertain"]:
            yield f"{name}: attempts still open, {dict(tried)}"
