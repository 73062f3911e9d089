"""A provider on loopback, and the Twilio channel pointed at it."""

from collections.abc import Callable, Iterator

import pytest

from tests.channels.wire import ACCOUNT_SID, TOKEN, Wire
from worker.channels.twilio_sms import TwilioAccount, TwilioSms

Open = Callable[..., TwilioSms]


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A provider that does as it is told."""
    one = Wire()
    yield one
    one.close()


@pytest.fixture
def twilio(wire: Wire) -> Iterator[Open]:
    """Open the channel, pointed at the provider on loopback unless told otherwise."""
    opened: list[TwilioSms] = []

    def open_one(
        read_seconds: float = 5.0, connect_seconds: float = 5.0, **set_to: str
    ) -> TwilioSms:
        account = TwilioAccount(
            **{"account_sid": ACCOUNT_SID, "auth_token": TOKEN, "sender": "+15005550006"}
            | {"base_url": wire.url}
            | set_to
        )
        channel = TwilioSms(account, connect_seconds=connect_seconds, read_seconds=read_seconds)
        opened.append(channel)
        return channel

    yield open_one
    for one in opened:
        one.close()
