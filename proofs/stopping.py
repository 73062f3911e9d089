"""Stopping: real workers get SIGTERM in mid-batch, and what they leave is then looked at.

A worker here is the `qida` command in a process of its own. Two things about it are changed, by
`proofs/moved.py`: its clock is moved to the morning, when people may be written to, and in a quick
run its grace is short. The stand-in for Twilio, by the same clock, answers by number: after so many
seconds, or never.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import worker.runtime
from proofs.plants import replace
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
AT_ONCE = 20
HANGING_SHARE = 0.25
TAKEN, NOT_TAKEN = 98, 99
"""Classes of numbers that are never answered: the message was taken, or was not."""

_PATIENCE = 300  # seconds for a worker to begin: twenty start at once on whatever there is
_RESTARTS = (2, 5, 15, 25, 45, 46, 47, 50)  # minutes: look-ups end 43 minutes after an attempt
_TOLD = {"accepted", "sent", "delivered"}


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: the longest answer, the grace for what hangs, and what may pass until the exit."""

    answer: float
    grace: float
    most: float


REAL = Times(15, embedded.GRACE.total_seconds(), 25)
QUICK = Times(1.5, 2, 7)


@dataclass(frozen=True, slots=True)
class Stop:
    """One worker to be stopped: which home, and the numbers its cases have."""

    number: int
    home: Path
    classes: Sequence[int]

    @property
    def hangs(self) -> bool:
        """Whether some of its calls are never answered."""
        return bool({TAKEN, NOT_TAKEN} & set(self.classes))

    def phones(self) -> list[str]:
        """A number a case, told apart by class, home and case. 154 is no mobile prefix."""
        return [f"154{one:02}{self.number:03}{case:03}" for case, one in enumerate(self.classes)]


@dataclass(frozen=True, slots=True)
class Ended:
    """How one stop went: attempts by state when the signal was sent, and when it had ended."""

    stop: Stop
    seconds: float
    code: int
    before: Counter[str]
    after: Counter[str]

    def faults(self, times: Times) -> Iterator[str]:
        """What must not be."""
        if self.code:
            yield f"exit code {self.code}"
        if self.seconds > times.most:
            yield f"took {self.seconds:.1f} s to end"
        if self.after["submitting"]:
            yield f"{self.after['submitting']} attempts left unfinished"
        if self.after["uncertain"] and not self.stop.hangs:
            yield f"{self.after['uncertain']} attempts uncertain though the provider answered"


@dataclass(frozen=True, slots=True)
class Scene:
    """What all stops of one run share. `offset` moves the machine's clock to the morning."""

    url: str
    offset: timedelta
    times: Times

    def now(self) -> datetime:
        """The present instant on this scene."""
        return datetime.now(UTC) + self.offset

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


def prove_stopping(stops: int, times: Times, seed: int) -> bool:
    """Stop so many workers; print what came of it. A run that failed keeps its folder."""
    folder = Path(tempfile.mkdtemp(prefix="qida-stopping-"))
    offset = _back_to_morning(datetime.now(CHINA))
    knowledge = require_knowledge(folder)
    replace(worker.runtime, "require_knowledge", lambda _home: knowledge)
    with stand_in(folder / "ledger.jsonl", offset) as url:
        scene = Scene(url, offset, times)
        follow(url, plan(times))
        to_stop = drawn(stops, folder, seed)
        for one in to_stop:
            enrolled(scene, one)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            ended = list(pool.map(partial(stopped, scene), to_stop))
        follow(url, {"pace": 0})
        for one in to_stop:
            restarted(scene, one.home)
    faults = [*judged(ended, times), *settled(ended, folder / "ledger.jsonl")]
    _print(ended, faults)
    if not faults:
        shutil.rmtree(folder)
    else:
        print(f"  the homes are kept in {folder}")
    return not faults


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
        {"to": f"+86154{one:02}*", "do": "slow", "seconds": one * times.answer / 15}
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
    command = _qida(offset, REAL, "fake-twilio", "--port", "0", "--ledger", str(ledger))
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


def _qida(offset: timedelta, times: Times, *words: str) -> list[str]:
    given = [str(offset.total_seconds()), str(times.grace)]
    return [sys.executable, "-m", "proofs.moved", *given, *words]


def stopped(scene: Scene, stop: Stop) -> Ended:
    """Start a worker, send SIGTERM while it sends, and wait for its end."""
    wait = Random(stop.number).random() * min(2.0, scene.times.answer)
    with (
        (stop.home / "worker.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            _qida(scene.offset, scene.times, "run", "--port", "0"),
            stdout=log, stderr=log, env=scene.environment(stop.home),
        ) as process,
    ):  # fmt: skip
        try:
            _until_sending(stop.home)
            time.sleep(wait)
            before, began = attempts(stop.home), time.monotonic()
            process.send_signal(signal.SIGTERM)
            code = _code_of(process, scene.times.most * 4)
            return Ended(stop, time.monotonic() - began, code, before, attempts(stop.home))
        finally:
            process.kill()


