"""The words of a deadline: names, dates, marks, and what is left unsaid."""

from datetime import UTC, date, datetime

import pytest

from worker.domain.calendar import CHINA, NaiveInstant
from worker.domain.centres import Bank, Centre
from worker.domain.deadlines import Deadline
from worker.domain.errors import Text
from worker.domain.periods import Days, WorkingDays
from worker.domain.rules import Procedure, Rule, RuleKind, Source
from worker.domain.wording import (
    VARIABLES,
    Matter,
    blemishes,
    format_date,
    format_instant,
    honorific,
    hotline,
    variables,
)

NOW = datetime(2026, 11, 20, 16, 20, tzinfo=CHINA)
ACT_BY = datetime(2026, 11, 25, 17, 0, tzinfo=CHINA)


def a_rule(kind: RuleKind, *, approximate: bool = False) -> Rule:
    act = Text("书面挂失", "report the loss in writing")
    return Rule(
        "national.test", kind, (), (), WorkingDays(3), Source("a.txt", "14-16"), "1", act,
        Text("", ""), Text("", ""), Text("", ""), (), approximate=approximate,
    )  # fmt: skip


def a_procedure(line: str = "12333", *, of_bank: bool = False) -> Procedure:
    title = Text("社保卡挂失", "Lost card")
    return Procedure(
        "national", title, title, line, of_bank, (), frozenset(), frozenset()
    )  # fmt: skip


def a_centre(line: str = "", signature: str = "示例社保") -> Centre:
    bank = Bank("示例银行", Days(5), hotline="0000-0001")
    return Centre(
        "demo", "示例中心", "示例", signature, hotline=line, banks={bank.name: bank}
    )  # fmt: skip


def a_deadline(
    *, act_by: datetime | None = None, ready_on: date | None = None, firm: bool = True
) -> Deadline:
    ends_at = datetime(2026, 11, 26, tzinfo=CHINA)
    later = datetime(2026, 12, 1, tzinfo=CHINA)
    return Deadline(
        "national.test", NOW, later, date(2026, 11, 30), ends_at, later, firm, None, act_by,
        ready_on,
    )  # fmt: skip


def words(
    kind: RuleKind, deadline: Deadline, language: str = "zh", card_last4: str = ""
) -> dict[str, str]:
    matter = Matter(a_rule(kind), a_procedure(), deadline, a_centre(), card_last4=card_last4)
    return variables(matter, language=language, now=NOW)


@pytest.mark.parametrize(
    ("name", "zh", "en"),
    [
        ("张三", "张先生/女士", "Mr/Ms 张"),
        ("欧阳测试", "欧阳先生/女士", "Mr/Ms 欧阳"),
        ("司马甲", "司马先生/女士", "Mr/Ms 司马"),
        ("司徒", "司徒先生/女士", "Mr/Ms 司徒"),
        ("司三", "司先生/女士", "Mr/Ms 司"),
        ("𠮷三", "𠮷先生/女士", "Mr/Ms 𠮷"),
        (" 张三 ", "张先生/女士", "Mr/Ms 张"),
        ("Test Person", "", ""),
        ("测试·测试", "", ""),
        ("", "", ""),
    ],
)
def test_people_are_called_by_their_surname_at_most(name: str, zh: str, en: str) -> None:
    said = honorific(name, "zh"), honorific(name, "en")

    assert said == (zh, en)


@pytest.mark.parametrize(
    ("instant", "zh", "en"),
    [
        (ACT_BY, "11月25日周三17:00", "17:00 Wed 25 Nov"),
        (datetime(2026, 11, 29, 1, 5, tzinfo=UTC), "11月29日周日09:05", "09:05 Sun 29 Nov"),
        (
            datetime(2026, 11, 25, 16, 59, 59, tzinfo=CHINA),
            "11月25日周三16:59",
            "16:59 Wed 25 Nov",
        ),
        (
            datetime(2027, 1, 4, 17, 0, tzinfo=CHINA),
            "2027年1月4日周一17:00",
            "17:00 Mon 4 Jan 2027",
        ),
    ],
)
def test_an_instant_is_told_with_its_weekday_and_never_rounded_up(
    instant: datetime, zh: str, en: str
) -> None:
    told = format_instant(instant, "zh", NOW), format_instant(instant, "en", NOW)

    assert told == (zh, en)


def test_the_year_shown_depends_on_the_year_in_china() -> None:
    still_2026_in_greenwich = datetime(2026, 12, 31, 17, 0, tzinfo=UTC)

    told = format_date(date(2027, 1, 4), "zh", still_2026_in_greenwich)

    assert told == "1月4日周一"


def test_a_time_without_offset_is_refused() -> None:
    with pytest.raises(NaiveInstant):
        format_instant(datetime(2026, 11, 25, 17, 0), "zh", NOW)  # noqa: DTZ001 - the fault meant


@pytest.mark.parametrize("kind", list(RuleKind))
def test_every_variable_is_always_given_as_plain_text(kind: RuleKind) -> None:
    given = words(kind, a_deadline())

    assert set(given) == set(VARIABLES)
    assert {type(value) for value in given.values()} == {str}


def test_a_lapse_tells_act_by_and_no_later_day() -> None:
    told = words(RuleKind.LAPSE, a_deadline(act_by=ACT_BY))

    assert told["act_by"] == "11月25日周三17:00"
    assert told["until"] == "11月25日周三17:00前"
    assert (
        told["last_date"] == told["ready_on"] == told["no_counter"] == told["first_opening"] == ""
    )


