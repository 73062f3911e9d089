"""What a seed decides: who is enrolled, what happens to them, and what goes wrong meanwhile."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Literal

from proofs.simulation.callbacks import Whims
from proofs.simulation.office import Accidents
from proofs.simulation.wire import Mishaps
from worker.domain.calendar import CHINA
from worker.fake_twilio.plans import Fate, Plan
from worker.rosters import RosterRow

FIRST_DAY = datetime(2026, 3, 2, tzinfo=CHINA)
"""Any later start lies in 2026 too, whose holidays are known."""

LONG_ONES = 0.02
"""The share of seeds that are long, with many cases: what goes wrong goes wrong with few."""

Does = Literal["enrol", "void", "refuse", "stop"]

_STARTS = (  # procedure, event, what may follow
    ("national", "reported_by_phone", ("reported_in_writing", "replacement_applied", "found")),
    ("national", "reported_by_phone", ("reported_in_writing", "cancelled")),
    ("national", "replacement_applied", ("collected",)),
    ("national", "pre_reported_in_writing", ("reported_in_writing",)),
    ("chengdu", "reported_online", ("replacement_applied",)),
    ("chengdu", "reported_online", ("cancelled",)),
    ("hotline-96102", "pre_reported", ("reported_in_writing", "replacement_applied")),
    ("nanjing-citizen-card", "reported_by_phone", ("replacement_applied",)),
    ("zhuhai", "reported_by_phone", ("reported_in_writing", "replacement_applied")),
    ("nanjing-social-card", "replacement_applied", ("collected",)),
)


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that people do at an instant: to a case, or to their number."""

    at: datetime
    does: Does
    row: RosterRow


@dataclass(frozen=True, slots=True)
class Story:
    """Everything a seed decides before the first event; the rest is drawn on the way."""

    begins_at: datetime
    calm_from: datetime
    deeds: tuple[Deed, ...]
    plan: Plan
    mishaps: Mishaps
    whims: Whims
    accidents: Accidents
    mail_odds: float


def drawn(seed: int) -> Story:
    """The story of a seed."""
    rng = Random(seed)
    begins_at = FIRST_DAY + timedelta(days=rng.randrange(220), hours=8)
    is_long = rng.random() < LONG_ONES
    days = rng.choice((10, 15, 30) if is_long else (4, 5, 6, 6, 8))
    calm_from = begins_at + timedelta(days=days)
    spans = (
        tuple(_spans(rng, begins_at, days, rng.choice((8, 8, 14)))) if rng.random() < 0.3 else ()
    )
    rough = rng.choice((0.0, 0.3, 0.3, 1.0, 1.0, 1.0, 1.0, 3.0, 3.0))
    return Story(
        begins_at=begins_at,
        calm_from=calm_from,
        deeds=tuple(sorted(_deeds(rng, begins_at, days, is_long), key=lambda deed: deed.at)),
        plan=_plan(rng, rough),
        mishaps=_mishaps(rng, rough, begins_at, days),
        whims=_whims(rng, rough),
        accidents=Accidents(
            death=rng.choice((0.0, 0.01, 0.05)) * (rough > 0),
            pause=rng.choice((0.0, 0.02, 0.06)) * (rough > 0),
            workers=rng.choice((1, 1, 2)),
            closed=spans,
        ),
        mail_odds=0.05 * rough,
    )


def _plan(rng: Random, rough: float) -> Plan:
    """How messages fare. Most arrive; some numbers, and some messages, have a fate of their own."""
    ends = (
        Fate(end="undelivered", code=30003, probability=0.05 * rough),
        Fate(end="undelivered", code=30008, probability=0.03 * rough),
        Fate(end="undelivered", code=30006, probability=0.03 * rough),
        Fate(end="failed", code=30005, probability=0.02 * rough),
        Fate(end="sent", probability=0.05 * rough),
        Fate(list_lag=rng.choice((30, 200, 1000)), probability=min(0.2 * rough, 0.5)),
        Fate(list_lag=5400, probability=rng.choice((0.0, 0.01)) * rough),
        Fate(pace=rng.choice((60, 900)), probability=0.05 * rough),
    )
    return Plan(seed=rng.getrandbits(32), pace=rng.choice((1.0, 5.0, 30.0)), fates=ends)


