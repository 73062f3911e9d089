"""A status callback of Twilio: who sent it, and what it says. It stores and answers nothing.

The signature covers the address and all names and values in one row without separators, so that
`a=bcd` and `ab=cd` sign alike. The rules below leave a signed row only one reading: wherever a name
we read stands in it, the same value follows and ends, at a capital or with the row; a status or
code holds no capital, and ids have one length. Other names are Twilio's to add
(https://www.twilio.com/docs/usage/webhooks/webhooks-security), and may end in one of ours as
`SmsMessageSid` does. A repeated callback is valid for ever: it must be harmless.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from twilio.request_validator import HMAC_SHA1, SIGNATURE_HEADER, RequestValidator

from worker.channels.twilio_codes import receipt
from worker.domain.delivery import Receipt

MOST_BYTES = 16 * 1024
"""A callback has under 1 kB."""

_MOST_FIELDS = 100
_PATH = re.compile(r".*/hooks/twilio/(?P<ref>[0-9a-z-]{1,64})")
_PORT = re.compile(r":[0-9]*$")
_FORMS = {
    "AccountSid": re.compile(r"AC[0-9a-fA-F]{32}"),
    "MessageSid": re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}"),
    "MessageStatus": re.compile(r"[a-z][a-z_-]{0,39}"),
    "ErrorCode": re.compile(r"[0-9]{0,6}"),
}
_OPTIONAL = "ErrorCode"


class Forged(Exception):
    """A callback that is not Twilio's, or that cannot be read: 403 and nothing else.

    The message is one word of ours; nothing of the request is in it.
    """


class _Fields(dict[str, list[str]]):
    """Names with all their values, in the shape the validator asks for."""

    def getall(self, name: str) -> list[str]:
        return self[name]


def read_callback(  # noqa: PLR0913 - a request has this many parts
    *,
    public_url: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    tokens: Sequence[str],
    account_sid: str,
) -> Receipt:
    """The receipt in a callback that carries a signature made with one of our `tokens`.

    `path` and `query` are as they were requested, still percent-encoded; scheme and host come from
    `public_url`, never from the request. Raises Forged, and nothing else, for all that is wrong.
    """
    try:
        fields = _fields(headers, body)
        signature = _header(headers, SIGNATURE_HEADER)
        _require_signed(_urls(public_url, path, query), fields, signature, tokens)
        return _receipt(path, _read(fields), account_sid)
    except Forged:
        raise
    except Exception as error:  # noqa: BLE001 - what cannot be read is refused, never a 500
        raise Forged(type(error).__name__) from None


def _fields(headers: Mapping[str, str], body: bytes) -> _Fields:
    """Every name and value: blank ones are signed too, and a repeated name with all its values."""
    if len(body) > MOST_BYTES:
        raise Forged("size")
    kind = _header(headers, "Content-Type").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Forged("form")
    fields = _Fields()
    for name, value in parse_qsl(
        body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
    ):
        fields.setdefault(name, []).append(value)
    return fields


def _header(headers: Mapping[str, str], name: str) -> str:
    found = [value for key, value in headers.items() if key.lower() == name.lower()]
    if len(found) != 1:
        raise Forged("headers")
    return found[0]


def _urls(public_url: str, path: str, query: str) -> set[str]:
    """What Twilio may have signed: the address with and without its port, never a fragment."""
    base = urlsplit(public_url)
    target = base.path.rstrip("/") + path.partition("#")[0] + (f"?{query}" if query else "")
    user, at, host = base.netloc.rpartition("@")
    bare = _PORT.sub("", host)  # the library's own way breaks at user:password@ and [::1]
    hosts = {host, bare, f"{bare}:{443 if base.scheme == 'https' else 80}"}
    return {f"{base.scheme}://{user}{at}{host}{target}" for host in hosts}


def _require_signed(urls: set[str], fields: _Fields, signature: str, tokens: Sequence[str]) -> None:
    """Two tokens are valid while one replaces the other; an empty one never is.

    The algorithm is ours to choose: a request must not name a weaker one.
    """
    validators = [RequestValidator(token) for token in tokens if token]
    expected = [one.compute_signature(url, fields, HMAC_SHA1) for one in validators for url in urls]
    if not any(hmac.compare_digest(each, signature) for each in expected):
        raise Forged("signature")


def _read(fields: _Fields) -> dict[str, str]:
    """The values we read, from a row that has no second reading."""
    row = "".join(name + value for name in sorted(fields) for value in sorted(set(fields[name])))
    found = {}
    for name, form in _FORMS.items():
        values = fields.get(name, [])
        found[name] = values[0] if values else ""
        read = re.findall(f"{name}{re.escape(found[name])}(?=[A-Z]|\\Z)", row) if values else []
        if row.count(name) != len(read) or len(values) > 1:
            raise Forged("ambiguous")
        if not form.fullmatch(found[name]) and (values or name != _OPTIONAL):
            raise Forged(name)
    return found


def _receipt(path: str, found: Mapping[str, str], account_sid: str) -> Receipt:
    if found["AccountSid"] != account_sid:
        raise Forged("account")
    place = _PATH.fullmatch(path.partition("#")[0])
    if place is None:
        raise Forged("path")
    code = found["ErrorCode"].lstrip("0")
    return receipt(found["MessageSid"], found["MessageStatus"], code, ref=place["ref"])
