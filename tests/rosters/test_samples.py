"""The shipped sample cases read without a fault and start every rule of the catalogue."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from worker.domain.contacts import EVENT_NAMES, EVENT_NAMES_ZH, is_sandbox_number
from worker.rosters import RosterRow

Read = Callable[..., list[Any]]

SAMPLES = Path(__file__).parents[2] / "config" / "samples"
STARTS = {
    "national.phone-loss-report": "reported_by_phone",
    "national.written-pre-report": "pre_reported_in_writing",
    "national.replacement-pickup": "replacement_applied",
    "national.interim-treatment": "replacement_applied",
    "chengdu.online-loss-report": "reported_online",
    "chengdu.phone-loss-report": "reported_by_phone",
    "hotline-96102.pre-loss-report": "pre_reported",
    "hotline-96102.replacement-pickup": "replacement_applied",
    "hotline-96102.damaged-card-pickup": "damaged_replacement_applied",
    "nanjing-social-card.replacement": "reported_by_phone",
    "nanjing-social-card.pickup": "replacement_applied",
    "nanjing-citizen-card.phone-loss-report": "reported_by_phone",
    "nanjing-citizen-card.pickup": "replacement_applied",
    "nanjing-citizen-card.bank-activation": "collected",
    "zhuhai.phone-loss-report": "reported_by_phone",
    "zhuhai.replacement": "reported_by_phone",
    "zhuhai.initial-password": "collected",
    "laixi.oral-loss-report": "reported_by_phone",
    "laixi.validity": "contribution_paid",
    "laixi.activation": "collected",
    "shanghai.validity": "card_issued",
    "employer.monthly-reimbursement": "scheme_joined",
    "employer.papers-for-manual-reimbursement": "treated_without_card",
}


@pytest.mark.parametrize("name", ["cases.yaml", "cases.csv"])
def test_the_samples_read_without_a_fault(read: Read, now: datetime, name: str) -> None:
    rows = read(SAMPLES / name)

    assert rows
    for row in rows:
        assert isinstance(row, RosterRow)
        assert row.occurred_at is not None
        assert row.occurred_at < now
        assert row.phone is None or is_sandbox_number(row.phone)
        assert row.email is None or row.email.endswith("@example.com")


def test_every_rule_of_the_catalogue_has_a_sample(read: Read) -> None:
    started = {(row.procedure, row.event) for row in read(SAMPLES / "cases.yaml")}

    missing = [
        rule for rule, event in STARTS.items() if (rule.partition(".")[0], event) not in started
    ]

    assert len(STARTS) == 23
    assert missing == []


def test_every_outcome_of_the_sandbox_has_a_sample(read: Read) -> None:
    phones = {row.phone for row in read(SAMPLES / "cases.yaml")}

    assert {f"100000000{outcome:02}" for outcome in range(1, 6)} <= phones


def test_the_two_files_do_not_share_a_case(read: Read) -> None:
    first, second = (
        {row.reference for row in read(SAMPLES / name)} for name in ("cases.yaml", "cases.csv")
    )

    assert not first & second


def test_the_samples_are_refused_where_messages_are_real(read: Read) -> None:
    found = read(SAMPLES / "cases.yaml", sandbox=False)

    assert not any(isinstance(entry, RosterRow) for entry in found)


def test_every_event_can_be_written_in_chinese() -> None:
    assert set(EVENT_NAMES_ZH.values()) == EVENT_NAMES
    assert len(EVENT_NAMES) == 19
