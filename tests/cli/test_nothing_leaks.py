"""A planted person, handed to every command and crash as a real process: nothing that is printed,
logged or left in a file tells of them, and in the end no file holds them at all."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cli.command import ROOT, Done, Qida
from worker.crashpoints import CRASH_POINTS

NAME, MAIL = "慕容罕见", "murong.rare@example.com"
PHONES = ("10000000061", "10000000003", "10000000005")
SECOND = "10000000079"
PLANTED = ("慕容", "罕见", "murong", *PHONES, SECOND)
HEADING = "编号,业务,事项,发生时间,姓名,手机,邮箱,备用手机\n"
DAYS = ("2026-11-23T10:00", "2026-11-23T10:06", "2026-11-24T09:00", "2026-11-25T14:00",
        "2026-11-26T09:30")  # fmt: skip
LATER = "2027-01-20T10:00"
WEEK = 7 * 86_400


def at(time: str) -> tuple[str, str]:
    return "--now", f"{time}:00+08:00"


def row(reference: str, phone: str = PHONES[0], event: str = "电话挂失") -> str:
    return f"{reference},national,{event},2026-11-20 16:20,{NAME},{phone},{MAIL},{SECOND}\n"


class Ears:
    """All that was printed where nobody asked for a contact."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def __call__(self, done: Done) -> Done:
        self.heard += [done.out, done.err]
        return done

    @property
    def told(self) -> str:
        """Without ids, in which any digits may stand by chance."""
        return re.sub("[0-9a-f]{16,}", "", "\n".join(self.heard))


@pytest.fixture
def inbox(qida: Qida) -> Path:
    """Where rosters are dropped."""
    qida.own_config()
    folder = qida.home / "var" / "inbox"
    folder.mkdir(parents=True)
    return folder


def drop(inbox: Path, name: str, *rows: str) -> None:
    path = inbox / name
    path.write_text(HEADING + "".join(rows), "utf-8")
    past = path.stat().st_mtime - 60
    os.utime(path, (past, past))


def test_nothing_of_a_planted_person_leaks_or_stays(
    qida: Qida, inbox: Path, tmp_path: Path
) -> None:
    ears = Ears()

    hand_in(qida, inbox, tmp_path, ears)
    secret = serve_and_kill(qida, ears)
    crash_everywhere(qida, inbox, ears)
    drop(inbox, "once more.csv", row("A-0"), row("W-1", event=NAME))  # erasing took the others
    work_and_look(qida, ears)
    shown = qida("export", "A-0").out
    holding = [path for path in files(qida.home) if is_told_by(path)]
    grow_old(qida, ears)

    assert all(word in shown for word in ("慕容", PHONES[0], SECOND))  # so a hit would show
    assert {path.parent.name for path in holding} == {"done"}  # the rosters, and no other file
    assert "reminder.submitted" in ears.told
    secrets = (*PLANTED, secret)
    leaks = [line for line in ears.told.splitlines() if any(word in line for word in secrets)]
    assert leaks == []
    assert [path.name for path in files(qida.home) if is_told_by(path)] == []
    assert [path.name for path in files(qida.home) if secret.encode() in path.read_bytes()] == []


def files(home: Path) -> Iterator[Path]:
    """Whatever lies in the home, staged or left over by whom it may be."""
    return (path for path in home.rglob("*") if path.is_file())


def is_told_by(path: Path) -> bool:
    content = path.read_bytes()
    text = path.name + content.decode("utf-8", "replace")
    return any(word in text or word.encode("utf-16-le") in content for word in PLANTED)


def hand_in(qida: Qida, inbox: Path, tmp_path: Path, ears: Ears) -> None:
    """By command and by inbox, right and wrong."""
    drop(inbox, "good.csv", *(row(f"A-{n}", phone) for n, phone in enumerate(PHONES)))
    drop(inbox, f"{NAME}.csv", row("W-1", event=NAME), row("W-2", f"{PHONES[0]}/{SECOND}"),
         row("W-3", NAME), row(NAME, "x"))  # fmt: skip
    (inbox / f"{NAME}.docx").write_text(NAME, "utf-8")
    ears(qida("tick", *at(DAYS[0])))
    (inbox / f"{NAME}.docx").unlink()  # ours to put away
    drop(tmp_path, "own.csv", row("C-1", PHONES[1]), row("C-2", "12"), row("C-3", event=MAIL))
    ears(qida("enrol", tmp_path / "own.csv", "--dry-run", *at(DAYS[0])))
    ears(qida("enrol", tmp_path / "own.csv", *at(DAYS[0])))
    ears(qida("cases", "event", "A-0", "found", "--at", "2026-11-23"))
    ears(qida("cases", "event", "A-0", "--void", "none", "--reason", NAME))


def serve_and_kill(qida: Qida, ears: Ears) -> str:
    """What a centre's system asks, well and badly; then the server dies. Gives the key's secret."""
    key = qida("keys", "create", "--centre", "demo", "--kind", "test").out.strip()
    process = qida.started("run", "--port", "0")
    assert process.stderr is not None
    head = []
    for line in process.stderr:
        head.append(line)
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            break
    assert found, head
    ask_everything(int(found[1]), key, ears)
    process.send_signal(signal.SIGKILL)
    _, rest = process.communicate()
    ears.heard += [*head, rest]
    return key.rpartition("_")[2]


