"""What a case's events come to: open or closed, moved or not, and why reminders are cancelled."""

from dataclasses import replace
from datetime import date

import pytest

from tests.enrolment.office import GOOD, HEADING, NOW, REPORTED, Office
from worker.domain.centres import Closure
from worker.domain.contacts import PhonePolicy
from worker.domain.periods import Hours, Reading
from worker.rosters import read_roster
from worker.services.enrolment import CHUNK, enrol_rows, void_event
from worker.services.recalculating import recalculate
from worker.services.sending import send_due


def closed_on(office: Office, *days: date) -> None:
    """The counter closed on these days; deadlines are worked out anew."""
    centre = office.context.centre("demo")
    away = tuple(Closure(day, day) for day in days)
    office.know(replace(centre, closures=away, version="-".join(["v", *map(str, days)])))
    recalculate(office.context, now=office.clock.now())


def test_a_new_start_after_a_cancelled_one_opens_the_case_again(office: Office) -> None:
    office.enrol(REPORTED, "A-1,,撤案,2026-11-21 10:00,,")
    closed = office.case("A-1")["state"]

    report = office.enrol("A-1,,申请补卡,2026-11-23 09:00,,")

    assert (closed, office.case("A-1")["state"]) == ("closed", "open")
    assert report.planned == len([row for row in office.reminders() if row["state"] == "planned"])


def test_what_follows_a_cancelled_one_without_starting_anything_leaves_it_closed(
    office: Office,
) -> None:
    office.enrol(REPORTED, "A-1,,申请补卡,2026-11-20 17:00,,", "A-1,,撤案,2026-11-21 10:00,,")

    office.enrol("A-1,,改密,2026-11-23 09:00,,")

    assert office.case("A-1")["state"] == "closed"


def test_a_cancelled_reminder_says_what_became_of_its_deadline(office: Office) -> None:
    office.enrol(REPORTED)

    office.enrol("A-1,,书面挂失,2026-11-23 09:30,,")

    assert {row["reason"] for row in office.reminders()} == {"settled"}


@pytest.mark.parametrize("rows", [1, 2])
def test_a_bare_date_stands_after_what_happened_on_its_day(office: Office, rows: int) -> None:
    lines = [REPORTED.replace("16:20", "09:20"), "A-1,,书面挂失,2026-11-20,,"]
    if rows == 1:
        office.enrol(lines[0])

    office.enrol(*lines[-rows:])
    again = office.enrol(*lines)

    assert office.states("A-1") == {"national.phone-loss-report": "settled"}
    assert (again.unchanged, again.events) == (1, 0)


def test_a_bare_date_already_on_record_is_not_recorded_at_another_hour(office: Office) -> None:
    office.enrol("A-1,national,申请补卡,2026-11-20,张三,10000000001")
    office.enrol("A-1,,书面挂失,2026-11-20 10:00,,")

    again = office.enrol("A-1,national,申请补卡,2026-11-20,张三,10000000001")

    assert again.events == 0


def test_months_gone_by_before_enrolment_are_no_news(office: Office) -> None:
    report = office.enrol("A-1,employer,入职参保,2026-06-15 09:00,张三,10000000001")

    assert (report.faults, report.notes) == ([], {})
    assert report.planned > 0


def test_a_date_that_moves_and_moves_back_unannounced_is_no_news(office: Office) -> None:
    office.enrol(REPORTED)
    send_due(office.context, now=office.clock.now())

    closed_on(office, date(2026, 11, 25), date(2026, 11, 26), date(2026, 11, 24))
    [moved] = [row for row in office.reminders() if row["step"] == "moved"]
    closed_on(office)

    assert moved["state"] == "planned"
    after = [row for row in office.reminders() if row["step"] == "moved"]
    assert [(row["state"], row["reason"]) for row in after] == [("cancelled", "date_moved")]
    assert any(row["state"] == "planned" for row in office.reminders())


