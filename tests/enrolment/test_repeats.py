"""A file may come again and again: only what it says anew is written."""

import pytest

from tests.enrolment.office import GOOD, REPORTED, Office
from worker.services.enrolment import CHUNK

FULL = "编号,业务,事项,发生时间,姓名,手机,邮箱,语言,卡号后四位,银行,备用手机"
WHOLE = (
    "A-1,national,电话挂失,2026-11-20 16:20,张三,10000000001,zhangsan@example.com,zh,0012,,"
    "10000000022"
)


def test_a_repeated_file_changes_nothing(office: Office) -> None:
    office.enrol(REPORTED, GOOD)
    before = office.content()

    report = office.enrol(REPORTED, GOOD)

    assert (report.new, report.changed, report.unchanged) == (0, 0, 2)
    assert office.content() == before


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ("李四,,,,,,", "name"),
        (",10000000007,,,,,", "phone"),
        (",,lisi@example.com,,,,", "email"),
        (",,,en,,,", "language"),
        (",,,,3456,,", "card_last4"),
        (",,,,,,10000000023", "second_phone"),
    ],
)
def test_a_later_cell_updates_the_case_and_the_audit_says_which(
    office: Office, cells: str, field: str
) -> None:
    office.enrol(WHOLE, heading=FULL)
    later = f"A-1,,电话挂失,2026-11-20 16:20,{cells}"

    first, second = office.enrol(later, heading=FULL), office.enrol(later, heading=FULL)

    assert (first.changed, second.changed, second.unchanged) == (1, 0, 1)
    [entry] = office.content()["audit_entry"]
    assert f'{{"fields": ["{field}"]}}' in entry
    assert not any("李四" in str(value) or "1000000" in str(value) for value in entry)


def test_an_empty_cell_updates_nothing(office: Office) -> None:
    office.enrol(WHOLE, heading=FULL)
    before = office.content()

    report = office.enrol("A-1,,电话挂失,2026-11-20 16:20,,,,,,,", heading=FULL)

    assert report.unchanged == 1
    assert office.content() == before


def test_a_procedure_is_never_changed(office: Office) -> None:
    office.enrol(REPORTED, GOOD)
    before = office.content()

    report = office.enrol(
        "A-1,chengdu,电话挂失,2026-11-20 16:20,张三,10000000009",
        "A-2,,书面挂失,2026-11-21 10:00,,",
    )

    assert [fault.place for fault in report.faults] == ["cases.csv, row 2, column B 业务"]
    assert "under national" in report.faults[0].message.en
    assert office.content()["case"][0] == before["case"][0]
    assert office.events("A-2") == ["reported_by_phone", "reported_in_writing"]


def test_a_new_event_of_a_known_case_settles_and_cancels_at_once(office: Office) -> None:
    office.enrol(REPORTED)

    report = office.enrol("A-1,,书面挂失,2026-11-23 09:30,,")

    assert (report.changed, report.events) == (1, 1)
    assert office.states("A-1") == {"national.phone-loss-report": "settled"}
    assert {row["state"] for row in office.reminders("A-1")} == {"cancelled"}


def test_personal_data_is_sealed_on_disk(office: Office) -> None:
    office.enrol(WHOLE, heading=FULL)

    stored = (office.home / "qida.db").read_bytes() + (office.home / "qida.db-wal").read_bytes()

    assert "张三".encode() not in stored
    assert b"zhangsan@example.com" not in stored
    assert b"10000000001" not in stored


def test_a_case_the_file_comes_back_to_is_counted_once(office: Office) -> None:
    office.enrol(GOOD)
    between = [GOOD.replace("A-2", f"C-{number}") for number in range(CHUNK)]
    lines = [
        REPORTED,
        "A-1,,领卡,2026-11-20 17:00,,",  # waits until the end of the file
        GOOD,
        *between,
        REPORTED,
        "A-2,,书面挂失,2026-11-21 10:00,,",
    ]

    tried = office.enrol(*lines, dry_run=True)
    done = office.enrol(*lines)

    assert (done.new, done.changed, done.unchanged) == (CHUNK + 1, 1, 0)
    assert (tried.new, tried.changed, tried.unchanged) == (CHUNK + 1, 1, 0)
    assert [fault.place for fault in done.faults] == ["cases.csv, row 3, column C 事项"]