def ask_everything(port: int, key: str, ears: Ears) -> None:
    contact = {"name": NAME, "phone": PHONES[2], "email": MAIL, "second_phone": SECOND}
    event = {"event": "reported_by_phone", "occurred_at": "2026-11-20T16:20:00+08:00"}
    good = {"reference": "P-1", "procedure": "national", "contact": contact, "events": [event]}
    bodies: list[object] = [
        good, good | {"events": [{"event": NAME, "occurred_at": PHONES[0]}]},
        good | {"contact": {MAIL: NAME}}, good | {"contact": contact | {"phone": NAME}},
        {NAME: [good]},
    ]  # fmt: skip
    asked = [
        ("POST", "/v1/cases", {"Idempotency-Key": PHONES[0]}, json.dumps(body)) for body in bodies
    ]
    asked += [
        ("POST", "/v1/cases", {}, f'{{"reference": "{NAME}'),
        ("POST", "/v1/imports", {"Content-Type": "text/csv"}, HEADING + row("I-1", NAME)),
        ("POST", f"/u/{PHONES[0]}", {}, MAIL),
        ("POST", f"/hooks/twilio/{MAIL}", {}, NAME),
    ]
    asked += [("GET", path, {}, "") for path in (
        f"/v1/cases/ref:{PHONES[0]}", f"/v1/cases?after={PHONES[0]}", "/v1/cases", f"/{MAIL}",
        "/v1/cases/ref:P-1", "/v1/cases/ref:P-1/reminders", "/v1/cases/ref:P-1/deadlines",
        "/metrics", f"/v1/imports/{PHONES[0]}",
    )]  # fmt: skip
    for bearer in (key, f"qk_test_{PHONES[0]}_{key}"):
        for method, path, headers, body in asked:
            connection = HTTPConnection("127.0.0.1", port, timeout=20)
            given = {"Content-Type": "application/json", "Authorization": f"Bearer {bearer}"}
            connection.request(method, path, body.encode(), given | headers)
            answer = connection.getresponse()
            ears.heard.append(f"{answer.headers} {answer.read().decode()}")
            connection.close()


def crash_everywhere(qida: Qida, inbox: Path, ears: Ears) -> None:
    """A death at every point that a worker passes, and at those of erasing and of the keys."""
    codes = []
    for number, point in enumerate(CRASH_POINTS):
        drop(inbox, f"{NAME}-{number}.csv", row(f"K-{number}", f"100000000{number + 10}"),
             row(f"L-{number}", PHONES[2]))  # fmt: skip
        deadly = qida.where(QIDA_CRASH_AT=f"{point}:1")
        codes.append(ears(deadly("tick", *at(f"2026-11-23T10:{number * 4 + 6:02}"))).code)
    assert codes.count(-signal.SIGKILL) >= len(CRASH_POINTS) - 2
    died = [
        qida.where(QIDA_CRASH_AT=f"{point}:1")(*words)
        for point, words in (
            ("in_erase", ("erase", "K-0", "--yes")),
            ("in_rotate", ("keys", "rotate")),
            ("in_retain", ("tick", *at(DAYS[2]))),
        )
    ]
    assert [ears(one).code for one in died] == [-signal.SIGKILL] * 3
    ears(qida("keys", "rotate"))
    ears(qida("keys", "rotate", "--verify"))


def work_and_look(qida: Qida, ears: Ears) -> None:
    """A week's duties, and every listing."""
    for day in DAYS[2:]:
        ears(qida("tick", *at(day)))
    for words in (["cases", "list"], ["cases", "show", "A-0"], ["cases", "show", "X-9"],
                  ["reminders", "list"], ["reminders", "list", "--again"], ["calls", "list"],
                  ["jobs"], ["keys", "list"], ["audit", "verify"],
                  ["reminders", "forecast", *at(DAYS[4])]):  # fmt: skip
        ears(qida(*words))
    assert "P-1" in qida("cases", "list").out  # so the API took what it was handed
    proof = ears(qida("cases", "evidence", "A-0"))
    ears.heard.remove(proof.out)  # shows what was said to whoever asks for it
    addresses = [word for word in (*PHONES, SECOND, "murong") if word in proof.out]
    assert addresses == []


def grow_old(qida: Qida, ears: Ears) -> None:
    """The files' week and the contacts' thirty days are over."""
    for path in (qida.home / "var" / "done").iterdir():
        past = path.stat().st_mtime - WEEK - 60
        os.utime(path, (past, past))
    ears(qida("tick", *at(LATER)))
    ears(qida("tick", *at(LATER)))


def test_an_error_nobody_foresaw_shows_where_and_not_what(tmp_path: Path) -> None:
    script = tmp_path / "boom.py"
    script.write_text(
        "import sys, threading\n"
        "from worker import cli\n"
        "def die(phone):\n"
        f"    raise ValueError(phone, chr({ord(NAME[0])}))\n"
        "@cli.app.command('boom')\n"
        "def boom(phone: str) -> None:\n"
        "    thread = threading.Thread(target=die, args=(phone,))\n"
        "    thread.start(); thread.join()\n"
        "    try:\n"
        "        die(phone)\n"
        "    except ValueError as error:\n"
        "        raise KeyError(phone) from error\n"
        "cli.main()\n",
        "utf-8",
    )

    done = subprocess.run(
        [sys.executable, str(script), "boom", PHONES[0]],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "ValueError" in done.stderr
    assert done.stderr.endswith("KeyError\n")
    assert "in die" in done.stderr
    assert "程序出错" in done.stderr
    assert PHONES[0] not in done.stderr
    assert NAME[0] not in done.stderr
