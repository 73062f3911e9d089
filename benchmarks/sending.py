"""Reminders a second from claim to recorded outcome, beside what one would use instead.

Every contender runs in a process of its own against one stand-in for Twilio in another, taking
turns for several rounds; ratios are taken within a round and their median counts, since the two
cores are shared with whatever else runs. Qida's way is the whole one: the attempt is on the disk
(SQLite, WAL, synchronous=FULL) before its message leaves, its outcome afterwards, and each has its
log line.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from threading import Event, Semaphore
from time import perf_counter
from typing import IO, Any
from urllib.parse import urlencode, urlsplit

from benchmarks import Row
from worker.domain.calendar import CHINA
from worker.settings import Settings

ROUNDS = 5
MESSAGES = 5000

THREADS, BATCH = 2, 500
"""On two cores and with an answer at once, more threads only wait for each other."""

SLOW_SECONDS, SLOW_THREADS = 0.1, 100
SLOW_ROUNDS = 3
NOW = datetime(2026, 11, 20, 16, 30, tzinfo=CHINA)
TEXT = (
    "【示例中心】张先生，您尾号0001的社保卡11月20日电话挂失，最迟11月25日17:00前到网点"
    "书面挂失，逾期自动解除。咨询12333"
)
PHONE = "+861541{:07d}".format  # 154 is no mobile prefix of any network (MIIT numbering plan)

ACCOUNT = "AC" + "0" * 30 + "10"
TOKEN = "0" * 30 + "10"
SENDER = "+15005550006"
"""Whom the stand-in knows; the number is Twilio's own for tests."""


def run() -> list[Row]:
    """Measure and compare. Raises RuntimeError where a contender did not send everything."""
    with tempfile.TemporaryDirectory(prefix="qida-bench-") as folder, stand_in() as url:
        home = Path(folder)
        call("enrolled", url, home)
        follow(url, {"pace": 3600})
        at_once = [
            {name: call(name, url, home) for name in ("capacity", "bare", "qida", "scheduled")}
            for _ in range(ROUNDS)
        ]
        durable = call("scheduled_durably", url, home)
        follow(url, {"pace": 3600, "faults": [{"do": "slow", "seconds": SLOW_SECONDS}]})
        slow = [call("qida_in_flight", url, home) for _ in range(SLOW_ROUNDS)]
    return [*rows(at_once, durable), *slow_rows(slow)]


Figures = Mapping[str, float]


def rows(rounds: list[dict[str, Figures]], durable: Figures) -> list[Row]:
    """What an answer at once leaves to see: our own cost."""

    def rate(name: str) -> float:
        return median(one[name]["rate"] for one in rounds)

    def against(name: str, other: str, said: str, bar: float | None) -> Row:
        ratio = median(one[name]["rate"] / one[other]["rate"] for one in rounds)
        return Row(f"send: {name}", f"{rate(name):,.0f}/s", f"{said} {rate(other):,.0f}/s",
                   ratio, bar)  # fmt: skip

    ratio = rate("qida") / durable["rate"]
    stored = f"APScheduler date jobs on disk, stock client {durable['rate']:,.0f}/s"
    return [
        against("capacity", "bare", "bare loop, which the stand-in must not hold back", 2),
        against("qida", "bare", "the same client in a loop, no database", 0.6),
        Row("send: qida", f"{rate('qida'):,.0f}/s", stored, ratio, 4),
        against("qida", "scheduled", "the same jobs in memory, lost with the process", None),
    ]


def slow_rows(rounds: list[Figures]) -> list[Row]:
    """With a provider that takes its time: what can be in flight is the bound."""
    rate, bound = median(one["rate"] for one in rounds), SLOW_THREADS / SLOW_SECONDS
    peak = max(one["peak_mb"] for one in rounds)
    delay = f"{SLOW_SECONDS * 1000:.0f} ms away"
    return [
        Row(f"send: qida, {delay}", f"{rate:,.0f}/s", f"bound {bound:,.0f}/s", rate / bound, 0.85),
        Row("send: peak memory", f"{peak:.0f} MB", "at most 150 MB", 150 / peak, 1),
    ]


