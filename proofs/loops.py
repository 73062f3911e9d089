"""Crash loops side by side, each with a home, a seed and a judgement of its own, summed in the end.

A run of 10,000 kills is made of loops of 500. A loop lives in a process that runs nothing else at
that time, and whose children are the workers to kill.
"""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from proofs.births import kill_births
from proofs.checker import Report, Violation, described
from proofs.child import keep_engines, site
from proofs.crashing import MOST_PASSES, CrashLoop
from proofs.postgres import server

MOST_FORKS = 500
"""Kills of one loop: six weeks of virtual time, within the year whose holidays are known."""

PROCESSES = (os.cpu_count() or 1) + 1
"""One more than there are cores: a worker waits for the disk at every commit."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many kills, of what kind."""

    forks: int
    fresh: int = 0
    births: int = 0

    def part(self, number: int, of: int) -> "Size":
        """The share of loop `number` of so many."""
        return Size(*(whole // of + (number < whole % of)
                      for whole in (self.forks, self.fresh, self.births)))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Loop:
    """What one loop is to do; `at` names the one crash point to use, at its 1st to 5th pass."""

    name: str
    size: Size
    seed: int
    plant: str = ""
    at: str = ""
    on_postgresql: bool = False

    def parts(self) -> list["Loop"]:
        """The same in loops of at most `MOST_FORKS`, each with the next seed."""
        count = -(-self.size.forks // MOST_FORKS) or 1
        return [
            replace(self, size=self.size.part(number, count), seed=self.seed + number)
            for number in range(count)
        ]


@dataclass(slots=True)
class Verdict:
    """What a loop came to, or several that are one run."""

    loop: Loop
    kills: Counter[str] = field(default_factory=Counter)
    births: int = 0
    missed: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    report: Report = field(default_factory=Report)
    homes: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Nothing lost, nothing twice, nothing wrong, and the loop did what it meant to."""
        return not self.report.violations and not self.faults

    @property
    def is_caught(self) -> bool:
        """The judge saw that people were hurt: told twice, or not at all."""
        return self.report.of_kind("twice") + self.report.of_kind("lost") > 0

    @property
    def is_as_meant(self) -> bool:
        """Clean as it is, caught with a plant."""
        return self.is_caught if self.loop.plant else self.is_clean

    def take_in(self, other: "Verdict") -> None:
        """Add another loop of the same run."""
        self.kills += other.kills
        self.births += other.births
        self.missed += other.missed
        self.faults += other.faults
        self.homes += other.homes
        self.seconds += other.seconds
        self.report.take_in(other.report)

    def summary(self) -> str:
        """One line."""
        return (
            f"{self.loop.name}: {self.kills.total()} kills, "
            f"{self.report.counts.get('messages', 0)} messages, "
            f"{self.report.of_kind('lost')} lost, {self.report.of_kind('twice')} twice, "
            f"{self.report.of_kind('wrong')} wrong; {self.seconds:.0f} s"
        )

    def details(self) -> Iterator[str]:
        """All that is worth knowing beside it."""
        at = ", ".join(f"{point} {count}" for point, count in sorted(self.kills.items()))
        rate = self.kills.total() / self.seconds if self.seconds else 0.0
        yield f"  killed at: {at}; {self.missed} lives met no end; {rate:.1f} kills/s and loop"
        if self.births:
            yield f"  and {self.births} first starts"
        yield from described(self.report, 3 if self.loop.plant else 20)  # a plant: how it shows
        yield from (f"  FAULT {fault}" for fault in self.faults)
        yield from (f"  the books are kept in {home}" for home in self.homes)


def run(loop: Loop) -> Verdict:
    """Run one loop in this process, and have its books judged. A home with violations is kept."""
    home, begun = Path(tempfile.mkdtemp(prefix="qida-proof-")), time.monotonic()
    with server() if loop.on_postgresql else nullcontext("") as url:
        crashes = CrashLoop(site(home, url), Random(loop.seed), loop.plant)
        _kill(crashes, loop)
        report = _judged(crashes, crashes.rest().isoformat())
    births, beyond_rescue = kill_births(crashes.site, crashes.rng, loop.size.births)
    faults = [f"seed {loop.seed}: {fault}" for fault in (*crashes.faults, *beyond_rescue)]
    verdict = Verdict(loop, crashes.kills, births, crashes.missed, time.monotonic() - begun,
                      faults, report)  # fmt: skip
    if verdict.is_clean or loop.plant:
        shutil.rmtree(home)
    else:
        verdict.homes.append(str(home))
    return verdict


def _kill(crashes: CrashLoop, loop: Loop) -> None:
    crashes.rehearse()
    if loop.at:
        for done in range(loop.size.forks):
            crashes.kill_at(loop.at, done % MOST_PASSES + 1)
    else:
        crashes.kill_forks(loop.size.forks)
    crashes.kill_fresh(loop.size.fresh)


def _judged(loop: CrashLoop, ended_at: str) -> Report:
    """The judge's report, from a process of its own: this one opens no database."""
    place = loop.site
    done = subprocess.run(
        [sys.executable, "-m", "proofs.checker", "--json", "--ended-at", ended_at,
         "--database", place.settings.database, "--ledger", str(place.ledger),
         "--acknowledged", str(place.acknowledged)],
        cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    said = json.loads(done.stdout)
    violations = [Violation(**one) for one in said["violations"]]
    return Report(said["counts"], violations, said["again_after_lost"], said["twins"])


def run_all(loops: Sequence[Loop]) -> list[Verdict]:
    """Run all of them side by side, and print what came of each; in the order given."""
    verdicts = {loop: Verdict(loop) for loop in loops}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, context, keep_engines) as pool:
        jobs = {pool.submit(run, part): loop for loop in loops for part in loop.parts()}
        for job in as_completed(jobs):
            part, whole = job.result(), verdicts[jobs[job]]
            whole.take_in(part)
            if part.loop.size != whole.loop.size:
                print(f"  seed {part.loop.seed} of {part.summary()}", file=sys.stderr, flush=True)
    for verdict in verdicts.values():
        print(verdict.summary(), *verdict.details(), sep="\n", flush=True)
    return list(verdicts.values())