def _mishaps(rng: Random, rough: float, begins_at: datetime, days: int) -> Mishaps:
    def some(most: float) -> float:
        return most * rough * rng.random()

    return Mishaps(
        refused=some(0.06),
        cut=some(0.10),
        hang=some(0.05),
        busy=some(0.06),
        failing=some(0.08),
        broken=some(0.06),
        locked_out=some(0.01) if rng.random() < 0.2 else 0.0,
        list_fails=some(0.2),
        list_is_cut=some(0.2),
        out=tuple(_spans(rng, begins_at, days, 2)) if rough and rng.random() < 0.3 else (),
    )


def _whims(rng: Random, rough: float) -> Whims:
    return Whims(
        lost=rng.choice((0.0, 0.1, 0.5, 1.0)) * min(rough, 1),
        late=rng.choice((0.0, 0.1, 0.4)) * min(rough, 1),
        latest_seconds=rng.choice((60, 3600, 400_000)),
        again=rng.choice((0.0, 0.2)) * min(rough, 1),
        forged=rng.choice((0.0, 0.1, 0.5)) * min(rough, 1),
    )


def _spans(
    rng: Random, begins_at: datetime, days: int, hours: int
) -> Iterator[tuple[datetime, datetime]]:
    """One or two spans of so many hours; every other one ends in the evening or at night, so that
    what was due is due then."""
    for _ in range(rng.randint(1, 2)):
        since = begins_at + timedelta(hours=rng.uniform(1, 24 * days - 2 * hours))
        if rng.random() < 0.5:
            since = since.replace(hour=max(7, 22 - hours))
        yield since, since + timedelta(hours=hours)


def _deeds(rng: Random, begins_at: datetime, days: int, is_long: bool) -> Iterator[Deed]:
    count = rng.choice((4, 8, 20, 40) if is_long else (1, 2, 2, 3, 4))
    family = rng.random() < 0.3  # everyone has the same number: caps are met
    for serial in range(count):
        number = 12 if family else 12 + serial % 88
        case = [*_case(rng, begins_at, days, serial, f"+861{38 + serial // 88}000000{number:02d}")]
        yield from case
        if rng.random() < 0.15:  # the same matter entered twice: twins, alike to the letter
            for deed in case:
                yield replace(deed, row=_with(deed.row, reference=f"{deed.row.reference}-T"))


def _case(rng: Random, begins_at: datetime, days: int, serial: int, phone: str) -> Iterator[Deed]:
    """One case: its start, perhaps repeated, and what follows in time, too late or never."""
    procedure, event, sequels = rng.choice(_STARTS)
    at = begins_at + timedelta(hours=rng.uniform(0, min(days, 8) * 24 * 0.5))
    if rng.random() < 0.8:  # in the daytime
        at = at.replace(hour=rng.randint(8, 18))
    row = RosterRow(
        place=f"S-{serial}",
        reference=f"S-{serial}",
        procedure=procedure,
        event=event,
        occurred_at=at - timedelta(hours=rng.choice((0, 0, 0, 1, 20))),
        name="测试甲",
        phone=phone if rng.random() < 0.9 else None,
        email=f"s{serial}@example.com",
        second_phone=f"+861390000{serial:04d}" if rng.random() < 0.2 else None,
    )
    if row.phone and rng.random() < 0.6:
        row = _with(row, email=None)
    yield Deed(at, "enrol", row)
    if rng.random() < 0.1:
        again = at + timedelta(hours=rng.uniform(1, 60))
        yield Deed(again, "enrol", _with(row, occurred_at=again))
    yield from _afterwards(rng, at, row, sequels)


def _afterwards(
    rng: Random, at: datetime, row: RosterRow, sequels: tuple[str, ...]
) -> Iterator[Deed]:
    if rng.random() < 0.5:
        later = at + timedelta(hours=rng.uniform(0.1, 24 * rng.choice((1, 3, 7))))
        sequel = rng.choice(sequels)
        yield Deed(later, "enrol", _with(row, event=sequel, occurred_at=later))
    elif rng.random() < 0.15:
        yield Deed(at + timedelta(hours=rng.uniform(0.1, 48)), "void", row)
    if row.phone and rng.random() < 0.1:
        does: Does = "refuse" if rng.random() < 0.5 else "stop"
        yield Deed(at + timedelta(hours=rng.uniform(0.1, 48)), does, row)


def _with(row: RosterRow, **changes: object) -> RosterRow:
    return replace(row, **changes)  # type: ignore[arg-type]  # fields by name
