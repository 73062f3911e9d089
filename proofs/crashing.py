"""The crash loop: a worker is born, killed at a point or at a moment, and born again a while later.

Time is virtual and only moves forward, within the hours in which people may be written to. Cases
go on being enrolled; what was not acknowledged is offered again, as a caller would.
"""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

from proofs.child import Life, Site, Step, acknowledge, rehearse
from proofs.forking import Ended, Moment, forked, fresh
from proofs.roster import ANSWER_LOST, Citizens
from worker.crashpoints import CRASH_POINTS
from worker.domain.calendar import CHINA
from worker.rosters import RosterRow

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=CHINA)
ANY_MOMENT = "any moment"
RANDOM_SHARE = 0.2
MOST_PASSES = 5
MOST_FAULTS = 20
"""A loop with so many has nothing more to prove."""

TRIES = 25
"""How many lives a crash point gets until it must have been met."""

_LAST_HOUR = 18
_STEPS = 5  # `in_rescue` is passed once a tick, and is wanted at its 5th pass
_ROWS = 15
_CATCH_UP_EVERY = 8
_QUIET_TICKS = 16  # ten minutes apart: look-ups end 43 minutes after the last attempt
_AT_ENROLMENT = ("in_enrol", "after_enrol")
_AT_LOOK_UP = ("after_find", "in_settle")
_COLUMNS = ("reference", "procedure", "event", "occurred_at", "name", "email", "card_last4")


