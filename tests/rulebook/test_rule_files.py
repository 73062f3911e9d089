"""Mistakes in rule files: each is found at its place, none hides another."""

from collections.abc import Callable
from pathlib import Path

import pytest

from worker.domain.errors import Misconfigured, Text
from worker.domain.rules import Source
from worker.rulebook import load_rulebook, require

Write = Callable[[str, str], Path]

GOOD = """\
title: {zh: 测试, en: Test}
region: {zh: 某地, en: Somewhere}
hotline: "12333"
rules:
  town.pickup:
    kind: ready
    starts_on: [replacement_applied]
    settled_by: [collected]
    period: {working_days: 3}
    source: {document: notes.txt, lines: 1-2}
    act: {zh: 领取新卡, en: collect the card}
"""


def with_line(number: int, *lines: str) -> str:
    """The good file with one line replaced."""
    kept = GOOD.splitlines()
    kept[number - 1 : number] = lines
    return "\n".join(kept) + "\n"


def test_a_good_file_has_no_fault(write: Write) -> None:
    rules = write("rules/town.yaml", GOOD)

    rulebook, faults = load_rulebook(rules)

    assert faults == ()
    assert list(rulebook.rules) == ["town.pickup"]
    assert rulebook.procedures["town"].rules == (rulebook.rules["town.pickup"],)


