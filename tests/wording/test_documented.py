"""docs/templates.md names every variable a template may use, and no other."""

import re
from pathlib import Path

from worker.domain.sms import ROUTE_UNITS, count_parts
from worker.templating.sources import FILTERS, NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")


def test_the_table_of_variables_is_the_set_the_code_knows() -> None:
    table = PAGE.partition("## Variables")[2].partition("\n## ")[0]

    named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

    assert sorted(named) == sorted(NAMES)


def test_the_page_names_every_filter() -> None:
    assert all(f"`{name}`" in PAGE for name in FILTERS)


def test_the_lengths_on_the_page_are_those_that_fit_one_part() -> None:
    lengths = [int(number) for number in re.findall(r"(\d+) (?:UCS-2 units|GSM-7)", PAGE)]

    one_part = [
        max(n for n in range(200) if count_parts(letter * n, reserved=ROUTE_UNITS).parts == 1)
        for letter in "办a"
    ]

    assert lengths == one_part