@dataclass(slots=True)
class CrashLoop:
    """One run of the loop over one scratch home."""

    site: Site
    rng: Random
    plant: str = ""
    now: datetime = BEGIN
    kills: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    faults: list[str] = field(default_factory=list)
    citizens: Citizens = field(init=False)

    def __post_init__(self) -> None:
        self.citizens = Citizens(self.rng)

    def rehearse(self) -> None:
        """A life in this process, undisturbed: those forked from it then start faster."""
        steps = self._steps(self._rows(_AT_LOOK_UP[0]))
        rehearse(self.site, steps)
        self._go_on(steps, Ended(0, len(steps)))

    def kill_forks(self, kills: int) -> None:
        """Kill so many workers: every point in turn at its 1st to 5th pass, and random moments."""
        turn: list[tuple[str, int]] = []
        for done in range(1, kills + 1):
            if self.rng.random() < RANDOM_SHARE:
                self._until_killed(ANY_MOMENT, self._killed_at_any_moment)
            else:
                turn = turn or self._every_point()
                self.kill_at(*turn.pop())
            if done % _CATCH_UP_EVERY == 0:
                self._in_peace([Step(self.now)])

    def kill_fresh(self, kills: int) -> None:
        """The same with processes started from nothing, so that start-up is in it too."""
        self.citizens.mail_only = True  # a roster file takes no more than the hundred numbers
        for done in range(kills):
            point = CRASH_POINTS[done % len(CRASH_POINTS)]
            self._until_killed(f"fresh {point}", partial(self._killed_fresh, point))

    def kill_at(self, point: str, nth: int) -> None:
        """Kill a worker the `nth` time that it passes `point`."""
        self._until_killed(point, partial(self._killed_at_point, point, nth))

    def rest(self) -> datetime:
        """Faults stop: more than two quiet hours, in which everything must come to its end."""
        if self.now.hour >= _LAST_HOUR - 4:
            self.now = _next_morning(self.now)
        steps = [Step(self.now, self.citizens.rows(0, self.now))]
        for _ in range(_QUIET_TICKS):
            steps.append(Step(steps[-1].at + timedelta(minutes=10)))
        self._in_peace(steps)
        return steps[-1].at

    def _every_point(self) -> list[tuple[str, int]]:
        plan = [(point, nth) for point in CRASH_POINTS for nth in range(1, MOST_PASSES + 1)]
        return self.rng.sample(plan, len(plan))

    def _until_killed(self, what: str, once: Callable[[], Ended]) -> None:
        """A life that never met its end is no kill: try again, with others due."""
        for _ in range(TRIES):
            if len(self.faults) >= MOST_FAULTS:
                return
            ended = once()
            if ended.is_failed:
                self.faults.append(f"{what}: a worker ended with exit code {ended.by}")
            if ended.is_killed:
                self.kills[what] += 1
                return
            self.missed += 1
        self.faults.append(f"{what}: never met in {TRIES} lives")

    def _killed_at_point(self, point: str, nth: int) -> Ended:
        return self._forked(self._rows(point), crash_at=f"{point}:{nth}")

    def _killed_at_any_moment(self) -> Ended:
        once_opened = self.rng.random() < 0.7
        seconds = self.rng.uniform(0, 0.4 if once_opened else 0.03)
        return self._forked(self._rows(), kill_at=Moment(seconds, once_opened))

    def _rows(self, point: str = "") -> list[RosterRow]:
        fate = ANSWER_LOST if point in _AT_LOOK_UP else ""  # else few look-ups would be due
        return self.citizens.rows(_ROWS, self.now, fate)

    def _forked(
        self, rows: Sequence[RosterRow], *, crash_at: str = "", kill_at: Moment | None = None
    ) -> Ended:
        steps = self._steps(rows)
        ended = forked(self.site, Life(steps, crash_at, self.plant), kill_at)
        self._go_on(steps, ended)
        return ended

    def _steps(self, rows: Sequence[RosterRow]) -> list[Step]:
        """A life that enrols these rows, a few at each of its passes."""
        steps = [Step(self.now, rows[0::_STEPS])]
        for number in range(1, _STEPS):
            gap = timedelta(minutes=self.rng.choice((1, 2, 5, 12)))
            steps.append(Step(steps[-1].at + gap, rows[number::_STEPS]))
        return steps

    def _in_peace(self, steps: Sequence[Step]) -> None:
        ended = forked(self.site, Life(steps, plant=self.plant))
        if ended.by != 0:
            self.faults.append(f"a worker left in peace ended with {ended.by}")
        self._go_on(steps, ended)

    def _go_on(self, steps: Sequence[Step], ended: Ended) -> None:
        """Some minutes pass until the next life; in the evening, the night."""
        self.citizens.take_note(self.site.acknowledged)
        lived_to = steps[max(ended.steps, 1) - 1].at
        self.now = lived_to + timedelta(minutes=self.rng.randint(1, 50))
        if self.now.hour >= _LAST_HOUR:
            self.now = _next_morning(self.now)

    def _killed_fresh(self, point: str) -> Ended:
        if point in _AT_ENROLMENT:
            return self._enrolled_fresh(f"{point}:1")
        rows = self._rows(point)
        self._in_peace([Step(self.now, rows, has_tick=point in _AT_LOOK_UP)])
        nth = 1 if point in {"in_rescue", *_AT_LOOK_UP} else self.rng.randint(1, 3)
        ended = fresh(self.site, ("tick", "--now", self.now.isoformat()), f"{point}:{nth}")
        self._go_on([Step(self.now)], ended)
        return ended

    def _enrolled_fresh(self, crash_at: str) -> Ended:
        rows = self._rows()
        file = self.site.settings.home / "roster.csv"
        _write_roster(file, rows)
        ended = fresh(self.site, ("enrol", str(file), "--now", self.now.isoformat()), crash_at)
        if ended.by == 0:
            acknowledge(self.site.acknowledged, rows)
        self._go_on([Step(self.now)], ended)
        return ended


def _next_morning(now: datetime) -> datetime:
    return (now + timedelta(days=1)).replace(hour=9, minute=0)


def _write_roster(file: Path, rows: Sequence[RosterRow]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        for row in rows:
            at = row.occurred_at.isoformat() if row.occurred_at else ""
            cells = (getattr(row, name) or "" for name in _COLUMNS)
            writer.writerow([at if name == "occurred_at" else cell
                             for name, cell in zip(_COLUMNS, cells, strict=True)])  # fmt: skip
