"""Periods as people write them: `{working_days: 3}`, `{hours: 72, reading: plain}`."""

from collections.abc import Mapping
from typing import assert_never

from worker.domain.errors import BadData
from worker.domain.periods import (
    Days,
    Hours,
    MonthlyOn,
    Period,
    Reading,
    Roll,
    WorkingDays,
    Years,
)

MOST = {"working_days": 1000, "days": 36500, "hours": 24 * 3650, "years": 100}
"""Longest periods accepted; no card rule comes near them."""


class InvalidPeriod(BadData):
    """A period no rule can mean."""


def parse_period(mapping: Mapping[str, object]) -> Period:
    """A period from its written form, e.g. `{"working_days": 3}`. Raises InvalidPeriod."""
    kinds = [
        key for key in ("working_days", "days", "hours", "years", "monthly_on") if key in mapping
    ]
    if len(kinds) != 1:
        raise InvalidPeriod(
            "期限须恰好写明 working_days、days、hours、years、monthly_on 之一",
            "a period names exactly one of working_days, days, hours, years, monthly_on",
        )
    kind = kinds[0]
    allowed = {kind} | _OPTIONS[kind]
    if unknown := sorted(set(mapping) - allowed):
        raise InvalidPeriod(
            f"期限中有不认识的键 {unknown}；{kind} 可用 {sorted(allowed)}",
            f"unknown keys {unknown} in a period; {kind} takes {sorted(allowed)}",
        )
    return _build(kind, mapping)


_OPTIONS: Mapping[str, frozenset[str]] = {
    "working_days": frozenset({"start_counted"}),
    "days": frozenset({"roll", "start_counted"}),
    "hours": frozenset({"reading"}),
    "years": frozenset({"roll"}),
    "monthly_on": frozenset({"roll"}),
}


def _build(kind: str, mapping: Mapping[str, object]) -> Period:
    count = _whole(kind, mapping[kind])
    start_counted = _flag(mapping, "start_counted")
    match kind:
        case "working_days":
            return WorkingDays(count, start_counted)
        case "days":
            return Days(
                count, _roll(mapping, Roll.FORWARD, {Roll.NONE, Roll.FORWARD}), start_counted
            )
        case "years":
            return Years(count, _roll(mapping, Roll.FORWARD, {Roll.NONE, Roll.FORWARD}))
        case "monthly_on":
            return MonthlyOn(count, _roll(mapping, Roll.NONE, set(Roll)))
        case _:
            return Hours(count, _reading(mapping))


def _whole(kind: str, value: object) -> int:
    most = 31 if kind == "monthly_on" else MOST[kind]
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidPeriod(
            f"{kind} 须为 1 至 {most} 的整数，现为 {value!r}",
            f"{kind} takes a whole number from 1 to {most}, not {value!r}",
        )
    return value


def _flag(mapping: Mapping[str, object], key: str) -> bool:
    value = mapping.get(key, False)
    if not isinstance(value, bool):
        raise InvalidPeriod(
            f"{key} 须为 true 或 false，现为 {value!r}", f"{key} is true or false, not {value!r}"
        )
    return value


def _roll(mapping: Mapping[str, object], default: Roll, allowed: set[Roll]) -> Roll:
    value = mapping.get("roll", default)
    if not isinstance(value, str) or value not in allowed:
        names = sorted(allowed)
        raise InvalidPeriod(
            f"roll 须为 {names} 之一，现为 {value!r}", f"roll is one of {names}, not {value!r}"
        )
    return Roll(str(value))


def _reading(mapping: Mapping[str, object]) -> Reading:
    value = mapping.get("reading", Reading.PLAIN)  # art. 201: hours run from the moment
    if not isinstance(value, str) or value not in set(Reading):
        names = [str(reading) for reading in Reading]
        raise InvalidPeriod(
            f"reading 须为 {names} 之一，现为 {value!r}",
            f"reading is one of {names}, not {value!r}",
        )
    return Reading(str(value))


def as_mapping(period: Period) -> dict[str, object]:
    """The written form that `parse_period` reads."""
    match period:
        case WorkingDays(count, start_counted):
            return _counted({"working_days": count}, start_counted)
        case Days(count, roll, start_counted):
            return _counted({"days": count, "roll": str(roll)}, start_counted)
        case Hours(count, reading):
            return {"hours": count, "reading": str(reading)}
        case Years(count, roll):
            return {"years": count, "roll": str(roll)}
        case MonthlyOn(day, roll):
            return {"monthly_on": day, "roll": str(roll)}
        case _:  # pragma: no cover
            assert_never(period)


def _counted(written: dict[str, object], start_counted: bool) -> dict[str, object]:
    return written | {"start_counted": True} if start_counted else written
