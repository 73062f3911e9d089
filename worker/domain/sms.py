"""How many parts an SMS costs. It sends nothing and knows no provider.

Counting rule: 3GPP TS 23.038 §6.2.1 (alphabet) and TS 23.040 §9.2.3.24.1 (the header of a
concatenated message takes 7 septets or 3 UCS-2 units). One character outside the GSM alphabet turns
the whole message into UCS-2. No escape sequence and no surrogate pair is cut in two.
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
    units = _units(text, encoding)
    return Parts(encoding, units, _parts(text, units, encoding, reserved))


def _encoding(text: str) -> Encoding:
    return "gsm7" if _GSM7.issuperset(text) else "ucs2"


def _units(text: str, encoding: Encoding) -> int:
    if encoding == "gsm7":
        return len(text) + sum(map(text.count, _EXTENSION))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _parts(text: str, units: int, encoding: Encoding, reserved: int) -> int:
    if reserved + units <= _ALONE[encoding]:
        return 1
    if units == len(text):  # nothing that a cut could go through
        return -(-(reserved + units) // _EACH[encoding])
    parts, filled = 1, reserved
    for character in text:
        weight = _units(character, encoding)
        if filled + weight > _EACH[encoding]:
            parts, filled = parts + 1, 0
        filled += weight
    return parts
