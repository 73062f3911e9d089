"""`qida erase` and `qida export`, from the command line."""

import json

from tests.cli.command import BAD_DATA, FAILURE, NOW, OK, Qida


def everything(qida: Qida) -> bytes:
    """Every byte of every file under the home, the keys apart."""
    files = [path for path in qida.home.rglob("*") if path.is_file()]
    return b"".join(path.read_bytes() for path in files)


def test_erasing_asks_first_and_does_nothing_without_an_answer(enrolled: Qida) -> None:
    done = enrolled("erase", "A-1")

    assert done.code == FAILURE
    assert "张三" in enrolled("export", "A-1").out


def test_who_answers_no_is_told_that_nothing_happened_in_their_language(enrolled: Qida) -> None:
    done = enrolled.where(QIDA_LANG="zh")("erase", "A-1", given="n\n")

    assert done.code == FAILURE
    assert "确定吗" in done.err
    assert done.err.endswith("没有删除任何内容\n")
    assert "张三" in enrolled("export", "A-1").out


def test_an_erased_case_holds_nobody(enrolled: Qida) -> None:
    enrolled("tick", *NOW)
    (enrolled.home / "cases.csv").unlink()  # what the test handed in from

    done = enrolled("erase", "A-1", "--yes")

    [held] = json.loads(enrolled("export", "A-1").out)
    assert (done.code, done.out) == (OK, "")
    assert set(held["contact"].values()) == {"", "zh"}
    assert {one["to"] for one in held["messages"]} == {""}
    assert b"\xe5\xbc\xa0\xe4\xb8\x89" not in everything(enrolled)
    assert "李四" in enrolled("export", "A-2").out


def test_a_file_of_config_cases_is_named(enrolled: Qida) -> None:
    enrolled.roster("A-1,national,电话挂失,2026-11-20 16:20,张三,10000000001",
                    name="config/cases/ours.csv")  # fmt: skip
    for name in ("rules", "centres"):
        (enrolled.home / "config" / name).mkdir(exist_ok=True)

    done = enrolled("erase", "A-1", "--yes")

    assert "ours.csv" in done.err


def test_a_case_nobody_knows_is_refused(enrolled: Qida) -> None:
    erased, exported = enrolled("erase", "X-9", "--yes"), enrolled("export", "X-9")

    assert (erased.code, exported.code) == (BAD_DATA, BAD_DATA)
    assert erased.is_clear
    assert exported.is_clear


def test_whoever_exported_is_in_the_trail(enrolled: Qida) -> None:
    enrolled("export", "A-1")

    [held] = json.loads(enrolled("export", "A-1").out)

    assert [(one["actor"], one["action"]) for one in held["audit"]] == [
        ("cli", "case.exported"),
        ("cli", "case.exported"),
    ]
