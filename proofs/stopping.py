"""Stopping: real workers get SIGTERM in mid-batch, and what they leave is then looked at.

A worker here is the `qida` command in a process of its own. `proofs/moved.py` changes two things
about it: its clock is moved to the morning, when people may be written to, and in a quick run its
grace is short. The stand-in for Twilio, by the same clock, answers by number: after so many
seconds, or never.
"""

import json
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import worker.runtime
from proofs.loops import PROCESSES
from proofs.plants import replace
from proofs.stopped import (
    NOT_TAKEN,
    TAKEN,
    Ended,
    Ledger,
    Stop,
    Times,
    attempts,
    judged,
    proved_nothing,
    settled,
)
from worker.clock import FixedClock
from worker.domain.calendar import CHINA
from worker.engines import embedded
from worker.engines.duties import Duties
from worker.fake_twilio import ACCOUNT, TOKEN
from worker.rosters import RosterRow
from worker.runtime import open_runtime, require_knowledge
from worker.services.enrolment import enrol_rows
from worker.settings import Settings

MORNING = timedelta(hours=10)
CASES = 40
AT_ONCE = 4 * (os.cpu_count() or 1)
"""Each waits for answers most of the time; more of them would only be slow to start and to end for
want of a processor, and the ends are what is timed."""
HANGING_SHARE = 0.25

_PATIENCE = 300  # seconds for a worker to begin, on whatever there is
_RESTARTS = (2, 5, 15, 25, 45, 46, 47, 50)  # minutes: look-ups end 43 minutes after an attempt

REAL = Times(15, embedded.GRACE.total_seconds(), 25)
QUICK = Times(1.5, 2, 7)


@dataclass(frozen=True, slots=True)
class Scene:
    """What all stops of one run share. `offset` moves the machine's clock to the morning."""

    url: str
    offset: timedelta
    times: Times
    plant: str = ""

    def now(self) -> datetime:
        """The present instant on this scene."""
        return datetime.now(UTC) + self.offset

    def command(self, *words: str) -> list[str]:
        """The worker's, as `proofs.moved` takes it."""
        return _qida(self.offset, self.times.grace, self.plant or "-", *words)

    def settings(self, home: Path) -> Settings:
        """Twilio at the stand-in, e-mail in the sandbox."""
        return Settings(
            home=home, sms="twilio", email="sandbox", twilio_account_sid=ACCOUNT,
            twilio_auth_token=TOKEN, twilio_from="+15005550006", twilio_base_url=self.url,
        )  # fmt: skip

    def environment(self, home: Path) -> dict[str, str]:
        """The same for a process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("QIDA_")}
        given = self.settings(home).model_dump(exclude_unset=True)
        return kept | {f"QIDA_{name.upper()}": str(value) for name, value in given.items()}


def prove_stopping(stops: int, times: Times, seed: int, plant: str = "") -> bool:
    """Stop so many workers; print what came of it. A run that failed keeps its folder."""
    folder = Path(tempfile.mkdtemp(prefix="qida-stopping-"))
    offset, ledger = _back_to_morning(datetime.now(CHINA)), folder / "ledger.jsonl"
    to_stop = drawn(stops, folder, seed)
    with stand_in(ledger, offset) as url:
        scene = Scene(url, offset, times, plant)
        follow(url, plan(times))
        _for_all(enrolled, scene, to_stop)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            ended = list(pool.map(partial(stopped, scene), to_stop))
        then = Ledger(ledger)
        follow(url, {"pace": 0})
        _for_all(restarted, scene, to_stop)
    idle = proved_nothing(ended, then, times)
    faults = [*judged(ended, then, times), *settled(to_stop, Ledger(ledger))]
    _print(ended, then, times, [*faults, *idle])
    if plant or not faults:
        shutil.rmtree(folder)
    else:
        print(f"  the homes are kept in {folder}")
    return not faults and not idle


def _for_all(work: Callable[[Scene, Stop], None], scene: Scene, stops: Sequence[Stop]) -> None:
    """Do something for every home, in as many processes as there is room for."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, context, _read_rules_once, (stops[0].home,)) as pool:
        list(pool.map(partial(work, scene), stops))


def _read_rules_once(home: Path) -> None:
    logging.disable(logging.WARNING)  # each home draws its keys, and says so
    knowledge = require_knowledge(home)
    replace(worker.runtime, "require_knowledge", lambda _home: knowledge)


def _back_to_morning(now: datetime) -> timedelta:
    """From now to the last ten o'clock; not forward, for a scheduler would wait for it."""
    morning = datetime(now.year, now.month, now.day, tzinfo=CHINA) + MORNING
    return morning - now - timedelta(days=morning > now)


