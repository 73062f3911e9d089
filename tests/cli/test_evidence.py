"""`qida cases evidence`: JSON that a script checks, or a page to print."""

import json
import subprocess
import sys

from tests.cli.command import BAD_DATA, NOW, OK, ROOT, Qida


def test_what_is_printed_holds(enrolled: Qida) -> None:
    enrolled("tick", *NOW)

    done = enrolled("cases", "evidence", "A-1")

    path = enrolled.home / "evidence.json"
    path.write_text(done.out, "utf-8")
    command = [sys.executable, "-I", str(ROOT / "scripts" / "verify-evidence"), str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.code, checked.returncode) == (OK, 0)
    assert json.loads(done.out)["head"] in checked.stdout
    assert "张三" not in done.out


def test_the_page_is_printed_whole(enrolled: Qida) -> None:
    done = enrolled("cases", "evidence", "A-1", "--html")

    assert done.code == OK
    assert done.out.startswith("<!doctype html>")
    assert "测试库" in done.out


def test_evidence_of_no_case_is_refused(enrolled: Qida) -> None:
    done = enrolled("cases", "evidence", "X-9")

    assert (done.code, done.out) == (BAD_DATA, "")
    assert done.is_clear
