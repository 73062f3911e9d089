"""Status callbacks: only what Twilio signed is read, and it is read in one way only."""

import base64
import hmac
import random
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from worker.channels.twilio_hook import MOST_BYTES, Forged, read_callback
from worker.domain.delivery import AttemptState, Receipt

ACCOUNT_SID, SID = "AC" + "a" * 32, "SM" + "1" * 32
TOKEN, NEXT_TOKEN = "token-of-a-test", "next-token-of-a-test"
REF = "0123456789abcdef0123456789abcdef"
PUBLIC, PATH = "https://qida.example.com", f"/hooks/twilio/{REF}"
FORM = "application/x-www-form-urlencoded"
FIELDS = [
    ("ApiVersion", "2010-04-01"),
    ("SmsSid", SID),
    ("SmsStatus", "undelivered"),
    ("MessageStatus", "undelivered"),
    ("ErrorCode", "30003"),
    ("To", "+8613800000001"),
    ("MessageSid", SID),
    ("AccountSid", ACCOUNT_SID),
    ("From", "+15005550006"),
]
Pairs = Sequence[tuple[str, str]]


def signed(
    fields: Pairs = FIELDS, url: str = PUBLIC + PATH, token: str = TOKEN, algorithm: str = "sha1"
) -> str:
    """A signature as Twilio's documents describe it, worked out apart from its library."""
    row = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.digest(token.encode(), row.encode(), algorithm)).decode()


def read(  # noqa: PLR0913 - a request has this many parts
    fields: Pairs | bytes = FIELDS,
    *,
    signature: str | None = None,
    headers: Mapping[str, str] | None = None,
    public_url: str = PUBLIC,
    path: str = PATH,
    query: str = "",
    tokens: Sequence[str] = (TOKEN,),
) -> Receipt:
    body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
    said = {"x-twilio-signature": signed() if signature is None else signature}
    return read_callback(
        public_url=public_url,
        path=path,
        query=query,
        headers={"Content-Type": FORM} | said if headers is None else headers,
        body=body,
        tokens=tokens,
        account_sid=ACCOUNT_SID,
    )


def changed(**values: str | None) -> list[tuple[str, str]]:
    """The fields with others in place of some; None leaves one out."""
    kept = [(name, value) for name, value in FIELDS if name not in values]
    return kept + [(name, value) for name, value in values.items() if value is not None]


def test_a_callback_of_twilio_is_a_receipt_with_our_reference() -> None:
    receipt = read()

    assert receipt == Receipt(
        SID, "undelivered", AttemptState.UNDELIVERED, "30003", ref=REF, is_transient=True
    )


def test_a_signature_known_from_twilios_documents_is_ours_too() -> None:
    # https://www.twilio.com/docs/usage/security, "Example", token 12345
    fields = [
        ("CallSid", "CA1234567890ABCDE"), ("Caller", "+12349013030"), ("Digits", "1234"),
        ("From", "+12349013030"), ("To", "+18005551212"),
    ]  # fmt: skip

    assert (
        signed(fields, "https://mycompany.com/myapp.php?foo=1&bar=2", "12345")
        == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="
    )


@pytest.mark.parametrize(
    ("fields", "status", "state", "code"),
    [
        (changed(MessageStatus="delivered", ErrorCode=None), "delivered", "delivered", ""),
        (changed(MessageStatus="delivered", ErrorCode=""), "delivered", "delivered", ""),
        (changed(MessageStatus="delivered", ErrorCode="0"), "delivered", "delivered", ""),
        (changed(MessageStatus="pondering"), "pondering", None, "30003"),
        (changed(NewName="x", Another=""), "undelivered", "undelivered", "30003"),
        (changed(newName="x", other=""), "undelivered", "undelivered", "30003"),
        (changed(SmsMessageSid=SID), "undelivered", "undelivered", "30003"),
        (
            [*FIELDS, ("Tag", "b"), ("Tag", "a"), ("Tag", "a")],
            "undelivered",
            "undelivered",
            "30003",
        ),
        (changed(Carrier="中国移动 & co"), "undelivered", "undelivered", "30003"),
        (changed(MessageSid="MM" + "2" * 32), "undelivered", "undelivered", "30003"),
    ],
)
def test_new_blank_and_repeated_parameters_do_no_harm(
    fields: Pairs, status: str, state: str | None, code: str
) -> None:
    receipt = read(fields, signature=signed(fields))

    assert (receipt.status, receipt.state, receipt.code) == (status, state, code)


def test_an_opt_out_is_told() -> None:
    fields = changed(MessageStatus="failed", ErrorCode="21610")

    assert read(fields, signature=signed(fields)).opted_out


# The address


@pytest.mark.parametrize(
    "url",
    [f"{PUBLIC}:443{PATH}", f"{PUBLIC}{PATH}"],
)
@pytest.mark.parametrize("public_url", [PUBLIC, PUBLIC + "/", PUBLIC + ":443"])
def test_only_the_port_is_forgiven(public_url: str, url: str) -> None:
    assert read(public_url=public_url, signature=signed(url=url)).ref == REF


