"""What both engines keep, and what they refuse."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlmodel import select

from worker.domain.delivery import OPEN_ATTEMPTS, AttemptState, DeadlineState, ReminderState
from worker.store.cases import Reach, lapses_at_risk
from worker.store.database import Database
from worker.store.job_runs import JobRunRow
from worker.store.tables import (
    ApiKeyRow,
    AttemptRow,
    AuditEntryRow,
    CallTaskRow,
    CaseRow,
    DeadlineRow,
    InstallationRow,
    OptOutRow,
    ReminderRow,
    Row,
)

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
CHINA = timezone(timedelta(hours=8))


def store(database: Database, *new: Row) -> None:
    with database.transaction() as session:
        session.add_all(new)


def api_key(**changes: object) -> ApiKeyRow:
    values: dict[str, Any] = {
        "id": "k1",
        "name": "测试",
        "kind": "test",
        "prefix": "p1",
        "secret_sha256": "00",
        "scopes": "cases",
        "created_at": NOW,
    }
    return ApiKeyRow(**(values | changes))


def opt_out(**changes: object) -> OptOutRow:
    values: dict[str, Any] = {
        "id": "o1",
        "centre_id": "chengdu-01",
        "address_index": "index",
        "source": "cli",
        "created_at": NOW,
    }
    return OptOutRow(**(values | changes))


def audit_entry(**changes: object) -> AuditEntryRow:
    values: dict[str, Any] = dict.fromkeys(
        ("id", "actor", "action", "subject", "detail", "previous_hash", "hash"), "x"
    )
    return AuditEntryRow(**(values | {"seq": 1, "at": NOW} | changes))


def test_an_instant_comes_back_aware_and_in_utc(database: Database, rows: Any) -> None:
    beijing = datetime(2026, 11, 22, 9, 0, 0, 123456, tzinfo=CHINA)

    store(database, rows.centre(created_at=beijing), rows.case(created_at=beijing))

    with database.reading() as session:
        kept = session.exec(select(CaseRow)).one().created_at
    assert kept == beijing
    assert kept.utcoffset() == timedelta(0)


def test_a_naive_instant_is_refused(database: Database, rows: Any) -> None:
    naive = datetime(2026, 11, 22, 9, 0)  # noqa: DTZ001  # the mistake itself

    with pytest.raises(StatementError, match="timezone"):
        store(database, rows.centre(created_at=naive))


def test_a_naive_instant_is_refused_in_a_question_too(database: Database) -> None:
    naive = datetime(2026, 11, 22, 9, 0)  # noqa: DTZ001  # the mistake itself

    with database.reading() as session, pytest.raises(StatementError, match="timezone"):
        session.exec(select(ReminderRow).where(ReminderRow.due_at < naive)).all()


def test_instants_of_any_offset_compare_as_instants(filled: Database) -> None:
    a_minute_later = (NOW + timedelta(minutes=1)).astimezone(CHINA)

    with filled.reading() as session:
        due = session.exec(select(ReminderRow).where(ReminderRow.due_at < a_minute_later)).all()
        early = session.exec(select(ReminderRow).where(ReminderRow.due_at < NOW)).all()

    assert len(due) == 1
    assert early == []


def test_dates_bytes_and_truth_come_back_as_they_went(database: Database, rows: Any) -> None:
    day = date(2026, 12, 24)

    store(
        database,
        rows.centre(),
        rows.case(name_sealed=b"\x00\xff\x01"),
        rows.deadline(last_date=day, firm=False),
    )

    with database.reading() as session:
        case = session.exec(select(CaseRow)).one()
        deadline = session.exec(select(DeadlineRow)).one()
    assert (case.name_sealed, case.phone_sealed) == (b"\x00\xff\x01", None)
    assert (deadline.last_date, deadline.ready_on, deadline.firm) == (day, None, False)


def test_a_state_is_kept_as_its_word(database: Database, rows: Any) -> None:
    store(
        database,
        rows.centre(),
        rows.case(),
        rows.deadline(state=DeadlineState.SUPERSEDED),
        rows.reminder(state=ReminderState.NEEDS_PERSON),
    )

    with database.reading() as session:
        words = session.execute(
            text("SELECT d.state, r.state FROM deadline d JOIN reminder r ON r.deadline_id = d.id")
        ).one()
        reminder = session.exec(select(ReminderRow)).one()
    assert tuple(words) == ("superseded", "needs_person")
    assert ReminderState(reminder.state) is ReminderState.NEEDS_PERSON


def test_a_case_is_written_with_all_that_hangs_on_it_in_any_order(
    database: Database, rows: Any
) -> None:
    family = [*rows.family(), rows.event(), rows.call_task(), rows.attempt_event()]

    store(database, *reversed(family))

    with database.reading() as session:
        assert session.exec(select(AttemptRow)).one().case_id == "c1"


@pytest.mark.parametrize(
    "build",
    [
        lambda rows: rows.case(id="c2", reference="A-2", centre_id="nowhere"),
        lambda rows: rows.event(case_id="nothing"),
        lambda rows: rows.deadline(id="d2", occurrence="2026-12", case_id="nothing"),
        lambda rows: rows.reminder(id="r2", step="later", deadline_id="nothing"),
        lambda rows: rows.reminder(id="r2", step="later", carried_by="nothing"),
        lambda rows: rows.attempt(id="a2", ref="ref-2", reminder_id="nothing"),
        lambda rows: rows.attempt_event(attempt_id="nothing"),
        lambda rows: rows.call_task(deadline_id="nothing"),
        lambda rows: rows.call_task(reminder_id="nothing"),
        lambda _: api_key(centre_id="nowhere"),
        lambda _: opt_out(centre_id="nowhere"),
        lambda _: audit_entry(centre_id="nowhere"),
    ],
)
def test_a_row_that_refers_to_nothing_is_refused(
    filled: Database, rows: Any, build: Callable[[Any], Row]
) -> None:
    with pytest.raises(IntegrityError):
        store(filled, build(rows))


def test_a_case_with_deadlines_cannot_be_deleted(filled: Database) -> None:
    with pytest.raises(IntegrityError), filled.transaction() as session:
        session.execute(text('DELETE FROM "case"'))


@pytest.mark.parametrize(
    "build",
    [
        lambda _: InstallationRow(id=1, stamp="play", key_check=b"", created_at=NOW),
        lambda _: InstallationRow(id=2, stamp="test", key_check=b"", created_at=NOW),
        lambda _: api_key(kind="root"),
        lambda rows: rows.case(id="c2", reference="A-2", state="asleep"),
        lambda rows: rows.deadline(id="d2", occurrence="2026-12", state="asleep"),
        lambda rows: rows.reminder(id="r2", step="later", state="asleep"),
        lambda rows: rows.reminder(id="r2", recipient="neighbour"),
        lambda rows: rows.reminder(id="r2", channel="pigeon"),
        lambda rows: rows.attempt(id="a2", ref="ref-2", state="asleep"),
        lambda rows: rows.attempt(id="a2", ref="ref-2", state="lost", kind="pigeon"),
        lambda rows: rows.attempt_event(source="rumour"),
        lambda rows: rows.call_task(state="asleep"),
        lambda _: JobRunRow(id="j1", duty="send", state="odd", started_at=NOW, finished_at=NOW),
    ],
)
def test_an_unknown_word_is_refused(
    filled: Database, rows: Any, build: Callable[[Any], Row]
) -> None:
    with pytest.raises(IntegrityError):
        store(filled, build(rows))


def test_every_state_of_the_domain_is_taken(filled: Database, rows: Any) -> None:
    deadlines = [
        rows.deadline(id=f"d-{state}", occurrence=state, state=state) for state in DeadlineState
    ]
    reminders = [rows.reminder(id=f"r-{state}", step=state, state=state) for state in ReminderState]
    reminders += [rows.reminder(id=f"x-{state}", step=f"x-{state}") for state in AttemptState]
    attempts = [
        rows.attempt(id=f"a-{state}", ref=f"ref-{state}", reminder_id=f"x-{state}", state=state)
        for state in AttemptState
    ]

    store(filled, *deadlines, *reminders, *attempts)

    with filled.reading() as session:
        assert len(session.exec(select(AttemptRow)).all()) == 1 + len(AttemptState)


@pytest.mark.parametrize(
    "build",
    [
        lambda rows: rows.case(id="c2"),
        lambda rows: rows.event(id="e2"),
        lambda rows: rows.deadline(id="d2"),
        lambda rows: rows.reminder(id="r2"),
        lambda rows: rows.attempt(id="a2", reminder_id="r3"),
        lambda rows: rows.call_task(id="t2"),
        lambda _: api_key(id="k2"),
        lambda _: opt_out(id="o2"),
        lambda _: audit_entry(id="y"),
    ],
)
def test_the_same_thing_twice_is_refused(
    filled: Database, rows: Any, build: Callable[[Any], Row]
) -> None:
    store(
        filled,
        rows.event(),
        rows.call_task(),
        rows.reminder(id="r3", step="later"),
        api_key(),
        opt_out(),
        audit_entry(),
    )

    with pytest.raises(IntegrityError):
        store(filled, build(rows))


@pytest.mark.parametrize(
    "build",
    [
        lambda rows: rows.case(id="c2", centre_id="zhuhai-01"),
        lambda rows: rows.event(id="e2", occurred_at=NOW + timedelta(seconds=1)),
        lambda rows: rows.deadline(id="d2", occurrence="2026-12"),
        lambda rows: rows.deadline(id="d2", started_at=NOW + timedelta(seconds=1)),
        lambda rows: rows.reminder(id="r2", plan_version=2),
        lambda rows: rows.reminder(id="r2", recipient="second_contact"),
        lambda rows: rows.reminder(id="r2", channel="email"),
        lambda rows: rows.call_task(id="t2", state="done"),
        lambda _: opt_out(id="o2", centre_id="zhuhai-01"),
        lambda _: opt_out(id="o2", centre_id=None),
    ],
)
def test_what_differs_in_one_thing_is_taken(
    filled: Database, rows: Any, build: Callable[[Any], Row]
) -> None:
    store(filled, rows.centre(id="zhuhai-01"), rows.event(), rows.call_task(), opt_out())

    store(filled, build(rows))


def test_a_voided_event_may_be_recorded_anew(filled: Database, rows: Any) -> None:
    store(filled, rows.event(voided_at=NOW, void_reason="typo"))

    store(filled, rows.event(id="e2"))
    with pytest.raises(IntegrityError):
        store(filled, rows.event(id="e3"))


def test_a_done_call_task_makes_room_for_another(filled: Database, rows: Any) -> None:
    store(filled, rows.call_task())

    with filled.transaction() as session:
        session.get_one(CallTaskRow, "t1").state = "done"

    store(filled, rows.call_task(id="t2"))


@pytest.mark.parametrize("state", AttemptState)
def test_a_reminder_has_one_open_attempt_at_most(
    filled: Database, rows: Any, state: AttemptState
) -> None:
    with filled.transaction() as session:
        session.get_one(AttemptRow, "a1").state = state

    again = rows.attempt(id="a2", ref="ref-2", number=2)

    if state in OPEN_ATTEMPTS:
        with pytest.raises(IntegrityError):
            store(filled, again)
    else:
        store(filled, again)


def test_a_message_of_a_provider_belongs_to_one_attempt(filled: Database, rows: Any) -> None:
    store(filled, rows.reminder(id="r2", step="b"), rows.reminder(id="r3", step="c"))
    second = {"id": "a2", "ref": "ref-2", "reminder_id": "r2"}
    third = {"id": "a3", "ref": "ref-3", "reminder_id": "r3"}
    store(filled, rows.attempt(**second, provider_id="SM1"))

    with pytest.raises(IntegrityError):
        store(filled, rows.attempt(**third, provider_id="SM1"))
    store(filled, rows.attempt(**third, provider_id="SM1", channel_name="other"))


def test_an_address_refuses_every_centre_only_once(filled: Database) -> None:
    store(filled, opt_out(centre_id=None))

    with pytest.raises(IntegrityError):
        store(filled, opt_out(id="o2", centre_id=None))


def test_what_is_due_is_found_by_the_index_of_planned_reminders(sqlite_database: Database) -> None:
    due = (
        "EXPLAIN QUERY PLAN SELECT id FROM reminder WHERE state = 'planned' AND due_at <= 'x'"
        " ORDER BY useless_after_at, due_at LIMIT 50"
    )

    with sqlite_database.reading() as session:
        plan = " ".join(str(step) for step in session.execute(text(due)))

    assert "ix_reminder_planned" in plan
    assert "TEMP B-TREE" not in plan


def test_whether_an_open_lapse_has_a_reminder_to_come_is_answered_by_an_index_alone(
    sqlite_database: Database,
) -> None:
    asked: list[tuple[str, Any]] = []

    @event.listens_for(sqlite_database.reader, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        asked.append((statement, values))

    with sqlite_database.reading() as session:
        lapses_at_risk(session, NOW, Reach("demo", NOW, NOW, NOW))
        statement, values = asked[-1]
        steps = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        plan = [step[-1] for step in steps]

    [first] = [step for step in plan if "ix_reminder_to_come" in step]
    assert "(deadline_id=? AND plan_version=?)" in first
