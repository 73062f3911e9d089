"""Which reminders a deadline wants and when: a golden page, and what holds for every plan."""

import os
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.catalogue import RULES, terms
from worker.domain.calendar import CHINA, WorkingCalendar
from worker.domain.cases import CaseDeadline
from worker.domain.centres import Centre, Office, Season
from worker.domain.deadlines import deadline
from worker.domain.delivery import DeadlineState
from worker.domain.reminders import Plan, PlannedReminder, earlier, later, plan
from worker.domain.rules import RuleKind
from worker.domain.steps import steps_of

GOLDEN = Path(__file__).parent / "golden" / "plans.txt"
LONG_DAY = Season(((time(7), time(21)),))


def at(text: str) -> datetime:
    """`Wed 2026-09-30 16:20` at +08:00; the weekday has to be right."""
    instant = datetime.strptime(text.partition(" ")[2], "%Y-%m-%d %H:%M").replace(tzinfo=CHINA)
    assert show(instant) == text
    return instant


def show(instant: datetime) -> str:
    return f"{instant:%a %Y-%m-%d %H:%M}"


class Desk:
    """Plans for a rule at one office."""

    def __init__(self, centre: Centre, calendar: WorkingCalendar) -> None:
        self.centre = centre
        self.calendar = calendar
        self.office = Office(centre, calendar)

    def case_deadline(
        self,
        rule_id: str,
        started: datetime,
        state: DeadlineState = DeadlineState.OPEN,
        *,
        answered: bool = False,
    ) -> CaseDeadline:
        due = deadline(terms(rule_id), started, self.calendar, self.office)
        return CaseDeadline(RULES[rule_id], due, state, answered=answered)

    def plan(
        self, case_deadline: CaseDeadline, planned_at: datetime, *, moved: bool = False
    ) -> Plan:
        rule = case_deadline.rule
        steps = steps_of(rule, self.centre, rule.period)
        return plan(
            case_deadline, steps, self.calendar, self.office, planned_at=planned_at, moved=moved
        )

    def opened(self, rule_id: str, started: str, planned: str) -> Plan:
        return self.plan(self.case_deadline(rule_id, at(started)), at(planned))


@pytest.fixture(scope="module")
def desk(centre: Centre, calendar: WorkingCalendar) -> Desk:
    return Desk(centre, calendar)


GOLDEN_CASES = [
    # rule, started, planned
    ("national.phone-loss-report", "Fri 2026-11-20 10:12", "Fri 2026-11-20 10:30"),
    ("national.phone-loss-report", "Wed 2026-09-30 16:20", "Wed 2026-09-30 16:25"),
    ("national.phone-loss-report", "Tue 2026-11-17 10:00", "Fri 2026-11-20 13:00"),
    ("national.phone-loss-report", "Wed 2026-12-30 09:00", "Wed 2026-12-30 09:10"),
    ("nanjing-citizen-card.phone-loss-report", "Mon 2026-11-23 19:00", "Mon 2026-11-23 21:30"),
    ("chengdu.online-loss-report", "Fri 2026-11-20 16:20", "Fri 2026-11-20 16:21"),
    ("chengdu.online-loss-report", "Mon 2026-11-23 09:30", "Mon 2026-11-23 09:40"),
    ("chengdu.online-loss-report", "Wed 2026-09-30 17:00", "Wed 2026-09-30 20:30"),
    ("hotline-96102.pre-loss-report", "Wed 2026-11-11 10:00", "Wed 2026-11-11 10:05"),
    ("zhuhai.phone-loss-report", "Mon 2026-11-16 10:00", "Mon 2026-11-16 10:05"),
    ("national.replacement-pickup", "Mon 2026-11-02 10:00", "Mon 2026-11-02 11:00"),
    ("national.replacement-pickup", "Mon 2026-10-26 10:00", "Sun 2026-11-22 19:00"),
    ("nanjing-social-card.pickup", "Tue 2026-11-17 10:00", "Sat 2026-11-21 11:00"),
    ("nanjing-citizen-card.pickup", "Wed 2026-12-16 10:00", "Wed 2026-12-16 10:01"),
    ("hotline-96102.damaged-card-pickup", "Thu 2026-12-17 10:00", "Thu 2026-12-17 21:00"),
    ("laixi.validity", "Thu 2026-11-19 10:00", "Thu 2026-11-19 10:01"),
    ("shanghai.validity", "Wed 2016-12-14 10:00", "Fri 2026-11-20 10:00"),
    ("employer.monthly-reimbursement", "Thu 2026-11-12 10:00", "Thu 2026-11-12 10:00"),
    ("employer.monthly-reimbursement", "Fri 2026-09-18 10:00", "Fri 2026-09-18 10:00"),
    ("national.written-pre-report", "Fri 2026-11-20 10:00", "Fri 2026-11-20 10:05"),
    ("nanjing-citizen-card.bank-activation", "Fri 2026-11-20 10:00", "Fri 2026-11-20 22:05"),
    ("zhuhai.initial-password", "Wed 2026-09-30 10:00", "Wed 2026-09-30 10:05"),
    ("employer.papers-for-manual-reimbursement", "Sat 2026-11-21 03:00", "Sat 2026-11-21 03:10"),
]


