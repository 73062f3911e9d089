"""`qida keys`: a key is shown once, opens one centre, and can be revoked."""

import re

from tests.cli.command import BAD_DATA, CONFIGURATION, OK, USAGE, Qida


def test_a_key_is_printed_once_alone_on_stdout(enrolled: Qida) -> None:
    made = enrolled("keys", "create", "--centre", "demo", "--kind", "test")

    assert made.code == OK
    assert re.fullmatch(r"qk_test_[0-9a-f]{12}_[0-9a-f]{64}\n", made.out)
    (listed,) = enrolled("keys", "list", "--json").rows
    assert (listed["centre"], listed["kind"]) == ("demo", "test")
    assert made.out.startswith(listed["prefix"])


def test_no_file_holds_the_secret(enrolled: Qida) -> None:
    made = enrolled("keys", "create", "--centre", "demo", "--kind", "test")

    secret = made.out.strip().rpartition("_")[2].encode()

    files = [path.read_bytes() for path in enrolled.home.rglob("*") if path.is_file()]
    assert any(made.out[:20].encode() in content for content in files)
    assert not any(secret in content for content in files)


def test_a_key_is_revoked_by_its_prefix(enrolled: Qida) -> None:
    made = enrolled("keys", "create", "--operator")

    gone = enrolled("keys", "revoke", made.out.rpartition("_")[0])

    assert gone.code == OK
    (listed,) = enrolled("keys", "list", "--json").rows
    assert listed["centre"] is None
    assert listed["revoked_at"].endswith("+08:00")


def test_a_key_may_be_made_for_less_than_all(enrolled: Qida) -> None:
    reads = ("--scope", "cases:read", "--scope", "evidence")

    made = enrolled("keys", "create", "--centre", "demo", "--kind", "team", *reads)

    assert made.code == OK
    (listed,) = enrolled("keys", "list", "--json").rows
    assert (listed["kind"], listed["scopes"]) == ("team", ["cases:read", "evidence"])


def test_mistakes_are_told(enrolled: Qida) -> None:
    nobody = enrolled("keys", "create")
    both = enrolled("keys", "create", "--operator", "--centre", "demo")
    unknown = enrolled("keys", "create", "--centre", "nowhere")
    scope = enrolled("keys", "create", "--operator", "--scope", "cases:read")
    no_key = enrolled("keys", "revoke", "qk_live_000000000000")

    assert (nobody.code, both.code) == (USAGE, USAGE)
    assert (unknown.code, scope.code, no_key.code) == (BAD_DATA, BAD_DATA, BAD_DATA)
    assert unknown.is_clear
    assert scope.is_clear
    assert no_key.is_clear


def for_real(qida: Qida) -> Qida:
    """The command in a home of its own that would send by SMS for real, and not by e-mail."""
    return qida.where(
        QIDA_SMS="twilio",
        QIDA_EMAIL="",
        QIDA_TWILIO_ACCOUNT_SID="AC" + "0" * 32,
        QIDA_TWILIO_AUTH_TOKEN="no-token",  # noqa: S106  # of no account
        QIDA_TWILIO_FROM="+15005550006",
    )


def test_a_test_key_for_a_live_installation_is_kept_apart(qida: Qida) -> None:
    live = for_real(qida)

    made = live("keys", "create", "--centre", "demo", "--kind", "test")
    live("keys", "create", "--centre", "demo", "--kind", "live")

    assert made.code == OK
    assert (live.home / "var" / "rehearsal" / "var" / "qida.db").exists()
    assert sorted(row["kind"] for row in live("keys", "list", "--json").rows) == ["live", "test"]
    assert live("keys", "revoke", made.out.rpartition("_")[0]).code == OK
    revoked = {row["kind"]: row["revoked_at"] for row in live("keys", "list", "--json").rows}
    assert revoked["test"] is not None
    assert revoked["live"] is None


def test_the_sandbox_does_not_stand_in_for_one_of_two_channels(qida: Qida) -> None:
    mixed = for_real(qida).where(QIDA_EMAIL="sandbox")

    refused = mixed("keys", "create", "--operator")

    assert refused.code == CONFIGURATION
    assert refused.is_clear