def _code_of(process: "subprocess.Popen[bytes]", patience: float) -> int:
    """Its exit code, once it is gone; who does not go is killed, and has that for a code."""
    with suppress(subprocess.TimeoutExpired):
        return process.wait(patience)
    process.kill()
    return process.wait()


def enrolled(scene: Scene, stop: Stop) -> None:
    """Cases of which a message is due at once."""
    stop.home.mkdir()
    now = scene.now()
    rows = [
        RosterRow(
            place=f"row {case}", reference=f"S-{case}", procedure="national", name="测试甲",
            event="reported_by_phone", occurred_at=now - timedelta(minutes=10), phone=phone,
        )
        for case, phone in enumerate(stop.phones())
    ]  # fmt: skip
    with open_runtime(scene.settings(stop.home), FixedClock(now)) as runtime:
        report = enrol_rows(runtime.context, rows, now=now)
    if report.faults:
        raise ValueError(report.faults)


def _until_sending(home: Path) -> None:
    ends = time.monotonic() + _PATIENCE
    while not attempts(home)["submitting"]:
        if time.monotonic() > ends:
            raise TimeoutError(f"the worker in {home} never began to send")
        time.sleep(0.05)


def attempts(home: Path) -> Counter[str]:
    """How many attempts there are in each state, as the file has it."""
    return Counter(dict(_read(home, "SELECT state, count(*) FROM attempt GROUP BY state")))


def _read(home: Path, query: str) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(f"file:{home}/var/qida.db?mode=ro", uri=True)) as connection:
        return list(connection.execute(query))


def restarted(scene: Scene, home: Path) -> None:
    """A worker again, for the next hour, while the provider is well."""
    begin, clock = scene.now(), FixedClock(scene.now())
    with open_runtime(scene.settings(home), clock) as runtime:
        duties = Duties(runtime)
        for minutes in _RESTARTS:
            clock.advance(begin + timedelta(minutes=minutes) - clock.now())
            duties.tick()


def judged(ended: Sequence[Ended], times: Times) -> list[str]:
    """What was wrong with the stops, and with the proof itself."""
    faults = [f"stop {one.stop.number}: {fault}" for one in ended for fault in one.faults(times)]
    if not any(one.after["uncertain"] for one in ended if one.stop.hangs):
        faults.append("no call hung: nothing was proved")
    if not all(one.before["submitting"] for one in ended):
        faults.append("a worker had nothing on the wire when it was stopped")
    return faults


def settled(ended: Sequence[Ended], ledger: Path) -> list[str]:
    """After the restart: everyone told once, by the provider's own ledger, and nothing open."""
    lines = ledger.read_text("utf-8").splitlines()
    told = Counter(json.loads(line)["to"].removeprefix("+86") for line in lines)
    faults = []
    for one in ended:
        number, phones = one.stop.number, one.stop.phones()
        faults += [f"home {number}: {told[phone]} messages to one" for phone in phones
                   if told[phone] != 1]  # fmt: skip
        query = "SELECT state, count(*) FROM reminder WHERE step = 'at_once' GROUP BY state"
        left = {state: count for state, count in _read(one.stop.home, query) if state not in _TOLD}
        faults += [f"home {number}: {count} reminders {state}" for state, count in left.items()]
    return faults


def _print(ended: Sequence[Ended], faults: Sequence[str]) -> None:
    for hangs, name in ((False, "answered"), (True, "hanging")):
        of = [one for one in ended if one.stop.hangs is hangs]
        took = sorted(one.seconds for one in of) or [0.0]
        sent, doubt = (sum(one.after[state] for one in of) for state in ("accepted", "uncertain"))
        on_wire = sum(one.before["submitting"] for one in of)
        print(
            f"{name}: {len(of)} stops with {on_wire} messages claimed or on the wire; exit after "
            f"{took[0]:.1f} to {took[-1]:.1f} s (median {took[len(took) // 2]:.1f}); "
            f"{sent} accepted, {doubt} uncertain"
        )
    print(*(f"  FAULT {one}" for one in faults[:20]), sep="\n", end="\n" if faults else "")
    messages = len(ended) * CASES
    print(f"{'PROVED' if not faults else 'NOT PROVED'}: {len(ended)} stops, {messages} people, "
          f"{len(faults)} faults; after the restart each was told once")  # fmt: skip
    sys.stdout.flush()
