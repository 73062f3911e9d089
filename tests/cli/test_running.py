"""`qida run`, `tick`, `jobs`: the worker itself, in a process of its own."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.cli.command import NOW, OK, Qida, lying_still
from worker.clock import monotonic, pause

PATIENCE = 60.0
"""Seconds after which a machine, however busy, has had its chance."""


def until(happened: Callable[[], object]) -> None:
    """Wait until something has happened."""
    ends = monotonic() + PATIENCE
    while not happened():
        assert monotonic() < ends, "it never happened"
        pause(0.05)


@contextmanager
def running(qida: Qida) -> Iterator["subprocess.Popen[str]"]:
    """A worker that has begun its duties."""
    process = qida.started("run", "--port", "0")  # another worker may be tested beside it
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "engine.started" in line:
                break
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_running_worker_ends_when_told_with_nothing_half_sent(enrolled: Qida) -> None:
    rows = (a_case(f"B-{number}", "national", "电话挂失") for number in range(300))
    lying_still(enrolled.roster(*rows, name="var/inbox/cases.csv"))
    with running(enrolled) as worker:
        until(lambda: list((enrolled.home / "var").glob("done/*.csv")))
        worker.send_signal(signal.SIGTERM)

        out, err = worker.communicate(timeout=PATIENCE)

    assert (worker.returncode, out) == (OK, "")
    assert "Traceback" not in err
    assert err.endswith("stopped\n")
    states = [row["state"] for row in enrolled("reminders", "list", "--json").rows]
    assert len(states) > 300
    assert "submitting" not in states


def test_a_stop_that_comes_while_the_wait_for_it_begins_is_not_lost() -> None:
    told_at_the_worst_moment = (
        "import os, signal\n"
        "from worker.cli.running import stop_on_signals\n"
        "stop = stop_on_signals()\n"
        "with stop._cond:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "assert stop.wait(60)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", told_at_the_worst_moment], timeout=PATIENCE, check=False
    )

    assert done.returncode == OK


def test_a_worker_goes_on_under_the_rules_in_force_when_a_file_breaks(enrolled: Qida) -> None:
    rules = enrolled.own_config() / "rules" / "chengdu.yaml"
    good = rules.read_text("utf-8")
    with running(enrolled) as worker:
        rules.write_text("title: [\n", "utf-8")
        assert worker.stderr is not None
        fault = next(line for line in worker.stderr if "config.fault" in line)
        row = a_case("C-1", "chengdu", "网上挂失")
        lying_still(enrolled.roster(row, name="var/inbox/cases.csv"))
        until(lambda: list((enrolled.home / "var").glob("done/*.csv")))
        worker.send_signal(signal.SIGINT)

        worker.communicate(timeout=PATIENCE)

    assert worker.returncode == OK
    assert json.loads(fault)["place"] == "config/rules/chengdu.yaml:2:1"
    rules.write_text(good, "utf-8")
    references = [row["reference"] for row in enrolled("cases", "list", "--json").rows]
    assert references == ["A-1", "A-2", "C-1"]


def a_case(reference: str, procedure: str, event: str) -> str:
    """A row of yesterday, whenever that is."""
    return f"{reference},{procedure},{event},-1d 16:20,王五,10000000007"


def test_a_tick_sends_what_is_due_and_jobs_tell_of_it(enrolled: Qida) -> None:
    ticked = enrolled("tick", *NOW, "--json")

    sent = next(row for row in ticked.rows if row["duty"] == "send")
    assert sent["accepted"] == 2
    runs = enrolled("jobs", "--duty", "send", "--json").rows
    assert [run["state"] for run in runs] == ["ok"]
    assert runs[0]["counts"]["accepted"] == 2
    assert runs[0]["started_at"] == "2026-11-23T10:00:00+08:00"
    [first, *_] = enrolled("reminders", "list", "--case", "A-1", "--json").rows
    assert (first["step"], first["state"], first["attempts"]) == ("at_once", "accepted", 1)


def test_ticks_at_the_same_instant_send_once(enrolled: Qida) -> None:
    enrolled("tick", *NOW)

    again = enrolled("tick", *NOW, "--json")

    assert next(row for row in again.rows if row["duty"] == "send") == {"duty": "send"}
    _, *taken = (enrolled.home / "var" / "sandbox.jsonl").read_text("utf-8").splitlines()
    assert len(taken) == 2


def test_jobs_are_listed_newest_first_and_at_most_so_many(enrolled: Qida) -> None:
    enrolled("tick", *NOW)

    rows = enrolled("jobs", "--limit", "3", "--json").rows

    assert len(rows) == 3
    assert [row["started_at"] for row in rows] == sorted(
        (row["started_at"] for row in rows), reverse=True
    )


def test_migrate_brings_an_empty_home_up_to_date(qida: Qida) -> None:
    done = qida("migrate")

    assert (done.code, done.out) == (OK, "")
    assert "up to date" in done.err
    assert (qida.home / "var" / "qida.db").exists()
