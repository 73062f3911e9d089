"""`qida enrol` and `qida cases`: rosters in, cases out, events on record."""

from typing import Any

import pytest

from tests.cli.command import BAD_DATA, GOOD, NOW, OK, REPORTED, ROOT, Qida

IN_WRITING = ("reported_in_writing", "--at", "2026-11-23T09:30:00+08:00")
LAPSE = "national.phone-loss-report"


def shown(qida: Qida, reference: str = "A-1") -> Any:  # a nested structure as JSON has it
    """One case whole."""
    [case] = qida("cases", "show", reference, "--json").rows
    return case


def planned(qida: Qida, reference: str = "A-1") -> list[str]:
    """The steps still to come."""
    found = qida("reminders", "list", "--case", reference, "--state", "planned", "--json").rows
    return [row["step"] for row in found]


def test_a_repeated_roster_is_nothing_new(enrolled: Qida) -> None:
    done = enrolled("enrol", enrolled.roster(REPORTED, GOOD), *NOW)

    assert done.code == OK
    assert done.out.startswith("0 new, ")
    assert " 2 unchanged" in done.out


def test_a_dry_run_prints_what_the_real_run_prints(qida: Qida) -> None:
    roster = qida.roster(REPORTED, GOOD, GOOD.replace("A-2", "A-3").replace("电话挂失", "领卡"))

    tried = qida("enrol", roster, "--dry-run", *NOW)
    between = qida("cases", "list", "--json").rows
    done = qida("enrol", roster, *NOW)

    assert between == []
    assert tried.code == done.code == BAD_DATA
    assert tried.out.replace(" (dry run)", "") == done.out
    assert done.err in tried.err  # the first start also tells of its new key file


def test_all_or_nothing_says_that_nothing_was_written(qida: Qida) -> None:
    roster = qida.roster(REPORTED, GOOD.replace("national", "nationals"))

    done = qida("enrol", roster, "--all-or-nothing", *NOW)

    assert done.code == BAD_DATA
    assert done.out.startswith("0 new, ")
    assert "nothing was written" in done.err
    assert qida("cases", "list", "--json").rows == []


def test_the_result_of_a_roster_as_data(qida: Qida) -> None:
    roster = qida.roster(
        REPORTED.replace("2026-11-20", "2026-11-09"),
        GOOD.replace("2026-11-20", "2026-11-09"),
        GOOD.replace("A-2", "A-3").replace("10000000007", "10000000007/10000000008"),
    )

    [result] = qida("enrol", roster, *NOW, "--json").rows

    assert (result["new"], result["bad"], result["planned"]) == (2, 1, 0)
    [error] = result["errors"]
    assert error["place"] == "cases.csv, row 4, column F 手机"
    assert all(error[key] for key in ("code", "zh", "en", "mend_zh", "mend_en"))
    [note] = result["notes"]
    assert (note["place"], note["rows"]) == ("cases.csv, row 2", 2)
    assert "had lapsed before enrolment" in note["en"]


def test_the_shipped_samples_are_good(qida: Qida) -> None:
    samples = ROOT / "config" / "samples"

    codes = [qida("enrol", samples / name, *NOW).code for name in ("cases.yaml", "cases.csv")]

    assert codes == [OK, OK]


def test_an_event_settles_what_it_settles(enrolled: Qida) -> None:
    before = planned(enrolled)

    done = enrolled("cases", "event", "A-1", *IN_WRITING, *NOW)

    assert (done.code, done.out) == (OK, "1 recorded, 0 reminders planned\n")
    assert len(before) == 5
    assert planned(enrolled) == []
    assert shown(enrolled)["deadlines"][0]["state"] == "settled"
    assert len(planned(enrolled, "A-2")) == 5


def test_the_same_event_again_changes_nothing(enrolled: Qida) -> None:
    enrolled("cases", "event", "A-1", *IN_WRITING, *NOW)

    done = enrolled("cases", "event", "A-1", *IN_WRITING, *NOW)

    assert (done.code, done.out) == (OK, "0 recorded, 0 reminders planned\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nonsense", "--at", "2026-11-23T09:30:00+08:00"), "has no event nonsense"),
        (("reported_in_writing", "--at", "2026-11-23T09:30:00"), "has no UTC offset"),
        (("reported_in_writing", "--at", "2026-11-23T10:06:00+08:00"), "lies in the future"),
        (("collected", "--at", "2026-11-23T09:30:00+08:00"), "an earlier replacement_applied"),
        (("--void", "nothing", "--reason", "录错"), "no event nothing in force"),
        (("--void", "nothing"), "needs a reason"),
    ],
)
def test_what_cannot_be_recorded_changes_nothing(
    enrolled: Qida, words: tuple[str, ...], told: str
) -> None:
    before = shown(enrolled)

    done = enrolled("cases", "event", "A-1", *words, *NOW)

    assert (done.code, done.out) == (BAD_DATA, "")
    assert told in done.err
    assert done.is_clear
    assert shown(enrolled) == before


def test_a_voided_event_never_happened(enrolled: Qida) -> None:
    before = planned(enrolled)
    enrolled("cases", "event", "A-1", *IN_WRITING, *NOW)
    event = shown(enrolled)["events"][-1]

    done = enrolled("cases", "event", "A-1", "--void", event["id"], "--reason", "录错人", *NOW)

    assert done.code == OK
    case = shown(enrolled)
    assert [row["state"] for row in case["deadlines"]] == ["open"]
    assert planned(enrolled) == before
    assert case["events"][-1] | {"voided_at": ""} == event | {
        "voided_at": "",
        "void_reason": "录错人",
    }


def test_an_event_that_another_needs_cannot_be_voided(enrolled: Qida) -> None:
    for name, hour in (("replacement_applied", 8), ("collected", 9)):
        at = f"2026-11-23T0{hour}:00:00+08:00"
        enrolled("cases", "event", "A-1", name, "--at", at, *NOW)
    applied = shown(enrolled)["events"][1]["id"]

    done = enrolled("cases", "event", "A-1", "--void", applied, "--reason", "录错", *NOW)

    assert done.code == BAD_DATA
    assert "without it collected cannot stand" in done.err
    assert [row["voided_at"] for row in shown(enrolled)["events"]] == [None] * 3


def test_an_event_of_another_case_is_not_voided(enrolled: Qida) -> None:
    [event] = shown(enrolled, "A-2")["events"]

    done = enrolled("cases", "event", "A-1", "--void", event["id"], "--reason", "录错", *NOW)

    assert done.code == BAD_DATA
    assert shown(enrolled, "A-2")["events"] == [event]


def test_no_listing_and_no_error_shows_a_name_or_number(enrolled: Qida) -> None:
    told = [
        enrolled("cases", "list", "--json"),
        enrolled("cases", "show", "A-1", "--json"),
        enrolled("reminders", "list", "--json"),
        enrolled("tick", *NOW),
        enrolled("enrol", enrolled.roster(f"{GOOD}/10000000001"), *NOW),
    ]

    said = "".join(done.out + done.err for done in told)
    assert "张三" not in said
    assert "李四" not in said
    assert "1000000" not in said
