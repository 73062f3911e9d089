"""`qida deadlines`: when something lapses or is ready, one at a time or by the thousand."""

import json
import sys
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from worker.cli.output import (
    BAD_DATA,
    home_of,
    instant,
    no_such_rule,
    one_language,
    print_json,
)
from worker.domain.calendar import WorkingCalendar
from worker.domain.centres import Centre, Office
from worker.domain.deadlines import Deadline, Terms, as_json, deadline, terms_of
from worker.domain.derivations import Derivation, derivation_json, derivation_text, derive
from worker.domain.errors import BadData
from worker.domain.periods import end_of
from worker.domain.rules import Rule, RuleKind
from worker.domain.written_periods import parse_period

if TYPE_CHECKING:
    from worker.runtime import Knowledge


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("deadlines")(deadlines)


def deadlines(
    rule: Annotated[str | None, typer.Option(help="Rule id, as in `qida rules list`.")] = None,
    starts_at: Annotated[
        str | None, typer.Option(metavar="ISO", help="When the event happened.")
    ] = None,
    period: Annotated[
        str | None, typer.Option(metavar="JSON", help='A bare period, e.g. {"working_days": 3}.')
    ] = None,
    centre: Annotated[str | None, typer.Option(help="Whose hours and banks count.")] = None,
    bank: Annotated[str, typer.Option(help="The bank, where its period counts.")] = "",
    batch: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="JSON lines in, JSON lines out.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show every day counted.")] = False,
    as_data: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    lang: Annotated[
        Literal["zh", "en"] | None, typer.Option(help="Language; that of QIDA_LANG, else zh.")
    ] = None,
) -> None:
    """Work out deadlines, with their derivation."""
    desk, language = _Desk(home_of()), lang or one_language()
    if batch is not None:
        raise typer.Exit(_batch(desk, batch, explain=explain, as_data=as_data, language=language))
    if starts_at is None or (rule is None) == (period is None):
        raise typer.BadParameter(
            "请写 --starts-at 与 --rule、--period 之一，或 --batch / "
            "give --starts-at and one of --rule or --period, or --batch"
        )
    asked: dict[str, object] = {"starts_at": starts_at, "bank": bank}
    asked |= {"rule": rule} if rule else {"period": _parsed(period or "")}
    asked |= {"centre": centre} if centre else {}
    answer = desk.answer(asked)
    if as_data:
        print_json([derivation_json(answer.derivation()) if explain else answer.line()])
    else:
        typer.echo(derivation_text(answer.derivation(), language))


def _parsed(period: str) -> object:
    try:
        return json.loads(period)
    except json.JSONDecodeError as error:
        raise BadData(f"--period 不是 JSON：{error}", f"--period is not JSON: {error}") from None


@dataclass(frozen=True, slots=True)
class _Answer:
    deadline: Deadline
    terms: Terms
    calendar: WorkingCalendar
    rule: Rule | None

    def line(self) -> dict[str, object]:
        """The batch contract's fields: `act_by` and `ready_on` only where the rule has them."""
        fields = as_json(self.deadline)
        if self.rule is None or self.rule.kind is not RuleKind.LAPSE:
            del fields["act_by"]
        if self.rule is None or self.rule.kind is not RuleKind.READY:
            del fields["ready_on"]
        return fields

    def derivation(self) -> Derivation:
        return derive(self.deadline, self.terms, self.calendar, self.rule)


