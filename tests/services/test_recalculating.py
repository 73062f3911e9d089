"""Working out again: a new notice, a changed rule, a period that ran out."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from sqlmodel import col, select

from tests.services.desk import Desk, Provider, both_engines
from worker.clock import FixedClock
from worker.domain.centres import Closure
from worker.domain.delivery import Accepted
from worker.engines.duties import Duties
from worker.holidays import build_calendar
from worker.rulebook import load_rulebook, read_notices, require
from worker.runtime import open_runtime
from worker.services.enrolment import void_event
from worker.settings import Settings
from worker.store.cases import case_files
from worker.store.job_runs import list_runs
from worker.store.tables import DeadlineRow

ROOT = Path(__file__).parents[2]

SPRING = "2027-01-20T10:00"
APPLIED = (("replacement_applied", "2027-01-20T09:50"),)
"""Before the notice 12 February is the 15th working day and 15 February the ready date."""

NOTICE = """\
year: 2027
notice: {title: 试验用的2027年放假通知, url: https://example.com/2027, published_on: 2026-11-25}
rest: [2027-01-01, 2027-01-02, 2027-01-03, 2027-02-05, 2027-02-06, 2027-02-07, 2027-02-08,
       2027-02-09, 2027-02-10, 2027-02-11, 2027-04-05, 2027-05-01, 2027-05-02, 2027-05-03,
       2027-06-09, 2027-09-15, 2027-10-01, 2027-10-02, 2027-10-03]
work: [2027-01-30, 2027-02-14]
"""
"""Invented. Working on 30 January and 14 February, it makes 15 February the 15th working day."""

Publish = Callable[..., None]


@pytest.fixture
def publish(desk: Desk, tmp_path: Path) -> Publish:
    """Let a notice come into force."""

    def put_in_force(text: str = NOTICE) -> None:
        folder = tmp_path / "calendar"
        folder.mkdir(exist_ok=True)
        (folder / "2027.yaml").write_text(text, "utf-8")
        calendar = build_calendar(require(read_notices(folder)))
        desk.context = replace(desk.context, calendars={"": calendar}, _offices={}, _terms={})

    return put_in_force


@pytest.fixture
def in_spring(desk: Desk) -> Desk:
    """A ready date of next year, told as an estimate."""
    desk.at(SPRING).enrol(events=APPLIED)
    desk.send()
    desk.after(minutes=5).poll()
    return desk


# A new notice.


@both_engines
def test_a_notice_makes_an_estimate_certain(desk: Desk, publish: Publish) -> None:
    desk.at(SPRING).enrol(events=APPLIED)
    estimated = desk.deadlines()["ready"]

    publish()
    desk.recalculate()

    certain = desk.deadlines()["ready"]
    assert (estimated.firm, str(estimated.ready_on)) == (False, "2027-02-15")
    assert (certain.firm, str(certain.ready_on)) == (True, "2027-02-16")
    assert certain.calendar_version == desk.context.calendars[""].version


@both_engines
def test_whoever_was_told_the_old_date_is_told_once_that_it_moved(
    in_spring: Desk, publish: Publish
) -> None:
    desk = in_spring

    publish()
    counts = [desk.recalculate(), desk.recalculate()]
    moved = desk.reminder("moved")
    for _ in range(3):
        desk.after(minutes=5).send()
        desk.poll()
        desk.recalculate()

    about, told = desk.texts()
    assert [count["moved"] for count in counts] == [1, 0]
    assert (moved.plan_version, moved.due_at) == (2, desk.deadlines()["ready"].planned_at)
    assert "约2月15日周一" in about
    assert told.startswith("【示例社保】领卡日期有变，2月16日周二起可")
    assert desk.reminder("moved").state == "delivered"


def test_planned_reminders_move_with_their_date(in_spring: Desk, publish: Publish) -> None:
    desk = in_spring

    publish()
    desk.recalculate()

    old, new = [row for row in desk.reminders() if row.step == "ready_day"]
    assert (old.plan_version, old.state) == (1, "cancelled")
    assert (new.plan_version, new.state) == (2, "planned")
    assert new.due_at.isoformat() == "2027-02-16T01:30:00+00:00"


@both_engines
def test_whoever_was_told_nothing_yet_only_gets_the_right_date(
    desk: Desk, publish: Publish
) -> None:
    desk.at(SPRING).enrol(events=APPLIED)

    publish()
    desk.recalculate()
    desk.send()

    (text,) = desk.texts()
    (ready_day,) = [row for row in desk.reminders() if row.step == "ready_day"]
    assert text.splitlines()[0].startswith("【示例社保】申请已受理，2月16日周二起可")
    assert ready_day.due_at.isoformat() == "2027-02-16T01:30:00+00:00"
    assert desk.audited("deadline.moved") == []


def test_who_was_told_a_date_that_stays_is_not_told_again(desk: Desk, publish: Publish) -> None:
    desk.at(SPRING).enrol(events=[("replacement_applied", "2027-01-06T10:00")],
                          procedure="nanjing-citizen-card")  # fmt: skip
    desk.at("2027-01-20T10:01").send()
    before = [row.model_dump() for row in desk.reminders()]

    publish()
    counts = desk.recalculate()

    assert counts == {"cases": 1}
    assert [row.model_dump() for row in desk.reminders()] == before


def test_a_case_of_this_year_is_left_alone(desk: Desk, publish: Publish) -> None:
    desk.enrol()
    desk.send()
    before = [row.model_dump() for row in desk.reminders()]

    publish()
    counts = desk.recalculate()

    assert counts["moved"] == 0
    assert [row.model_dump() for row in desk.reminders()] == before


def test_the_audit_trail_tells_both_dates_and_the_notice(in_spring: Desk, publish: Publish) -> None:
    publish()

    in_spring.recalculate()

    (entry,) = in_spring.audited("deadline.moved")
    assert (entry["from"], entry["to"]) == ("2027-02-15", "2027-02-16")
    assert "试验用的2027年放假通知" in entry["cause"]
    assert "https://example.com/2027" in entry["cause"]


def test_a_notice_corrected_overnight_is_told_once_and_right(
    in_spring: Desk, publish: Publish
) -> None:
    desk = in_spring.at("2027-01-21T21:00")

    publish()
    desk.recalculate()
    publish(NOTICE.replace("work: [2027-01-30, 2027-02-14]", "work: []"))
    desk.after(hours=1).recalculate()
    desk.at("2027-01-22T09:00").send()
    desk.after(hours=1).send()

    *_, last = desk.texts()
    assert len(desk.attempts()) == 2
    assert "领卡日期有变，2月18日周四起" in last


def test_a_date_that_moved_twice_is_told_twice(in_spring: Desk, publish: Publish) -> None:
    desk = in_spring

    publish()
    desk.recalculate()
    desk.send()
    publish(NOTICE.replace("work: [2027-01-30, 2027-02-14]", "work: []"))
    desk.after(hours=1).recalculate()
    desk.send()

    assert desk.reminder("moved").plan_version == 3
    assert [entry["to"] for entry in desk.audited("deadline.moved")] == ["2027-02-16", "2027-02-18"]


def test_that_a_date_moved_comes_before_the_step_due_with_it(desk: Desk, publish: Publish) -> None:
    desk.at("2027-02-03T10:00").enrol(events=[("reported_by_phone", "2027-02-03T09:50")])
    desk.send()
    publish()
    desk.at("2027-02-04T22:00").recalculate()
    moved = desk.reminder("moved")

    desk.at("2027-02-14T09:00").send()

    *_, text = desk.texts()
    assert moved.plan_version == 2
    assert desk.reminder("last_day").carried_by == moved.id
    assert text.startswith("【示例社保】期限有变，请2月14日周日17:00前")
    assert "\n" not in text


# A changed rule, and a case that cannot be worked out.


@both_engines
def test_a_changed_rule_moves_dates_as_a_notice_does(desk: Desk, tmp_path: Path) -> None:
    desk.enrol()
    desk.send()

    with_rule(desk, tmp_path, "period: {working_days: 3}", "period: {working_days: 4}")
    counts = desk.recalculate()
    desk.after(minutes=1).send()

    deadline = desk.deadlines()["lapse"]
    (entry,) = desk.audited("deadline.moved")
    assert counts == {"cases": 1, "moved": 1}
    assert str(deadline.last_date) == "2026-11-26"
    assert entry["from"] == "2026-11-25T17:00:00+08:00"
    assert entry["to"] == "2026-11-26T17:00:00+08:00"
    assert desk.context.rulebook.version in entry["cause"]
    assert desk.texts()[-1].startswith("【示例社保】期限有变，请11月26日周四17:00前")


def test_a_rule_that_says_the_same_in_other_words_moves_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.enrol()
    desk.send()

    with_rule(desk, tmp_path, "zh: 书面挂失,", "zh: 办理书面挂失,")
    counts = desk.recalculate()

    assert counts == {"cases": 1}
    assert {row.plan_version for row in desk.reminders()} == {1}


def test_a_case_that_cannot_be_worked_out_stops_nobody_elses(desk: Desk) -> None:
    desk.enrol("A-1")
    desk.enrol("A-2", procedure="hotline-96102", events=[("pre_reported", "2026-11-20T16:20")])
    procedures = {id_: one for id_, one in desk.context.rulebook.procedures.items()
                  if id_ != "national"}  # fmt: skip
    desk.context = replace(
        desk.context, rulebook=replace(desk.context.rulebook, procedures=procedures)
    )

    counts = desk.at("2026-12-02T10:00").recalculate()

    assert counts == {"cases": 1, "failed": 1}
    assert desk.deadlines("A-1")["lapse"].state == "open"
    assert desk.deadlines("A-2")["lapse"].state == "lapsed"


def with_rule(desk: Desk, tmp_path: Path, before: str, after: str) -> None:
    folder = tmp_path / "rules"
    shutil.copytree(ROOT / "config/rules", folder)
    file = folder / "national.yaml"
    text = file.read_text("utf-8")
    assert text.count(before) == 1
    file.write_text(text.replace(before, after), "utf-8")
    desk.context = replace(
        desk.context, rulebook=require(load_rulebook(folder)), _offices={}, _terms={}
    )


# What runs out.


@both_engines
def test_a_lapse_past_its_latest_end_is_told_at_the_first_allowed_hour(desk: Desk) -> None:
    desk.enrol()
    desk.send()

    still_open = desk.at("2026-11-25T23:59").recalculate()
    counts = desk.at("2026-11-26T00:00").recalculate()
    at_night = desk.send()
    desk.at("2026-11-26T09:00").send()

    *_, text = desk.texts()
    assert (still_open, counts, at_night) == ({}, {"cases": 1}, {})
    assert desk.deadlines()["lapse"].state == "lapsed"
    assert desk.reminder("lapsed").state == "accepted"
    assert "您的社保卡挂失可能已失效" in text


def test_it_is_told_once(desk: Desk) -> None:
    desk.enrol()
    desk.send()

    for time in ("2026-11-26T09:00", "2026-11-26T10:00", "2026-11-27T09:00"):
        desk.at(time).recalculate()
        desk.send()

    assert len(desk.attempts()) == 2


def test_what_was_still_planned_before_the_end_is_not_sent_after_it(desk: Desk) -> None:
    desk.enrol()

    desk.at("2026-11-26T09:00").recalculate()
    desk.send()

    states = desk.states()
    assert states.pop("lapsed sms") == "accepted"
    assert set(states.values()) == {"cancelled"}


@both_engines
@pytest.mark.parametrize("event", ["replacement_applied", "found", "cancelled"])
def test_who_did_anything_since_is_not_told_that_it_lapsed(desk: Desk, event: str) -> None:
    desk.enrol()
    desk.send()

    desk.at("2026-11-26T08:00").recalculate()
    desk.record(event)
    desk.at("2026-11-26T09:00").send()

    assert desk.deadlines()["lapse"].state == "lapsed"
    assert desk.reminder("lapsed").state == "cancelled"


def test_the_call_list_forgets_a_lapse_that_is_over(desk: Desk) -> None:
    desk.enrol(phone="10000000002")
    desk.send()
    desk.after(minutes=5).poll()

    desk.at("2026-11-26T00:00").recalculate()

    assert [(task.state, task.note) for task in desk.calls()] == [("done", "lapsed")]


def test_a_month_that_ends_brings_the_next(desk: Desk) -> None:
    desk.enrol(events=[("scheme_joined", "2026-11-20T16:20")], procedure="employer")

    desk.at("2026-12-02T00:00").recalculate()

    occurrences = [(row.occurrence, row.state) for row in months(desk)]
    planned = [row.due_at.date().isoformat() for row in desk.reminders() if row.state == "planned"]
    assert occurrences == [("2026-12-01", "lapsed"), ("2027-01-01", "open")]
    assert planned == ["2026-12-29", "2026-12-31"]


def test_a_worker_that_was_down_for_months_catches_up(desk: Desk) -> None:
    desk.enrol(events=[("scheme_joined", "2026-11-20T16:20")], procedure="employer")

    desk.at("2027-06-10T10:00").recalculate()

    states = {row.occurrence: row.state for row in months(desk)}
    assert states["2026-12-01"] == "lapsed"
    assert states["2027-07-01"] == "open"
    assert desk.recalculate() == {}


def months(desk: Desk) -> list[DeadlineRow]:
    with desk.context.db.reading() as session:
        return list(session.exec(select(DeadlineRow).order_by(col(DeadlineRow.occurrence))))


# What is taken back.


@both_engines
def test_taking_back_the_event_that_settled_it_plans_everything_anew(desk: Desk) -> None:
    desk.enrol()
    desk.record("reported_in_writing")

    void(desk, "reported_in_writing")
    desk.send()

    assert desk.deadlines()["lapse"].state == "open"
    assert desk.states() == {
        "at_once sms": "accepted",
        "working_day_before sms": "planned",
        "last_day sms": "planned",
        "open_hours_3 sms": "planned",
        "lapsed sms": "planned",
    }


def test_what_was_told_before_is_not_told_again_when_an_event_is_taken_back(desk: Desk) -> None:
    desk.enrol()
    desk.send()
    desk.after(minutes=5).poll()
    desk.record("reported_in_writing")

    void(desk, "reported_in_writing")
    desk.send()

    assert len(desk.attempts()) == 1
    assert desk.reminder("last_day").state == "planned"


@both_engines
def test_taking_back_the_start_cancels_everything(desk: Desk) -> None:
    desk.enrol()

    void(desk, "reported_by_phone")
    desk.send()

    assert desk.deadlines()["lapse"].state == "cancelled"
    assert set(desk.states().values()) == {"cancelled"}
    assert desk.attempts() == []


def test_a_lapse_whose_start_is_taken_back_is_not_told_of(desk: Desk) -> None:
    desk.enrol()
    desk.at("2026-11-26T08:00").recalculate()

    void(desk, "reported_by_phone")
    desk.at("2026-11-26T09:00").send()

    assert desk.attempts() == []


def void(desk: Desk, event: str) -> None:
    with desk.context.db.reading() as session:
        case_id = desk.reminders()[0].case_id
        (row,) = [one for one in case_files(session, [case_id])[case_id].events
                  if one.event == event]  # fmt: skip
    void_event(desk.context, row.id, "typed twice", case_id=case_id, actor="test", now=desk.now)


# The duty that reads the files again.


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of one's own with the shipped configuration."""
    for name in ("config/rules", "config/centres", "templates"):
        shutil.copytree(ROOT / name, tmp_path / "home" / name)
    return tmp_path / "home"


@pytest.fixture
def duties(home: Path, clock: FixedClock) -> Iterator[Duties]:
    """Every duty of a worker over that folder."""
    settings = Settings(home=home, sms="sandbox", email="sandbox")
    with open_runtime(settings, clock) as runtime:
        yield Duties(runtime)


def test_a_notice_put_into_the_folder_is_worked_in_by_itself(
    home: Path, duties: Duties, clock: FixedClock
) -> None:
    desk = Desk(duties.context, clock).at(SPRING)
    desk.enrol(events=APPLIED)
    desk.send()

    write(home / "config/calendar/2027.yaml", NOTICE)
    counts = duties.tick()

    assert counts["reload"]["reloaded"] == 1
    assert counts["recalculate"]["moved"] == 1
    assert counts["send"] == {"accepted": 1}
    assert desk.texts()[-1].startswith("【示例社保】领卡日期有变，2月16日周二起可")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config/calendar/2027.yaml", "year: 2027\nrest: [2027-01-01"),
        ("config/calendar/2027.yaml", NOTICE.replace("2027-02-14]", "2027-02-15]")),
        ("config/rules/national.yaml", "rules: [1, 2"),
        ("config/centres/demo.yaml", "name: {"),
        ("templates/sms/zh/lapse.default.txt.j2", "{{ nobody_knows }}"),
    ],
)
def test_a_broken_file_leaves_what_was_in_force_and_is_reported(
    home: Path, duties: Duties, clock: FixedClock, caplog: pytest.LogCaptureFixture,
    file: str, text: str,
) -> None:  # fmt: skip
    desk = Desk(duties.context, clock)
    before = duties.context
    desk.enrol()

    write(home / file, text)
    counts = duties.tick()
    desk.context = duties.context

    faults = [record for record in caplog.records if record.getMessage() == "config.fault"]
    assert counts["reload"]["faults"] == len(faults) == 1
    assert f"{file}:" in str(vars(faults[0])["place"])
    assert duties.context.rulebook.version == before.rulebook.version
    assert duties.context.calendars[""].version == before.calendars[""].version
    assert counts["send"] == {"accepted": 1}
    assert "11月25日周三17:00前" in desk.texts()[0]