def page(desk: Desk) -> str:
    """Every golden case, one line a reminder."""
    blocks = []
    for rule_id, started, planned in GOLDEN_CASES:
        due = desk.case_deadline(rule_id, at(started)).deadline
        lines = [f"{rule_id}", f"  started {started}, planned {planned}, {due.status}"]
        if due.act_by:
            lines.append(f"  act by {show(due.act_by)}")
        if due.ready_on:
            lines.append(f"  ready on {due.ready_on:%a %Y-%m-%d}")
        if due.last_date and not (due.act_by or due.ready_on):
            lines.append(f"  last day {due.last_date:%a %Y-%m-%d}")
        made = desk.opened(rule_id, started, planned)
        lines += [line(reminder) for reminder in made.reminders]
        lines += [f"  call: {made.call}"] if made.call else []
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def line(reminder: PlannedReminder) -> str:
    because = f"  ({reminder.reason})" if reminder.reason else ""
    useless = show(reminder.useless_after_at)
    return f"    {reminder.step:<22} {show(reminder.due_at)}  useless after {useless}{because}"


def test_plans_are_those_on_the_golden_page(desk: Desk) -> None:
    made = page(desk)

    if os.environ.get("QIDA_UPDATE_GOLDEN") == "1":
        GOLDEN.write_text(made, encoding="utf-8")
    assert made == GOLDEN.read_text(encoding="utf-8")


def test_the_golden_page_shows_every_kind_and_every_lapse() -> None:
    shown = {rule_id for rule_id, _, _ in GOLDEN_CASES}

    assert {RULES[rule_id].kind for rule_id in shown} == set(RuleKind)
    assert {rule.id for rule in RULES.values() if rule.kind is RuleKind.LAPSE} <= shown


AT_ONCE = [
    # Working hours: at once.
    ("Mon 2026-11-23 10:00", "Mon 2026-11-23 10:01", "Mon 2026-11-23 10:01", "", ""),
    ("Mon 2026-11-23 08:00", "Mon 2026-11-23 09:00", "Mon 2026-11-23 09:00", "", ""),
    ("Mon 2026-11-23 18:00", "Mon 2026-11-23 19:59", "Mon 2026-11-23 19:59", "", ""),
    # Evening and night: the next 09:00, unless the person has only just reported.
    ("Mon 2026-11-23 18:00", "Mon 2026-11-23 20:00", "Tue 2026-11-24 09:00",
     "moved_to_allowed_hours", ""),
    ("Mon 2026-11-23 19:45", "Mon 2026-11-23 20:14", "Mon 2026-11-23 20:14",
     "outside_hours_fresh", ""),
    ("Mon 2026-11-23 19:45", "Mon 2026-11-23 20:15", "Tue 2026-11-24 09:00",
     "moved_to_allowed_hours", ""),
    ("Mon 2026-11-23 21:50", "Mon 2026-11-23 21:59", "Mon 2026-11-23 21:59",
     "outside_hours_fresh", ""),
    ("Mon 2026-11-23 21:50", "Mon 2026-11-23 22:00", "Tue 2026-11-24 09:00",
     "moved_to_allowed_hours", ""),
    ("Tue 2026-11-24 02:59", "Tue 2026-11-24 03:00", "Tue 2026-11-24 09:00",
     "moved_to_allowed_hours", ""),
    # Early morning.
    ("Tue 2026-11-24 06:50", "Tue 2026-11-24 06:59", "Tue 2026-11-24 09:00",
     "moved_to_allowed_hours", ""),
    ("Tue 2026-11-24 06:50", "Tue 2026-11-24 07:00", "Tue 2026-11-24 07:00",
     "outside_hours_fresh", ""),
    ("Tue 2026-11-24 06:00", "Tue 2026-11-24 08:59", "Tue 2026-11-24 09:00",
     "moved_to_allowed_hours", ""),
]  # fmt: skip