@dataclass(slots=True)
class _Desk:
    """Answers questions; the catalogue is read only when a question names a rule."""

    home: Path
    _knowledge: "Knowledge | None" = None
    _calendar: WorkingCalendar | None = None
    _offices: dict[str, Office] = field(default_factory=dict)
    _terms: dict[tuple[str, str, str], Terms] = field(default_factory=dict)

    @property
    def knowledge(self) -> "Knowledge":
        from worker.runtime import require_knowledge

        if self._knowledge is None:
            self._knowledge = require_knowledge(self.home)
        return self._knowledge

    @property
    def calendar(self) -> WorkingCalendar:
        from worker.runtime import national_calendar

        if self._calendar is None:
            self._calendar = national_calendar(self.home)
        return self._calendar

    def answer(self, asked: object) -> _Answer:
        """One question's answer. Raises BadData, Misconfigured."""
        if not isinstance(asked, dict):
            raise BadData("每行须为一个 JSON 对象", "each line holds one JSON object")
        written = asked.get("starts_at")
        if not isinstance(written, str):
            raise BadData("缺少 starts_at", "starts_at is missing")
        start = instant(written)
        if ("rule" in asked) == ("period" in asked):
            raise BadData("rule 与 period 须恰好写一个", "give exactly one of rule and period")
        return self._of_rule(asked, start) if "rule" in asked else self._of_period(asked, start)

    def _of_period(self, asked: dict[str, object], start: datetime) -> _Answer:
        written = asked["period"]
        if not isinstance(written, dict):
            raise BadData("period 须为对象", "period must be an object")
        period = parse_period(written)
        end = end_of(period, start, self.calendar)
        found = Deadline("", start, *end, None, None)
        return _Answer(found, Terms("", RuleKind.STEP, period), self.calendar, None)

    def _of_rule(self, asked: dict[str, object], start: datetime) -> _Answer:
        rule = self.knowledge.rulebook.rules.get(str(asked["rule"]))
        if rule is None:
            raise no_such_rule(asked["rule"])
        centre = self._centre(asked.get("centre"))
        terms = self._terms_of(rule, centre, str(asked.get("bank") or ""))
        calendar = self.knowledge.calendars[centre.region]
        office = self._offices.setdefault(centre.id, Office(centre, calendar))
        return _Answer(deadline(terms, start, calendar, office), terms, calendar, rule)

    def _terms_of(self, rule: Rule, centre: Centre, bank: str) -> Terms:
        key = (rule.id, centre.id, bank)
        if key not in self._terms:
            self._terms[key] = terms_of(rule, centre, bank)
        return self._terms[key]

    def _centre(self, named: object) -> Centre:
        centres = self.knowledge.centres
        if named is None and len(centres) == 1:
            return next(iter(centres.values()))
        if str(named) not in centres:
            known = sorted(centres)
            raise BadData(f"请写明网点：{'、'.join(known)}", f"name a centre: {', '.join(known)}")
        return centres[str(named)]


def _batch(desk: _Desk, source: str, *, explain: bool, as_data: bool, language: str) -> int:
    """Answer line by line, in order; a bad line gets an error and stops nothing."""
    bad = 0
    with _opened(source) as lines:
        for number, asked_id, answer in _answers(desk, lines):
            if isinstance(answer, BadData):
                bad += 1
                written: dict[str, object] = {"id": asked_id, "error": str(answer)}
            elif explain and not as_data:
                text = derivation_text(answer.derivation(), language)
                line = f"line {number}" if language == "en" else f"第 {number} 行"
                sys.stdout.write(f"# {line if asked_id is None else asked_id}\n{text}\n\n")
                continue
            else:
                fields = derivation_json(answer.derivation()) if explain else answer.line()
                written = {"id": asked_id, **fields}
            sys.stdout.write(json.dumps(written, ensure_ascii=False) + "\n")
    return BAD_DATA if bad else 0


def _answers(
    desk: _Desk, lines: Iterable[bytes]
) -> Iterator[tuple[int, object, _Answer | BadData]]:
    """Number, id and answer of each line that asks something."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        asked: object = None
        try:
            asked = _read_line(line)
            answer: _Answer | BadData = desk.answer(asked)
        except BadData as error:
            zh, en = error.text.zh, error.text.en
            answer = BadData(f"第 {number} 行：{zh}", f"line {number}: {en}")
        yield number, asked.get("id") if isinstance(asked, dict) else None, answer


def _read_line(line: bytes) -> object:
    """The JSON of one line, which may end as Windows ends lines. Raises BadData."""
    try:
        text = line.removeprefix(BOM_UTF8).decode().strip()
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except UnicodeDecodeError:
        raise BadData("不是 UTF-8", "this is not UTF-8") from None
    except json.JSONDecodeError as error:
        at, why = error.colno, error.msg
        raise BadData(f"第 {at} 列起不是 JSON", f"no JSON from column {at} on: {why}") from None
    except (ValueError, RecursionError):
        raise BadData(
            "数值超出范围或嵌套过深", "a number out of range, or nested too deeply"
        ) from None


def _finite(written: str) -> float:
    """A number that JSON can write again: NaN and infinities are none. Raises ValueError."""
    number = float(written)
    if not isfinite(number):
        raise ValueError(written)
    return number


def _opened(source: str) -> BinaryIO:
    if source == "-":
        return sys.stdin.buffer
    try:
        return Path(source).open("rb")
    except OSError as error:
        raise BadData(
            f"读不到 {source}：{error.strerror}", f"cannot read {source}: {error.strerror}"
        ) from None
