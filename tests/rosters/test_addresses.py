"""Telephone numbers and e-mail addresses as people write them."""

import phonenumbers
import pytest
from email_validator import validate_email
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.contacts import PhonePolicy, is_sandbox_number
from worker.rosters import Refusal, not_allowed, read_email, read_phone

REAL = PhonePolicy()
# The mainland sets no numbers aside for fiction; eight zeros are as near as one comes.
MOBILE = "138" + "0" * 8


def refusal(written: str, policy: PhonePolicy) -> Refusal:
    found = read_phone(written, policy)
    assert isinstance(found, Refusal)
    return found


@pytest.mark.parametrize(
    "form",
    [
        "{0}",
        "+86{0}",
        "0086{0}",
        "86{0}",
        "+86 {0}",
        "+86-{0}",
        "86 {1} {2} {3}",
        "{1}-{2}-{3}",
        "{1} {2} {3}",
        "（+86）{0}",
        "＋８６ {0}",
        "\N{NO-BREAK SPACE}{0}",
        "0{0}",
    ],
)
def test_a_mainland_mobile_is_read_in_every_usual_form(form: str) -> None:
    written = form.format(MOBILE, MOBILE[:3], MOBILE[3:7], MOBILE[7:])

    assert read_phone(written, REAL) == "+86" + MOBILE


def test_full_width_digits_are_read() -> None:
    written = MOBILE.translate(str.maketrans("0123456789", "０１２３４５６７８９"))

    assert read_phone(written, REAL) == "+86" + MOBILE


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("025-12333", "phone.landline"),
        ("02584000000", "phone.landline"),
        ("+86 10 6552 0000", "phone.landline"),
        ("12333", "phone.short"),
        ("661234", "phone.short"),
        ("6612345", "phone.invalid"),
        (MOBILE[:-1], "phone.invalid"),
        (MOBILE + "1", "phone.invalid"),
        ("+852 5123 4567", "phone.abroad"),
        ("+1 202 555 0100", "phone.abroad"),
        ("00447946000000", "phone.abroad"),
        (f"{MOBILE}/{MOBILE}", "phone.two"),
        (f"{MOBILE}、{MOBILE}", "phone.two"),
        (f"{MOBILE} {MOBILE}", "phone.two"),
        (f"{MOBILE}或02584000000", "phone.two"),
        (f"{MOBILE},{MOBILE}", "phone.two"),
        (f"张三{MOBILE}", "phone.characters"),
        (f"{MOBILE}转1", "phone.characters"),
        (f"tel:{MOBILE}", "phone.characters"),
        (MOBILE[:-1] + "①", "phone.characters"),
        ("1.38E+10", "phone.mangled"),
        ("1.38001e10", "phone.mangled"),
        (MOBILE + ".0", "phone.mangled"),
        ("-", "phone.invalid"),
        ("无", "phone.characters"),
        ("10000000001", "phone.sandbox"),
        ("100-0000-0001", "phone.sandbox"),
        ("٠" * 11, "phone.characters"),
    ],
)
def test_what_no_sms_reaches_is_refused_for_its_own_reason(written: str, code: str) -> None:
    found = refusal(written, REAL)

    assert (found.code, found.value) == (code, "")


def test_a_number_excel_has_mangled_asks_for_a_text_column() -> None:
    assert "请把该列设为文本格式" in refusal("1.38E+10", REAL).mend.zh


def test_sandbox_numbers_stay_as_they_are() -> None:
    policy = PhonePolicy(sandbox=True)

    assert read_phone("10000000099", policy) == "10000000099"
    assert read_phone("100 0000 0001", policy) == "10000000001"
    assert refusal("10000000100", policy).code == "phone.invalid"
    assert is_sandbox_number("10000000000")
    assert not is_sandbox_number("100000000001")


def test_mobiles_abroad_need_leave_and_landlines_abroad_get_none() -> None:
    policy = PhonePolicy(abroad=True)

    assert read_phone("+852 5123 4567", policy) == "+85251234567"
    assert read_phone("0044 7400 123456", policy) == "+447400123456"
    assert refusal("+44 20 7946 0000", policy).code == "phone.landline"
    assert refusal("+852 1", policy).code == "phone.invalid"
    assert refusal("02584000000", policy).code == "phone.landline"


