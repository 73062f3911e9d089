"""`qida enrol` as a clerk meets it: its summary, its notes, its faults, in either language."""

import pytest

from tests.cli.command import BAD_DATA, GOOD, NOW, OK, REPORTED, Qida

FUTURE = REPORTED.replace("A-1", "A-3").replace("2026-11-20 16:20", "2026-12-20 10:00")
LONG_AGO = REPORTED.replace("2026-11-20", "2026-11-09")


def test_one_of_a_kind_is_told_in_the_singular(qida: Qida) -> None:
    done = qida("enrol", qida.roster(LONG_AGO, FUTURE), *NOW)

    assert done.code == BAD_DATA
    assert done.out == ("1 new, 0 unchanged, 0 changed; 1 event, 0 reminders planned, 1 bad row\n")


def test_in_chinese_nothing_is_said_in_english(qida: Qida) -> None:
    roster = qida.roster(LONG_AGO, FUTURE)
    qida("tick", *NOW)

    done = qida.where(QIDA_LANG="zh")("enrol", roster, "--dry-run", *NOW)

    assert done.out == (
        "新登记 1 件，未变 0 件，更新 0 件（试运行，没有写入）；"
        "事项 1 项，安排提醒 0 条，有误 1 行\n"
    )
    note, fault, mend = done.err.splitlines()
    assert note.startswith("cases.csv 第 2 行: 「书面挂失」的期限")
    assert fault.startswith("cases.csv 第 3 行 D 列（发生时间）: 「电话挂失」")
    assert "（reported_by_phone）的时间 2026-12-20 10:00 在未来" in fault
    assert mend.startswith("改好以上各行后，把整个文件再登记一次")


@pytest.mark.parametrize("language", ["en", "both", ""])
def test_the_summary_is_english_unless_only_chinese_is_wanted(qida: Qida, language: str) -> None:
    done = qida.where(QIDA_LANG=language)("enrol", qida.roster(REPORTED, GOOD), *NOW)

    assert done.code == OK
    assert done.out == (
        "2 new, 0 unchanged, 0 changed; 2 events, 10 reminders planned, 0 bad rows\n"
    )


def test_an_event_is_recorded_by_its_chinese_word(enrolled: Qida) -> None:
    at = "2026-11-23T09:30:00+08:00"

    done = enrolled("cases", "event", "A-1", "书面挂失", "--at", at, *NOW)

    assert done.code == OK
    [case] = enrolled("cases", "show", "A-1", "--json").rows
    assert [event["event"] for event in case["events"]] == [
        "reported_by_phone",
        "reported_in_writing",
    ]


def test_a_roster_without_rows_is_said_to_have_none(qida: Qida) -> None:
    done = qida("enrol", qida.roster(), *NOW)

    assert done.code == OK
    assert "the file holds no rows" in done.err