@pytest.mark.parametrize(("started", "planned", "due", "reason", "call"), AT_ONCE)
def test_at_once_means_the_first_decent_hour(
    started: str, planned: str, due: str, reason: str, call: str, desk: Desk
) -> None:
    made = desk.opened("national.phone-loss-report", started, planned)

    first = made.reminders[0]
    assert (first.step, show(first.due_at), first.reason) == ("at_once", due, reason)
    assert made.call == call


URGENT = [
    # Reported online on Saturday; the counter closes on Tuesday when the 72 hours do.
    ("Sat 2026-11-21 11:59", "Mon 2026-11-23 20:30", "Mon 2026-11-23 20:30",
     "outside_hours_urgent", ""),
    ("Sat 2026-11-21 11:59", "Mon 2026-11-23 21:59", "Mon 2026-11-23 21:59",
     "outside_hours_urgent", ""),
    ("Sat 2026-11-21 11:59", "Mon 2026-11-23 22:00", "Tue 2026-11-24 09:00",
     "moved_to_allowed_hours", "no_time_after_the_night"),
    ("Sat 2026-11-21 11:59", "Tue 2026-11-24 06:59", "Tue 2026-11-24 09:00",
     "moved_to_allowed_hours", "no_time_after_the_night"),
    ("Sat 2026-11-21 11:59", "Tue 2026-11-24 07:00", "Tue 2026-11-24 07:00",
     "outside_hours_urgent", ""),
    # Three counter hours after 09:00 are enough.
    ("Sat 2026-11-21 12:00", "Mon 2026-11-23 20:30", "Tue 2026-11-24 09:00",
     "moved_to_allowed_hours", ""),
    ("Sat 2026-11-21 12:00", "Mon 2026-11-23 23:30", "Tue 2026-11-24 09:00",
     "moved_to_allowed_hours", ""),
]  # fmt: skip


@pytest.mark.parametrize(("started", "planned", "due", "reason", "call"), URGENT)
def test_a_deadline_early_next_day_is_told_in_the_evening_but_never_at_night(
    started: str, planned: str, due: str, reason: str, call: str, desk: Desk
) -> None:
    made = desk.opened("chengdu.online-loss-report", started, planned)

    first = made.reminders[0]
    assert (first.step, show(first.due_at), first.reason) == ("at_once", due, reason)
    assert made.call == call


def test_at_night_a_deadline_before_the_first_allowed_hour_is_left_to_a_call(
    calendar: WorkingCalendar,
) -> None:
    early_bird = Desk(Centre("c", "示例中心", "示例", "示例", seasons=(LONG_DAY,)), calendar)

    made = early_bird.opened(
        "chengdu.online-loss-report", "Sat 2026-11-21 08:45", "Mon 2026-11-23 22:30"
    )

    assert made.call == "no_time_after_the_night"
    assert [reminder.step for reminder in made.reminders] == ["lapsed"]


def test_a_ready_date_is_no_reason_to_disturb_the_evening(desk: Desk) -> None:
    made = desk.opened("nanjing-social-card.pickup", "Wed 2026-11-18 10:00", "Mon 2026-11-23 21:00")

    assert show(made.reminders[0].due_at) == "Tue 2026-11-24 09:00"
    assert made.call == ""


ALL_STARTS = st.datetimes(
    datetime(2025, 9, 1),  # noqa: DTZ001 (drawn, then made aware)
    datetime(2027, 2, 1),  # noqa: DTZ001
    timezones=st.just(CHINA),
)
OFFICES = [
    (),
    (LONG_DAY,),
    (Season(((time(8, 30), time(12)), (time(14), time(18)))),),
    (Season(((time(6, 30), time(8, 30)), (time(20, 30), time(23)))),),
]