def drawn(stops: int, folder: Path, seed: int) -> list[Stop]:
    """What each worker will meet: answers after up to so many fifteenths, or some never."""
    rng, made = Random(seed), []
    hanging = max(1, round(stops * HANGING_SHARE))
    for number in range(1, stops + 1):
        slowest = rng.randint(1, 15)
        some = (0, 1, TAKEN, NOT_TAKEN) if number <= hanging else (slowest, slowest, slowest // 2)
        classes = [rng.choice(some) for _ in range(CASES)]
        made.append(Stop(number, folder / f"home-{number}", classes))
    rng.shuffle(made)
    return made


def plan(times: Times) -> dict[str, object]:
    """How the stand-in answers a number, by its class."""
    slow = [
        {
            "to": f"+86154{one:02}*",
            "do": "slow",
            "seconds": times.answered_after(one).total_seconds(),
        }
        for one in range(1, 16)
    ]
    hang = [
        {"to": f"+86154{one}*", "do": "hang", "stored": one == TAKEN, "seconds": 120}
        for one in (TAKEN, NOT_TAKEN)
    ]
    return {"pace": 0, "faults": [*slow, *hang]}


@contextmanager
def stand_in(ledger: Path, offset: timedelta) -> Iterator[str]:
    """`qida fake-twilio` with the scene's clock; yields its address."""
    command = _qida(offset, 0, "-", "fake-twilio", "--port", "0", "--ledger", str(ledger))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None  # noqa: S101 - it was asked for
        try:
            yield next(word for word in process.stderr.readline().split() if "http://" in word)
        finally:
            process.terminate()


def follow(url: str, plan: dict[str, object]) -> None:
    """Give the stand-in a plan. Raises RuntimeError if it refuses it."""
    connection = HTTPConnection(urlsplit(url).netloc)
    connection.request("PUT", "/_fake/plan", json.dumps(plan))
    answer = connection.getresponse()
    if answer.status >= 300:
        raise RuntimeError(f"{answer.status} {answer.read()!r}")
    connection.close()


def _qida(offset: timedelta, grace: float, plant: str, *words: str) -> list[str]:
    given = [str(offset.total_seconds()), str(grace), plant]
    return [sys.executable, "-m", "proofs.moved", *given, *words]


def enrolled(scene: Scene, stop: Stop) -> None:
    """Cases of which a message is due at once."""
    stop.home.mkdir()
    now = scene.now()
    rows = [
        RosterRow(
            place=f"row {case}", reference=f"S-{case}", procedure="national", name="测试甲",
            event="reported_by_phone", occurred_at=now - timedelta(minutes=10), phone=phone,
        )
        for case, phone in enumerate(stop.phones)
    ]  # fmt: skip
    with open_runtime(scene.settings(stop.home), FixedClock(now)) as runtime:
        report = enrol_rows(runtime.context, rows, now=now)
    if report.faults:
        raise ValueError(report.faults)


def stopped(scene: Scene, stop: Stop) -> Ended:
    """Start a worker, send SIGTERM while it sends, and wait for its end."""
    with (
        (stop.home / "worker.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            scene.command("run", "--port", "0"),
            stdout=log, stderr=log, env=scene.environment(stop.home),
        ) as process,
    ):  # fmt: skip
        try:
            _until_sending(stop.home, scene.times)
            time.sleep(_moment(stop, scene.times))
            before, at, began = attempts(stop.home), scene.now(), time.monotonic()
            process.send_signal(signal.SIGTERM)
            code = _code_of(process, scene.times.most * 4)
            took = time.monotonic() - began
            return Ended(stop, at, took, code, before, attempts(stop.home))
        finally:
            process.kill()


def _moment(stop: Stop, times: Times) -> float:
    """Seconds after the first claim until the signal, while its first messages wait for answers."""
    answered = [times.answered_after(one).total_seconds() for one in stop.classes]
    return Random(stop.number).uniform(0, min(2.0, 0.7 * max(answered)))


def _until_sending(home: Path, times: Times) -> None:
    ends = time.monotonic() + _PATIENCE
    while not attempts(home)["submitting"]:
        if time.monotonic() > ends:
            raise TimeoutError(f"the worker in {home} never began to send")
        time.sleep(times.answer / 60)  # many look at once while others start


def _code_of(process: "subprocess.Popen[bytes]", patience: float) -> int:
    """Its exit code, once it is gone; who does not go is killed, and has that for a code."""
    with suppress(subprocess.TimeoutExpired):
        return process.wait(patience)
    process.kill()
    return process.wait()


def restarted(scene: Scene, stop: Stop) -> None:
    """A worker again, for the next hour, while the provider is well."""
    begin = scene.now()
    clock = FixedClock(begin)
    with open_runtime(scene.settings(stop.home), clock) as runtime:
        duties = Duties(runtime)
        for minutes in _RESTARTS:
            clock.advance(begin + timedelta(minutes=minutes) - clock.now())
            duties.tick()


def _print(ended: Sequence[Ended], ledger: Ledger, times: Times, faults: Sequence[str]) -> None:
    for hangs, name in ((False, "answered"), (True, "hanging")):
        of = [one for one in ended if one.stop.hangs is hangs]
        took = sorted(one.seconds for one in of) or [0.0]
        sent, doubt = (sum(one.after[state] for one in of) for state in ("accepted", "uncertain"))
        on_wire = sum(one.on_wire(ledger, times) for one in of)
        print(
            f"{name}: {len(of)} stops with {on_wire} messages known to be on the wire; exit after "
            f"{took[0]:.1f} to {took[-1]:.1f} s (median {took[len(took) // 2]:.1f}); "
            f"{sent} accepted, {doubt} uncertain"
        )
    print(*(f"  FAULT {one}" for one in faults[:20]), sep="\n", end="\n" if faults else "")
    proved = "NOT PROVED" if faults else "PROVED: after the restart everyone was told once"
    print(f"{proved}; {len(ended)} stops, {len(ended) * CASES} people, {len(faults)} faults")
    sys.stdout.flush()