def test_a_notice_spoilt_while_in_force_stays_in_force(home: Path, duties: Duties) -> None:
    write(home / "config/calendar/2027.yaml", NOTICE)
    duties.tick()

    write(home / "config/calendar/2027.yaml", NOTICE.replace("year: 2027", "year: next"))
    duties.tick()

    assert str(duties.context.calendars[""].covered_to) == "2027-12-31"


def test_a_centre_moved_to_a_region_whose_notice_is_broken_sends_as_before(
    home: Path, duties: Duties, clock: FixedClock
) -> None:
    desk = Desk(duties.context, clock)
    desk.enrol()
    centre = home / "config/centres/demo.yaml"

    write(centre, centre.read_text("utf-8") + "region: 某地\n")
    write(home / "config/calendar/region.yaml", "year: 2026\nregion: 某地\nrest: [2026-11-2")
    counts = duties.tick()
    desk.context = duties.context

    assert counts["reload"]["faults"] == 1
    assert counts["send"] == {"accepted": 1}
    assert desk.reasons() == []
    assert duties.tick()["audit"] == {}


def test_a_mended_file_is_taken_up(home: Path, duties: Duties) -> None:
    write(home / "config/calendar/2027.yaml", "year: [")
    duties.tick()

    write(home / "config/calendar/2027.yaml", NOTICE)
    counts = duties.tick()

    assert counts["reload"] == {"reloaded": 1, "faults": 0}
    assert str(duties.context.calendars[""].covered_to) == "2027-12-31"