@pytest.fixture(scope="module")
def desks(calendar: WorkingCalendar) -> list[Desk]:
    plain = Centre("c", "示例中心", "示例", "示例")
    return [
        Desk(Centre("c", "示例中心", "示例", "示例", seasons=seasons or plain.seasons), calendar)
        for seasons in OFFICES
    ]


@settings(max_examples=600)
@given(
    rule_id=st.sampled_from(sorted(RULES)),
    started=ALL_STARTS,
    waited=st.timedeltas(timedelta(), timedelta(days=25)),
    which=st.integers(0, 3),
    moved=st.booleans(),
)
def test_allowed_hours_are_broken_only_by_a_first_message_with_its_reason(
    rule_id: str,
    started: datetime,
    waited: timedelta,
    which: int,
    *,
    moved: bool,
    desks: list[Desk],
) -> None:
    desk = desks[which]

    made = desk.plan(desk.case_deadline(rule_id, started), started + waited, moved=moved)

    for reminder in made.reminders:
        assert reminder.due_at.utcoffset() == timedelta(hours=8)
        assert started + waited <= reminder.due_at < reminder.useless_after_at
        if reminder.reason.startswith("outside_hours_"):
            assert (reminder.step, reminder.due_at) == ("at_once", started + waited)
            assert time(7) <= reminder.due_at.time() < time(22)
        else:
            assert time(9) <= reminder.due_at.time() < time(20)


@settings(max_examples=600)
@given(
    rule_id=st.sampled_from([rule.id for rule in RULES.values() if rule.kind is RuleKind.LAPSE]),
    started=ALL_STARTS,
    waited=st.timedeltas(timedelta(), timedelta(days=12)),
    which=st.integers(0, 3),
)
def test_a_lapse_is_never_reminded_of_after_its_act_by(
    rule_id: str, started: datetime, waited: timedelta, which: int, desks: list[Desk]
) -> None:
    desk = desks[which]
    case_deadline = desk.case_deadline(rule_id, started)

    made = desk.plan(case_deadline, started + waited)

    due = case_deadline.deadline
    limit = due.act_by or due.earliest_at
    assert limit is not None
    assert due.latest_at is not None
    for reminder in made.reminders:
        if reminder.step == "lapsed":
            assert reminder.due_at >= due.latest_at
        else:
            assert reminder.due_at < limit
            assert reminder.useless_after_at == limit


@given(rule_id=st.sampled_from(sorted(RULES)), started=ALL_STARTS, moved=st.booleans())
def test_planning_twice_gives_the_same_plan_with_each_step_once(
    rule_id: str, started: datetime, *, moved: bool, desk: Desk
) -> None:
    planned_at = started + timedelta(minutes=7)

    made = desk.plan(desk.case_deadline(rule_id, started), planned_at, moved=moved)
    again = desk.plan(desk.case_deadline(rule_id, started), planned_at, moved=moved)

    assert made == again
    steps = [reminder.step for reminder in made.reminders]
    assert len(steps) == len(set(steps))


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        (DeadlineState.SETTLED, []),
        (DeadlineState.SUPERSEDED, []),
        (DeadlineState.CANCELLED, []),
        (DeadlineState.LAPSED, ["lapsed"]),
    ],
)
def test_a_closed_deadline_wants_nothing_and_a_lapsed_one_its_notice(
    state: DeadlineState, steps: list[str], desk: Desk
) -> None:
    started = at("Mon 2026-11-16 10:00")
    closed = desk.case_deadline("national.phone-loss-report", started, state)

    made = desk.plan(closed, started)

    assert [reminder.step for reminder in made.reminders] == steps


def test_a_lapse_is_not_announced_once_anything_was_heard(desk: Desk) -> None:
    started = at("Mon 2026-11-16 10:00")
    rule_id = "national.phone-loss-report"
    answered = desk.case_deadline(rule_id, started, DeadlineState.LAPSED, answered=True)

    made = desk.plan(answered, started)

    assert made == Plan()