@contextmanager
def stand_in() -> Iterator[str]:
    """`qida fake-twilio` in its own process; its ledger is written but not synced."""
    command = [sys.executable, "-m", "worker", "fake-twilio", "--port", "0", "--no-fsync"]
    with (
        tempfile.TemporaryDirectory(prefix="qida-bench-") as folder,
        subprocess.Popen(
            [*command, "--ledger", f"{folder}/ledger.jsonl"], stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            yield ready_at(process.stderr)
        finally:
            process.terminate()


def ready_at(said: IO[str] | None) -> str:
    """The address in its first line. Raises RuntimeError without one."""
    line = said.readline() if said else ""
    found = [word for word in line.split() if word.startswith("http://")]
    if not found:
        raise RuntimeError(f"the stand-in did not start: {line}")
    return found[0]


def follow(url: str, plan: Mapping[str, object]) -> None:
    """Give the stand-in a plan, and let it forget what it has."""
    for method, path, body in (("PUT", "plan", json.dumps(plan)), ("POST", "reset", "")):
        connection = HTTPConnection(urlsplit(url).netloc)
        connection.request(method, f"/_fake/{path}", body)
        answer = connection.getresponse()
        if answer.status >= 300:
            raise RuntimeError(f"{path}: {answer.status} {answer.read()!r}")
        connection.close()


def call(name: str, url: str, home: Path) -> Figures:
    """One contender's turn, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.sending", name, url, str(home)],
        cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    figures: Figures = json.loads(done.stdout)
    return figures


# What follows runs in a contender's own process, and imports only what it needs.


def enrolled(url: str, home: Path) -> Figures:
    """A home with so many cases of which a message is due."""
    from worker.clock import FixedClock
    from worker.rosters import RosterRow
    from worker.runtime import open_runtime
    from worker.services.enrolment import enrol_rows

    rows = [
        RosterRow(
            place=f"row {number}", reference=f"B-{number}", procedure="national",
            event="reported_by_phone", occurred_at=NOW - timedelta(minutes=10), name="张三",
            phone=PHONE(number), card_last4=f"{number % 10_000:04d}",
        )
        for number in range(MESSAGES)
    ]  # fmt: skip
    began = perf_counter()
    with open_runtime(settings(url, home), FixedClock(NOW)) as runtime:
        for first in range(0, MESSAGES, 500):
            enrol_rows(runtime.context, rows[first : first + 500], now=NOW)
    return {"rate": MESSAGES / (perf_counter() - began)}


def settings(url: str, home: Path, **others: int) -> Settings:
    """Twilio at the stand-in's address, and no e-mail."""
    return Settings(
        home=home, sms="twilio", twilio_account_sid=ACCOUNT, twilio_auth_token=TOKEN,
        twilio_from=SENDER, twilio_base_url=url, **others,
    )  # fmt: skip


def capacity(url: str, _home: Path) -> Figures:
    """What the stand-in can do at most: ready-made requests, many at a time."""
    form = urlencode({"To": PHONE(0), "From": SENDER, "Body": TEXT}).encode()
    request = _written(url, form)
    at_once = 50
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as wire:
        began = perf_counter()
        for _ in range(MESSAGES // at_once):
            wire.sendall(request * at_once)
            answered, last = 0, b""
            while answered < at_once:
                read = wire.recv(1 << 16)
                answered += (last + read).count(b"HTTP/1.1 201")
                last = read[-11:]
        return {"rate": MESSAGES / (perf_counter() - began)}


def _written(url: str, form: bytes) -> bytes:
    from base64 import b64encode

    login = b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    head = (
        f"POST /2010-04-01/Accounts/{ACCOUNT}/Messages.json HTTP/1.1\r\n"
        f"Host: {urlsplit(url).netloc}\r\nAuthorization: Basic {login}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(form)}\r\n\r\n"
    )
    return head.encode() + form


def bare(url: str, _home: Path) -> Figures:
    """Our own client, one message after the other, and nothing else."""
    from worker.channels.twilio_sms import TwilioAccount, TwilioSms
    from worker.domain.delivery import Accepted, SendRequest

    channel = TwilioSms(TwilioAccount(ACCOUNT, TOKEN, SENDER, base_url=url))
    useless_at = NOW + timedelta(days=3)
    messages = [
        channel.prepare(SendRequest(to=PHONE(one), text=TEXT, useless_after_at=useless_at))
        for one in range(MESSAGES)
    ]
    began = perf_counter()
    outcomes = [channel.submit(one, "ref", now=NOW) for one in messages]
    seconds = perf_counter() - began
    return _rated(sum(isinstance(one, Accepted) for one in outcomes), seconds)


def _rated(sent: int, seconds: float) -> Figures:
    if sent != MESSAGES:
        raise RuntimeError(f"{sent} of {MESSAGES} messages were taken")
    return {"rate": sent / seconds, "peak_mb": peak_mb()}


def peak_mb() -> float:
    """The most memory this process ever held (VmHWM; ru_maxrss would count its parent's)."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def qida(url: str, home: Path) -> Figures:
    """The whole way, with the threads that suit an answer at once."""
    return _sent(settings(url, home, send_threads=THREADS, send_batch=BATCH))


def qida_in_flight(url: str, home: Path) -> Figures:
    """The whole way, with as many calls at once as there may be."""
    return _sent(settings(url, home, send_threads=SLOW_THREADS, send_batch=BATCH))


def _sent(given: Settings) -> Figures:
    """Send all that is due in a copy of the home, under the engine and the log of `qida run`."""
    from worker.api.app import create_app
    from worker.clock import FixedClock, SystemClock
    from worker.engines.embedded import run_until
    from worker.logs import set_up_logging
    from worker.runtime import open_runtime
    from worker.services.sending import send_due

    stop = Event()
    measured: dict[str, float] = {}

    with (
        tempfile.TemporaryDirectory(prefix="qida-bench-") as folder,
        Path(os.devnull).open("w", encoding="utf-8") as log,
    ):
        home = Path(shutil.copytree(given.home, folder, dirs_exist_ok=True))
        set_up_logging("json", log)
        with open_runtime(given.model_copy(update={"home": home}), FixedClock(NOW)) as runtime:
            create_app(lambda: runtime.context, runtime.clock, runtime.callbacks)

            def send() -> None:
                began = perf_counter()
                try:
                    measured["sent"] = send_due(runtime.context, now=NOW)["accepted"]
                finally:
                    measured["seconds"] = perf_counter() - began
                    stop.set()

            duties = {"send": (send, timedelta(seconds=1))}
            run_until(stop, duties, first_run=SystemClock().now())
    return _rated(int(measured.get("sent", 0)), measured["seconds"])


def scheduled(url: str, _home: Path) -> Figures:
    """One date job a reminder in memory, with the client as Twilio ships it; nothing recorded."""
    return _scheduled(url, {})


def scheduled_durably(url: str, home: Path) -> Figures:
    """The same, with the schedule on disk."""
    place = home / "jobs.db"
    return _scheduled(url, {"type": "sqlalchemy", "url": f"sqlite:///{place}"})


def _scheduled(url: str, store: Mapping[str, str]) -> Figures:
    from apscheduler.events import EVENT_JOB_EXECUTED
    from apscheduler.schedulers.background import BackgroundScheduler

    stores = {"apscheduler.jobstores.default": dict(store)} if store else {}
    scheduler = BackgroundScheduler(stores, timezone=CHINA)
    done = Semaphore(0)
    scheduler.add_listener(lambda _: done.release(), EVENT_JOB_EXECUTED)
    scheduler.start(paused=True)
    for number in range(MESSAGES):
        scheduler.add_job(stock_send, "date", run_date=NOW - timedelta(days=365 * 5),
                          misfire_grace_time=None, args=[url, PHONE(number)])  # fmt: skip
    began = perf_counter()
    scheduler.resume()
    for _ in range(MESSAGES):
        done.acquire()
    seconds = perf_counter() - began
    scheduler.shutdown()
    return {"rate": MESSAGES / seconds}


_stock: list[Any] = []


def stock_send(url: str, to: str) -> None:
    """What a date job does."""
    from twilio.rest import Client

    if not _stock:
        client = Client(ACCOUNT, TOKEN)
        client.api.base_url = url
        _stock.append(client)
    _stock[0].messages.create(to=to, from_=SENDER, body=TEXT)


CONTENDERS: Mapping[str, Callable[[str, Path], Figures]] = {
    one.__name__: one
    for one in (enrolled, capacity, bare, qida, qida_in_flight, scheduled, scheduled_durably)
}

if __name__ == "__main__":
    print(json.dumps(CONTENDERS[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))))