def test_the_audit_trail_holds_the_digest_of_a_reason_not_its_words(office: Office) -> None:
    office.enrol(REPORTED)
    case = office.case("A-1")

    void_event(office.context, case["events"][0]["id"], "登记错了", case_id=case["id"],
               actor="cli", now=office.clock.now())  # fmt: skip

    [entry] = [row for row in office.content()["audit_entry"] if "event.voided" in row]
    assert any(office.context.keys.digest("登记错了") in str(value) for value in entry)
    assert not any("登记错了" in str(value) for value in entry)
    [event] = office.content()["case_event"]
    assert "登记错了" in event


def test_a_dry_run_lets_others_write_between_its_chunks(office: Office) -> None:
    lines = [GOOD.replace("A-2", f"C-{number}") for number in range(CHUNK + 1)]
    rows = read_roster(office.roster(*lines), phones=PhonePolicy(sandbox=True), now=NOW)
    written = []

    def write(_: int) -> None:
        with office.context.db.transaction() as session:
            session.connection()  # takes the lock of a writer
        written.append(True)

    report = enrol_rows(office.context, rows, now=NOW, dry_run=True, progress=write)

    assert report.new == CHUNK + 1
    assert len(written) == 2
    assert office.cases() == []


def test_a_dry_run_remembers_what_the_file_said_chunks_before(office: Office) -> None:
    between = [GOOD.replace("A-2", f"C-{number}") for number in range(CHUNK)]
    lines = [REPORTED, *between, "A-1,,书面挂失,2026-11-21 10:00,,"]

    tried = office.enrol(*lines, dry_run=True)
    done = office.enrol(*lines)

    assert tried == done
    assert tried.faults == []


def test_a_bare_date_settles_what_a_later_file_says_happened_on_its_day(office: Office) -> None:
    office.enrol("A-1,national,书面挂失,2026-11-20,张三,10000000001")

    office.enrol(REPORTED.replace("16:20", "09:20"))

    assert office.states("A-1") == {"national.phone-loss-report": "settled"}
    assert [row["state"] for row in office.reminders() if row["state"] == "planned"] == []


def test_a_bare_end_closes_what_a_later_file_starts_on_its_day(office: Office) -> None:
    office.enrol("A-1,national,撤案,2026-11-20,张三,10000000001")

    office.enrol(REPORTED)

    assert office.case("A-1")["state"] == "closed"
    assert office.states("A-1") == {"national.phone-loss-report": "cancelled"}


@pytest.mark.parametrize("first", ["2026-11-20", "2026-11-20 16:20"])
def test_an_event_is_the_same_with_and_without_its_hour(office: Office, first: str) -> None:
    line = "A-1,national,电话挂失,{},张三,10000000001"
    office.enrol(line.format(first))
    planned = office.reminders()

    for again in ("2026-11-20", "2026-11-20 16:20"):
        report = office.enrol(line.format(again))
        assert (report.unchanged, report.events) == (1, 0)

    assert office.reminders() == planned


def test_the_same_event_at_two_hours_of_a_day_is_two_events(office: Office) -> None:
    office.enrol(REPORTED, REPORTED.replace("16:20", "17:20"))

    assert len(office.events("A-1")) == 2


def test_a_bare_date_settles_nothing_of_a_later_day(
    office: Office,
) -> None:
    office.enrol(REPORTED, "A-1,,书面挂失,2026-11-19,,")

    assert office.states("A-1") == {"national.phone-loss-report": "open"}


def test_voiding_is_not_held_up_by_what_could_not_stand_anyway(office: Office) -> None:
    """The bank's period was in days when the date was told, and is in hours since."""
    heading = f"{HEADING},银行"
    office.enrol("A-1,zhuhai,电话挂失,2026-11-20,张三,10000000001,示例银行甲",
                 "A-1,,书面挂失,2026-11-21 10:00,,,", heading=heading)  # fmt: skip
    centre = office.context.centre("demo")
    by_hours = replace(centre.banks["示例银行甲"], period=Hours(48, Reading.PLAIN))
    office.know(replace(centre, banks={"示例银行甲": by_hours}, version="hours"))
    case = office.case("A-1")

    void_event(office.context, case["events"][1]["id"], "登记错了", case_id=case["id"],
               actor="cli", now=office.clock.now())  # fmt: skip

    in_force = [row for row in office.case("A-1")["events"] if not row["voided_at"]]
    assert [row["event"] for row in in_force] == ["reported_by_phone"]