def test_landlines_of_the_mainland_need_leave_of_their_own() -> None:
    policy = PhonePolicy(landline=True)

    assert read_phone("025-8400 0000", policy) == "+862584000000"
    assert read_phone("+86 10 6552 0000", policy) == "+861065520000"
    assert refusal("+852 5123 4567", policy).code == "phone.abroad"
    assert refusal("12333", policy).code == "phone.short"


@pytest.mark.parametrize(("number", "kind"), [
    ("+86" + MOBILE, None), ("10000000001", None), ("+861065520000", "phone.landline"),
    ("+862584000000", "phone.landline"), ("+85251234567", "phone.abroad"),
])  # fmt: skip
def test_a_number_that_was_read_is_measured_by_the_policy_of_its_centre(
    number: str, kind: str | None
) -> None:
    strict, lax = PhonePolicy(), PhonePolicy(abroad=True, landline=True)

    refused = not_allowed(number, strict)

    assert (refused and refused.code) == kind
    assert not_allowed(number, lax) is None


def test_the_fast_pattern_and_the_numbering_plan_agree_on_every_prefix() -> None:
    for prefix in range(10_000, 20_000):
        written = f"{prefix}000001"
        if is_sandbox_number(written):
            continue
        number = phonenumbers.parse(written, "CN")
        mobile = (
            phonenumbers.is_valid_number_for_region(number, "CN")
            and phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.MOBILE
        )

        assert isinstance(read_phone(written, REAL), str) == mobile, prefix


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("zhang.san+1@example.com", "zhang.san+1@example.com"),
        ("Zhang_San@EXAMPLE.com", "Zhang_San@example.com"),
        ("a@b-c.example.cn", "a@b-c.example.cn"),
        ("a@example.test", "a@example.test"),
        ("a@例子.中国", "a@xn--fsqu00a.xn--fiqs8s"),
    ],
)
def test_an_address_is_read_with_its_domain_in_ascii(written: str, meant: str) -> None:
    assert read_email(written) == meant


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("nobody", "email.invalid"),
        ("a@b", "email.invalid"),
        ("a..b@example.com", "email.invalid"),
        ("张三@example.com", "email.invalid"),
        ("a@[127.0.0.1]", "email.invalid"),
        ("=?utf-8?q?a?=@example.com", "email.invalid"),
        ("a=?b@example.com", "email.invalid"),
        ("a@example.com,b@example.com", "email.two"),
        ("a@example.com;b@example.com", "email.two"),
        ("a@example.com b@example.com", "email.two"),
        ("<a@example.com>", "email.two"),
        ("A <a@example.com>", "email.two"),
        ("a@example.com\nBcc:b@example.com", "email.two"),
        ("a\0@example.com", "email.invalid"),
        ("a@b@example.com", "email.two"),
        ("a" * 65 + "@example.com", "email.invalid"),
        ("a@" + "b" * 64 + ".com", "email.invalid"),
    ],
)
def test_what_is_not_one_bare_address_is_refused(written: str, code: str) -> None:
    found = read_email(written)

    assert isinstance(found, Refusal)
    assert (found.code, found.value) == (code, "")


@given(
    st.from_regex(r"[a-zA-Z0-9._+-]{1,66}@[a-z0-9.-]{1,70}\.(com|cn|net|org|xn--a)", fullmatch=True)
)
def test_the_fast_pattern_takes_only_what_the_validator_takes_unchanged(written: str) -> None:
    found = read_email(written)

    if isinstance(found, str):
        valid = validate_email(written, check_deliverability=False, allow_smtputf8=False)
        assert found == valid.ascii_email


@given(st.text())
def test_any_text_is_an_address_or_refused_without_being_repeated(text: str) -> None:
    for found in (read_email(text), read_phone(text, PhonePolicy(abroad=True))):
        assert isinstance(found, str) or found.value == ""
