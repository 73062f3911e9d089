"""The shipped catalogue holds every row of the source, and nothing else."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from worker.domain.periods import Days, Hours, Reading, Roll
from worker.domain.rules import RuleKind
from worker.domain.written_periods import as_mapping
from worker.rulebook import Rulebook, describe, load_centres, load_rulebook, require

HOME = Path(__file__).parents[2]


class Row(NamedTuple):
    id: str
    kind: str
    starts_on: str
    settled_by: str
    period: dict[str, object] | None
    lines: str
    steps: str


IN_DAYS = "at_once working_day_before last_day open_hours_3 lapsed"
IN_HOURS = "at_once open_hours_8 open_hours_3 lapsed"
IN_CALENDAR_DAYS = "at_once working_days_3_before working_day_before last_working_day lapsed"
READY = "at_once ready_day working_days_5_after working_days_10_after"
EXPIRY = "days_90_before days_30_before days_7_before"
AGAIN = "at_once working_days_5_after working_days_15_after"
WRITTEN = "reported_in_writing replacement_applied"

ROWS = (
    Row(
        "national.phone-loss-report", "lapse", "reported_by_phone", WRITTEN,
        {"working_days": 3}, "14-16", IN_DAYS,
    ),
    Row(
        "national.written-pre-report", "step", "pre_reported_in_writing", WRITTEN,
        None, "12, 18", "at_once",
    ),
    Row(
        "national.replacement-pickup", "ready", "replacement_applied", "collected",
        {"working_days": 15}, "18-22", READY,
    ),
    Row(
        "national.interim-treatment", "step", "replacement_applied", "collected",
        None, "20", "at_once",
    ),
    Row(
        "chengdu.online-loss-report", "lapse", "reported_online", "replacement_applied",
        {"hours": 72, "reading": "roll_same_time"}, "60-62", IN_HOURS,
    ),
    Row(
        "chengdu.phone-loss-report", "step", "reported_by_phone", "replacement_applied",
        None, "66-68", "at_once",
    ),
    Row(
        "hotline-96102.pre-loss-report", "lapse", "pre_reported", WRITTEN,
        {"days": 10, "roll": "none"}, "89", IN_CALENDAR_DAYS,
    ),
    Row(
        "hotline-96102.replacement-pickup", "ready", "replacement_applied", "collected",
        {"working_days": 15}, "89", READY,
    ),
    Row(
        "hotline-96102.damaged-card-pickup", "ready", "damaged_replacement_applied", "collected",
        {"working_days": 7}, "79-85", READY,
    ),
    Row(
        "nanjing-social-card.replacement", "step", "reported_by_phone reported_in_writing",
        "replacement_applied", None, "102", "at_once",
    ),
    Row(
        "nanjing-social-card.pickup", "ready", "replacement_applied", "collected",
        {"working_days": 3}, "104-106", READY,
    ),
    Row(
        "nanjing-citizen-card.phone-loss-report", "lapse", "reported_by_phone",
        "replacement_applied", {"working_days": 3}, "108", IN_DAYS,
    ),
    Row(
        "nanjing-citizen-card.pickup", "ready", "replacement_applied", "collected",
        {"working_days": 5}, "112, 116", READY,
    ),
    Row(
        "nanjing-citizen-card.bank-activation", "step", "collected", "bank_activated",
        None, "112, 118", AGAIN,
    ),
    Row("zhuhai.phone-loss-report", "lapse", "reported_by_phone", WRITTEN, None, "127", ""),
    Row(
        "zhuhai.replacement", "step", "reported_by_phone reported_in_writing",
        "replacement_applied", None, "133", "at_once",
    ),
    Row("zhuhai.initial-password", "step", "collected", "password_changed", None, "145", AGAIN),
    Row(
        "laixi.oral-loss-report", "step", "reported_by_phone", WRITTEN, None, "296", "at_once"
    ),
    Row(
        "laixi.validity", "expiry", "card_issued contribution_paid", "contribution_paid",
        {"years": 1, "roll": "none"}, "272", EXPIRY,
    ),
    Row("laixi.activation", "step", "collected", "activated", None, "274", AGAIN),
    Row(
        "shanghai.validity", "expiry", "card_issued", "replacement_applied",
        {"years": 10, "roll": "none"}, "303-305", EXPIRY,
    ),
    Row(
        "employer.monthly-reimbursement", "recurring", "scheme_joined", "papers_handed_in",
        {"monthly_on": 1, "roll": "none"}, "240-242", "working_days_3_before working_day_before",
    ),
    Row(
        "employer.papers-for-manual-reimbursement", "step", "treated_without_card",
        "papers_handed_in", None, "244", "at_once december",
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def shipped() -> Rulebook:
    return require(load_rulebook(HOME / "config/rules"))


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_a_row_of_the_source_is_in_the_catalogue(row: Row, shipped: Rulebook) -> None:
    rule = shipped.rules[row.id]

    assert rule.kind == row.kind
    assert " ".join(rule.starts_on) == row.starts_on
    assert " ".join(rule.settled_by) == row.settled_by
    assert (as_mapping(rule.period) if rule.period else None) == row.period
    assert rule.source.lines == row.lines
    assert " ".join(step.name for step in rule.steps) == row.steps


def test_the_catalogue_holds_the_23_rows_and_no_other(shipped: Rulebook) -> None:
    assert sorted(shipped.rules) == sorted(row.id for row in ROWS)
    assert len(shipped.rules) == 23


def test_only_three_rules_are_read_in_more_than_one_way(shipped: Rulebook) -> None:
    readings = {
        rule.id: (rule.earliest, rule.latest)
        for rule in shipped.rules.values()
        if rule.earliest or rule.latest
    }

    assert readings == {
        "chengdu.online-loss-report": (
            Hours(72, Reading.PLAIN),
            (Hours(72, Reading.PAUSE_REST_DAYS), Hours(72, Reading.ROLL_END_OF_DAY)),
        ),
        "hotline-96102.pre-loss-report": (
            Days(10, Roll.NONE, start_counted=True),
            (Days(10, Roll.FORWARD),),
        ),
    }
    assert [rule.id for rule in shipped.rules.values() if rule.period_of_bank] == [
        "zhuhai.phone-loss-report"
    ]


def test_what_sets_single_rules_apart(shipped: Rulebook) -> None:
    rules = shipped.rules.values()

    assert [rule.id for rule in rules if rule.approximate] == ["laixi.validity"]
    assert [rule.id for rule in rules if rule.grace] == ["shanghai.validity"]
    assert [rule.id for rule in rules if rule.holidays_may_extend] == ["chengdu.online-loss-report"]
    assert {rule.id: rule.ends_on for rule in rules if rule.ends_on} == {
        "employer.monthly-reimbursement": ("scheme_left",)
    }


def test_hotlines_are_those_of_the_source(shipped: Rulebook) -> None:
    hotlines = {name: one.hotline for name, one in shipped.procedures.items()}

    assert hotlines == {
        "national": "12333",
        "chengdu": "12333",
        "hotline-96102": "96102",
        "nanjing-social-card": "12333",
        "nanjing-citizen-card": "025-12333",
        "zhuhai": "12333",
        "laixi": "12345",
        "shanghai": "12333",
        "employer": "",
    }
    assert [name for name, one in shipped.procedures.items() if one.hotline_of_bank] == ["zhuhai"]


def test_a_found_card_is_refused_only_where_the_source_refuses_it(shipped: Rulebook) -> None:
    also_in_writing = {
        name
        for name, one in shipped.procedures.items()
        if one.found_refused_after == {"replacement_applied", "reported_in_writing"}
    }
    others = {
        name
        for name, one in shipped.procedures.items()
        if one.found_refused_after == {"replacement_applied"}
    }

    assert also_in_writing == {"national", "hotline-96102"}
    assert also_in_writing | others == set(shipped.procedures)


def test_a_found_card_settles_what_a_loss_report_started(shipped: Rulebook) -> None:
    reports = {"reported_by_phone", "reported_online", "pre_reported", "pre_reported_in_writing"}
    started = {rule.id for rule in shipped.rules.values() if reports & set(rule.starts_on)}

    settled = {name for one in shipped.procedures.values() for name in one.loss_rules}

    assert settled == started


def test_enrolment_warns_of_the_card_about_to_be_discontinued(shipped: Rulebook) -> None:
    warned = {name for name, one in shipped.procedures.items() if one.warning}

    assert warned == {"nanjing-social-card"}


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_phrases_are_short_enough_for_one_message(row: Row, shipped: Rulebook) -> None:
    rule = shipped.rules[row.id]
    most = {rule.act: 8, rule.place: 9, rule.papers: 8, rule.consequence: 8}

    assert {text.zh: len(text.zh) for text, size in most.items() if len(text.zh) > size} == {}
    assert {text.en: len(text.en) for text in most if len(text.en) > 36} == {}
    assert rule.act.zh
    assert rule.advice


def test_every_rule_cites_the_source_document_by_a_title_people_know(shipped: Rulebook) -> None:
    sources = [rule.source for rule in shipped.rules.values()]

    assert {source.document for source in sources} == {"000_0618b9da897d80ec.txt"}
    assert all(source.title and "《" in source.title.zh for source in sources)
    assert all(source.title and source.title.en.isascii() for source in sources)


def test_the_only_centre_shipped_offers_every_procedure(shipped: Rulebook) -> None:
    centres = require(load_centres(HOME / "config/centres", shipped))

    assert list(centres) == ["demo"]
    assert set(centres["demo"].procedures) == set(shipped.procedures)


def test_a_rule_becomes_one_json_row(shipped: Rulebook) -> None:
    rule = shipped.rules["national.phone-loss-report"]

    row = json.loads(json.dumps(describe(rule, shipped)))

    assert row["procedure"] == "national"
    assert row["region"] == {"zh": "全国", "en": "National default"}
    assert row["kind"] == "lapse"
    assert row["period"] == {"working_days": 3}
    assert row["source"] == {
        "document": "000_0618b9da897d80ec.txt",
        "lines": "14-16",
        "title": {
            "zh": "网上文章《社保卡丢了怎么办？先挂失再补卡领卡》",
            "en": 'web article "Lost card? Report it, replace it, collect it" (in Chinese)',
        },
    }
    assert row["steps"][:2] == [
        {"name": "at_once", "anchor": "start"},
        {"name": "working_day_before", "anchor": "act_by", "working_days": -1, "at": "09:00"},
    ]
    assert row["version"] == rule.version


def test_versions_tell_rules_apart(shipped: Rulebook) -> None:
    versions = {rule.version for rule in shipped.rules.values()}

    assert len(versions) == 23
    assert all(len(version) == 12 for version in versions)


def test_every_kind_of_rule_is_in_the_catalogue(shipped: Rulebook) -> None:
    kinds = {rule.kind for rule in shipped.rules.values()}

    assert kinds == set(RuleKind)
