"""Centre files: what they say, and what is wrong with them."""

from collections.abc import Callable
from datetime import date, time, timedelta
from pathlib import Path

import pytest

from worker.domain.centres import DEFAULT_SEASON, Closure, Retention, Season
from worker.domain.periods import Days, WorkingDays
from worker.rulebook import Rulebook, load_centres, load_rulebook, require

Write = Callable[[str, str], Path]

HOME = Path(__file__).parents[2]
PHONE_REPORT = "national.phone-loss-report"

LEAST = """\
name: 示例中心
short_name: 示例
signature: 示例社保
staff_email: staff@example.com
procedures: [national]
"""


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return require(load_rulebook(HOME / "config/rules"))


def test_the_least_a_centre_says_is_enough(write: Write, rulebook: Rulebook) -> None:
    centres = write("centres/city.yaml", LEAST)

    centre = require(load_centres(centres, rulebook))["city"]

    assert centre.id == "city"
    assert centre.procedures == ("national",)
    assert centre.seasons == (DEFAULT_SEASON,)
    assert centre.sms_receipt_required
    assert centre.email_no_bounce_after == timedelta(hours=4)
    assert not centre.counts_start_of(PHONE_REPORT)


def test_everything_a_centre_may_say_is_read(write: Write, rulebook: Rulebook) -> None:
    centres = write(
        "centres/city.yaml",
        LEAST
        + """\
hotline: 010-12345
region: 某地
hours:
  - {from: 05-01, to: 09-30, open: ["08:30-12:00", "14:30-18:00"]}
  - {days: [sat, sun], open: [09:00-12:00]}
closures:
  - 2026-12-31
  - {from: 2026-12-01, to: 2026-12-03, reason: 搬迁}
banks:
  示例银行甲: {period: {days: 5}, hotline: 示例0001}
reached_when: {sms: accepted, email: {no_bounce_after: 90m}}
abroad_numbers: true
landline_numbers: true
team: ["13800138000", colleague@example.com]
retention: {contact: 60d, proof: 1095d}
overrides:
  national.phone-loss-report:
    start_counted: true
    steps: [at_once, last_day]
""",
    )

    centre = require(load_centres(centres, rulebook))["city"]

    assert (centre.hotline, centre.region) == ("010-12345", "某地")
    assert centre.seasons == (
        Season(((time(8, 30), time(12)), (time(14, 30), time(18))), (5, 1), (9, 30)),
        Season(((time(9), time(12)),), weekdays=frozenset({5, 6})),
    )
    assert centre.closures == (
        Closure(date(2026, 12, 31), date(2026, 12, 31)),
        Closure(date(2026, 12, 1), date(2026, 12, 3), "搬迁"),
    )
    assert centre.banks["示例银行甲"].period == Days(5)
    assert centre.banks["示例银行甲"].hotline == "示例0001"
    assert not centre.sms_receipt_required
    assert centre.email_no_bounce_after == timedelta(minutes=90)
    assert centre.abroad_numbers
    assert centre.landline_numbers
    assert centre.team == ("13800138000", "colleague@example.com")
    assert centre.retention == Retention(timedelta(days=60), timedelta(days=1095))
    assert centre.counts_start_of(PHONE_REPORT)
    assert not centre.counts_start_of("nanjing-citizen-card.phone-loss-report")
    assert [step.name for step in centre.overrides[PHONE_REPORT].steps] == ["at_once", "last_day"]


def test_proof_is_not_kept_shorter_than_the_contact(write: Write, rulebook: Rulebook) -> None:
    centres = write("centres/city.yaml", f"{LEAST}retention: {{contact: 60d, proof: 30d}}\n")

    _, faults = load_centres(centres, rulebook)

    assert [fault.code for fault in faults] == ["contradiction"]


def test_other_steps_do_not_make_a_rule_stricter(write: Write, rulebook: Rulebook) -> None:
    centres = write(
        "centres/city.yaml", f"{LEAST}overrides: {{{PHONE_REPORT}: {{steps: [at_once]}}}}\n"
    )

    centre = require(load_centres(centres, rulebook))["city"]

    assert not centre.counts_start_of(PHONE_REPORT)


def test_the_demo_centre_says_its_banks_are_examples(rulebook: Rulebook) -> None:
    demo = require(load_centres(HOME / "config/centres", rulebook))["demo"]

    assert {bank.name: bank.period for bank in demo.banks.values()} == {
        "示例银行甲": Days(5),
        "示例银行乙": WorkingDays(3),
    }
    assert all(bank.hotline.startswith("0000-") for bank in demo.banks.values())