MISTAKES = {
    "unknown key": (with_line(6, "    kind: ready", "    colour: red"), "7:5", "unknown_key"),
    "duplicate key": (with_line(6, "    kind: ready", "    kind: ready"), "7:5", "duplicate_key"),
    "unknown period": (with_line(9, "    period: {weeks: 3}"), "9:13", "bad_period"),
    "period of nothing": (with_line(9, "    period: {working_days: 0}"), "9:13", "bad_period"),
    "two periods": (with_line(9, "    period: {days: 1, hours: 2}"), "9:13", "bad_period"),
    "quoted flag": (
        with_line(9, '    period: {days: 1, start_counted: "yes"}'), "9:13", "bad_period",
    ),
    "nested period": (with_line(9, "    period: {days: [1]}"), "9:20", "wrong_type"),
    "unknown event": (with_line(8, "    settled_by: [colected]"), "8:18", "unknown_name"),
    "no event": (with_line(8, "    settled_by: []"), "8:17", "empty"),
    "event not in a list": (with_line(8, "    settled_by: collected"), "8:17", "wrong_type"),
    "unknown kind": (with_line(6, "    kind: redy"), "6:11", "unknown_name"),
    "missing language": (with_line(11, "    act: {zh: 领卡}"), "11:10", "missing_key"),
    "text is a number": (with_line(11, "    act: {zh: 领卡, en: 3}"), "11:23", "wrong_type"),
    "blank text": (with_line(11, '    act: {zh: 领卡, en: " "}'), "11:23", "empty"),
    "missing key": (with_line(11), "6:5", "missing_key"),
    "key without a value": (with_line(11, "    act:"), "11:5", "empty"),
    "rule without content": (with_line(5, "  town.empty:", "  town.pickup:"), "5:3", "empty"),
    "hotline is a number": (with_line(3, "hotline: 12333"), "3:10", "wrong_type"),
    "rule of another procedure": (with_line(5, "  city.pickup:"), "5:3", "wrong_form"),
    "lines without numbers": (
        with_line(10, "    source: {document: a.txt, lines: all}"), "10:38", "wrong_form",
    ),
    "no document anywhere": (with_line(10, "    source: {lines: 1-2}"), "10:13", "missing_key"),
    "procedure's source without a document": (
        with_line(3, "source: {title: {zh: 规定, en: Rules}}"), "3:9", "missing_key",
    ),
    "flag is text": (
        with_line(6, "    kind: ready", "    approximate: maybe"), "7:18", "wrong_type",
    ),
    "step with a period": (with_line(6, "    kind: step"), "5:3", "contradiction"),
    "date without a period": (with_line(9), "5:3", "contradiction"),
    "ready in hours": (with_line(9, "    period: {hours: 72}"), "5:3", "contradiction"),
    "lapse without consequence": (with_line(6, "    kind: lapse"), "5:3", "contradiction"),
    "monthly but not recurring": (
        with_line(9, "    period: {monthly_on: 1}"), "5:3", "contradiction",
    ),
    "recurring but not monthly": (with_line(6, "    kind: recurring"), "5:3", "contradiction"),
    "unknown step": (GOOD + "    steps: [last_day]\n", "12:13", "unknown_name"),
    "step listed twice": (
        GOOD + "    steps: [ready_day, ready_day]\n", "12:24", "duplicate_step",
    ),
    "step with two offsets": (
        GOOD + "    steps: [{name: a, anchor: ready_on, days: 1, month: 1}]\n",
        "12:13", "contradiction",
    ),
    "step at no time": (
        GOOD + "    steps: [{name: a, anchor: ready_on, days: 1, at: 25:00}]\n",
        "12:54", "wrong_form",
    ),
    "open hours after the start": (
        GOOD.replace("ready", "lapse")
        + "    consequence: {zh: 失效, en: void}\n"
        + "    steps: [{name: a, anchor: start, open_hours: 3}]\n",
        "13:50", "contradiction",
    ),
    "step from an anchor of another kind": (
        GOOD + "    steps: [{name: a, anchor: act_by}]\n", "12:31", "unknown_name",
    ),
    "tab": (with_line(6, "\tkind: ready"), "6:1", "yaml_syntax"),
    "wrong indentation": (with_line(6, "      kind: ready"), "7:5", "yaml_syntax"),
    "open bracket": (with_line(7, "    starts_on: [replacement_applied"), "8:15", "yaml_syntax"),
    "forbidden character": (with_line(3, 'hotline: "1\x02"'), "3:12", "yaml_syntax"),
    "nothing but a list": ("- 1\n", "1:1", "wrong_type"),
    "nothing at all": ("# later\n", "1:1", "wrong_type"),
    "endless nesting": ("[" * 5000, "1:1", "yaml_syntax"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "place", "code"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_fault_at_its_place(
    text: str, place: str, code: str, write: Write
) -> None:
    rules = write("rules/town.yaml", text)

    rulebook, faults = load_rulebook(rules)

    assert [(fault.place, fault.code) for fault in faults] == [
        (f"config/rules/town.yaml:{place}", code)
    ]
    assert rulebook.rules == {}
    assert rulebook.broken == {"town"}


def test_a_fault_says_what_is_wrong_and_how_to_mend_it(write: Write) -> None:
    rules = write("rules/town.yaml", with_line(8, "    settled_by: [colected]"))

    _, (fault,) = load_rulebook(rules)

    assert fault.value == "colected"
    assert "collected?" in fault.mend.en
    assert "是否想写 collected" in fault.mend.zh
    assert fault.in_language("en").startswith("config/rules/town.yaml:8:18: this name is not known")


def test_a_tab_is_told_as_a_tab(write: Write) -> None:
    rules = write("rules/town.yaml", with_line(6, "\tkind: ready"))

    _, (fault,) = load_rulebook(rules)

    assert fault.mend.en == "indent with spaces, not with tabs"


def test_ten_mistakes_in_three_files_are_ten_faults_at_once(write: Write) -> None:
    write("rules/alpha.yaml", "title: [\n")
    write(
        "rules/beta.yaml",
        """
        title: {zh: 测试}
        region: {zh: 某地, en: Somewhere, fr: Ailleurs}
        hotline: 12333
        colour: red
        rules:
          beta.pickup:
            kind: ready
            starts_on: [lost]
            settled_by: []
            period: {working_days: many}
            source: {document: a.txt, lines: some}
            act: {zh: 领卡, en: collect}
        """,
    )
    rules = write("rules/town.yaml", with_line(9, "    period: {days: 3}", "    period: {days: 4}"))

    _, faults = load_rulebook(rules)

    assert [fault.place.removeprefix("config/rules/") for fault in faults] == [
        "alpha.yaml:2:1",
        "beta.yaml:1:8",
        "beta.yaml:2:33",
        "beta.yaml:3:10",
        "beta.yaml:4:1",
        "beta.yaml:8:17",
        "beta.yaml:9:17",
        "beta.yaml:10:13",
        "beta.yaml:11:38",
        "town.yaml:10:5",
    ]


def test_a_broken_file_leaves_the_others_usable(write: Write) -> None:
    write("rules/alpha.yaml", "title: [\n")
    rules = write("rules/town.yaml", GOOD)

    rulebook, faults = load_rulebook(rules)

    assert list(rulebook.procedures) == ["town"]
    assert rulebook.broken == {"alpha"}
    assert len(faults) == 1


def test_a_running_worker_keeps_a_procedure_whose_file_broke(write: Write) -> None:
    rules = write("rules/town.yaml", GOOD)
    before, _ = load_rulebook(rules)
    write("rules/town.yaml", "title: [\n")

    after, faults = load_rulebook(rules, before)

    assert after.rules == before.rules
    assert after.version == before.version
    assert len(faults) == 1


def test_a_removed_file_removes_its_procedure(write: Write) -> None:
    rules = write("rules/town.yaml", GOOD)
    before, _ = load_rulebook(rules)
    (rules / "town.yaml").unlink()

    after, _ = load_rulebook(rules, before)

    assert after.rules == {}


def test_a_comment_changes_no_version_and_a_period_changes_it(write: Write) -> None:
    rules = write("rules/town.yaml", GOOD)
    before, _ = load_rulebook(rules)
    write("rules/town.yaml", "# a comment\n" + GOOD)
    commented, _ = load_rulebook(rules)
    write("rules/town.yaml", with_line(9, "    period: {working_days: 4}"))

    changed, _ = load_rulebook(rules)

    assert commented.version == before.version
    assert commented.rules["town.pickup"].version == before.rules["town.pickup"].version
    assert changed.version != before.version
    assert changed.rules["town.pickup"].version != before.rules["town.pickup"].version


def test_a_procedure_may_declare_an_event_of_its_own(write: Write) -> None:
    text = with_line(8, "    settled_by: [posted]").replace("rules:", "events: [posted]\nrules:")
    rules = write("rules/town.yaml", text)

    rulebook = require(load_rulebook(rules))

    assert "posted" in rulebook.procedures["town"].events
    assert rulebook.event_words["posted"] == "posted"
    assert "cancelled" in rulebook.event_words


@pytest.mark.parametrize(
    ("of_rule", "expected"),
    [
        ("{lines: 1-2}", Source("town.txt", "1-2", Text("办法", "Measures"))),
        ("{lines: 1-2, title: {zh: 细则, en: By-law}}",
         Source("town.txt", "1-2", Text("细则", "By-law"))),
        ("{lines: 1-2, document: notes.txt}", Source("notes.txt", "1-2", None)),
        ("{lines: 1-2, document: notes.txt, title: {zh: 细则, en: By-law}}",
         Source("notes.txt", "1-2", Text("细则", "By-law"))),
    ],
)  # fmt: skip
def test_a_rule_takes_document_and_title_of_its_procedure_unless_it_names_its_own(
    of_rule: str, expected: Source, write: Write
) -> None:
    text = with_line(10, f"    source: {of_rule}").replace(
        "rules:", "source: {document: town.txt, title: {zh: 办法, en: Measures}}\nrules:"
    )

    rulebook = require(load_rulebook(write("rules/town.yaml", text)))

    assert rulebook.rules["town.pickup"].source == expected


def test_steps_may_be_named_or_written_out(write: Write) -> None:
    rules = write(
        "rules/town.yaml",
        GOOD + "    steps: [ready_day, {name: late, anchor: ready_on, days: 30, at: '10:15'}]\n",
    )

    rule = require(load_rulebook(rules)).rules["town.pickup"]

    ready_day, late = rule.steps
    assert (ready_day.working_days, f"{ready_day.at:%H:%M}") == (0, "09:30")
    assert (late.name, late.days, f"{late.at:%H:%M}") == ("late", 30, "10:15")


def test_no_is_text_as_in_yaml_1_2(write: Write) -> None:
    rules = write("rules/town.yaml", with_line(11, "    act: {zh: 领卡, en: no}"))

    rulebook = require(load_rulebook(rules))

    assert rulebook.rules["town.pickup"].act.en == "no"


@pytest.mark.parametrize("name", ["town.yml", "the town.yaml"])
def test_a_file_that_would_be_overlooked_is_a_fault(name: str, write: Write) -> None:
    rules = write(f"rules/{name}", GOOD)

    _, faults = load_rulebook(rules)

    assert [(fault.place, fault.code) for fault in faults] == [
        (f"config/rules/{name}:1:1", "file_name")
    ]


def test_a_file_in_another_encoding_is_one_fault(write: Write) -> None:
    rules = write("rules/town.yaml", GOOD)
    (rules / "alpha.yaml").write_bytes("title: 测试\n".encode("gb18030"))

    rulebook, faults = load_rulebook(rules)

    assert [(fault.place, fault.code) for fault in faults] == [
        ("config/rules/alpha.yaml:1:1", "not_utf8")
    ]
    assert list(rulebook.procedures) == ["town"]


def test_a_folder_named_like_a_file_is_one_fault(write: Write) -> None:
    rules = write("rules/town.yaml", GOOD)
    (rules / "alpha.yaml").mkdir()

    rulebook, faults = load_rulebook(rules)

    assert [(fault.place, fault.code) for fault in faults] == [
        ("config/rules/alpha.yaml:1:1", "unreadable")
    ]
    assert list(rulebook.procedures) == ["town"]


def test_hidden_and_other_files_are_left_alone(write: Write) -> None:
    write("rules/.town.yaml", "[")
    rules = write("rules/README.md", "[")

    _, faults = load_rulebook(rules)

    assert faults == ()


def test_require_refuses_with_every_fault(write: Write) -> None:
    rules = write("rules/town.yaml", with_line(3, "hotline: 12333", "colour: red"))

    with pytest.raises(Misconfigured) as refused:
        require(load_rulebook(rules))

    assert [fault.code for fault in refused.value.faults] == ["wrong_type", "unknown_key"]
