"""What counts as a trial: nothing that is sent leaves this machine."""

from pathlib import Path

import pytest

from worker.providers import is_test
from worker.settings import Settings

HERE, TWILIO = "http://127.0.0.1:4010", "https://api.twilio.com"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"sms": "sandbox", "email": "sandbox"}, True),
        ({"sms": "twilio", "twilio_base_url": HERE, "email": "sandbox"}, True),
        ({"sms": "twilio", "twilio_base_url": TWILIO}, False),
        ({"email": "smtp", "smtp_url": "smtp://127.0.0.1:2525"}, True),
        ({"email": "smtp", "smtp_url": "smtp://127.0.0.1:25"}, False),
        ({"email": "smtp", "smtp_url": "smtp://localhost"}, False),
        ({"email": "smtp", "smtp_url": "smtps://u:p@mail.example.org:465"}, False),
        ({"sms": "twilio", "twilio_base_url": HERE, "email": "smtp",
          "smtp_url": "smtp://127.0.0.1:25"}, False),
    ],
)  # fmt: skip
def test_a_relay_on_this_machine_is_none_and_a_stand_in_is(
    tmp_path: Path, given: dict[str, str], *, expected: bool
) -> None:
    assert is_test(Settings(home=tmp_path, **given)) is expected