@pytest.mark.parametrize(
    "public_url",
    [
        "https://qida.example.com:8443/base", "http://127.0.0.1:8080",
        "https://me:secret@qida.example.com", "https://me:secret@qida.example.com:8443",
        "https://[::1]:8443", "https://[::1]",
    ],
)  # fmt: skip
def test_ports_users_paths_and_ipv6_are_part_of_the_address(public_url: str) -> None:
    assert read(public_url=public_url, signature=signed(url=public_url + PATH)).ref == REF


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        (f"http://qida.example.com{PATH}", PATH, ""),
        (f"https://qida.example.org{PATH}", PATH, ""),
        (f"{PUBLIC}:8443{PATH}", PATH, ""),
        (f"{PUBLIC}{PATH}", PATH[:-1] + "0", ""),
        (f"{PUBLIC}{PATH}", PATH + "/", ""),
        (f"{PUBLIC}{PATH}", PATH, "a=1"),
        (f"{PUBLIC}{PATH}?a=1", PATH, ""),
        (f"{PUBLIC}{PATH}?a=1&b=", PATH, "b=&a=1"),
        (f"{PUBLIC}{PATH}#rc=5", PATH, ""),
        (f"{PUBLIC}/other/{REF}", f"/other/{REF}", ""),
        (f"{PUBLIC}/hooks/twilio/", "/hooks/twilio/", ""),
        (f"{PUBLIC}/hooks/twilio/A%20B", "/hooks/twilio/A%20B", ""),
    ],
)
def test_another_address_is_not_ours(url: str, path: str, query: str) -> None:
    with pytest.raises(Forged):
        read(path=path, query=query, signature=signed(url=url))


def test_the_query_counts_as_it_came_and_a_fragment_never_does() -> None:
    query = "b=&a=1%20+"

    receipt = read(
        path=f"{PATH}#rc=5", query=query, signature=signed(url=f"{PUBLIC}{PATH}?{query}")
    )

    assert receipt.ref == REF


# Tokens and algorithm


def test_two_tokens_are_good_while_one_replaces_the_other() -> None:
    tokens = (NEXT_TOKEN, TOKEN)

    assert read(tokens=tokens, signature=signed(token=NEXT_TOKEN)).ref == REF
    assert read(tokens=tokens, signature=signed(token=TOKEN)).ref == REF


@pytest.mark.parametrize("tokens", [(), ("",), ("", NEXT_TOKEN)])
@pytest.mark.parametrize("token", [TOKEN, ""])
def test_no_token_signs_for_an_empty_or_a_retired_one(tokens: Sequence[str], token: str) -> None:
    with pytest.raises(Forged):
        read(tokens=tokens, signature=signed(token=token))


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_request_does_not_choose_the_algorithm(algorithm: str) -> None:
    headers = {
        "Content-Type": FORM,
        "X-Twilio-Signature": signed(algorithm=algorithm),
        "X-Twilio-Webhooks-Signature-Settings": f"key=k,algorithm=HMAC_{algorithm.upper()}",
    }

    with pytest.raises(Forged):
        read(headers=headers)


# What cannot be read

GOOD = urlencode(FIELDS).encode()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": FORM},
        {"X-Twilio-Signature": signed()},
        {"Content-Type": FORM, "X-Twilio-Signature": ""},
        {"Content-Type": FORM, "X-Twilio-Signature": "签名"},
        {"Content-Type": FORM, "X-Twilio-Signature": signed(), "x-twilio-signature": signed()},
        {"Content-Type": "application/json", "X-Twilio-Signature": signed()},
        {"Content-Type": "multipart/form-data; boundary=x", "X-Twilio-Signature": signed()},
    ],
)
def test_headers_that_are_missing_doubled_or_odd_are_refused(headers: Mapping[str, str]) -> None:
    with pytest.raises(Forged):
        read(headers=headers)


def test_the_form_may_name_its_character_set() -> None:
    kind = "Application/X-WWW-Form-URLencoded; charset=UTF-8"

    assert read(headers={"content-type": kind, "X-TWILIO-SIGNATURE": signed()}).ref == REF


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff\xfe", b"To=%ff&" + GOOD, GOOD[:-1], GOOD + b"&To=", GOOD.replace(b"&", b";"),
        b'{"MessageStatus": "delivered"}', b"&".join([b"a=1"] * 101), b"A" * (MOST_BYTES + 1),
    ],
)  # fmt: skip
def test_a_body_that_is_cut_odd_or_too_large_is_refused(body: bytes) -> None:
    with pytest.raises(Forged):
        read(body)


def test_a_signed_body_that_is_too_large_is_refused_too() -> None:
    fields = changed(Carrier="x" * MOST_BYTES)

    with pytest.raises(Forged, match="size"):
        read(fields, signature=signed(fields))