MISTAKES = {
    "unknown key": ("colour: red", "6:1", "unknown_key"),
    "no such day": ('hours: [{from: 02-30, open: ["09:00-17:00"]}]', "6:16", "bad_date"),
    "no such time": ('hours: [{open: ["09:00-24:30"]}]', "6:17", "wrong_form"),
    "span backwards": ('hours: [{open: ["17:00-09:00"]}]', "6:17", "contradiction"),
    "spans overlap": (
        'hours: [{open: ["09:00-12:00", "11:00-17:00"]}]', "6:32", "contradiction",
    ),
    "no hours": ("hours: []", "6:8", "empty"),
    "no opening": ("hours: [{open: []}]", "6:16", "empty"),
    "unknown weekday": ('hours: [{days: [monday], open: ["09:00-17:00"]}]', "6:17", "unknown_name"),
    "unknown days": ('hours: [{days: weekend, open: ["09:00-17:00"]}]', "6:16", "unknown_name"),
    "bad date": ("closures: [2026-02-30]", "6:12", "bad_date"),
    "date in another form": ("closures: [2026/12/30]", "6:12", "bad_date"),
    "date without dashes": ('closures: ["20261230"]', "6:12", "bad_date"),
    "date with a time": ("closures: [2026-12-30 09:00:00]", "6:12", "bad_date"),
    "date is a number": ("closures: [20261230]", "6:12", "wrong_type"),
    "closure ends before it begins": (
        "closures: [{from: 2026-12-30, to: 2026-12-01}]", "6:35", "contradiction",
    ),
    "empty closure": ("closures: [~]", "6:12", "empty"),
    "bank without period": ("banks: {示例银行甲: {hotline: a}}", "6:16", "missing_key"),
    "bad period of a bank": ("banks: {示例银行甲: {period: {days: x}}}", "6:25", "bad_period"),
    "unknown means": ("reached_when: {fax: receipt}", "6:16", "unknown_key"),
    "sms reached how": ("reached_when: {sms: hope}", "6:21", "unknown_name"),
    "span without unit": ("reached_when: {email: {no_bounce_after: '4'}}", "6:41", "wrong_form"),
    "override of no rule": ("overrides: {national.phone: {}}", "6:13", "unknown_name"),
    "no steps": (f"overrides: {{{PHONE_REPORT}: {{steps: []}}}}", "6:49", "empty"),
    "start counted for a ready date": (
        "overrides: {national.replacement-pickup: {start_counted: true}}", "6:58", "contradiction",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("line", "place", "code"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_fault_at_its_place(
    line: str, place: str, code: str, write: Write, rulebook: Rulebook
) -> None:
    folder = write("centres/city.yaml", f"{LEAST}{line}\n")

    centres, faults = load_centres(folder, rulebook)

    assert [(fault.place, fault.code) for fault in faults] == [
        (f"config/centres/city.yaml:{place}", code)
    ]
    assert centres == {}


def test_an_unknown_procedure_is_a_fault_with_the_one_meant(
    write: Write, rulebook: Rulebook
) -> None:
    folder = write("centres/city.yaml", LEAST.replace("[national]", "[natonal]"))

    _, (fault,) = load_centres(folder, rulebook)

    assert fault.place == "config/centres/city.yaml:5:14"
    assert fault.mend.en.startswith("national?")


def test_a_centre_that_offers_zhuhai_must_name_its_banks(write: Write, rulebook: Rulebook) -> None:
    folder = write("centres/city.yaml", LEAST.replace("[national]", "[zhuhai]"))

    _, (fault,) = load_centres(folder, rulebook)

    assert fault.place == "config/centres/city.yaml:5:13"
    assert "banks" in fault.message.en


def test_a_wrong_staff_address_is_not_repeated_in_the_fault(
    write: Write, rulebook: Rulebook
) -> None:
    folder = write("centres/city.yaml", LEAST.replace("staff@example.com", "zhangsan"))

    _, (fault,) = load_centres(folder, rulebook)

    assert fault.place == "config/centres/city.yaml:4:14"
    assert "zhangsan" not in fault.in_language("zh")


def test_a_broken_rule_file_is_no_mistake_of_the_centres(write: Write) -> None:
    rules = write("rules/national.yaml", "title: [\n")
    broken, _ = load_rulebook(rules)
    folder = write("centres/city.yaml", f"{LEAST}overrides: {{{PHONE_REPORT}: {{}}}}\n")

    centres, faults = load_centres(folder, broken)

    assert faults == ()
    assert centres["city"].procedures == ("national",)


def test_a_running_worker_keeps_a_centre_whose_file_broke(write: Write, rulebook: Rulebook) -> None:
    write("centres/town.yaml", LEAST)
    folder = write("centres/city.yaml", LEAST)
    before, _ = load_centres(folder, rulebook)
    write("centres/city.yaml", "name: [\n")

    after, faults = load_centres(folder, rulebook, before)

    assert after == before
    assert len(faults) == 1


def test_a_key_whose_lines_are_all_commented_out_says_nothing(
    write: Write, rulebook: Rulebook
) -> None:
    folder = write("centres/city.yaml", f"{LEAST}closures:\n#  - 2026-12-31\n")

    centres = require(load_centres(folder, rulebook))

    assert centres["city"].closures == ()
