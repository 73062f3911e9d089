"""Service centres, as `config/centres/*.yaml` describes them; a file's stem is the centre's id."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date, time, timedelta
from functools import partial
from pathlib import Path

from worker.configfile import Item, read_folder
from worker.domain.centres import (
    DEFAULT_SEASON,
    USUAL_SMS_PARTS,
    Bank,
    Centre,
    Closure,
    Retention,
    RuleOverride,
    Season,
)
from worker.domain.errors import Fault, Text
from worker.domain.periods import WorkingDays
from worker.domain.rules import Rule, RuleKind
from worker.rulebook.catalogue import Rulebook, content_hash
from worker.rulebook.phrases import CLOCK_TIME, SEE_DOCS, read_period, read_steps

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DECIDES = ("region", "seasons", "closures", "banks", "overrides")
"""What of a centre's file its dates depend on: its version changes with these alone."""

_SPAN = f"{CLOCK_TIME}-{CLOCK_TIME}"
_A_LEAP_YEAR = 2024  # so that 02-29 is a day


def load_centres(
    directory: Path, rulebook: Rulebook, previous: Mapping[str, Centre] | None = None
) -> tuple[dict[str, Centre], tuple[Fault, ...]]:
    """Every centre of `config/centres` by id, and every fault found.

    A centre whose file has a fault stays as it is in `previous`.
    """
    files = read_folder(directory, partial(_centre, rulebook=rulebook), previous)
    return files.read, files.faults


def _centre(name: str, item: Item, *, rulebook: Rulebook) -> Centre:
    given = item.fields(
        ("name", "short_name", "signature", "staff_email", "procedures"),
        (
            "hotline",
            "region",
            "hours",
            "closures",
            "banks",
            "reached_when",
            "sms_parts_per_day",
            "abroad_numbers",
            "landline_numbers",
            "team",
            "retention",
            "overrides",
        ),
    )
    banks = _banks(given["banks"])
    procedures = _procedures(given["procedures"], rulebook, banks)
    reached_when = given["reached_when"].fields((), ("sms", "email"))
    centre = Centre(
        id=name,
        name=given["name"].text(),
        short_name=given["short_name"].text(),
        signature=given["signature"].text(),
        hotline=given["hotline"].text(),
        staff_email=given["staff_email"].match(
            r"[^@\s]+@[^@\s]+", "staff@example.com", private=True
        ),
        region=given["region"].text(),
        procedures=procedures,
        seasons=tuple(map(_season, given["hours"].some())) or (DEFAULT_SEASON,),
        closures=tuple(map(_closure, given["closures"].items())),
        banks=banks,
        sms_receipt_required=reached_when["sms"].one_of(("receipt", "accepted")) != "accepted",
        email_no_bounce_after=_no_bounce_after(reached_when["email"]),
        sms_parts_per_day=_parts(given["sms_parts_per_day"]),
        abroad_numbers=given["abroad_numbers"].flag(),
        landline_numbers=given["landline_numbers"].flag(),
        team=tuple(map(_address, given["team"].items())),
        retention=_retention(given["retention"]),
        overrides=_overrides(given["overrides"], rulebook),
    )
    return replace(centre, version=content_hash([asdict(centre)[name] for name in _DECIDES]))


def _procedures(item: Item, rulebook: Rulebook, banks: Mapping[str, Bank]) -> tuple[str, ...]:
    # A procedure whose own file is broken is no mistake of the centre's.
    names = item.some_of(sorted({*rulebook.procedures, *rulebook.broken}))
    for name in names:
        rules = rulebook.procedures[name].rules if name in rulebook.procedures else ()
        if not banks and any(rule.period_of_bank for rule in rules):
            item.fault(
                "missing_key",
                Text(
                    f"{name} 的期限由银行规定，须登记 banks",
                    f"{name} needs banks: they set its period",
                ),
                Text("补写 banks，或去掉该业务", "add banks, or do not offer it"),
            )
    return names


def _season(item: Item) -> Season:
    given = item.fields(("open",), ("from", "to", "days"))
    days = given["days"]
    weekdays: tuple[str, ...] = ()
    if days.written:
        days.one_of(("working",))
    else:
        weekdays = days.some_of(_WEEKDAYS)
    return Season(
        opens=_opens(given["open"]),
        first=_month_day(given["from"], (1, 1)),
        last=_month_day(given["to"], (12, 31)),
        weekdays=frozenset(_WEEKDAYS.index(day) for day in weekdays if day),
    )


