"""What commands print for people, and what programs get of the same."""

import re

from tests.cli.command import GOOD, NOW, REPORTED, Qida


def test_a_rule_is_shown_as_its_file_has_it(qida: Qida) -> None:
    done = qida("rules", "show", "chengdu.online-loss-report")

    lines = done.out.splitlines()
    assert done.code == 0
    assert not re.search(r"[<>{}\']|Anchor|RuleKind", done.out.replace("insurer's", ""))
    assert "kind: lapse" in lines
    assert lines[lines.index("act:") + 1 :][:2] == [
        "  zh: 办理补卡",
        "  en: apply for a replacement",
    ]
    assert "  - name: open_hours_8, anchor: act_by, open_hours: 8" in lines


def test_a_repeated_file_says_first_that_nothing_is_new(enrolled: Qida) -> None:
    done = enrolled("enrol", enrolled.roster(REPORTED, GOOD), *NOW)

    assert done.out.startswith("0 new, 2 unchanged")


def test_the_counts_of_a_job_are_an_object_for_programs(enrolled: Qida) -> None:
    enrolled("tick", *NOW)

    done = enrolled("jobs", "--duty", "send", "--json")

    assert done.rows[0]["counts"] == {"accepted": 2}


def test_the_keys_of_a_listing_are_ascii(qida: Qida) -> None:
    done = qida("calendar", "show", "2026", "--json")

    assert all(key.isascii() for row in done.rows for key in row)
