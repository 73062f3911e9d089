"""What a good answer of each operation looks like, for its description; tests hold each to its
schema. The person, the case and the provider's ids are invented."""

from collections.abc import Mapping
from typing import Any

_CASE = "01a1f813a7407a5b5a9408045eb981a1"
_EVENT = "01a1f813a7403f298327d79cbc09ddba"
_REMINDER = "01a1f813a74040d802b7a7a8222b3adf"
_ATTEMPT = "01a1f813a7406d111eacc184fd91e9e0"
_DEADLINE = "01a1f813a740fc80ad5261eadf94fbe6"

_IN_SHORT: Mapping[str, Any] = {
    "id": _CASE,
    "reference": "A-1",
    "procedure": "national",
    "state": "open",
    "team_only": False,
    "created_at": "2026-11-20T16:30:00+08:00",
}
_WHOLE: Mapping[str, Any] = {
    **_IN_SHORT,
    "card_last4": "0042",
    "bank": "",
    "contact": {
        "has_name": True,
        "phone": "****0001",
        "email": None,
        "second_phone": None,
        "language": "zh",
    },
    "events": [
        {
            "id": _EVENT,
            "event": "reported_by_phone",
            "occurred_at": "2026-11-20T16:20:00+08:00",
            "voided_at": None,
            "void_reason": "",
        }
    ],
}
_SUBMITTED = {
    **_WHOLE,
    "outcome": "new",
    "events_recorded": 1,
    "reminders_planned": 5,
    "notes": [],
}
_DATES = {
    "started_at": "2026-11-20T16:20:00+08:00",
    "ends_at": "2026-11-26T00:00:00+08:00",
    "last_date": "2026-11-25",
    "earliest_at": "2026-11-26T00:00:00+08:00",
    "latest_at": "2026-11-26T00:00:00+08:00",
    "status": "firm",
    "consulted_to": "2026-11-25",
    "act_by": "2026-11-25T17:00:00+08:00",
    "ready_on": None,
    "calendar_version": "0960b1757005",
    "rule_version": "2d9842c73a27",
}


def _day(date: str, kind: str, counted: int | None = None) -> dict[str, Any]:
    return {"date": date, "kind": kind, "name": "", "counted": counted, "firm": True}


_DERIVATION = {
    **_DATES,
    "period": {"working_days": 3},
    "days": [
        _day("2026-11-20", "working"),
        _day("2026-11-21", "weekend"),
        _day("2026-11-22", "weekend"),
        _day("2026-11-23", "working", 1),
        _day("2026-11-24", "working", 2),
        _day("2026-11-25", "working", 3),
    ],
    "other_readings": [],
    "notices": ["国务院办公厅关于2026年部分节假日安排的通知"],
    "source": "《社会保障卡管理办法》",
}
_REMINDERS = {
    "items": [
        {
            "id": _REMINDER,
            "rule": "national.phone-loss-report",
            "step": "at_once",
            "recipient": "citizen",
            "channel": "sms",
            "due_at": "2026-11-20T16:30:00+08:00",
            "state": "delivered",
            "reason": "",
            "attempts": [
                {
                    "id": _ATTEMPT,
                    "reminder": _REMINDER,
                    "channel": "sms",
                    "number": 1,
                    "state": "delivered",
                    "code": "",
                    "provider": "twilio",
                    "provider_id": "SM0791dd503dc8280c2f7ff13751c9d999",
                    "started_at": "2026-11-20T16:30:00+08:00",
                    "accepted_at": "2026-11-20T16:30:01+08:00",
                    "delivered_at": "2026-11-20T16:30:09+08:00",
                    "parts": 1,
                    "simulated": False,
                }
            ],
        }
    ]
}
_EVIDENCE = {
    "format": "qida-evidence-1",
    "links": [
        {
            "seq": 1,
            "kind": "case",
            "content": {"id": _CASE, "reference": "A-1", "test": False, "simulated_left_out": 0},
            "previous_hash": "",
            "hash": "5f" * 32,
        },
        {
            "seq": 2,
            "kind": "receipt",
            "content": {"attempt": _ATTEMPT, "signature": "verified", "status": "delivered"},
            "previous_hash": "5f" * 32,
            "hash": "a1" * 32,
        },
    ],
    "head": "a1" * 32,
}
_RUNS = {
    "items": [
        {
            "id": "01a1f813a7401c16db40ac52d3be29da",
            "duty": "send",
            "state": "ok",
            "started_at": "2026-11-20T16:30:00+08:00",
            "finished_at": "2026-11-20T16:30:01+08:00",
            "seconds": 0.912,
            "runs": 1,
            "counts": {"accepted": 1},
            "error": "",
        }
    ],
    "next": None,
}

