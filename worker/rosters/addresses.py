"""Telephone numbers and e-mail addresses as people write them; refusals never repeat them."""

import re

from worker.domain.contacts import PhonePolicy, is_sandbox_number
from worker.domain.errors import Text
from worker.rosters.refusals import Refusal

# A subset of what phonenumbers calls a mainland mobile, so that most rows need not load it.
# tests/rosters/test_addresses.py compares every prefix.
_MOBILE = re.compile(
    r"(?:\+?86|0086)?(1(?:[38][0-9]|4[57]|[59][0-35-9]|6[25-7]|7[0-35-8])[0-9]{8})"
)
_HALF_WIDTH = str.maketrans(
    "０１２３４５６７８９＋－‐‑–—（）　\N{NO-BREAK SPACE}", "0123456789+-----()  "
)
_MANGLED = re.compile(r"[0-9](?:\.[0-9]+)?[eE]\+?[0-9]+|[0-9]+\.0+")
_SEPARATOR = re.compile(r"[/、;；,，|\\\r\n]|或|和")
_CHARACTERS = re.compile(r"[ (]*\+?[0-9 ()\-]+")
_FILLING = re.compile(r"[ ()\-]")
_LONGEST = 15  # digits of an international number: ITU-T E.164
_LEAST = 7  # digits that make a part of a cell a number of its own
_SHORTEST, _SHORT = 3, 6  # digits of a number that holds within a network or a city alone

AS_TEXT = Text(
    "请把该列设为文本格式，再重新填写",
    "set the column to text format, then enter it again",
)


def read_phone(text: str, policy: PhonePolicy) -> str | Refusal:
    """A mobile number as +8613800138000 (a sandbox number as its digits), or why not."""
    mobile = _MOBILE.fullmatch(text)
    if mobile is not None:
        return "+86" + mobile[1]
    written = text.translate(_HALF_WIDTH).strip()
    if refusal := _not_one_number(written):
        return refusal
    digits = _FILLING.sub("", written)
    if is_sandbox_number(digits):
        return digits if policy.sandbox else _SANDBOX
    return _by_metadata(digits, policy)


def _not_one_number(written: str) -> Refusal | None:
    if _MANGLED.fullmatch(written):
        return _refused("phone.mangled", "Excel 已把号码变成数值", "Excel turned it into a value")
    parts = [part for part in _SEPARATOR.split(written) if _count_digits(part) >= _LEAST]
    if len(parts) > 1 or _count_digits(written) > _LONGEST:
        return _TWO
    if not _CHARACTERS.fullmatch(written):
        return _refused("phone.characters", "含有不属于号码的字符", "it holds more than a number")
    return None


def _count_digits(text: str) -> int:
    return sum(character.isdigit() for character in text)


def _by_metadata(digits: str, policy: PhonePolicy) -> str | Refusal:
    import phonenumbers  # heavy, and most rosters hold nothing the pattern above leaves open

    try:
        number = phonenumbers.parse(digits, "CN")
    except phonenumbers.NumberParseException:
        return _wrong_length(digits)
    at_home = number.country_code == 86
    if not at_home and not policy.abroad:
        return _ABROAD
    if not phonenumbers.is_valid_number(number):
        return _wrong_length(digits) if at_home else _NOT_ABROAD
    kinds = phonenumbers.PhoneNumberType
    mobile = {kinds.MOBILE} if at_home else {kinds.MOBILE, kinds.FIXED_LINE_OR_MOBILE}
    kind = phonenumbers.number_type(number)
    if kind not in mobile and not (at_home and policy.landline and kind == kinds.FIXED_LINE):
        return _LANDLINE
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def not_allowed(phone: str, policy: PhonePolicy) -> Refusal | None:
    """Why a number that was read is refused at a centre of this policy."""
    lacks = policy.lacks(phone)
    return {"abroad": _ABROAD, "landline": _LANDLINE}[lacks] if lacks else None


