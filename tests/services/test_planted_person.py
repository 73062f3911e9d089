"""A person nobody could mistake goes through everything; then no file knows of them any more."""

import io
import json
import logging
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.desk import Desk, Provider
from worker.clock import FixedClock
from worker.domain.delivery import NotSent, Rejected, Uncertain
from worker.domain.errors import QidaError
from worker.engines.duties import Duties
from worker.logs import set_up_logging
from worker.runtime import Runtime, open_runtime
from worker.services.calling import call_list, call_report
from worker.services.erasing import erase_case
from worker.services.evidence import evidence
from worker.services.key_rotation import rotate_keys
from worker.services.operations import find_case
from worker.services.uploads import Upload
from worker.settings import Settings

ROOT = Path(__file__).parents[2]
NAME, MAIL, LAST4 = "慕容罕见", "murong.rare@example.com", "7391"
PHONES = ("10000000061", "10000000003", "10000000005")
SECOND = "10000000079"
PLANTED = ("慕容", "罕见", "murong", *PHONES, SECOND)
HEADING = "编号,业务,事项,发生时间,姓名,手机,邮箱,备用手机,卡号后四位\n"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything the worker logs."""
    stream = io.StringIO()
    root, worker = logging.getLogger(), logging.getLogger("worker")
    before = root.handlers[:], root.level, worker.level
    set_up_logging("json", stream)
    worker.setLevel(logging.DEBUG)
    yield stream
    root.handlers[:], root.level = before[:2]
    worker.setLevel(before[2])


@pytest.fixture
def runtime(tmp_path: Path, clock: FixedClock) -> Iterator[Runtime]:
    """An installation of its own."""
    home = tmp_path / "home"
    for name in ("config/rules", "config/centres", "templates"):
        shutil.copytree(ROOT / name, home / name)
    with open_runtime(Settings(home=home, sms="sandbox", email="sandbox"), clock) as runtime:
        yield runtime


def test_nothing_of_a_person_is_left_anywhere(
    runtime: Runtime, clock: FixedClock, log: io.StringIO
) -> None:
    said: list[str] = []
    hand_in(runtime)

    live(runtime, clock)
    quarrel(Desk(runtime.context, clock), said)
    look(runtime, clock, said)
    rotate_keys(runtime.context, actor="cli", now=clock.now())
    before = in_files(runtime.settings.home)
    die_in_between(runtime, clock)
    erase_all(runtime, clock)

    assert set(before) == set(PLANTED)  # the copies of the rosters: so a hit would show
    assert in_files(runtime.settings.home) == []
    told = re.sub("[0-9a-f]{16,}", "", "\n".join([log.getvalue(), *said]))
    assert "reminder.submitted" in told
    assert [word for word in (*PLANTED, LAST4) if word in told] == []


def hand_in(runtime: Runtime) -> None:
    """Two rosters in the inbox, a good one and one whose every row is refused; one over HTTP, with
    a mistake, so that its file is kept."""
    rows = [
        f"A-{number},national,电话挂失,2026-11-20 16:20,{NAME},{phone},{MAIL},{SECOND},{LAST4}\n"
        for number, phone in enumerate(PHONES)
    ]
    wrong = f"B-1,national,不存在的事项,2026-11-20 16:20,{NAME},{PHONES[0]},{MAIL},{SECOND},\n"
    inbox = runtime.settings.var / "inbox"
    for name, content in (("good.csv", rows), (f"{NAME}.csv", [wrong])):
        path = inbox / name
        path.write_text(HEADING + "".join(content), "utf-8")
        at = path.stat().st_mtime - 60
        os.utime(path, (at, at))

    upload = Upload.begin(
        runtime.context, "demo", "key:1", is_yaml=False, dry_run=False, now=runtime.clock.now()
    )
    upload.add((HEADING + rows[0].replace("A-0", "I-1") + wrong).encode())
    upload.finish(now=runtime.clock.now())


def live(runtime: Runtime, clock: FixedClock) -> None:
    """Everything a worker does, over a week."""
    duties = Duties(runtime)
    for time in ("2026-11-20T16:30", "2026-11-20T16:36", "2026-11-24T09:00", "2026-11-24T09:10",
                 "2026-11-25T14:00", "2026-11-26T09:00"):  # fmt: skip
        Desk(duties.context, clock).at(time)
        duties.tick()


def quarrel(desk: Desk, said: list[str]) -> None:
    """Providers that fail and quote what they were given; rows that are refused."""

    def explode(provider: Provider) -> None:
        raise ValueError(provider.handed[-1].to, provider.handed[-1].text)

    providers = [
        Provider(NotSent("no route")), Provider(Rejected("21211")), Provider(Uncertain("cut")),
        Provider(during=explode),
    ]  # fmt: skip
    for number, provider in enumerate(providers):
        desk.through(provider)
        desk.enrol(f"C-{number}", [("reported_by_phone", "2026-11-26T08:30")], name=NAME,
                   phone=PHONES[0], email=MAIL, card_last4=LAST4)  # fmt: skip
        desk.send()
    refused = desk.enrol("C-9", [("card_made", "2026-11-26T08:30")], name=NAME, phone=PHONES[0])
    said += [one.in_language("zh") for one in refused.faults]
    for wrong in (
        lambda: find_case(desk.context, "no such case"),
        lambda: call_report(desk.context, "none", actor="cli", now=desk.now),
    ):
        with pytest.raises(QidaError) as told:
            wrong()
        said.append(str(told.value))


def look(runtime: Runtime, clock: FixedClock, said: list[str]) -> None:
    """What is shown without being asked for a contact shows none."""
    said.append(str(call_list(runtime.context)))
    case_id = find_case(runtime.context, "A-0")
    found = evidence(runtime.context, case_id, actor="cli", now=clock.now())
    said.append(re.sub(r'"text": "[^"]*"', "", json.dumps(found)))  # shown to whoever asks for it


def die_in_between(runtime: Runtime, clock: FixedClock) -> None:
    """An erasure killed at each of its points, and finished by the next."""
    for point in (1, 2):
        child = os.fork()
        if child == 0:
            os.environ["QIDA_CRASH_AT"] = f"in_erase:{point}"
            for engine in (runtime.context.db.engine, runtime.context.db.reader):
                engine.dispose(close=False)  # connections are the parent's
            erase_case(runtime.context, find_case(runtime.context, "A-0"), actor="cli",
                       now=clock.now())  # fmt: skip
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def erase_all(runtime: Runtime, clock: FixedClock) -> None:
    references = (
        [f"A-{number}" for number in range(3)] + [f"C-{number}" for number in range(4)] + ["I-1"]
    )
    for reference in references:
        case_id = find_case(runtime.context, reference)
        assert erase_case(runtime.context, case_id, actor="cli", now=clock.now()).scrubbed


def in_files(home: Path) -> list[str]:
    """Which planted words stand in any file of an installation, or in its name."""
    texts = [
        path.name + path.read_bytes().decode("utf-8", "replace")
        for path in home.rglob("*")
        if path.is_file()
    ]
    return [word for word in PLANTED if any(word in text for text in texts)]