@pytest.mark.parametrize(
    "fields",
    [
        changed(AccountSid="AC" + "b" * 32),
        changed(AccountSid=None),
        changed(MessageSid=None),
        changed(MessageSid="SM1"),
        changed(MessageSid=SID.replace("1", "z")),
        changed(MessageStatus=None),
        changed(MessageStatus=""),
        changed(MessageStatus="Delivered"),
        changed(MessageStatus="delivered "),
        changed(ErrorCode="none"),
        changed(ErrorCode="３"),
        [*FIELDS, ("MessageStatus", "delivered")],
        [*FIELDS, ("MessageSid", SID)],
        [*FIELDS, ("AccountSid", ACCOUNT_SID)],
        [*FIELDS, ("ErrorCode", "")],
        changed(ApiVersion=None, From=None, SmsSid=None, SmsStatus=None, To=None, en="x"),
        changed(SmsMessageSid="SM" + "2" * 32),
        changed(OldMessageStatus="undelivered_then"),
        changed(Note="MessageStatus"),
        [("FromErrorCode", "30003"), *changed(ErrorCode=None)],
    ],
)
def test_even_signed_our_own_parameters_have_one_form_and_one_place(fields: Pairs) -> None:
    with pytest.raises(Forged):
        read(fields, signature=signed(fields))


def test_nothing_of_the_request_is_in_the_refusal() -> None:
    with pytest.raises(Forged) as refused:
        read(changed(MessageStatus="秘密"), signature=signed(changed(MessageStatus="秘密")))

    assert str(refused.value) == "MessageStatus"
    assert refused.value.__cause__ is None


# Ten thousand forgeries


def cut_anew(seeded: random.Random, fields: Pairs) -> list[tuple[str, str]]:
    """The same signed row with its names and values cut elsewhere."""
    row = sorted(fields)
    at = seeded.randrange(len(row))
    together = "".join(name + value for name, value in row[at : at + seeded.randint(1, 3)])
    cuts = sorted(seeded.randrange(len(together) + 1) for _ in range(seeded.choice([1, 3])))
    pieces = [
        together[first:last] for first, last in zip([0, *cuts], [*cuts, len(together)], strict=True)
    ]
    return [*row[:at], *zip(pieces[::2], pieces[1::2], strict=True), *row[at + 3 :]]


def meddled(  # noqa: C901 - a table of nine ways
    seeded: random.Random, fields: list[tuple[str, str]]
) -> tuple[str, bytes]:
    """A path and a body made from the good ones; `fields` are given to be changed."""
    path, good = PATH, urlencode(fields).encode()
    at = seeded.randrange(len(fields))
    name, value = fields[at]
    match seeded.randrange(9):
        case 0:
            fields = cut_anew(seeded, fields)
        case 1:
            del fields[at]
        case 2:
            fields.append((name, seeded.choice([value, "", "delivered", value + "1"])))
        case 3:
            fields[at] = (name, seeded.choice(["delivered", "", "30005", value[:-1], value * 2]))
        case 4:
            fields[at] = (seeded.choice([name.lower(), name + "s", name[:-1], ""]), value)
        case 5:
            path = f"{path[:-1]}"
            fields.append((PATH[-1], ""))
        case 6:
            seeded.shuffle(fields)
        case 7:
            middle = seeded.randrange(len(path))
            path = path[:middle] + chr(seeded.randrange(33, 127)) + path[middle + 1 :]
        case _:
            body = bytearray(good)
            for _ in range(seeded.randint(1, 4)):
                body[seeded.randrange(len(body))] = seeded.randrange(256)
            return path, bytes(body)
    odd = seeded.random() < 0.1
    return path, "&".join(
        f"{quote(one, safe='' if odd else '+')}={quote(two, safe='')}" for one, two in fields
    ).encode()


NEW = [("SmsMessageSid", SID), ("OldMessageStatus", "undelivered"), ("zone", "x"), ("9", "")]


@pytest.mark.parametrize("fields", [FIELDS, FIELDS + NEW])
def test_ten_thousand_forgeries_are_refused_or_say_what_was_signed(fields: Pairs) -> None:
    seeded = random.Random(20261122)  # noqa: S311 - the same ten thousand every time
    signature = signed(fields)
    genuine = read(fields, signature=signature)
    read_differently, refused = [], 0

    for _ in range(10_000):
        path, body = meddled(seeded, list(fields))
        try:
            if read(body, path=path, signature=signature) != genuine:
                read_differently.append((path, body))
        except Forged:
            refused += 1

    assert read_differently == []
    assert refused > 7_000


def test_the_forgeries_would_fool_a_reader_that_checks_the_signature_alone() -> None:
    seeded = random.Random(20261122)  # noqa: S311 - the same ten thousand every time
    signature, fooled = signed(), 0

    for _ in range(10_000):
        path, body = meddled(seeded, list(FIELDS))
        fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        if signed(fields, PUBLIC + path) == signature and sorted(fields) != sorted(FIELDS):
            fooled += 1

    assert fooled > 100