def _refused(code: str, zh: str, en: str) -> Refusal:
    mend = AS_TEXT if code == "phone.mangled" else _ONE_MOBILE
    return Refusal(code, Text(zh, en), mend)


def _wrong_length(digits: str) -> Refusal:
    count = _count_digits(digits)
    if _SHORTEST <= count <= _SHORT and digits[0] not in "+0":
        return _SHORT_NUMBER
    return _refused(
        "phone.invalid",
        f"不是有效的手机号码（共 {count} 位数字）",
        f"not a valid mobile number ({count} digits)",
    )


_ONE_MOBILE = Text("请只填一个11位的大陆手机号码", "enter one mainland mobile number of 11 digits")
_TWO = Refusal(
    "phone.two",
    Text("一个单元格里不止一个号码", "more than one number in one cell"),
    Text(
        "请只留一个手机号码；第二联系人填在“备用手机”列",
        "keep one mobile number; a second contact goes into the column second_phone",
    ),
)
_SANDBOX = Refusal(
    "phone.sandbox",
    Text("演示号码不能用于真实发送", "a sandbox number cannot be sent to for real"),
    _ONE_MOBILE,
)
_ABROAD = Refusal(
    "phone.abroad",
    Text("不是大陆号码", "not a mainland number"),
    Text(
        "请填大陆手机号码；本网点未开通境外号码",
        "enter a mainland mobile; this centre does not send abroad",
    ),
)
_NOT_ABROAD = Refusal(
    "phone.invalid",
    Text("不是有效的境外手机号码", "not a valid mobile number of that country"),
    Text("请核对国家或地区号和号码", "check the country code and the number"),
)
_LANDLINE = Refusal(
    "phone.landline",
    Text("不是手机号码，收不到短信", "not a mobile: no SMS reaches it"),
    Text("请填手机号码，或改填邮箱", "enter a mobile number, or an e-mail address instead"),
)
_SHORT_NUMBER = Refusal(
    "phone.short",
    Text(
        "是短号，出了本网就收不到短信", "a short number: no SMS reaches it from outside its network"
    ),
    _ONE_MOBILE,
)

# Plain addresses under the usual domains, all of which email-validator accepts unchanged, and
# under .test, which it refuses: mail servers for trials use it, and it leads nowhere (RFC 6761).
_PLAIN_EMAIL = re.compile(
    r"(?=.{1,64}@.{1,180}\Z)[A-Za-z0-9]+(?:[._+-][A-Za-z0-9]+)*"
    r"@(?:[a-z0-9]{1,20}(?:-[a-z0-9]{1,20})?\.)+(?:com|cn|net|org|test)"
)
_SEVERAL = re.compile(r"[,;，；、<>\s]|@.*@")


def read_email(text: str) -> str | Refusal:
    """One e-mail address, its domain in ASCII, or why not. Deliverability is not asked about."""
    if _PLAIN_EMAIL.fullmatch(text):
        return text
    if "=?" in text:  # RFC 2047: it would be decoded inside a header
        return _BAD_EMAIL
    if _SEVERAL.search(text):
        return _TWO_EMAILS
    return _by_syntax(text)


def _by_syntax(text: str) -> str | Refusal:
    from email_validator import EmailNotValidError, validate_email  # heavy, seldom needed

    try:
        found = validate_email(
            text,
            check_deliverability=False,
            allow_smtputf8=False,
            strict=True,  # RFC 5321, 4.5.3.1.1: a local part of 64 octets
        )
    except EmailNotValidError:
        return _BAD_EMAIL
    return found.ascii_email or found.normalized


_BAD_EMAIL = Refusal(
    "email.invalid",
    Text("不是有效的邮箱地址", "not a valid e-mail address"),
    Text("请核对，例如 zhangsan@example.com", "check it, e.g. zhangsan@example.com"),
)
_TWO_EMAILS = Refusal(
    "email.two",
    Text("邮箱须是一个地址，不带姓名和空格", "one bare address, without a name or spaces"),
    Text("请只留一个地址", "keep one address"),
)
