"""Rows with sensible contents, to be changed where a test cares."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.store.database import Database
from worker.store.tables import (
    AttemptEventRow,
    AttemptRow,
    CallTaskRow,
    CaseEventRow,
    CaseRow,
    CentreRow,
    DeadlineRow,
    ReminderRow,
    Row,
)

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)

CENTRE: dict[str, Any] = {"id": "chengdu-01", "name": "测试网点", "created_at": NOW}
CASE: dict[str, Any] = {
    "id": "c1",
    "centre_id": "chengdu-01",
    "reference": "A-1",
    "procedure": "national",
    "created_at": NOW,
    "updated_at": NOW,
}
EVENT: dict[str, Any] = {
    "id": "e1",
    "centre_id": "chengdu-01",
    "case_id": "c1",
    "event": "reported_by_phone",
    "occurred_at": NOW,
    "recorded_at": NOW,
    "source": "cli",
}
DEADLINE: dict[str, Any] = {
    "id": "d1",
    "centre_id": "chengdu-01",
    "case_id": "c1",
    "rule_id": "national.phone-loss-report",
    "rule_version": "r1",
    "calendar_version": "k1",
    "centre_version": "c1",
    "kind": "lapse",
    "started_at": NOW,
    "state": "open",
    "firm": True,
    "planned_at": NOW,
    "created_at": NOW,
    "updated_at": NOW,
}
REMINDER: dict[str, Any] = {
    "id": "r1",
    "centre_id": "chengdu-01",
    "case_id": "c1",
    "deadline_id": "d1",
    "step": "at_once",
    "recipient": "citizen",
    "channel": "sms",
    "plan_version": 1,
    "due_at": NOW,
    "useless_after_at": NOW + timedelta(days=3),
    "state": "planned",
    "priority": 0,
    "created_at": NOW,
    "updated_at": NOW,
}
ATTEMPT: dict[str, Any] = {
    "id": "a1",
    "centre_id": "chengdu-01",
    "case_id": "c1",
    "reminder_id": "r1",
    "number": 1,
    "ref": "ref-1",
    "channel_name": "sandbox",
    "kind": "sms",
    "state": "submitting",
    "owner": "o1",
    "lease_until_at": NOW + timedelta(minutes=2),
    "address_sealed": b"sealed",
    "address_index": "index",
    "body_sealed": b"sealed",
    "body_hash": "hash",
    "template": "lapse",
    "parts": 1,
    "started_at": NOW,
    "simulated": True,
}
ATTEMPT_EVENT: dict[str, Any] = {
    "id": "ae1",
    "centre_id": "chengdu-01",
    "attempt_id": "a1",
    "source": "submit",
    "at": NOW,
}
CALL_TASK: dict[str, Any] = {
    "id": "t1",
    "centre_id": "chengdu-01",
    "case_id": "c1",
    "deadline_id": "d1",
    "reason": "no receipt",
    "opened_at": NOW,
}


class Rows:
    """Rows that refer to each other: one centre, case, deadline, reminder and attempt."""

    now = NOW

    def centre(self, **changes: object) -> CentreRow:
        return CentreRow(**(CENTRE | changes))

    def case(self, **changes: object) -> CaseRow:
        return CaseRow(**(CASE | changes))

    def event(self, **changes: object) -> CaseEventRow:
        return CaseEventRow(**(EVENT | changes))

    def deadline(self, **changes: object) -> DeadlineRow:
        return DeadlineRow(**(DEADLINE | changes))

    def reminder(self, **changes: object) -> ReminderRow:
        return ReminderRow(**(REMINDER | changes))

    def attempt(self, **changes: object) -> AttemptRow:
        return AttemptRow(**(ATTEMPT | changes))

    def attempt_event(self, **changes: object) -> AttemptEventRow:
        return AttemptEventRow(**(ATTEMPT_EVENT | changes))

    def call_task(self, **changes: object) -> CallTaskRow:
        return CallTaskRow(**(CALL_TASK | changes))

    def family(self) -> list[Row]:
        """Enough for any other row to refer to."""
        return [self.centre(), self.case(), self.deadline(), self.reminder(), self.attempt()]


@pytest.fixture
def rows() -> Rows:
    """Builders of rows."""
    return Rows()


@pytest.fixture
def filled(database: Database, rows: Rows) -> Database:
    """A database that holds one of each: centre, case, deadline, reminder, attempt."""
    with database.transaction() as session:
        session.add_all(rows.family())
    return database
