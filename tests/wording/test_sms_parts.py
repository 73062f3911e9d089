"""Parts of an SMS, against the alphabet's own rule and an independent counter."""

import pytest
import smsutil
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.sms import Parts, count_parts

GSM_TEXT = st.text(alphabet="abcXYZ 09@£èØ_ΔΩ\n\r\f^{}\\[~]|€ßÉ¿§", max_size=500)
ANY_TEXT = st.text(alphabet="ab办挂失。【】〇㐀𠮷😀ç`^€", max_size=300)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Parts("gsm7", 0, 1)),
        ("a" * 160, Parts("gsm7", 160, 1)),
        ("a" * 161, Parts("gsm7", 161, 2)),
        ("a" * 306, Parts("gsm7", 306, 2)),
        ("a" * 307, Parts("gsm7", 307, 3)),
        ("€" * 80, Parts("gsm7", 160, 1)),
        ("a" * 152 + "€" * 77, Parts("gsm7", 306, 3)),  # 152, then 76 x 2, then the last one
        ("办" * 70, Parts("ucs2", 70, 1)),
        ("办" * 71, Parts("ucs2", 71, 2)),
        ("办" * 134, Parts("ucs2", 134, 2)),
        ("办" * 135, Parts("ucs2", 135, 3)),
        ("𠮷" * 35, Parts("ucs2", 70, 1)),
        ("𠮷" * 36, Parts("ucs2", 72, 2)),
        ("𠮷" * 67, Parts("ucs2", 134, 3)),  # 33 pairs a part: the 67th unit stays empty
        ("ç", Parts("ucs2", 1, 1)),
        ("`", Parts("ucs2", 1, 1)),
        ("【】〇", Parts("ucs2", 3, 1)),
    ],
)
def test_a_text_is_counted_by_its_alphabet(text: str, expected: Parts) -> None:
    counted = count_parts(text)

    assert counted == expected


@pytest.mark.parametrize(
    ("text", "parts"), [("办" * 58, 1), ("办" * 59, 2), ("a" * 148, 1), ("a" * 149, 2)]
)
def test_what_the_route_adds_is_kept_free(text: str, parts: int) -> None:
    counted = count_parts(text, reserved=12)

    assert counted.parts == parts
    assert counted.units == len(text)


@given(st.one_of(GSM_TEXT, ANY_TEXT, st.text(max_size=300)).filter(bool))
def test_an_independent_counter_agrees(text: str) -> None:
    theirs = smsutil.split(text)

    ours = count_parts(text)

    bytes_a_unit = 1 if theirs.encoding == "gsm0338" else 2
    assert ours.encoding == {"gsm0338": "gsm7", "utf_16_be": "ucs2"}[theirs.encoding]
    assert ours.units * bytes_a_unit == theirs.total_bytes
    assert ours.parts == len(theirs.parts)
