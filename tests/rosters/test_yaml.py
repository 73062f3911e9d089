"""Rosters in YAML: the same rows, each value with its line and column."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from worker.domain.calendar import CHINA
from worker.domain.errors import Fault
from worker.rosters import RosterRow, describe_file

Read = Callable[..., list[Any]]
Roster = Callable[..., Path]


@pytest.fixture
def cases(tmp_path: Path) -> Roster:
    def write(text: str, encoding: str = "utf-8", name: str = "cases.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(dedent(text).lstrip("\n").encode(encoding))
        return path

    return write


def told(found: Iterable[RosterRow | Fault]) -> list[tuple[str, str]]:
    return [(fault.place, fault.code) for fault in found if isinstance(fault, Fault)]


def test_a_case_becomes_one_row_an_event(read: Read, cases: Roster) -> None:
    path = cases("""
        cases:
          - reference: A-1
            procedure: national
            name: 张三
            phone: 10000000001
            card_last4: 0012
            events:
              - event: reported_by_phone
                occurred_at: 2026-11-20 16:20
              - {event: 申请补卡, occurred_at: 2026-11-21T09:00:00+08:00}
          - reference: A-2
            email: a@example.com
    """)

    rows = read(path)

    contact: dict[str, Any] = {"name": "张三", "phone": "10000000001", "card_last4": "0012"}
    assert rows == [
        RosterRow(
            "cases.yaml:8:9",
            "A-1",
            procedure="national",
            event="reported_by_phone",
            occurred_at=datetime(2026, 11, 20, 16, 20, tzinfo=CHINA),
            **contact,
        ),
        RosterRow(
            "cases.yaml:10:9",
            "A-1",
            procedure="national",
            event="replacement_applied",
            occurred_at=datetime(2026, 11, 21, 9, 0, tzinfo=CHINA),
            **contact,
        ),
        RosterRow("cases.yaml:11:5", "A-2", email="a@example.com"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "- {编号: A-1, 事项: [{事项: 领卡, 发生时间: 2026-11-20}]}",
        "案件: [{编号: A-1, 事件: [{event: 领卡, 发生时间: 2026-11-20}]}]",
        "- {reference: A-1, event: collected, occurred_at: 2026-11-20}",
        "- {编号: A-1, 事项: 领卡, 发生时间: 2026年11月20日}",
    ],
)
def test_lists_chinese_keys_and_flat_rows_are_read_alike(
    read: Read, cases: Roster, text: str
) -> None:
    [row] = read(cases(text))

    assert (row.reference, row.event, str(row.occurred_on)) == ("A-1", "collected", "2026-11-20")


def test_values_keep_their_letters_whatever_yaml_would_make_of_them(
    read: Read, cases: Roster
) -> None:
    [row] = read(cases("- {reference: 0x1F, name: no, bank: 1.0, language: '', procedure: ~}"))

    assert (row.reference, row.name, row.bank) == ("0x1F", "no", "1.0")
    assert (row.language, row.procedure) == (None, None)


def test_times_may_be_relative_to_today_with_the_sandbox_only(read: Read, cases: Roster) -> None:
    path = cases("- {reference: A, event: 领卡, occurred_at: -2d 16:20}")

    assert read(path)[0].occurred_at == datetime(2026, 11, 20, 16, 20, tzinfo=CHINA)
    assert told(read(path, sandbox=False)) == [("cases.yaml:1:42", "time.relative")]


def test_every_mistake_is_told_with_its_line_and_column(read: Read, cases: Roster) -> None:
    path = cases("""
        - reference: A-1
          nmae: 张三
          phone: 12
          phone: 10000000001
          events:
            - event: 没有
              occurred_at: 2026-02-30
            - collected
            - {event: collected, occurred_at: 2026-11-20, name: 李四}
        - name: 王五
        - A-3
        - reference: [A-4]
        - reference: A-5
          events: {event: collected}
        - reference: A-6
          event: collected
          events: []
        - reference: A-7
          events: [{event: collected}]
        - {reference: A-8}
    """)

    found = read(path)

    assert told(found) == [
        ("cases.yaml:2:3", "columns.unknown"),
        ("cases.yaml:4:3", "columns.twice"),
        ("cases.yaml:3:10", "phone.invalid"),
        ("cases.yaml:6:14", "event.unknown"),
        ("cases.yaml:7:20", "time.impossible"),
        ("cases.yaml:8:7", "yaml.event"),
        ("cases.yaml:9:57", "yaml.of_the_case"),
        ("cases.yaml:10:3", "reference.missing"),
        ("cases.yaml:11:3", "yaml.case"),
        ("cases.yaml:12:14", "yaml.value"),
        ("cases.yaml:14:11", "yaml.events"),
        ("cases.yaml:16:10", "yaml.event_twice"),
        ("cases.yaml:19:12", "time.missing"),
    ]
    assert [row.reference for row in found if isinstance(row, RosterRow)] == ["A-8"]


def test_a_bad_event_does_not_stop_the_good_ones_of_its_case(read: Read, cases: Roster) -> None:
    found = read(
        cases("""
        - reference: A-1
          events:
            - {event: collected, occurred_at: soon}
            - {event: collected, occurred_at: 2026-11-20}
        """)
    )

    assert told(found) == [("cases.yaml:3:39", "time.unknown")]
    assert found[1].place == "cases.yaml:4:7"


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        ("cases: [", "cases.yaml:1:9", "yaml.syntax"),
        ("- a: b: c", "cases.yaml:1:7", "yaml.syntax"),
        ("- {reference: *none}", "cases.yaml:1:15", "yaml.syntax"),
        ("--- []\n--- []", "cases.yaml:2:1", "yaml.syntax"),
        ("people: []", "cases.yaml:1:1", "yaml.cases"),
        ("cases: []\nmore: 1", "cases.yaml:1:1", "yaml.cases"),
        ("cases: A-1", "cases.yaml:1:8", "yaml.cases"),
        ("\0", "cases.yaml", "file.nul"),
        ("- a\x07", "cases.yaml", "yaml.syntax"),
        ("[" * 3000, "cases.yaml", "yaml.syntax"),
    ],
)
def test_a_file_that_is_no_list_of_cases_is_one_fault(
    read: Read, cases: Roster, text: str, place: str, code: str
) -> None:
    assert told(read(cases(text))) == [(place, code)]


@pytest.mark.parametrize("text", ["", "cases:", "# nothing yet", "[]", "cases: []"])
def test_no_cases_yet_is_no_fault(read: Read, cases: Roster, text: str) -> None:
    assert read(cases(text)) == []


def test_tags_build_nothing(read: Read, cases: Roster) -> None:
    [row] = read(cases("- {reference: !!python/name:os.system A, name: !!binary 5byg}"))

    assert (row.reference, row.name) == ("A", "5byg")


def test_an_alias_that_holds_itself_is_a_fault(read: Read, cases: Roster) -> None:
    found = read(cases("- &a\n  reference: A\n  name: *a\n- &b [*b]\n"))

    assert [code for _, code in told(found)] == ["yaml.value", "yaml.case"]


def test_yaml_in_gb18030_is_read_too(read: Read, cases: Roster) -> None:
    path = cases("- {编号: A-1, 姓名: 张𠮷}\n", encoding="gb18030", name="名单.YML")

    assert read(path)[0].name == "张𠮷"
    assert (describe_file(path).kind, describe_file(path).encoding) == ("yaml", "gb18030")


def test_a_large_yaml_roster_is_referred_to_csv(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    path.write_text("# " + "x" * (1 << 20))

    assert told(read(path)) == [("cases.yaml", "yaml.large")]


def test_aliases_cannot_blow_a_small_file_up(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    events = ", ".join(["{event: collected, occurred_at: 2026-11-20}"] * 100)
    path.write_text(f"- &a {{reference: A, events: [{events}]}}\n" + "- *a\n" * 1000)

    found = read(path)

    assert len(found) == 50_001
    assert found[-1].code == "yaml.large"
