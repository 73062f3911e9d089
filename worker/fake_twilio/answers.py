"""What the stand-in says, in Twilio's own shapes."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from worker.fake_twilio.messages import SENT, Message, segments_of

VERSION = "2010-04-01"
JSON = "application/json"
HTML = "text/html"

_MORE = "https://www.twilio.com/docs/errors/"
_SENDING_SIDE = "+15005550006"
"""The sender a Messaging Service picks: the number Twilio's own test credentials send from."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    kind: str = JSON


REFUSALS: Mapping[int, tuple[int, str]] = {
    20001: (400, "A parameter has a value that is not valid"),
    20003: (401, "Authenticate"),
    20004: (405, "Method not allowed"),
    20009: (409, "Resource not complete"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "An internal server error has occurred"),
    20503: (503, "Service unavailable"),
    21211: (400, "Invalid 'To' Phone Number"),
    21212: (400, "Invalid 'From' Number"),
    21408: (400, "Permission to send an SMS has not been enabled for the region"),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' or 'MessagingServiceSid' parameter is required"),
    21604: (400, "A 'To' phone number is required."),
    21606: (400, "The 'From' phone number provided is not a valid sender of this account"),
    21609: (400, "Invalid 'StatusCallback' URL"),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (429, "This 'From' number has exceeded the maximum number of queued messages"),
    21612: (400, "Message cannot be sent with the current combination of 'To' and 'From'"),
    21614: (400, "'To' number is not a valid mobile number"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21705: (400, "The Messaging Service is invalid"),
    30400: (400, "Parameters are not valid"),
    30409: (409, "This message cannot be canceled"),
    35111: (400, "SendAt timestamp is missing"),
    35115: (400, "Scheduling does not support this timestamp"),
    35118: (400, "MessagingServiceSid is required to schedule a message"),
    90007: (400, "Invalid validity period value"),
}
"""Code: HTTP status and sentence (twilio.com/docs/api/errors/CODE)."""

DELIVERY_ERRORS: Mapping[int, str] = {
    30001: "Queue overflow",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Carrier violation",
    30008: "Unknown error",
    30036: "Validity Period Expired",
}


def refusal(code: int, status: int | None = None) -> Answer:
    """An error as Twilio words it; an unlisted code is a 400 unless a status is given."""
    usual, sentence = REFUSALS.get(code, (400, f"Error {code}"))
    status = status or usual
    error = {"code": code, "message": sentence, "more_info": f"{_MORE}{code}", "status": status}
    return said(error, status)


def said(value: object, status: int = 200) -> Answer:
    """JSON, with the header by which a client tells Twilio's word from a proxy's."""
    return Answer(status, json.dumps(value).encode(), (("Twilio-Request-Id", _request_id()),))


def _request_id() -> str:
    return "RQ" + secrets.token_hex(16)


def uri_of(account: str, rest: str) -> str:
    """A URI below an account, relative to the server as Twilio writes them."""
    return f"/{VERSION}/Accounts/{account}/{rest}"


def shown(message: Message) -> dict[str, object]:
    """A message with every field of Twilio's OpenAPI document (api.v2010.account.message).

    A Messaging Service picks sender and segments only when it sends.
    """
    here = uri_of(message.account, f"Messages/{message.sid}")
    sent = message.sent_at is not None
    open_service = message.service is not None and not sent
    segments = 0 if open_service else segments_of(message.body)
    sender = message.sender or (None if open_service else _SENDING_SIDE)
    return {
        "account_sid": message.account,
        "api_version": VERSION,
        "body": message.body,
        "date_created": _rfc_2822(message.created_at),
        "date_sent": _rfc_2822(message.sent_at) if message.sent_at else None,
        "date_updated": _rfc_2822(message.updated_at),
        "direction": "outbound-api",
        "error_code": message.error_code,
        "error_message": _sentence(message.error_code),
        "from": sender,
        "messaging_service_sid": message.service,
        "num_media": "0",
        "num_segments": str(segments),
        "price": f"{-0.0075 * segments:.5f}" if message.status in SENT else None,
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{here}/Media.json"},
        "to": message.to,
        "uri": f"{here}.json",
    }


def _sentence(code: int | None) -> str | None:
    return None if code is None else DELIVERY_ERRORS.get(code, f"Error {code}")


def _rfc_2822(at: datetime) -> str:
    return _whole_second(at.replace(microsecond=0))


@lru_cache(maxsize=1024)
def _whole_second(at: datetime) -> str:
    return format_datetime(at.astimezone(UTC))
