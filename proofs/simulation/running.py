"""Many seeds, in two processes: how fast, how much, and every violation with the seed to replay."""

import atexit
import multiprocessing
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from itertools import islice
from pathlib import Path

from proofs.simulation.planted import PLANTED
from proofs.simulation.playing import Outcome, play
from proofs.simulation.stage import Stage

PROCESSES = 2
MOST_SEEDS_OF_A_PLANT = 200
"""Within so many seeds every planted bug must show."""

_SHOWN, _SHOWN_OF_A_PLANT = 10, 2
_SAID_EVERY = 500
_WARMING_UP = 3


@dataclass(frozen=True, slots=True)
class Order:
    """Which seeds to play: `count` from `first` on, with a planted bug if one is named, until the
    first violation if one is enough, and no longer than `most_seconds`."""

    count: int
    first: int = 0
    plant: str = ""
    until_caught: bool = False
    most_seconds: float = float("inf")
    processes: int = PROCESSES


@dataclass(slots=True)
class Tally:
    """What the seeds came to."""

    order: Order
    seeds: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    bad: list[Outcome] = field(default_factory=list)
    history: str = ""

    def take(self, outcome: Outcome) -> None:
        """Add a seed."""
        self.seeds += 1
        self.counts += outcome.report.counts + Counter(outcome.counts)
        self.counts["exceptions"] += len(outcome.report.exceptions)
        self.history = sha256(f"{self.history}{outcome.history}".encode()).hexdigest()[:16]
        if outcome.report.violations:
            self.bad.append(outcome)

    @property
    def is_clean(self) -> bool:
        """Whether no seed broke an invariant."""
        return not self.bad

    def summary(self) -> str:
        """One line."""
        kinds = Counter(one.kind for bad in self.bad for one in bad.report.violations)
        name = f"plant {self.order.plant}" if self.order.plant else "simulation"
        rate = self.seeds / self.seconds if self.seconds else 0.0
        return (
            f"{name}: {self.seeds} seeds, {self.counts['messages']} messages, "
            f"{kinds['lost']} lost, {kinds['twice']} twice, {kinds['wrong']} wrong, "
            f"{self.counts['exceptions']} exceptions; history {self.history}; "
            f"{self.seconds:.0f} s, {rate:.1f} seeds/s"
        )


def simulate(order: Order) -> Tally:
    """Play the seeds; print each violation and each exception at once, and what it all came to."""
    tally = Tally(order)
    begun = time.monotonic()
    for outcome in _outcomes(order):
        tally.take(outcome)
        tally.seconds = time.monotonic() - begun
        _print(outcome, order)
        if tally.seeds % _SAID_EVERY == 0:
            print(tally.summary(), flush=True)
        if (tally.bad and order.until_caught) or tally.seconds > order.most_seconds:
            break
    print(tally.summary())
    counts = sorted(tally.counts.items())
    print("  " + ", ".join(f"{count} {name}" for name, count in counts), flush=True)
    return tally


def _outcomes(order: Order) -> Iterator[Outcome]:
    """The seeds' outcomes in order; no more than a few are played ahead."""
    seeds = iter(range(order.first, order.first + order.count))
    processes = min(order.processes, order.count)
    _stage()  # before the fork: set up, and warm, once for all
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, context, _plant, (order.plant,)) as pool:
        waiting = [pool.submit(_play, seed) for seed in islice(seeds, 4 * processes)]
        try:
            while waiting:
                yield waiting.pop(0).result()
                waiting += [pool.submit(_play, seed) for seed in islice(seeds, 1)]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@cache
def _stage() -> Stage:
    """This process as a stage, for good: nothing is put back. A first seed is played on it, so that
    what that loads and compiles serves every process forked from this one."""
    stage = Stage(Path(tempfile.mkdtemp(prefix="qida-stage-")))
    atexit.register(shutil.rmtree, stage.template)  # the forked ones end without it
    stage.set_up()
    play(stage, _WARMING_UP)
    return stage


def _plant(plant: str) -> None:
    if plant:
        PLANTED[plant]()


def _play(seed: int) -> Outcome:
    return play(_stage(), seed)


def replay(seed: int, plant: str, keep: Path) -> Outcome:
    """Play one seed in this process and keep its books."""
    stage = _stage()
    _plant(plant)
    return play(stage, seed, keep)


def _print(outcome: Outcome, order: Order) -> None:
    """What a seed broke, and in a sound product whom it let be told twice."""
    report = outcome.report
    for one in report.violations[: _SHOWN_OF_A_PLANT if order.plant else _SHOWN]:
        print(f"  seed {outcome.seed}: {one.invariant} {one.kind}: {one.what}", flush=True)
    for said in report.exceptions if not order.plant else ():
        print(f"  seed {outcome.seed}: exception: {said}", flush=True)


def caught(plant: str, first: int = 0) -> Tally:
    """Play seeds with a planted bug until one shows it."""
    return simulate(Order(MOST_SEEDS_OF_A_PLANT, first, plant, until_caught=True))
