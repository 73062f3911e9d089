"""The catalogue: procedures with their rules, as `config/rules/*.yaml` states them."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from worker.configfile import Item, read_folder
from worker.domain.contacts import EVENT_NAMES
from worker.domain.errors import Fault, Misconfigured, Text
from worker.domain.periods import Hours, MonthlyOn, Period
from worker.domain.rules import EVENTS_OF_ALL, Procedure, ReminderStep, Rule, RuleKind, Source
from worker.domain.steps import default_steps
from worker.domain.written_periods import as_mapping
from worker.rulebook.phrases import SEE_DOCS, read_period, read_steps

T = TypeVar("T")

EVENTS = tuple(sorted(EVENT_NAMES - EVENTS_OF_ALL))
"""The events that rules may name. A misspelt one would never settle anything, so a procedure
that needs another one declares it under `events`."""

_FOUND_ALWAYS_REFUSED_AFTER = frozenset({"replacement_applied"})
"""A card that turns up after its replacement was applied for stays void (source L93, L129)."""


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The catalogue in force. `version` is a content hash.

    `broken` names procedures whose file has faults: they are as they were before, or missing.
    """

    procedures: Mapping[str, Procedure]
    rules: Mapping[str, Rule]
    version: str
    broken: frozenset[str] = frozenset()

    @property
    def event_words(self) -> dict[str, str]:
        """Every event of every procedure by its own name, as rosters may write it."""
        named = set().union(*(procedure.events for procedure in self.procedures.values()))
        return {name: name for name in sorted(named)}


def require(loaded: tuple[T, tuple[Fault, ...]]) -> T:
    """What was loaded, when nothing is wrong with it. Raises Misconfigured with all faults."""
    content, faults = loaded
    if faults:
        raise Misconfigured(
            f"配置有 {len(faults)} 处错误", f"the configuration has {len(faults)} mistakes", faults
        )
    return content


def load_rulebook(
    directory: Path, previous: Rulebook | None = None
) -> tuple[Rulebook, tuple[Fault, ...]]:
    """The catalogue of `config/rules`, one file a procedure, and every fault found.

    A procedure whose file has a fault stays as it is in `previous`, so that a slip of the pen never
    cancels the deadlines of a running worker.
    """
    files = read_folder(directory, _procedure, previous.procedures if previous else None)
    procedures = dict(sorted(files.read.items()))
    rules = {rule.id: rule for procedure in procedures.values() for rule in procedure.rules}
    version = content_hash([asdict(procedure) for procedure in procedures.values()])
    return Rulebook(procedures, rules, version, files.broken), files.faults


def describe(rule: Rule, rulebook: Rulebook) -> dict[str, object]:
    """A rule as one JSON row: texts as `{zh, en}`, periods and steps as they are written."""
    region = asdict(rulebook.procedures[rule.procedure].region)
    named = {"id": rule.id, "procedure": rule.procedure, "region": region}
    return named | _content_of(rule)


def _procedure(name: str, item: Item) -> Procedure:
    given = item.fields(
        ("title", "region", "rules"),
        ("hotline", "hotline_of_bank", "source", "found", "warning", "events"),
    )
    events = (*EVENTS, *(event.match("[a-z_]+", "visited") for event in given["events"].items()))
    article = _article(given["source"])
    entries = given["rules"].entries()
    rules = tuple(_rule(name, key, rule, events, article) for key, rule in entries)
    found = given["found"].fields((), ("settles", "also_refused_after"))
    refused_after = found["also_refused_after"].some_of(events)
    return Procedure(
        id=name,
        title=given["title"].both(),
        region=given["region"].both(),
        hotline=given["hotline"].match("[0-9][0-9-]+", '"12333"'),
        hotline_of_bank=given["hotline_of_bank"].flag(),
        rules=rules,
        loss_rules=frozenset(found["settles"].some_of([rule.id for rule in rules])),
        found_refused_after=_FOUND_ALWAYS_REFUSED_AFTER | frozenset(refused_after),
        warning=_optional_text(given["warning"]),
    )


def _rule(procedure: str, key: Item, item: Item, events: Collection[str], article: Source) -> Rule:
    faults_before = len(item.faults)
    given = item.fields(_REQUIRED, _OPTIONAL)
    named = given["kind"].one_of(RuleKind)
    rule = Rule(
        id=key.match(rf"{procedure}\.[a-z0-9-]+", f"{procedure}.card-pickup"),
        kind=RuleKind(named or RuleKind.STEP),
        starts_on=given["starts_on"].some_of(events),
        settled_by=given["settled_by"].some_of(events),
        period=read_period(given["period"]),
        source=_source(given["source"], article),
        version="",
        act=given["act"].both(),
        place=_text(given["place"]),
        papers=_text(given["papers"]),
        consequence=_text(given["consequence"]),
        steps=read_steps(given["steps"], RuleKind(named)) if named else (),
        earliest=read_period(given["earliest"]),
        latest=tuple(filter(None, map(read_period, given["latest"].items()))),
        period_of_bank=given["period_of_bank"].flag(),
        ends_on=given["ends_on"].some_of(events),
        approximate=given["approximate"].flag(),
        holidays_may_extend=given["holidays_may_extend"].flag(),
        grace=_optional_text(given["grace"]),
        advice=_optional_text(given["advice"]),
    )
    if len(item.faults) == faults_before:  # else half of what follows would be an echo
        _check(key, rule)
    return _completed(rule)


