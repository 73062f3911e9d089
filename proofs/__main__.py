"""`python -m proofs`: run the crash proof and print its verdict; docs/proofs.md explains it."""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from proofs.births import kill_births
from proofs.checker import Report, Violation, described
from proofs.child import site
from proofs.crashing import MOST_PASSES, CrashLoop
from proofs.plants import PLANTS
from proofs.postgres import server
from proofs.simulation.planted import PLANTED as SIMULATED_PLANTS
from proofs.simulation.running import Order, caught, replay, simulate
from proofs.stopping import QUICK, REAL, prove_stopping
from worker.crashpoints import CRASH_POINTS

CI_PLANTS = ("send_before_record", "resend_if_unsure")
ALL_SEEDS = 10_000


@dataclass(frozen=True, slots=True)
class Size:
    """How many kills, of what kind."""

    forks: int
    fresh: int = 0
    births: int = 0


SHORT, LONG = Size(150, 5, 20), Size(1000, 100, 100)
PLANTED, ON_POSTGRESQL = Size(60), Size(100, 5)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one run of the loop came to."""

    name: str
    loop: CrashLoop
    report: Report
    seconds: float

    @property
    def is_clean(self) -> bool:
        """Nothing lost, nothing twice, nothing wrong, and the loop did what it meant to."""
        return not self.report.violations and not self.loop.faults

    @property
    def is_caught(self) -> bool:
        """The judge saw that people were hurt: told twice, or not at all."""
        return self.report.of_kind("twice") + self.report.of_kind("lost") > 0

    def summary(self) -> str:
        """One line."""
        kills = self.loop.kills.total()
        return (
            f"{self.name}: {kills} kills, {self.report.counts['messages']} messages, "
            f"{self.report.of_kind('lost')} lost, {self.report.of_kind('twice')} twice, "
            f"{self.report.of_kind('wrong')} wrong; {self.seconds:.0f} s"
        )


def run(
    name: str, size: Size, seed: int, *, plant: str = "", database_url: str = "", at: str = ""
) -> Verdict:
    """Run the loop once and have its books judged. A home with violations is kept.

    `at` names the one crash point to use, at its 1st to 5th pass in turn.
    """
    home = Path(tempfile.mkdtemp(prefix="qida-proof-"))
    begun = time.monotonic()
    loop = CrashLoop(site(home, database_url), Random(seed), plant)
    if at:
        for done in range(size.forks):
            loop.kill_at(at, done % MOST_PASSES + 1)
    else:
        loop.kill_forks(size.forks)
    loop.kill_fresh(size.fresh)
    report = _judged(loop, loop.rest().isoformat())
    verdict = Verdict(name, loop, report, time.monotonic() - begun)
    _print(verdict)
    if verdict.is_clean or plant:
        shutil.rmtree(home)
    else:
        print(f"  the books are kept in {home}")
    return verdict


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


def _print(verdict: Verdict) -> None:
    loop = verdict.loop
    print(verdict.summary())
    at = ", ".join(f"{point} {count}" for point, count in sorted(loop.kills.items()))
    rate = loop.kills.total() / verdict.seconds
    print(f"  killed at: {at}; {loop.missed} lives met no end; {rate:.1f} kills/s")
    most = 3 if loop.plant else 20  # of a plant one wants to see that it was caught, and how
    for line in [*described(verdict.report, most), *(f"  FAULT {one}" for one in loop.faults)]:
        print(line)
    sys.stdout.flush()


def prove(size: Size, plants: Iterable[str], seed: int) -> bool:
    """The clean loop must be clean, and every plant must be caught by the very same loop."""
    clean = run("crash", size, seed)
    caught = [run(f"plant {plant}", PLANTED, seed, plant=plant) for plant in plants]
    births, beyond_rescue = kill_births(clean.loop.site, Random(seed), size.births)
    print(f"{births} first starts killed, {len(beyond_rescue)} beyond rescue", *beyond_rescue)
    good = clean.is_clean and all(one.is_caught for one in caught) and not beyond_rescue
    found = ", ".join(f"{one.loop.plant} {'caught' if one.is_caught else 'MISSED'}"
                      for one in caught)  # fmt: skip
    print(f"{'PROVED' if good else 'NOT PROVED'}: {clean.summary()}; planted bugs: {found}")
    return good


def prove_on_postgresql(size: Size, seed: int) -> bool:
    """The clean loop over a PostgreSQL server."""
    with server() as url:
        return run("crash on PostgreSQL", size, seed, database_url=url).is_clean


def prove_by_seeds(order: Order, plants: Iterable[str]) -> bool:
    """No seed may break an invariant, and every plant must be shown by some seed."""
    clean = simulate(order).is_clean
    missed = [plant for plant in plants if caught(plant).is_clean]
    good = clean and not missed
    print(f"{'PROVED' if good else 'NOT PROVED'} by seeds; plants missed: {missed or 'none'}")
    return good


def replayed(seed: int, plant: str) -> bool:
    """One seed alone, with its books kept for looking at."""
    home = Path(tempfile.mkdtemp(prefix=f"qida-seed-{seed}-"))
    outcome = replay(seed, plant, home)
    for one in outcome.report.violations:
        print(f"  seed {seed}: {one.invariant} {one.kind}: {one.what}")
    print(f"seed {seed}: history {outcome.history}, {outcome.counts}; books in {home}")
    return not outcome.report.violations


def main() -> None:
    """Exit code 0 when everything held, 1 when not."""
    given = _arguments()
    kills, seed = given.kills, given.seed
    if given.stopping:
        held = prove_stopping(given.stopping, QUICK if given.quick else REAL, seed)
    elif given.simulate or given.replay is not None:
        held = _simulated(given)
    elif given.long:
        held = prove(_sized(LONG, kills), PLANTS, seed)
        held = prove_on_postgresql(ON_POSTGRESQL, seed) and held
        held = prove_by_seeds(Order(ALL_SEEDS), SIMULATED_PLANTS) and held
    elif given.short:
        held = prove(_sized(SHORT, kills), CI_PLANTS, seed)
    elif given.postgresql:
        held = prove_on_postgresql(_sized(ON_POSTGRESQL, kills), seed)
    else:
        name = f"plant {given.plant}" if given.plant else "crash"
        size = _sized(PLANTED, kills)
        held = run(name, size, seed, plant=given.plant, at=given.at).is_clean
    sys.exit(0 if held else 1)


def _simulated(given: argparse.Namespace) -> bool:
    plant = given.planted
    if given.replay is not None:
        return replayed(given.replay, plant)
    if plant == "all":
        return prove_by_seeds(Order(given.seeds, given.first), SIMULATED_PLANTS)
    return simulate(Order(given.seeds, given.first, plant, until_caught=bool(plant))).is_clean


def _sized(usual: Size, kills: int | None) -> Size:
    return replace(usual, forks=kills) if kills else usual


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m proofs", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--short", action="store_true", help="what CI runs")
    which.add_argument("--long", action="store_true", help="everything, also on PostgreSQL")
    which.add_argument("--postgresql", action="store_true", help="the loop on PostgreSQL alone")
    which.add_argument("--clean", action="store_true", help="the loop alone, without plants")
    which.add_argument("--plant", choices=PLANTS, default="", help="the loop with a planted bug")
    which.add_argument("--simulate", action="store_true", help="seeds of simulated weeks")
    which.add_argument("--replay", type=int, metavar="SEED", help="one such seed, its books kept")
    which.add_argument("--stopping", type=int, metavar="N", help="SIGTERM to so many workers")
    parser.add_argument("--quick", action="store_true", help="stop with times cut to a tenth")
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first one")
    parser.add_argument("--planted", choices=("", *SIMULATED_PLANTS, "all"), default="",
                        help="simulate with a planted bug, until a seed shows it")  # fmt: skip
    parser.add_argument("--at", choices=CRASH_POINTS, default="", help="kill at this point only")
    parser.add_argument("--kills", type=int, help="this many kills by the fork server")
    parser.add_argument("--seed", type=int, default=20_260_302, help="of cases and kills")
    return parser.parse_args()


if __name__ == "__main__":
    main()