def _opens(item: Item) -> tuple[tuple[time, time], ...]:
    spans: list[tuple[time, time]] = []
    for one in item.some():
        written = one.match(_SPAN, "08:30-12:00")
        if not written:
            continue
        opens, closes = map(time.fromisoformat, written.split("-"))
        if closes <= opens or (spans and opens < spans[-1][1]):
            one.fault(
                "contradiction",
                Text("时段须由早到晚，互不重叠", "spans run from early to late and do not overlap"),
                Text("例如 [08:30-12:00, 14:30-18:00]", "e.g. [08:30-12:00, 14:30-18:00]"),
            )
        spans.append((opens, closes))
    return tuple(spans)


def _month_day(item: Item, absent: tuple[int, int]) -> tuple[int, int]:
    written = item.match(r"\d\d-\d\d", "06-01")
    if not written:
        return absent
    month, day = map(int, written.split("-"))
    try:
        date(_A_LEAP_YEAR, month, day)
    except ValueError:
        item.fault(
            "bad_date",
            Text("没有这一天", "there is no such day"),
            Text("写成 月-日，如 06-01", "write month-day, e.g. 06-01"),
        )
    return month, day


def _closure(item: Item) -> Closure:
    if item.written:
        only = item.day()
        return Closure(only, only)
    given = item.fields(("from", "to"), ("reason",))
    first, last = given["from"].day(), given["to"].day()
    if date.min not in (first, last) and last < first:
        given["to"].fault(
            "contradiction",
            Text("结束日早于开始日", "it ends before it begins"),
            Text("对调或改正日期", "swap or mend the dates"),
        )
    return Closure(first, last, given["reason"].text())


def _banks(item: Item) -> dict[str, Bank]:
    banks: dict[str, Bank] = {}
    for key, bank in item.entries():
        given = bank.fields(("period",), ("hotline",))
        period, hotline = read_period(given["period"]), given["hotline"].text()
        if period is not None:
            banks[key.written] = Bank(key.written, period, hotline)
    return banks


def _no_bounce_after(item: Item) -> timedelta:
    given = item.fields(("no_bounce_after",)) if item.given else {}
    written = given["no_bounce_after"].match(r"[1-9]\d{0,3}[mhd]", "4h") if given else ""
    if not written:
        return timedelta(hours=4)
    unit = {"m": "minutes", "h": "hours", "d": "days"}[written[-1]]
    return timedelta(**{unit: int(written[:-1])})


def _parts(item: Item) -> int:
    return item.whole(1, 1_000_000) if item.given else USUAL_SMS_PARTS


def _address(item: Item) -> str:
    return item.match(
        r"\+?\d{7,15}|[^@\s]+@[^@\s]+", '"13800138000" / staff@example.com', private=True
    )


def _retention(item: Item) -> Retention:
    given, usual = item.fields((), ("contact", "proof")), Retention()
    kept = Retention(
        _days(given["contact"], usual.contact, "30d"), _days(given["proof"], usual.proof, "730d")
    )
    if kept.proof < kept.contact:
        given["proof"].fault(
            "contradiction",
            Text("证据须保留得不短于联系方式", "proof is kept at least as long as the contact"),
            Text("例如 contact: 30d, proof: 730d", "e.g. contact: 30d, proof: 730d"),
        )
    return kept


def _days(item: Item, absent: timedelta, example: str) -> timedelta:
    written = item.match(r"[1-9]\d{0,3}d", example) if item.given else ""
    return timedelta(days=int(written[:-1])) if written else absent


def _overrides(item: Item, rulebook: Rulebook) -> dict[str, RuleOverride]:
    overrides: dict[str, RuleOverride] = {}
    for key, override in item.entries():
        rule = rulebook.rules.get(key.written)
        if rule is not None:
            overrides[rule.id] = _override(override, rule)
        elif key.written.partition(".")[0] not in rulebook.broken:
            key.one_of(rulebook.rules)
    return overrides


def _override(item: Item, rule: Rule) -> RuleOverride:
    given = item.fields((), ("start_counted", "steps"))
    start_counted = given["start_counted"].flag()
    counted_in_days = rule.period_of_bank or isinstance(rule.period, WorkingDays)
    if start_counted and not (rule.kind is RuleKind.LAPSE and counted_in_days):
        given["start_counted"].fault(
            "contradiction",
            Text(
                "只有按工作日计的 lapse 可以当日计入",
                "only a lapse in working days can count its start",
            ),
            SEE_DOCS,
        )
    return RuleOverride(start_counted, read_steps(given["steps"], rule.kind))
