"""Whom a message was for and what it said is in the database, sealed, and nowhere else."""

import io
import logging
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.desk import Desk, Provider
from worker.clock import FixedClock
from worker.domain.delivery import AttemptState, Found, NotSent, Receipt, Rejected, Uncertain
from worker.engines.duties import Duties
from worker.logs import set_up_logging
from worker.runtime import open_runtime
from worker.services.operations import run_duty
from worker.settings import Settings

ROOT = Path(__file__).parents[2]
NAME, LAST4, MAIL = "欧阳罕见", "8642", "rare.person@example.com"
PHONES = [f"100000000{number:02}" for number in (1, 2, 3, 4, 5, 73)]
SECOND = "10000000079"
QUOTED = [f"100000000{number}" for number in range(80, 85)]
SEALED = [
    "欧阳",
    "书面挂失",
    "身份证",
    "转告",
    "rare.person",
    "undelivered@",
    SECOND,
    *PHONES,
    *QUOTED,
]
"""What only the sealed columns hold; the last four digits of a card are kept as they are."""


@pytest.fixture(params=["json", "plain"])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Everything a worker logs, in either form."""
    stream = io.StringIO()
    root, worker = logging.getLogger(), logging.getLogger("worker")
    before = root.handlers[:], root.level, worker.level
    set_up_logging(request.param, stream)
    worker.setLevel(logging.DEBUG)
    yield stream
    root.handlers[:], root.level = before[:2]
    worker.setLevel(before[2])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("config/rules", "config/centres", "templates"):
        shutil.copytree(ROOT / name, tmp_path / "home" / name)
    return tmp_path / "home"


def test_no_name_number_or_text_is_ever_logged_or_kept_in_the_clear(
    home: Path, clock: FixedClock, log: io.StringIO
) -> None:
    settings = Settings(home=home, sms="sandbox", email="sandbox")
    with open_runtime(settings, clock) as runtime:
        duties = Duties(runtime)
        enrol_everyone(Desk(duties.context, clock))

        for time in ("2026-11-20T16:30", "2026-11-20T16:36", "2026-11-24T09:00",
                     "2026-11-24T09:10", "2026-11-25T14:00", "2026-11-25T15:00",
                     "2026-11-26T09:00"):  # fmt: skip
            Desk(duties.context, clock).at(time)
            duties.tick()
        break_everything(Desk(duties.context, clock))

        kept = [path.read_bytes().decode("utf-8", "replace")
                for path in (home / "var").rglob("*") if path.is_file()]  # fmt: skip

    said = log.getvalue()
    assert said.count("reminder.submitted") > len(PHONES)
    assert "job.failed" in said
    without_ids = re.sub("[0-9a-f]{16,}", "", said)  # an id may hold any four digits by chance
    assert [word for word in (*SEALED, LAST4) if word in without_ids] == []
    assert [word for word in SEALED if any(word in text for text in kept)] == []


def enrol_everyone(desk: Desk) -> None:
    """One case for each thing that can happen to a message."""
    for number, phone in enumerate(PHONES):
        desk.enrol(f"A-{number}", name=NAME, phone=phone, card_last4=LAST4, email=MAIL,
                   second_phone=SECOND)  # fmt: skip
    desk.enrol("A-mail", name=NAME, email="undelivered@example.com", second_phone=SECOND)


def break_everything(desk: Desk) -> None:
    """Providers that fail and quote what they were given."""

    def explode(provider: Provider) -> None:
        request = provider.handed[-1]
        raise ValueError(request.to, request.text)

    class Quoting(Provider):
        def find(self, *given: object, **_: object) -> Found:
            raise ValueError(given)

    failed = Receipt("P1", "failed", AttemptState.FAILED, code="30005")
    providers = [
        Quoting(NotSent("no route")),
        Quoting(Rejected("21211")),
        Quoting(Uncertain("cut off")),
        Quoting(receipts=[failed]),
        Quoting(during=explode),
    ]
    for number, provider in enumerate(providers):
        desk.through(provider)
        desk.enrol(f"B-{number}", [("reported_by_phone", "2026-11-26T08:30")], name=NAME,
                   phone=QUOTED[number], card_last4=LAST4)  # fmt: skip
        desk.send()
        desk.after(minutes=1).settle()
        desk.poll()
    run_duty(desk.context, "send", lambda *_: explode_with(NAME), now=desk.now)


def explode_with(name: str) -> dict[str, int]:
    raise ValueError(name, SECOND)