_REQUIRED = ("kind", "starts_on", "settled_by", "source", "act")
_OPTIONAL = (
    "period",
    "earliest",
    "latest",
    "period_of_bank",
    "ends_on",
    "approximate",
    "holidays_may_extend",
    "place",
    "papers",
    "consequence",
    "grace",
    "advice",
    "steps",
)


def _article(item: Item) -> Source:
    """Where all rules of a procedure are written, unless a rule names a document of its own."""
    given = item.fields(("document",), ("title",))
    return Source(given["document"].text(), "", _optional_text(given["title"]))


def _source(item: Item, article: Source) -> Source:
    if article.document:
        given = item.fields(("lines",), ("document", "title"))
    else:
        given = item.fields(("document", "lines"), ("title",))
    lines = given["lines"].match(r"\d+(-\d+)?(, \d+(-\d+)?)*", '"14-16, 18"')
    title = _optional_text(given["title"])
    if given["document"].given:  # another document has another title
        return Source(given["document"].text(), lines, title)
    return Source(article.document, lines, title or article.title)


def _text(item: Item) -> Text:
    return item.both() if item.given else Text("", "")


def _optional_text(item: Item) -> Text | None:
    return item.both() if item.given else None


def _check(key: Item, rule: Rule) -> None:
    """What no single key shows: whether period, kind and readings belong together."""
    for wrong, message in _contradictions(rule):
        if wrong:
            key.fault("contradiction", message, SEE_DOCS)


def _contradictions(rule: Rule) -> tuple[tuple[bool, Text], ...]:
    kind, period = rule.kind, rule.period
    dated = kind is not RuleKind.STEP
    return (
        (
            not dated and (period is not None or rule.period_of_bank),
            Text("step 没有日期，不能有期限", "a step has no date, so it takes no period"),
        ),
        (
            dated and (period is None) != rule.period_of_bank,
            Text(
                "须在 period 与 period_of_bank 中恰好写一个",
                "exactly one of period and period_of_bank is needed",
            ),
        ),
        (
            rule.period_of_bank and kind is not RuleKind.LAPSE,
            Text("period_of_bank 只用于 lapse", "period_of_bank is for a lapse only"),
        ),
        (
            period is None and (rule.earliest is not None or bool(rule.latest)),
            Text("earliest、latest 须与 period 同写", "earliest and latest go with a period"),
        ),
        (
            kind is RuleKind.READY and isinstance(period, Hours),
            Text("ready 按天计，不能用 hours", "a ready date is counted in days, not hours"),
        ),
        (
            dated and (kind is RuleKind.RECURRING) != isinstance(period, MonthlyOn),
            Text("monthly_on 与 recurring 须同用", "monthly_on and recurring go together"),
        ),
        (
            kind is RuleKind.LAPSE and not rule.consequence.zh,
            Text("lapse 须写明后果 consequence", "a lapse must state its consequence"),
        ),
    )


def _completed(rule: Rule) -> Rule:
    """With the default steps of its kind and its version. A bank's period decides steps later."""
    if not rule.steps and not rule.period_of_bank:
        rule = replace(rule, steps=default_steps(rule.kind, rule.period))
    return replace(rule, version=content_hash(_content_of(rule)))


def _content_of(rule: Rule) -> dict[str, object]:
    return asdict(rule) | {
        "period": _written_period(rule.period),
        "earliest": _written_period(rule.earliest),
        "latest": [as_mapping(period) for period in rule.latest],
        "steps": [_written_step(step) for step in rule.steps],
    }


def _written_period(period: Period | None) -> Mapping[str, object] | None:
    return None if period is None else as_mapping(period)


def _written_step(step: ReminderStep) -> dict[str, object]:
    written = {name: value for name, value in asdict(step).items() if value is not None}
    if {"working_days", "days", "month"} & written.keys():
        return written | {"at": f"{step.at:%H:%M}"}
    del written["at"]  # a step counted in open hours or from an instant has no time of day
    return written


def content_hash(content: object) -> str:
    """A short version of what a file says, whatever its comments and layout."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, default=_as_json)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _as_json(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)
