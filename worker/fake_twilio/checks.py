"""The checks Twilio makes before it takes a message, in the order it makes them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_SENDER = re.compile(r"\+[1-9]\d{6,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_CONTENT = ("Body", "ContentSid", "MediaUrl")
_LONGEST_BODY = 1600
_LONGEST_WAIT_SECONDS = 36_000
_SOONEST, _LATEST = timedelta(seconds=300), timedelta(days=35)


def refused(form: Mapping[str, str], now: datetime) -> int | None:
    """The code of the first check the form of a create fails, or None."""
    return _missing(form) or _invalid(form) or _unfit(form) or _unschedulable(form, now)


def _missing(form: Mapping[str, str]) -> int | None:
    if not form.get("To"):
        return 21604
    if not form.get("From") and not form.get("MessagingServiceSid"):
        return 21603
    return None if any(form.get(name) for name in _CONTENT) else 21602


def _invalid(form: Mapping[str, str]) -> int | None:
    if not _E164.fullmatch(form["To"]):
        return 21211
    sender, service = form.get("From"), form.get("MessagingServiceSid")
    if service and not _SERVICE.fullmatch(service):
        return 21705
    return 21212 if sender and not _SENDER.fullmatch(sender) else None


def _unfit(form: Mapping[str, str]) -> int | None:
    if len(form.get("Body", "")) > _LONGEST_BODY:
        return 21617
    validity = form.get("ValidityPeriod", "1")
    if not re.fullmatch(r"[0-9]{1,9}", validity) or not 1 <= int(validity) <= _LONGEST_WAIT_SECONDS:
        return 90007
    callback = form.get("StatusCallback")
    return 21609 if callback and not _is_callback(callback) else None


def _is_callback(url: str) -> bool:
    """A full URL; Twilio takes no underscore in its host."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and "_" not in (host or "")


def _unschedulable(form: Mapping[str, str], now: datetime) -> int | None:
    if "ScheduleType" not in form:
        return None
    if not form.get("MessagingServiceSid"):
        return 35118
    if not form.get("SendAt"):
        return 35111
    at = send_at(form)
    return None if at and now + _SOONEST <= at <= now + _LATEST else 35115


def send_at(form: Mapping[str, str]) -> datetime | None:
    """When a scheduled message is to go; None if it is not scheduled or the time is unreadable."""
    try:
        at = datetime.fromisoformat(form["SendAt"]) if "ScheduleType" in form else None
    except (KeyError, ValueError):
        return None
    return at.replace(tzinfo=UTC) if at and at.tzinfo is None else at