def test_a_provisional_lapse_is_marked_as_the_latest_moment() -> None:
    deadline = a_deadline(act_by=ACT_BY, firm=False)

    told = words(RuleKind.LAPSE, deadline), words(RuleKind.LAPSE, deadline, "en")

    assert told[0]["until"] == "最迟11月25日周三17:00"
    assert told[1]["until"] == "no later than 17:00 Wed 25 Nov"
    assert told[0]["provisional"] == "yes"


@pytest.mark.parametrize(
    ("at", "today"),
    [
        (datetime(2026, 11, 25, 0, 0, tzinfo=CHINA), "yes"),
        (datetime(2026, 11, 24, 16, 0, tzinfo=UTC), "yes"),
        (datetime(2026, 11, 24, 23, 59, 59, tzinfo=CHINA), ""),
        (datetime(2026, 11, 25, 16, 0, tzinfo=UTC), ""),
    ],
)
def test_the_last_day_is_today_on_the_day_of_act_by_in_china(at: datetime, today: str) -> None:
    matter = Matter(
        a_rule(RuleKind.LAPSE), a_procedure(), a_deadline(act_by=ACT_BY), a_centre()
    )  # fmt: skip

    told = variables(matter, language="zh", now=at)

    assert told["today"] == today


def test_a_lapse_without_a_counter_minute_tells_the_first_opening() -> None:
    opening = datetime(2026, 11, 30, 9, 0, tzinfo=CHINA)
    matter = Matter(
        a_rule(RuleKind.LAPSE), a_procedure(), a_deadline(), a_centre(), first_opening=opening
    )

    told = variables(matter, language="zh", now=NOW)

    assert told["no_counter"] == "yes"
    assert told["first_opening"] == "11月30日周一09:00"
    assert told["act_by"] == told["until"] == ""


def test_an_opening_is_not_told_where_there_is_time_to_act() -> None:
    matter = Matter(
        a_rule(RuleKind.LAPSE), a_procedure(), a_deadline(act_by=ACT_BY), a_centre(),
        first_opening=datetime(2026, 11, 30, 9, 0, tzinfo=CHINA),
    )  # fmt: skip

    told = variables(matter, language="zh", now=NOW)

    assert told["first_opening"] == ""


@pytest.mark.parametrize(
    ("firm", "zh", "en"),
    [(True, "11月27日周五", "Fri 27 Nov"), (False, "约11月27日周五", "about Fri 27 Nov")],
)
def test_a_ready_date_says_about_while_provisional(firm: bool, zh: str, en: str) -> None:
    deadline = a_deadline(ready_on=date(2026, 11, 27), firm=firm)

    told = words(RuleKind.READY, deadline), words(RuleKind.READY, deadline, "en")

    assert (told[0]["ready_on"], told[1]["ready_on"]) == (zh, en)


def test_an_expiry_tells_the_earliest_last_day_of_an_exclusive_end() -> None:
    told = words(RuleKind.EXPIRY, a_deadline())

    assert told["last_date"] == "11月25日周三"


def test_an_approximate_rule_says_about_though_it_is_firm() -> None:
    matter = Matter(
        a_rule(RuleKind.EXPIRY, approximate=True), a_procedure(), a_deadline(), a_centre()
    )

    told = variables(matter, language="zh", now=NOW)

    assert told["last_date"] == "约11月25日周三"


@pytest.mark.parametrize(
    ("procedure", "centre", "bank", "line"),
    [
        (a_procedure("96102"), a_centre("12345"), "", "96102"),
        (a_procedure("12333", of_bank=True), a_centre(), "示例银行", "0000-0001"),
        (a_procedure("12333", of_bank=True), a_centre(), "", "12333"),
        (a_procedure("12333"), a_centre(), "示例银行", "12333"),
        (a_procedure(""), a_centre("12345"), "", "12345"),
        (a_procedure(""), a_centre(), "", ""),
    ],
)
def test_the_line_to_ring_is_the_nearest_to_the_matter(
    procedure: Procedure, centre: Centre, bank: str, line: str
) -> None:
    assert hotline(procedure, centre, bank) == line


@pytest.mark.parametrize(
    ("signature", "language", "shown"),
    [
        ("示例社保", "zh", "示例社保"),
        ("示例社保", "en", "Card centre"),
        ("Demo City Cards", "en", "Demo City Cards"),
    ],
)
def test_an_english_text_is_signed_in_latin_letters(
    signature: str, language: str, shown: str
) -> None:
    matter = Matter(
        a_rule(RuleKind.STEP), a_procedure(), a_deadline(), a_centre(signature=signature)
    )

    told = variables(matter, language=language, now=NOW)

    assert told["signature"] == shown


def test_a_card_is_named_by_its_last_digits_or_not_at_all() -> None:
    known = words(RuleKind.STEP, a_deadline(), card_last4="0001")
    unknown = words(RuleKind.STEP, a_deadline())

    assert (known["card"], unknown["card"]) == ("尾号0001", "")


@pytest.mark.parametrize(
    "text",
    [
        "见 https://example.com", "见 www.example.cn", "见 example.gov.cn", "好😀", "好\u200d",
        "好☎", "限时优惠", "Special offers inside",
    ],
)  # fmt: skip
def test_links_emoji_and_marketing_are_found(text: str) -> None:
    assert list(blemishes(text))


@pytest.mark.parametrize(
    "text", ["【示例】请11月25日周三17:00前到网点〇𠮷。025-12333", "an office"]
)
def test_ordinary_text_has_no_blemish(text: str) -> None:
    assert list(blemishes(text)) == []