def test_a_reload_that_found_faults_is_on_record(home: Path, duties: Duties) -> None:
    write(home / "config/calendar/2027.yaml", "year: [")

    duties.tick()

    with duties.context.db.reading() as session:
        run = list_runs(session, "reload")[0]
    assert json.loads(run.counts) == {"faults": 1, "reloaded": 1}


def write(file: Path, text: str) -> None:
    """Write a file at a time of its own, however coarse the disk's clock is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    later = file.stat().st_mtime + 10 if file.exists() else None
    file.write_text(text, "utf-8")
    if later is not None:
        os.utime(file, (later, later))


def test_a_date_that_moves_while_its_message_is_on_its_way_is_corrected(
    desk: Desk, publish: Publish, other_desk: Desk
) -> None:
    def move(_: object) -> None:
        publish()
        other_desk.context = desk.context
        other_desk.recalculate()

    desk.at(SPRING).enrol(events=APPLIED)
    desk.through(Provider(Accepted("P1"), Accepted("P2"), during=move))
    desk.send()

    _, correction = desk.texts()
    assert desk.reminder("moved").state == "accepted"
    assert correction.startswith("【示例社保】领卡日期有变，2月16日周二起可")


def test_a_closure_of_the_office_moves_what_people_were_told(desk: Desk) -> None:
    desk.enrol()
    desk.send()
    told = desk.deadlines()["lapse"].act_by_at
    centre = desk.context.centres["demo"]
    shut = Closure(date(2026, 11, 25), date(2026, 11, 25), "搬迁")

    desk.context = replace(
        desk.context,
        centres={"demo": replace(centre, closures=(shut,), version="another")},
        _offices={},
        _terms={},
    )
    desk.recalculate()

    moved = desk.deadlines()["lapse"]
    assert told is not None
    assert moved.act_by_at is not None
    assert (told - moved.act_by_at).days == 1
    assert moved.centre_version == "another"
    assert desk.reminder("moved").state == "planned"


def test_a_closure_counts_although_another_centre_has_the_same_hours(desk: Desk) -> None:
    centre = desk.context.centres["demo"]
    desk.enrol()
    shut = Closure(date(2026, 11, 25), date(2026, 11, 25))
    changed = replace(centre, closures=(shut,), version="another")
    twin = replace(centre, id="twin")

    desk.context = replace(
        desk.context, centres={"demo": changed, "twin": twin}, _offices={}, _terms={}
    )
    desk.recalculate()

    act_by = desk.deadlines()["lapse"].act_by_at
    assert act_by is not None
    assert act_by.date() == date(2026, 11, 24)
