"""How much one number may get in a rolling day, and one centre send in a calendar day.

The mainland route rejects the third identical message and holds the fifth of any kind for a day
(RULES.md, "When to remind"). Two of the four are kept for lapse steps. Parts are what is paid for:
a roster of wrong numbers, or a key in wrong hands, must not spend a year's money in a night.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from worker.domain.calendar import ONE_DAY, in_china, midnight
from worker.domain.pace import Late, Waiting
from worker.domain.reminders import later

WINDOW = timedelta(hours=24)
IDENTICAL = 2
IN_ALL = 4
FOR_OTHERS = 2
MOST_PARTS = 8
"""Parts to one number: four messages of two, the most a template may take."""


class Sent(NamedTuple):
    """A message that left, or may have: a keyed hash of its text, when, what it was for, and how
    many parts it had."""

    body_hash: str
    at: datetime
    is_lapse: bool
    parts: int = 1


def wait_for_room(sent: Sequence[Sent], mine: Sent) -> datetime | None:
    """When `mine` may go to a number that got `sent` before; None means at once."""
    if not sent:
        return None
    recent = sorted((one for one in sent if one.at > mine.at - WINDOW), key=lambda one: one.at)
    waits = [
        _free_at([one.at for one in recent if one.body_hash == mine.body_hash], IDENTICAL),
        _free_at([one.at for one in recent], IN_ALL),
    ]
    waits.append(_fits_at(recent, mine.parts, MOST_PARTS))
    if not mine.is_lapse:
        others = [one for one in recent if not one.is_lapse]
        waits.append(_free_at([one.at for one in others], FOR_OTHERS))
        waits.append(_fits_at(others, mine.parts, MOST_PARTS * FOR_OTHERS // IN_ALL))
    return max((at for at in waits if at is not None), default=None)


def _free_at(times: Sequence[datetime], limit: int) -> datetime | None:
    """When the oldest of too many leaves the window."""
    return None if len(times) < limit else times[-limit] + WINDOW


def _fits_at(recent: Iterable[Sent], parts: int, limit: int) -> datetime | None:
    """When so many of the oldest have left the window that `parts` more fit; a message that is
    longer than the limit goes once it is alone."""
    left = list(recent)
    at = None
    while left and sum(one.parts for one in left) + parts > limit:
        at = left.pop(0).at + WINDOW
    return at


@dataclass(slots=True)
class DayOfCentre:
    """A centre's SMS parts of one calendar day in China: how many it may send, and has."""

    cap: int
    used: int

    @property
    def is_nearly_used(self) -> bool:
        """Whether to warn, while there is time to raise the cap."""
        return self.used >= self.cap * 4 // 5

    def has_room(self, parts: int, *, is_lapse: bool) -> bool:
        """Whether so many more may go; the last fifth is kept for what may lapse."""
        return self.used + parts <= (self.cap if is_lapse else self.cap * 4 // 5)


def next_morning(now: datetime) -> datetime:
    """When a centre whose day is used up may send again."""
    return later(midnight(in_china(now).date() + ONE_DAY))


def held_too_long(waiting: Sequence[Waiting], day: DayOfCentre, now: datetime) -> list[Late]:
    """Which of a centre's messages would be useless before a day has room for them.

    Each day sends the earliest useless-after first; what does not fit waits for the next morning.
    """
    todo, held, found = sorted(waiting, key=lambda one: one.due_at), list[Waiting](), list[Late]()
    at, room = now, day.cap - day.used
    while todo or held:
        morning = next_morning(at)
        due = [one for one in todo if one.due_at < morning]
        todo = todo[len(due) :]
        held = sorted([*held, *due], key=lambda one: one.useless_after_at)
        while held and held[0].parts <= room:
            room -= held.pop(0).parts
        found += [
            Late(one.id, morning, one.useless_after_at)
            for one in held
            if one.useless_after_at <= morning
        ]
        held = [one for one in held if one.useless_after_at > morning]
        at, room = morning, day.cap
        if not held and todo:
            at = max(at, todo[0].due_at)
    return found
