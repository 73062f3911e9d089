"""How many parts an SMS costs and where it is cut. It sends nothing and knows no provider.

Counting rule: 3GPP TS 23.038 §6.2.1 (alphabet) and TS 23.040 §9.2.3.24.1 (the header of a
concatenated message takes 7 septets or 3 UCS-2 units). One character outside the GSM alphabet turns
the whole message into UCS-2. Checked against two independent counters (research/channels.md §3).
"""

from typing import Literal, NamedTuple

Encoding = Literal["gsm7", "ucs2"]

ROUTE_UNITS = 12
"""What the mainland route adds to a message (its own signature); kept free in every text."""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")  # sent as escape + character
_GSM7 = _BASIC | _EXTENSION
_ALONE: dict[Encoding, int] = {"gsm7": 160, "ucs2": 70}
_EACH: dict[Encoding, int] = {"gsm7": 153, "ucs2": 67}


class Parts(NamedTuple):
    """What a text costs. `units` are septets (gsm7) or UTF-16 units (ucs2), all parts together."""

    encoding: Encoding
    units: int
    parts: int


def count_parts(text: str, *, reserved: int = 0) -> Parts:
    """Encoding, units and parts of `text`; an empty text is one part.

    `reserved` units are left free at the front of the message for what a route adds; they weigh in
    `parts`, not in `units`.
    """
    encoding = _encoding(text)
    units = sum(_units(character, encoding) for character in text)
    return Parts(encoding, units, len(_cut(text, encoding, reserved)))


def split(text: str) -> tuple[str, ...]:
    """The text of each part; no escape sequence and no surrogate pair is ever cut in two."""
    return _cut(text, _encoding(text), 0)


def _encoding(text: str) -> Encoding:
    return "gsm7" if _GSM7.issuperset(text) else "ucs2"


def _units(character: str, encoding: Encoding) -> int:
    if encoding == "gsm7":
        return 2 if character in _EXTENSION else 1
    return 2 if ord(character) > 0xFFFF else 1  # a surrogate pair in UTF-16


def _cut(text: str, encoding: Encoding, reserved: int) -> tuple[str, ...]:
    weights = [_units(character, encoding) for character in text]
    if reserved + sum(weights) <= _ALONE[encoding]:
        return (text,)
    parts, first, filled = [], 0, reserved
    for position, weight in enumerate(weights):
        if filled + weight > _EACH[encoding]:
            parts.append(text[first:position])
            first, filled = position, 0
        filled += weight
    return (*parts, text[first:])
