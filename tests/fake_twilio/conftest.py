"""A stand-in without any plan, and a receiver for its callbacks."""

from collections.abc import Iterator

import pytest

from tests.fake_twilio.talking import Ear, Talk, listening, talk


@pytest.fixture
def fake() -> Iterator[Talk]:
    """The stand-in."""
    with talk() as talking:
        yield talking


@pytest.fixture
def ear() -> Iterator[Ear]:
    """The receiver."""
    with listening() as receiver:
        yield receiver
