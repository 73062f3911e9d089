"""Plans as JSON: every key is a field of plans.py, every value of that field's type."""

import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, Literal, TypeVar, get_args, get_origin

from worker.fake_twilio.plans import (
    FATES_BY_NUMBER,
    FAULTS_BY_NUMBER,
    CallbackRule,
    Fate,
    Fault,
    Plan,
    Rule,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake of a plan: where it is, what it is and what would be right."""

    place: str
    zh: str
    en: str


class BadPlan(ValueError):
    """A plan that cannot be followed, with every mistake in it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{one.place}: {one.en}" for one in self.problems))


def read_plan(raw: object) -> Plan:
    """The plan a JSON document holds, and after it what numbers meet without any plan.

    Raises BadPlan with all its mistakes.
    """
    problems: list[Problem] = []
    plan = _read(Plan, raw, "", problems)
    if problems or plan is None:
        raise BadPlan(problems)
    return replace(plan, faults=plan.faults + FAULTS_BY_NUMBER, fates=plan.fates + FATES_BY_NUMBER)


_T = TypeVar("_T", bound=Plan | Rule)
_LISTS: Mapping[object, type[Rule]] = {
    tuple[Fault, ...]: Fault,
    tuple[Fate, ...]: Fate,
    tuple[CallbackRule, ...]: CallbackRule,
}
_NAMES: Mapping[object, str] = {
    str: "string",
    int: "integer >= 0",
    float: "number >= 0",
    bool: "true | false",
    types.NoneType: "null",
}


def _read(kind: type[_T], raw: object, place: str, problems: list[Problem]) -> _T | None:
    """The value of a JSON object, or None and its problems."""
    if not isinstance(raw, Mapping):
        problems.append(Problem(place or "plan", "应为 JSON 对象", "must be a JSON object"))
        return None
    before = len(problems)
    known = {field.name: field for field in fields(kind)}
    listed = ", ".join(known)
    for key in raw:
        if key not in known:
            said = Problem(
                f"{place}.{key}", f"没有此键；可用：{listed}", f"no such key; use {listed}"
            )
            problems.append(said)
    for key, field in known.items():
        if field.default is MISSING and key not in raw:
            problems.append(Problem(f"{place}.{key}", "缺少此键", "is missing"))
    values: dict[str, Any] = {  # each is of its field's type, or a problem
        key: _value(field.type, raw[key], f"{place}.{key}", problems)
        for key, field in known.items()
        if key in raw
    }
    problems += _knows_no_recipient(values, place)
    return None if len(problems) > before else kind(**values)


def _knows_no_recipient(values: Mapping[str, object], place: str) -> list[Problem]:
    if values.get("at") != "before_reading" or values.get("to", "*") == "*":
        return []
    zh = "读取请求之前不知道收件人；请改用 nth 或 probability"
    en = "before the request is read nobody knows its recipient; use nth or probability"
    return [Problem(f"{place}.to", zh, en)]


def _value(kind: object, value: object, place: str, problems: list[Problem]) -> object:
    """The value as a field of this type wants it; what does not fit is a problem."""
    if kind in _LISTS and isinstance(value, list):
        read = [
            _read(_LISTS[kind], one, f"{place}[{at}]", problems) for at, one in enumerate(value)
        ]
        return tuple(one for one in read if one is not None)
    if _fits(kind, value):
        return tuple(value) if isinstance(value, list) else value
    wanted = _described(kind)
    problems.append(Problem(place, f"应为 {wanted}", f"must be {wanted}"))
    return None


def _fits(kind: object, value: object) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is types.UnionType:
        return any(_fits(one, value) for one in get_args(kind))
    if get_origin(kind) is tuple:
        return isinstance(value, list) and all(_fits(get_args(kind)[0], one) for one in value)
    if kind in (int, float):
        number = int if kind is int else int | float
        return isinstance(value, number) and not isinstance(value, bool) and value >= 0
    return isinstance(kind, type) and isinstance(value, kind)


def _described(kind: object) -> str:
    if get_origin(kind) is Literal:
        return " | ".join(get_args(kind))
    if get_origin(kind) is types.UnionType:
        return " | ".join(_described(one) for one in get_args(kind))
    if get_origin(kind) is tuple:
        return f"[{_described(get_args(kind)[0])}, ...]"
    return _NAMES.get(kind, "object")
