"""Logs: one JSON object (or one plain line) an event, with fields from an allow-list only.

Nothing else of a record is written, so that no text, name, address or token can slip in.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import IO

from worker.domain.calendar import CHINA

FIELDS = (
    "duty",
    "centre_id",
    "case_id",
    "deadline_id",
    "reminder_id",
    "attempt_id",
    "import_id",
    "channel",
    "step",
    "state",
    "code",
    "reason",
    "mend",
    "place",
    "count",
    "counts",
    "seconds",
    "act_by",
    "error",
)
"""Every field a log line may carry."""


_JSON = json.JSONEncoder(ensure_ascii=False, default=str)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name.startswith("worker") else record.name,
        }
        return _JSON.encode(line | _fields(record))


class _PlainLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, CHINA)
        event = record.getMessage() if record.name.startswith("worker") else record.name
        said = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        return f"{at:%H:%M:%S} {record.levelname.lower():7} {event} {said}".rstrip()


def _fields(record: logging.LogRecord) -> dict[str, object]:
    said = vars(record)
    found = {key: said[key] for key in FIELDS if key in said}
    if record.exc_info and record.exc_info[0] is not None:
        found.setdefault("error", record.exc_info[0].__name__)
    return found


def set_up_logging(form: str, stream: IO[str] | None = None) -> None:
    """Send every log line to `stream` (stderr) as `json` or `plain`."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonLines() if form == "json" else _PlainLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("worker").setLevel(logging.INFO)
