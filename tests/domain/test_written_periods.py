"""Periods as files write them, and the readings a centre makes of a rule."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.catalogue import OF_A_BANK, RULES
from worker.domain.calendar import CHINA, OutsideCalendar, WorkingCalendar
from worker.domain.centres import Bank, Centre, RuleOverride
from worker.domain.deadlines import terms_of
from worker.domain.errors import BadData
from worker.domain.periods import (
    Days,
    Hours,
    MonthlyOn,
    Period,
    Reading,
    Roll,
    WorkingDays,
    Years,
    end_of,
)
from worker.domain.written_periods import MOST, InvalidPeriod, as_mapping, parse_period

FORWARD_OR_NONE = st.sampled_from([Roll.NONE, Roll.FORWARD])
ANY_PERIOD: st.SearchStrategy[Period] = st.one_of(
    st.builds(WorkingDays, st.integers(1, MOST["working_days"]), st.booleans()),
    st.builds(Days, st.integers(1, MOST["days"]), FORWARD_OR_NONE, st.booleans()),
    st.builds(Hours, st.integers(1, MOST["hours"]), st.sampled_from(Reading)),
    st.builds(Years, st.integers(1, MOST["years"]), FORWARD_OR_NONE),
    st.builds(MonthlyOn, st.integers(1, 31), st.sampled_from(Roll)),
)


@given(period=ANY_PERIOD)
def test_what_is_written_reads_back_the_same(period: Period) -> None:
    assert parse_period(as_mapping(period)) == period


@pytest.mark.parametrize(
    ("written", "period"),
    [
        ({"working_days": 3}, WorkingDays(3)),
        ({"days": 10}, Days(10, Roll.FORWARD)),
        ({"hours": 72}, Hours(72, Reading.PLAIN)),
        ({"years": 10}, Years(10, Roll.FORWARD)),
        ({"monthly_on": 1}, MonthlyOn(1, Roll.NONE)),
        ({"monthly_on": 1, "roll": "back"}, MonthlyOn(1, Roll.BACK)),
        ({"hours": 72, "reading": "roll_same_time"}, Hours(72, Reading.ROLL_SAME_TIME)),
    ],
)
def test_what_is_left_out_takes_its_default(written: Mapping[str, object], period: Period) -> None:
    assert parse_period(written) == period


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({}, "exactly one"),
        ({"days": 3, "hours": 3}, "exactly one"),
        ({"days": 0}, "from 1 to 36500"),
        ({"days": True}, "not True"),
        ({"days": "3"}, "not '3'"),
        ({"days": 2.0}, "whole number"),
        ({"working_days": 1001}, "from 1 to 1000"),
        ({"monthly_on": 32}, "from 1 to 31"),
        ({"days": 3, "roll": "back"}, "not 'back'"),
        ({"days": 3, "roll": {}}, "not {}"),
        ({"hours": 3, "reading": "pause"}, "pause_rest_days"),
        ({"hours": 3, "reading": []}, r"not \[\]"),
        ({"working_days": 3, "roll": "forward"}, r"unknown keys \['roll'\]"),
        ({"days": 3, "start_counted": "no"}, "true or false, not 'no'"),
        ({"days": 3, "rol": "forward"}, r"unknown keys \['rol'\]"),
    ],
)
def test_a_period_no_rule_can_mean_is_refused_with_what_would_do(
    written: Mapping[str, object], told: str
) -> None:
    with pytest.raises(InvalidPeriod, match=told):
        parse_period(written)


@pytest.mark.parametrize(
    ("period", "start"),
    [
        (Years(5), datetime(9998, 1, 1, tzinfo=CHINA)),
        (MonthlyOn(1), datetime(9999, 12, 31, tzinfo=CHINA)),
        (Days(1, Roll.NONE), datetime(9999, 12, 30, tzinfo=CHINA)),
        (Hours(72, Reading.PLAIN), datetime(9999, 12, 30, tzinfo=CHINA)),
    ],
)
def test_a_period_beyond_the_last_year_of_dates_is_refused(
    period: Period, start: datetime, calendar: WorkingCalendar
) -> None:
    with pytest.raises(OutsideCalendar, match="outside the calendar"):
        end_of(period, start, calendar)


OF_BANK = replace(
    RULES["zhuhai.phone-loss-report"], period=None, earliest=None, period_of_bank=True
)
PLAIN = Centre("c", "示例中心", "示例", "示例")


@pytest.mark.parametrize(
    ("period", "earliest"),
    [
        (OF_A_BANK, Days(5, Roll.NONE, start_counted=True)),
        (Hours(48, Reading.ROLL_SAME_TIME), Hours(48, Reading.PLAIN)),
        (WorkingDays(3), None),
    ],
)
def test_a_banks_period_is_read_at_its_strictest_too(
    period: Period, earliest: Period | None
) -> None:
    centre = replace(PLAIN, banks={"示例银行": Bank("示例银行", period)})

    terms = terms_of(OF_BANK, centre, "示例银行")

    assert (terms.period, terms.earliest) == (period, earliest)


def test_an_unknown_bank_is_refused_with_those_the_centre_knows() -> None:
    centre = replace(PLAIN, banks={"示例银行": Bank("示例银行", OF_A_BANK)})

    with pytest.raises(BadData, match="示例银行"):
        terms_of(OF_BANK, centre, "别的银行")
    with pytest.raises(BadData):
        terms_of(OF_BANK, PLAIN)


def test_a_centre_may_count_the_start_day_of_a_lapse() -> None:
    rule = RULES["national.phone-loss-report"]
    stricter = replace(PLAIN, overrides={rule.id: RuleOverride(start_counted=True)})

    assert terms_of(rule, stricter).period == WorkingDays(3, start_counted=True)
    assert terms_of(rule, PLAIN).period == WorkingDays(3)
    assert terms_of(RULES["national.replacement-pickup"], stricter).period == WorkingDays(15)