@pytest.mark.parametrize(
    ("planned", "call"),
    [
        ("Fri 2026-11-20 00:00", "lapsed_before_enrolment"),
        ("Sun 2026-11-22 23:59", "lapsed_before_enrolment"),
        ("Mon 2026-11-23 00:00", ""),
    ],
)
def test_a_lapse_past_at_enrolment_wants_a_call_for_three_days(
    planned: str, call: str, desk: Desk
) -> None:
    started = at("Mon 2026-11-16 10:00")  # it ended on Thursday the 19th at 24:00
    lapsed = desk.case_deadline("national.phone-loss-report", started, DeadlineState.LAPSED)

    made = desk.plan(lapsed, at(planned))

    assert made == Plan(call=call)


def test_an_expiry_past_at_enrolment_wants_nothing(desk: Desk) -> None:
    expired = desk.case_deadline("laixi.validity", at("Wed 2025-11-19 10:00"), DeadlineState.LAPSED)

    assert desk.plan(expired, at("Sun 2026-11-22 10:00")) == Plan()


def test_a_card_ready_before_its_enrolment_is_told_at_once(desk: Desk) -> None:
    made = desk.opened(
        "national.replacement-pickup", "Mon 2026-10-26 10:00", "Sun 2026-11-22 19:00"
    )

    steps = [(reminder.step, show(reminder.due_at)) for reminder in made.reminders]
    assert steps == [
        ("at_once", "Sun 2026-11-22 19:00"),
        ("working_days_5_after", "Tue 2026-11-24 09:30"),
        ("working_days_10_after", "Tue 2026-12-01 09:30"),
    ]


def test_a_moved_date_is_told_in_place_of_the_first_message(desk: Desk) -> None:
    started = at("Mon 2026-11-23 10:00")
    case_deadline = desk.case_deadline("national.phone-loss-report", started)

    made = desk.plan(case_deadline, at("Mon 2026-11-23 21:00"), moved=True)

    steps = [(reminder.step, show(reminder.due_at)) for reminder in made.reminders]
    assert steps[0] == ("moved", "Tue 2026-11-24 09:00")
    assert "at_once" not in dict(steps)


@pytest.mark.parametrize(
    ("instant", "before", "after"),
    [
        ("Mon 2026-11-23 08:59", "Sun 2026-11-22 19:59", "Mon 2026-11-23 09:00"),
        ("Mon 2026-11-23 09:00", "Mon 2026-11-23 09:00", "Mon 2026-11-23 09:00"),
        ("Mon 2026-11-23 19:59", "Mon 2026-11-23 19:59", "Mon 2026-11-23 19:59"),
        ("Mon 2026-11-23 20:00", "Mon 2026-11-23 19:59", "Tue 2026-11-24 09:00"),
        ("Thu 2026-12-31 23:00", "Thu 2026-12-31 19:59", "Fri 2027-01-01 09:00"),
    ],
)
def test_the_night_moves_a_message_to_its_near_edge(instant: str, before: str, after: str) -> None:
    assert show(earlier(at(instant))) == before
    assert show(later(at(instant))) == after


def test_a_lapse_whose_counter_has_shut_for_good_is_left_to_a_call(desk: Desk) -> None:
    made = desk.opened("national.phone-loss-report", "Fri 2026-11-20 16:20", "Wed 2026-11-25 17:30")

    assert made.call == "too_late_to_write"
    assert [reminder.step for reminder in made.reminders] == ["lapsed"]


def test_that_a_lapse_moved_is_not_told_once_its_counter_time_is_gone(desk: Desk) -> None:
    case_deadline = desk.case_deadline("national.phone-loss-report", at("Fri 2026-11-20 16:20"))

    in_time = desk.plan(case_deadline, at("Wed 2026-11-25 16:00"), moved=True)
    too_late = desk.plan(case_deadline, at("Wed 2026-11-25 17:30"), moved=True)

    news = next(reminder for reminder in in_time.reminders if reminder.step == "moved")
    assert show(news.useless_after_at) == "Wed 2026-11-25 17:00"
    assert [reminder.step for reminder in too_late.reminders] == ["lapsed"]
    assert too_late.call == "too_late_to_write"


def test_papers_of_treatment_late_in_december_get_no_reminder_a_year_later(desk: Desk) -> None:
    made = desk.opened(
        "employer.papers-for-manual-reimbursement",
        "Thu 2026-12-10 10:00",
        "Thu 2026-12-10 11:00",
    )

    assert [reminder.step for reminder in made.reminders] == ["at_once"]
