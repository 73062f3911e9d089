"""What becomes of a case's deadlines: tables of events and states, procedure by procedure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.catalogue import PROCEDURES, RULES, terms_of
from worker.domain.calendar import CHINA, WorkingCalendar
from worker.domain.cases import CaseDeadline, Event, deadlines_of, in_order, refusals
from worker.domain.centres import Office
from worker.domain.deadlines import Terms
from worker.domain.periods import Hours, MonthlyOn, Reading, Roll
from worker.domain.rules import Rule, RuleKind

NOW = "2026-11-22T19:00"


def at(text: str) -> datetime:
    """`2026-11-02T10:00` at +08:00."""
    return datetime.fromisoformat(text).replace(tzinfo=CHINA)


def events(text: str) -> list[Event]:
    """`reported_by_phone 11-02T10:00` and so on, one a line; without a year it is 2026."""
    pairs = [line.split() for line in text.strip().splitlines()]
    return [Event(name, at(when if len(when) > 11 else f"2026-{when}")) for name, when in pairs]


def work_out(
    procedure: str, given: Sequence[Event], now: str, calendar: WorkingCalendar, office: Office
) -> list[CaseDeadline]:
    return deadlines_of(PROCEDURES[procedure], given, terms_of, calendar, office, at(now))


def states(found: Sequence[CaseDeadline]) -> str:
    """`phone-loss-report settled, replacement-pickup open`."""
    return ", ".join(f"{one.rule.id.partition('.')[2]} {one.state}" for one in found)


TABLES = [
    # 3 working days from Monday the 2nd end on Thursday the 5th at 24:00.
    ("national", "reported_by_phone 11-02T10:00", "2026-11-05T23:59", "phone-loss-report open"),
    ("national", "reported_by_phone 11-02T10:00", "2026-11-06T00:00", "phone-loss-report lapsed"),
    (
        "national",
        "reported_by_phone 11-02T10:00\nreported_in_writing 11-05T16:00",
        NOW,
        "phone-loss-report settled",
    ),
    (
        "national",
        "reported_by_phone 11-02T10:00\nreported_in_writing 11-06T09:00",
        NOW,
        "phone-loss-report lapsed",  # what came too late settles nothing
    ),
    (
        "national",
        "reported_by_phone 11-02T10:00\nreported_by_phone 11-20T10:00",
        NOW,
        "phone-loss-report lapsed, phone-loss-report open",
    ),
    (
        "national",
        "reported_by_phone 11-18T10:00\nreported_by_phone 11-20T10:00",
        NOW,
        "phone-loss-report superseded, phone-loss-report open",
    ),
    (
        "national",
        "reported_by_phone 11-18T10:00\nreported_by_phone 11-19T10:00\n"
        "reported_in_writing 11-20T10:00",
        NOW,
        "phone-loss-report superseded, phone-loss-report settled",
    ),
    ("national", "reported_by_phone 11-20T10:00\nfound 11-21T10:00", NOW,
     "phone-loss-report settled"),
    ("national", "reported_by_phone 11-20T10:00\ncancelled 11-21T10:00", NOW,
     "phone-loss-report cancelled"),
    (
        "national",
        "reported_by_phone 11-18T10:00\nreplacement_applied 11-19T10:00",
        NOW,
        "phone-loss-report settled, replacement-pickup open, interim-treatment open",
    ),
    (
        "national",
        "replacement_applied 09-01T10:00",
        NOW,  # long ready, not yet collected: nothing lapses
        "replacement-pickup open, interim-treatment open",
    ),
    (
        "national",
        "replacement_applied 11-02T10:00\ncollected 11-20T10:00",
        NOW,
        "replacement-pickup settled, interim-treatment settled",
    ),
    ("national", "pre_reported_in_writing 11-02T10:00", NOW, "written-pre-report open"),
    ("national", "pre_reported_in_writing 11-02T10:00\nfound 11-03T10:00", NOW,
     "written-pre-report settled"),
    ("national", "pre_reported_in_writing 11-02T10:00\nreported_in_writing 11-03T10:00", NOW,
     "written-pre-report settled"),
    # 72 hours from Friday the 20th: the clock that stops on days off runs until Wednesday.
    ("chengdu", "reported_online 11-20T10:00", "2026-11-25T09:59", "online-loss-report open"),
    ("chengdu", "reported_online 11-20T10:00", "2026-11-25T10:00", "online-loss-report lapsed"),
    ("chengdu", "reported_online 11-20T10:00\nreplacement_applied 11-25T09:59",
     "2026-11-26T10:00", "online-loss-report settled"),
    ("chengdu", "reported_by_phone 11-02T10:00", NOW, "phone-loss-report open"),
    ("chengdu", "reported_by_phone 11-20T10:00\nreported_online 11-20T11:00\nfound 11-21T10:00",
     NOW, "online-loss-report settled, phone-loss-report settled"),
    # 10 days from Wednesday the 11th: Saturday the 21st rolls to Monday the 23rd.
    ("hotline-96102", "pre_reported 11-11T10:00", "2026-11-23T23:59", "pre-loss-report open"),
    ("hotline-96102", "pre_reported 11-11T10:00", "2026-11-24T00:00", "pre-loss-report lapsed"),
    ("hotline-96102", "pre_reported 11-11T10:00\nreplacement_applied 11-12T10:00", NOW,
     "pre-loss-report settled, replacement-pickup open"),
    ("hotline-96102", "damaged_replacement_applied 11-11T10:00", NOW, "damaged-card-pickup open"),
    ("hotline-96102", "damaged_replacement_applied 11-11T10:00\ncollected 11-20T10:00", NOW,
     "damaged-card-pickup settled"),
    ("nanjing-social-card", "reported_by_phone 11-02T10:00\nreported_in_writing 11-03T10:00", NOW,
     "replacement superseded, replacement open"),
    ("nanjing-social-card", "reported_by_phone 11-02T10:00\nreplacement_applied 11-03T10:00", NOW,
     "replacement settled, pickup open"),
    ("nanjing-citizen-card", "reported_by_phone 11-02T10:00", NOW, "phone-loss-report lapsed"),
    (
        "nanjing-citizen-card",
        "replacement_applied 11-02T10:00\ncollected 11-10T10:00\nbank_activated 11-10T10:00",
        NOW,
        "pickup settled, bank-activation settled",
    ),
    ("nanjing-citizen-card", "replacement_applied 11-02T10:00\ncollected 11-10T10:00", NOW,
     "pickup settled, bank-activation open"),
    # The invented bank's 5 days from Monday the 16th end on Saturday and roll to Monday.
    ("zhuhai", "reported_by_phone 11-16T10:00", NOW, "phone-loss-report open, replacement open"),
    ("zhuhai", "reported_by_phone 11-16T10:00\nreported_in_writing 11-18T10:00", NOW,
     "phone-loss-report settled, replacement superseded, replacement open"),
    ("zhuhai", "reported_by_phone 11-16T10:00\nfound 11-18T10:00", NOW,
     "phone-loss-report settled, replacement settled"),
    (
        "zhuhai",
        "replacement_applied 11-02T10:00\ncollected 11-10T10:00\npassword_changed 11-11T10:00",
        NOW,
        "initial-password settled",
    ),
    ("laixi", "reported_by_phone 11-02T10:00", NOW, "oral-loss-report open"),
    ("laixi", "card_issued 2025-11-10T10:00", "2026-11-10T23:59", "validity open"),
    ("laixi", "card_issued 2025-11-10T10:00", "2026-11-11T00:00", "validity lapsed"),
    ("laixi", "card_issued 2025-11-10T10:00\ncontribution_paid 09-01T10:00", NOW,
     "validity settled, validity open"),
    ("laixi", "card_issued 2024-11-10T10:00\ncontribution_paid 09-01T10:00", NOW,
     "validity lapsed, validity open"),
    ("laixi", "replacement_applied 11-01T10:00\ncollected 11-02T10:00\nactivated 11-03T10:00", NOW,
     "activation settled"),
    ("shanghai", "card_issued 2016-11-30T10:00", NOW, "validity open"),
    ("shanghai", "card_issued 2016-11-20T10:00", NOW, "validity lapsed"),
    ("shanghai", "card_issued 2016-11-30T10:00\nreplacement_applied 11-20T10:00", NOW,
     "validity settled"),
    ("employer", "treated_without_card 11-02T10:00", NOW, "papers-for-manual-reimbursement open"),
    ("employer", "treated_without_card 11-02T10:00\npapers_handed_in 11-20T10:00", NOW,
     "papers-for-manual-reimbursement settled"),
]  # fmt: skip


@pytest.mark.parametrize(("procedure", "told", "now", "expected"), TABLES)
def test_events_lead_to_these_states(
    procedure: str, told: str, now: str, expected: str, calendar: WorkingCalendar, office: Office
) -> None:
    found = work_out(procedure, events(told), now, calendar, office)

    assert states(found) == expected


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_closing_the_case_leaves_nothing_open(
    procedure: str, calendar: WorkingCalendar, office: Office
) -> None:
    starts = sorted({name for rule in PROCEDURES[procedure].rules for name in rule.starts_on})
    told = [Event(name, at("2026-11-20T10:00")) for name in starts]
    told.append(Event("cancelled", at("2026-11-20T11:00")))

    found = work_out(procedure, told, NOW, calendar, office)

    assert {one.rule.id for one in found} == {rule.id for rule in PROCEDURES[procedure].rules}
    assert {str(one.state) for one in found} <= {"cancelled", "settled", "superseded"}
    assert "cancelled" in {str(one.state) for one in found}


TOLD = sorted({(procedure, told) for procedure, told, _, _ in TABLES})


@given(told=st.sampled_from(TOLD), data=st.data())
def test_the_order_in_which_events_are_told_changes_nothing(
    told: tuple[str, str], data: st.DataObject, calendar: WorkingCalendar, office: Office
) -> None:
    procedure, text = told
    in_time = events(text)
    shuffled = data.draw(st.permutations(in_time))

    found = work_out(procedure, shuffled, NOW, calendar, office)
    faults = refusals(PROCEDURES[procedure], shuffled, terms_of, at("2026-12-01T00:00"))

    assert found == work_out(procedure, in_time, NOW, calendar, office)
    assert faults == []
    assert in_order(shuffled) == in_order(in_time)


def test_a_voided_event_never_happened(calendar: WorkingCalendar, office: Office) -> None:
    told = events("reported_by_phone 11-18T10:00\nreported_by_phone 11-19T10:00\nfound 11-20T10:00")
    without = partial(work_out, "national", now=NOW, calendar=calendar, office=office)

    assert states(without(told)) == "phone-loss-report superseded, phone-loss-report settled"
    assert states(without(told[:2])) == "phone-loss-report superseded, phone-loss-report open"
    assert states(without(told[:1])) == "phone-loss-report open"
    assert without([]) == []


@pytest.mark.parametrize(
    ("told", "answered"),
    [
        ("reported_by_phone 11-02T10:00", False),
        ("reported_by_phone 11-02T10:00\nreplacement_applied 11-01T10:00", False),
        ("reported_by_phone 11-02T10:00\nreplacement_applied 11-10T10:00", True),
    ],
)
def test_a_lapse_remembers_whether_anything_was_heard_after_its_start(
    told: str, answered: bool, calendar: WorkingCalendar, office: Office
) -> None:
    lapse = work_out("national", events(told), NOW, calendar, office)[0]

    assert lapse.state == "lapsed"
    assert lapse.settled_at == at("2026-11-06T00:00")
    assert lapse.answered is answered


def test_a_settled_deadline_says_when(calendar: WorkingCalendar, office: Office) -> None:
    told = events(
        "reported_by_phone 11-18T10:00\nfound 11-19T11:00\nreplacement_applied 11-20T09:00"
    )

    lapse = work_out("national", told, NOW, calendar, office)[0]

    assert (lapse.state, lapse.settled_at) == ("settled", at("2026-11-19T11:00"))


def months(found: Sequence[CaseDeadline]) -> str:
    """`10-01 lapsed, 11-01 settled` of the monthly rule."""
    return ", ".join(
        f"{one.occurrence[5:]} {one.state}" for one in found if one.rule.kind is RuleKind.RECURRING
    )


JOINED = "scheme_joined 09-10T10:00"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (JOINED, "10-01 lapsed, 11-01 lapsed, 12-01 open"),
        (f"{JOINED}\npapers_handed_in 09-28T10:00", "10-01 settled, 11-01 lapsed, 12-01 open"),
        (f"{JOINED}\npapers_handed_in 10-01T10:00", "10-01 settled, 11-01 lapsed, 12-01 open"),
        (f"{JOINED}\npapers_handed_in 10-02T00:00", "10-01 lapsed, 11-01 settled, 12-01 open"),
        (
            f"{JOINED}\npapers_handed_in 11-20T10:00",  # done for this month, asked for the next
            "10-01 lapsed, 11-01 lapsed, 12-01 settled, 01-01 open",
        ),
        (
            f"{JOINED}\npapers_handed_in 11-20T10:00\nscheme_left 11-21T10:00",
            "10-01 lapsed, 11-01 lapsed, 12-01 settled",
        ),
        (f"{JOINED}\nscheme_left 10-15T10:00", "10-01 lapsed, 11-01 cancelled"),
        (
            f"{JOINED}\nscheme_left 10-15T10:00\npapers_handed_in 10-20T10:00",
            "10-01 lapsed, 11-01 cancelled",
        ),
        (f"{JOINED}\ncancelled 11-20T10:00", "10-01 lapsed, 11-01 lapsed, 12-01 cancelled"),
        (
            f"{JOINED}\nscheme_joined 10-20T10:00",
            "10-01 lapsed, 11-01 superseded, 11-01 lapsed, 12-01 open",
        ),
        (
            f"{JOINED}\nscheme_left 10-15T10:00\nscheme_joined 11-10T10:00",
            "10-01 lapsed, 11-01 cancelled, 12-01 open",
        ),
        ("scheme_joined 2020-01-15T10:00", "10-01 lapsed, 11-01 lapsed, 12-01 open"),
        ("scheme_joined 2020-01-15T10:00\nscheme_left 2020-03-05T10:00", ""),
    ],
)
def test_each_month_of_a_recurring_rule_is_settled_on_its_own(
    told: str, expected: str, calendar: WorkingCalendar, office: Office
) -> None:
    found = work_out("employer", events(told), NOW, calendar, office)

    assert months(found) == expected


def test_two_reports_of_one_day_without_a_time_are_one_start(
    calendar: WorkingCalendar, office: Office
) -> None:
    day = at("2026-11-20T00:00")
    told = [Event(name, day, True) for name in ("reported_in_writing", "reported_by_phone")]

    found = deadlines_of(
        PROCEDURES["nanjing-social-card"], told, terms_of, calendar, office, at(NOW)
    )

    assert states(found) == "replacement open"


def test_a_month_is_the_same_deadline_on_whichever_day_it_is_worked_out(
    calendar: WorkingCalendar, office: Office
) -> None:
    told = events("scheme_joined 01-15T10:00\npapers_handed_in 06-29T10:00")
    instants = [at("2026-06-01T00:30") + timedelta(hours=9 * n) for n in range(270)]

    keys: dict[str, set[object]] = {}
    settled: dict[str, set[object]] = {}
    for now in instants:
        for one in deadlines_of(PROCEDURES["employer"], told, terms_of, calendar, office, now):
            keys.setdefault(one.occurrence, set()).add(one.key)
            if now >= at("2026-06-29T10:00"):
                settled.setdefault(one.occurrence, set()).add(one.state == "settled")

    assert {len(found) for found in keys.values()} == {1}
    assert settled["2026-07-01"] == {True}
    assert set().union(*(settled[month] for month in settled if month != "2026-07-01")) == {False}


def test_the_zone_in_which_now_is_written_changes_nothing(
    calendar: WorkingCalendar, office: Office
) -> None:
    told = events("scheme_joined 2026-01-15T10:00")
    now = at("2026-08-02T03:00")

    one, other = (
        deadlines_of(PROCEDURES["employer"], told, terms_of, calendar, office, instant)
        for instant in (now, now.astimezone(UTC))
    )

    assert one == other


@pytest.mark.parametrize("roll", Roll)
def test_a_month_that_rolls_is_never_told_twice(
    roll: Roll, calendar: WorkingCalendar, office: Office
) -> None:
    def rolling(rule: Rule) -> Terms:
        return terms_of(rule)._replace(period=MonthlyOn(3, roll))

    told = events("scheme_joined 2026-03-15T10:00")
    now = at("2026-05-04T12:00")

    found = deadlines_of(PROCEDURES["employer"], told, rolling, calendar, office, now)

    first_of_may = {"none": "05-03", "forward": "05-06", "back": "04-30"}[roll]
    days = [one.occurrence[5:] for one in found]
    assert first_of_may in days
    assert len(days) == len(set(days))
    assert days == sorted(days)


def refused(procedure: str, told: Sequence[Event], now: str = NOW) -> list[str]:
    """Names of the events that cannot stand, given in the worst order."""
    backwards = list(reversed(told))
    found = refusals(PROCEDURES[procedure], backwards, terms_of, at(now))
    assert all(reason.text.zh and reason.text.en for _, reason in found)
    return [event.name for event, _ in found]


@pytest.mark.parametrize(
    ("procedure", "told", "expected"),
    [
        ("national", "reported_by_phone 11-20T10:00", []),
        ("national", "reported_online 11-20T10:00", ["reported_online"]),
        ("chengdu", "reported_online 11-20T10:00", []),
        ("shanghai", "collected 11-20T10:00", ["collected"]),
        ("national", "collected 11-20T10:00", ["collected"]),
        ("national", "replacement_applied 11-02T10:00\ncollected 11-20T10:00", []),
        ("national", "replacement_applied 11-20T10:00\ncollected 11-20T09:59", ["collected"]),
        ("national", "replacement_applied 11-20T00:00\ncollected 11-20T00:00", []),
        ("hotline-96102", "damaged_replacement_applied 11-02T10:00\ncollected 11-20T10:00", []),
        ("laixi", "activated 11-20T10:00", ["activated"]),
        ("laixi", "collected 11-19T10:00\nactivated 11-20T10:00", ["collected"]),
        ("zhuhai", "collected 11-19T10:00\npassword_changed 11-18T10:00",
         ["password_changed", "collected"]),
        ("nanjing-citizen-card",
         "replacement_applied 11-02T10:00\ncollected 11-20T00:00\nbank_activated 11-20T00:00", []),
        ("nanjing-citizen-card", "bank_activated 11-20T10:00", ["bank_activated"]),
    ],
)  # fmt: skip
def test_an_event_that_makes_no_sense_is_refused(
    procedure: str, told: str, expected: list[str]
) -> None:
    assert refused(procedure, events(told)) == expected


@pytest.mark.parametrize("procedure", sorted(set(PROCEDURES) - {"employer"}))
def test_a_card_cannot_be_found_after_its_replacement(procedure: str) -> None:
    told = events("replacement_applied 11-19T10:00\nfound 11-20T10:00")

    assert refused(procedure, told) == ["found"]


@pytest.mark.parametrize(
    ("procedure", "told", "expected"),
    [
        ("national", "reported_by_phone 11-02T10:00\nfound 11-03T10:00", []),
        ("national", "reported_in_writing 11-02T10:00\nfound 11-03T10:00", ["found"]),
        ("hotline-96102", "reported_in_writing 11-02T10:00\nfound 11-03T10:00", ["found"]),
        ("zhuhai", "reported_in_writing 11-02T10:00\nfound 11-03T10:00", []),
        ("nanjing-social-card", "reported_in_writing 11-02T10:00\nfound 11-03T10:00", []),
        ("national", "reported_in_writing 11-03T10:00\nfound 11-02T10:00", []),
        ("national", "replacement_applied 2025-11-03T10:00\nreported_by_phone 11-02T10:00\n"
         "found 11-03T10:00", []),  # another loss, long after
    ],
)  # fmt: skip
def test_a_found_card_lifts_a_report_only_before_the_point_of_no_return(
    procedure: str, told: str, expected: list[str]
) -> None:
    assert refused(procedure, events(told)) == expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("11-22T19:00", []),
        ("11-22T19:05", []),
        ("11-22T19:06", ["reported_by_phone"]),
        ("11-23T10:00", ["reported_by_phone"]),
    ],
)
def test_what_has_not_happened_cannot_be_recorded(when: str, expected: list[str]) -> None:
    assert refused("national", events(f"reported_by_phone {when}")) == expected


def test_a_bare_date_will_do_for_days_and_not_for_hours() -> None:
    day = at("2026-11-20T00:00")
    of_day = Event("reported_by_phone", day, date_only=True)
    of_hour = Event("reported_online", day, date_only=True)

    assert refused("national", [of_day]) == []
    assert refused("chengdu", [of_hour]) == ["reported_online"]
    assert refused("chengdu", [replace(of_hour, date_only=False)]) == []
    assert refused("chengdu", [Event("replacement_applied", day, date_only=True)]) == []


def test_a_bank_that_counts_hours_needs_the_time_of_day() -> None:
    def by_hours(rule: Rule) -> Terms:
        return terms_of(rule)._replace(period=Hours(48, Reading.PLAIN))

    told = Event("reported_by_phone", at("2026-11-20T00:00"), date_only=True)

    found = refusals(PROCEDURES["zhuhai"], [told], by_hours, at(NOW))

    assert [event for event, _ in found] == [told]
    assert "zhuhai.phone-loss-report" in found[0][1].message.en


def test_every_fault_of_a_case_is_named_at_once() -> None:
    told = events("collected 11-02T10:00\nreported_online 11-03T10:00\nfound 12-01T10:00")

    assert refused("national", told) == ["collected", "reported_online", "found"]


def test_a_refusal_tells_what_to_do_in_both_languages() -> None:
    told = events("collected 11-02T10:00")

    ((_, reason),) = refusals(PROCEDURES["national"], told, terms_of, at(NOW))

    assert "「申请补卡」" in reason.text.zh
    assert "record replacement_applied" in reason.mend.en


def test_every_rule_has_a_state_table() -> None:
    covered = {
        f"{procedure}.{state.rpartition(' ')[0]}"
        for procedure, _, _, expected in TABLES
        for state in expected.split(", ")
    }

    assert set(RULES) - covered == {"employer.monthly-reimbursement"}
