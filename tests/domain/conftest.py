"""The shipped calendar and a plain office (every working day 09:00-17:00), built once."""

import pytest
from hypothesis import settings

from worker.domain.calendar import WorkingCalendar
from worker.domain.centres import Centre, Office
from worker.holidays import build_calendar

# The same examples every time, and no verdict by the clock of a busy machine.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def calendar() -> WorkingCalendar:
    return build_calendar()


@pytest.fixture(scope="session")
def centre() -> Centre:
    return Centre("demo", "示例中心", "示例", "示例")


@pytest.fixture(scope="session")
def office(centre: Centre, calendar: WorkingCalendar) -> Office:
    return Office(centre, calendar)
