"""Books as the judge reads them: one case, told of one deadline in one message."""

from typing import Any

import pytest

NOON = "2026-03-02 04:00:00.000000"
LATER = "2026-03-05 04:00:00.000000"


class Ledgers:
    """Sound books, to be spoiled where a test cares."""

    noon, later = NOON, LATER

    def entry(self, **changes: Any) -> dict[str, Any]:
        return {"id": "SB1", "ref": "ref-1", "kind": "sms", "to": "t1", "text": "x1"} | changes

    def acknowledged(self, **changes: Any) -> dict[str, Any]:
        at = "2026-03-02T12:00:00+08:00"
        return {"reference": "P-1", "event": "reported_by_phone", "at": at} | changes

    def attempt(self, **changes: Any) -> dict[str, Any]:
        row = {"id": "a1", "reminder_id": "r1", "ref": "ref-1", "state": "delivered"}
        row |= {"started_at": NOON, "address_index": "t1", "body_hash": "x1"}
        return row | {"provider_id": "SB1", "next_check_at": None} | changes

    def reminder(self, **changes: Any) -> dict[str, Any]:
        row: dict[str, Any] = {"id": "r1", "case_id": "c1", "deadline_id": "d1", "step": "at_once"}
        row |= {"recipient": "citizen", "channel": "sms", "carried_by": None, "plan_version": 1}
        return row | {"due_at": NOON, "state": "delivered", "reason": ""} | changes

    def tables(self, **changes: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
        event: dict[str, Any] = {"case_id": "c1", "event": "reported_by_phone"}
        sound: dict[str, list[dict[str, Any]]] = {
            "case": [{"id": "c1", "reference": "P-1"}],
            "case_event": [event | {"occurred_at": NOON, "voided_at": None}],
            "deadline": [{"id": "d1", "case_id": "c1", "kind": "lapse", "state": "open"}],
            "reminder": [self.reminder()],
            "attempt": [self.attempt()],
            "call_task": [],
            "job_run": [{"duty": "send", "state": "ok", "error": ""}],
        }
        return sound | changes


@pytest.fixture
def ledgers() -> Ledgers:
    """Builders of ledger entries, acknowledgements and rows."""
    return Ledgers()