_IMPORT: Mapping[str, Any] = {
    "id": "01a1f813a74c0d3fa1b2c3d4e5f60718",
    "state": "done",
    "reason": "",
    "dry_run": False,
    "kind": "csv",
    "bytes": 244,
    "rows": 3,
    "rows_done": 3,
    "bad_rows": 1,
    "new": 2,
    "changed": 0,
    "unchanged": 0,
    "events_recorded": 2,
    "reminders_planned": 10,
    "repeats": None,
    "held_above": None,
    "nearest_act_by": None,
    "created_at": "2026-11-20T16:30:00+08:00",
    "updated_at": "2026-11-20T16:30:02+08:00",
    "finished_at": "2026-11-20T16:30:02+08:00",
    "notes": [],
}
_IMPORT_WHOLE = {
    **_IMPORT,
    "errors": [
        {
            "place": "import.csv, row 3, column C 事项",
            "row": 3,
            "code": "event.unknown",
            "value": "电话挂矢",
            "detail_zh": "没有这种事项",
            "detail_en": "there is no such event",
            "mend_zh": "是否想写“电话挂失”？",
            "mend_en": "did you mean 电话挂失?",
        }
    ],
}
_ERRORS = (
    "编号,业务,事项,发生时间,姓名,手机,错误原因\n"
    "A-1,national,电话挂矢,2026-11-20 16:20,张三,10000000001,"
    "C 事项：没有这种事项；是否想写“电话挂失”？\n"
)

ANSWERS: Mapping[str, Any] = {
    "enrol_case": _SUBMITTED,
    "list_cases": {"items": [_IN_SHORT], "next": None},
    "show_case": _WHOLE,
    "list_deadlines": {
        "items": [
            {
                **_DATES,
                "id": _DEADLINE,
                "rule": "national.phone-loss-report",
                "state": "open",
                "derivation": _DERIVATION,
            }
        ]
    },
    "list_reminders": _REMINDERS,
    "show_evidence": _EVIDENCE,
    "record_event": _SUBMITTED,
    "void_event": _WHOLE,
    "preview": _DERIVATION,
    "hand_in": _IMPORT_WHOLE,
    "list_imports": {"items": [_IMPORT], "next": None},
    "show_import": _IMPORT_WHOLE,
    "list_errors": _ERRORS,
    "cancel_import": {**_IMPORT, "state": "cancelled", "reason": "asked"},
    "approve_import": {**_IMPORT, "state": "queued", "finished_at": None},
    "list_runs": _RUNS,
    "healthz": {"status": "ok"},
    "readyz": {"status": "ok"},
    "show_metrics": "# TYPE qida_calendar_horizon_days gauge\nqida_calendar_horizon_days 41.0\n",
}
"""By operation."""

PROBLEM: Mapping[str, Any] = {
    "type": "urn:qida:problem:refused",
    "title": "Cannot be taken as it is",
    "status": 422,
    "detail": "有 1 处需要更正，没有登记任何内容 / 1 to mend; nothing was recorded",
    "code": "refused",
    "detail_zh": "有 1 处需要更正，没有登记任何内容",
    "detail_en": "1 to mend; nothing was recorded",
    "errors": [
        {
            "pointer": "/contact/phone",
            "code": "phone.landline",
            "detail_zh": "不是手机号码，收不到短信",
            "detail_en": "not a mobile: no SMS reaches it",
            "mend_zh": "请填手机号码，或改填邮箱",
            "mend_en": "enter a mobile number, or an e-mail address instead",
        }
    ],
}
