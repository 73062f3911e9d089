"""`qida serve` takes a file in, another process applies it, and an operator has the last word."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

from tests.cli.command import BAD_DATA, HEADING, NOW, OK, Qida

GOOD = "B-{},national,电话挂失,2026-11-20 16:20,李四,10000000007"


@contextmanager
def serving(qida: Qida) -> Iterator[int]:
    """`qida serve` alone: its port."""
    process = qida.started("serve", "--port", "0")
    assert process.stderr is not None
    try:
        said = iter(process.stderr.readline, "")
        yield next(
            int(found[1]) for line in said if (found := re.search(r"127\.0\.0\.1:(\d+)", line))
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def hand_in(qida: Qida, *rows: str) -> Any:
    """What `POST /v1/imports` answers."""
    key = qida("keys", "create", "--centre", "demo", "--kind", "test").out.strip()
    with serving(qida) as port:
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/csv"}
        connection.request("POST", "/v1/imports", "\n".join([HEADING, *rows, ""]).encode(), headers)
        answer = json.loads(connection.getresponse().read())
        connection.close()
    return answer


def test_one_process_takes_a_file_in_and_another_applies_it(qida: Qida) -> None:
    taken = hand_in(qida, GOOD.format(1), GOOD.format(2))
    before = qida("cases", "list", "--json").rows

    ticked = qida("tick", *NOW)

    [done] = qida("imports", "list", "--json").rows
    assert (ticked.code, taken["state"], before) == (OK, "queued", [])
    assert (done["id"], done["state"], done["new"], done["centre"]) == (
        taken["id"], "done", 2, "demo",
    )  # fmt: skip
    assert len(qida("cases", "list", "--json").rows) == 2


def test_a_file_that_is_held_waits_for_the_operator(qida: Qida) -> None:
    taken = hand_in(qida, *(GOOD.format(number) for number in range(1001)))
    qida("tick", *NOW)
    [held] = qida("imports", "list", "--state", "held", "--json").rows

    approved = qida("imports", "approve", taken["id"])
    again = qida("imports", "approve", taken["id"])
    cancelled = qida("imports", "cancel", taken["id"])
    qida("tick", *NOW)

    [shown] = qida("imports", "show", taken["id"], "--json").rows
    assert held["held_above"] == 1000
    assert (approved.code, again.code, cancelled.code) == (OK, BAD_DATA, OK)
    assert again.is_clear
    assert (shown["state"], shown["reason"]) == ("cancelled", "asked")
    assert qida("cases", "list", "--json").rows == []


def test_what_is_wrong_is_shown_with_its_row(qida: Qida) -> None:
    taken = hand_in(qida, GOOD.format(1).replace("电话挂失", "电话挂矢"))

    shown = qida("imports", "show", taken["id"])

    assert (shown.code, taken["state"]) == (OK, "refused")
    assert "import.csv, row 2, column C 事项" in shown.err
    assert "refused" in shown.out


def test_an_import_that_is_not_there_is_said(qida: Qida) -> None:
    hand_in(qida, GOOD.format(1))

    answers = [qida("imports", verb, "f" * 32) for verb in ("show", "approve", "cancel")]

    assert [answer.code for answer in answers] == [BAD_DATA] * 3
    assert all(answer.is_clear for answer in answers)
