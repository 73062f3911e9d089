"""What people are told of a mistake: where, what, and the mend, each in their language."""

import pytest

from worker.domain.errors import Fault, Text, worded_place


@pytest.mark.parametrize(
    ("place", "zh", "en"),
    [
        ("cases.csv, row 3", "cases.csv 第 3 行", "cases.csv, row 3"),
        ("cases.csv, row 3, column F", "cases.csv 第 3 行 F 列", "cases.csv, row 3, column F"),
        (
            "cases.xlsx, sheet 名单, row 7, column AB 手机",
            "cases.xlsx 工作表「名单」 第 7 行 AB 列（手机）",
            "cases.xlsx, sheet 名单, row 7, column AB 手机",
        ),
        ("cases.xlsx, sheet 名单", "cases.xlsx 工作表「名单」", "cases.xlsx, sheet 名单"),
        ("cases.csv", "cases.csv", "cases.csv"),
        ("config/cases/a.yaml:12:5", "config/cases/a.yaml:12:5", "config/cases/a.yaml:12:5"),
        ("api:/contact/phone", "/contact/phone", "/contact/phone"),
        (
            "a, row 3, column F.csv, row 5, column B 业务",
            "a, row 3, column F.csv 第 5 行 B 列（业务）",
            "a, row 3, column F.csv, row 5, column B 业务",
        ),
        ("a\nb.csv, row 2", "a\nb.csv 第 2 行", "a\nb.csv, row 2"),
    ],
)
def test_a_place_is_worded_in_the_language_of_its_reader(place: str, zh: str, en: str) -> None:
    assert worded_place(place) == Text(zh, en)


def test_a_fault_tells_place_mistake_value_and_mend() -> None:
    fault = Fault("cases.csv, row 3, column B 业务", Text("没有业务", "no procedure"),
                  Text("请更正", "mend it"), "nationals")  # fmt: skip

    assert (
        fault.in_language("zh") == "cases.csv 第 3 行 B 列（业务）: 没有业务 [nationals] -> 请更正"
    )
    assert fault.in_language("en") == (
        "cases.csv, row 3, column B 业务: no procedure [nationals] -> mend it"
    )
