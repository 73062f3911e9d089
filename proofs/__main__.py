"""`python -m proofs`: run the crash proof and print its verdict; docs/proofs.md explains it."""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from math import inf
from pathlib import Path

from proofs.contract import prove_contract
from proofs.loops import Loop, Size, run_all
from proofs.plants import PLANTS
from proofs.simulation.planted import PLANTED as SIMULATED_PLANTS
from proofs.simulation.running import PROCESSES, Order, caught, replay, simulate
from proofs.stopped import Times
from proofs.stopping import QUICK, REAL, prove_stopping
from proofs.stopping_plants import PLANTS as STOPPING_PLANTS
from worker.crashpoints import CRASH_POINTS

CI_PLANTS = ("send_before_record", "resend_if_unsure")
CI_SIMULATED_PLANTS = ("forget_if_unsure", "resend_if_unsure", "send_before_record")
ALL_SEEDS, CI_SEEDS = Order(10_000), Order(150, most_seconds=75)
ALL_STOPS, FEW_STOPS = 200, 4
ALL_REQUESTS, CI_REQUESTS = 10_000, 600


SHORT, LONG = Size(150, 5, 20), Size(10_000, 200, 100)
PLANTED, ON_POSTGRESQL = Size(60), Size(100, 5)


def prove(size: Size, plants: Iterable[str], seed: int, *more: Loop) -> bool:
    """The clean loop must be clean, and every plant must be caught by the very same loop."""
    crash = Loop("crash", size, seed)
    planted = [Loop(f"plant {plant}", PLANTED, seed, plant) for plant in plants]
    verdicts = run_all([crash, *more, *planted])
    good = all(one.is_as_meant for one in verdicts)
    print(f"{'PROVED' if good else 'NOT PROVED'}: {verdicts[0].summary()};",
          "planted bugs:", ", ".join(f"{one.loop.plant} {'caught' if one.is_caught else 'MISSED'}"
                                     for one in verdicts if one.loop.plant))  # fmt: skip
    return good


def on_postgresql(size: Size, seed: int) -> Loop:
    """The same loop over a PostgreSQL server."""
    return Loop("crash on PostgreSQL", size, seed, on_postgresql=True)


def prove_by_seeds(order: Order, plants: Iterable[str]) -> bool:
    """No seed may break an invariant, and every plant must be shown by some seed."""
    clean = simulate(order).is_clean
    missed = [plant for plant in plants if caught(plant).is_clean]
    good = clean and not missed
    print(f"{'PROVED' if good else 'NOT PROVED'} by seeds; plants missed: {missed or 'none'}")
    return good


def prove_stops(stops: int, times: Times, plants: Iterable[str], seed: int) -> bool:
    """Workers must stop well, and every plant must be seen where a few of them stop in haste."""
    well = prove_stopping(stops, times, seed)
    missed = [plant for plant in plants if prove_stopping(FEW_STOPS, QUICK, seed, plant)]
    good = well and not missed
    print(f"{'PROVED' if good else 'NOT PROVED'} by stopping; plants missed: {missed or 'none'}")
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
    if given.contract:
        held = prove_contract(given.cases, seed)
    elif given.stopping:
        times = QUICK if given.quick else REAL
        if given.planted == "all":
            held = prove_stops(given.stopping, times, STOPPING_PLANTS, seed)
        else:
            held = prove_stopping(given.stopping, times, seed, given.planted)
    elif given.simulate or given.replay is not None:
        held = _simulated(given)
    elif given.long:
        held = prove(_sized(LONG, kills), PLANTS, seed, on_postgresql(ON_POSTGRESQL, seed))
        held = prove_stops(ALL_STOPS, REAL, STOPPING_PLANTS, seed) and held
        held = prove_by_seeds(ALL_SEEDS, SIMULATED_PLANTS) and held
        held = prove_contract(ALL_REQUESTS, seed) and held
    elif given.short:
        held = prove(_sized(SHORT, kills), CI_PLANTS, seed)
        held = prove_by_seeds(CI_SEEDS, CI_SIMULATED_PLANTS) and held
        held = prove_contract(CI_REQUESTS, seed) and held
    elif given.postgresql:
        held = _is_clean(on_postgresql(_sized(ON_POSTGRESQL, kills), seed))
    else:
        name = f"plant {given.plant}" if given.plant else "crash"
        held = _is_clean(Loop(name, _sized(PLANTED, kills), seed, given.plant, given.at))
    sys.exit(0 if held else 1)


def _simulated(given: argparse.Namespace) -> bool:
    plant = given.planted
    if given.replay is not None:
        return replayed(given.replay, plant)
    order = Order(given.seeds, given.first, most_seconds=given.minutes * 60,
                  processes=given.processes)  # fmt: skip
    if plant == "all":
        return prove_by_seeds(order, SIMULATED_PLANTS)
    return simulate(replace(order, plant=plant, until_caught=bool(plant))).is_clean


def _is_clean(loop: Loop) -> bool:
    return all(verdict.is_clean for verdict in run_all([loop]))


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
    which.add_argument("--contract", action="store_true", help="the API against openapi.json")
    which.add_argument("--stopping", type=int, metavar="N", help="SIGTERM to so many workers")
    parser.add_argument("--cases", type=int, default=ALL_REQUESTS, help="so many requests at least")
    parser.add_argument("--quick", action="store_true", help="stop with times cut to a tenth")
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first one")
    parser.add_argument("--minutes", type=float, default=inf, help="no longer than so long")
    parser.add_argument("--processes", type=int, default=PROCESSES, help="for the seeds")
    parser.add_argument("--planted", choices=("", *SIMULATED_PLANTS, *STOPPING_PLANTS, "all"),
                        default="", help="simulate, or stop, with a planted bug")  # fmt: skip
    parser.add_argument("--at", choices=CRASH_POINTS, default="", help="kill at this point only")
    parser.add_argument("--kills", type=int, help="this many kills by the fork server")
    parser.add_argument("--seed", type=int, default=20_260_302, help="of cases and kills")
    return parser.parse_args()


if __name__ == "__main__":
    main()
