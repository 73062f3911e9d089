"""`qida rules`: the catalogue, and every fault in its files."""

from collections.abc import Iterator, Mapping
from typing import Annotated

import typer

from worker.cli.output import (
    Json,
    home_of,
    list_faults,
    no_such_rule,
    only_chinese,
    print_json,
    print_table,
    say,
)
from worker.domain.contacts import event_word
from worker.domain.derivations import period_text
from worker.domain.errors import Text
from worker.domain.rules import Rule


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="The catalogue of rules.")
    group.command("list")(list_rules)
    group.command("show")(show)
    group.command("check")(check)
    app.add_typer(group, name="rules")


def list_rules(as_data: Json = False) -> None:
    """List every rule."""
    from worker.rulebook import describe
    from worker.runtime import require_knowledge

    rulebook = require_knowledge(home_of()).rulebook
    if as_data:
        print_json([describe(rule, rulebook) for rule in rulebook.rules.values()])
        return
    rows = [_row(rule) for rule in rulebook.rules.values()]
    print_table(rows, ["id", "kind", "period", "starts_on", "settled_by"])


def _row(rule: Rule) -> dict[str, object]:
    """A rule in words: Chinese where QIDA_LANG asks for it, else the names that files use."""
    chinese = only_chinese()
    word = event_word if chinese else str
    return {
        "id": rule.id,
        "kind": str(rule.kind),
        "period": _period(rule, "zh" if chinese else "en"),
        "starts_on": ("、" if chinese else ", ").join(map(word, rule.starts_on)),
        "settled_by": ("、" if chinese else ", ").join(map(word, rule.settled_by)),
    }


def _period(rule: Rule, language: str) -> str:
    if rule.period is not None:
        return period_text(rule.period, language)
    return (_OF_BANK if rule.period_of_bank else _NO_PERIOD).in_language(language)


_OF_BANK = Text("按银行规定", "as the bank rules")
_NO_PERIOD = Text("无", "none")


def show(rule_id: Annotated[str, typer.Argument(metavar="RULE")], as_data: Json = False) -> None:
    """Show one rule with its wording, source and reminder steps."""
    from worker.rulebook import describe
    from worker.runtime import require_knowledge

    rulebook = require_knowledge(home_of()).rulebook
    if rule_id not in rulebook.rules:
        raise no_such_rule(rule_id)
    row = describe(rulebook.rules[rule_id], rulebook)
    if as_data:
        print_json([row])
        return
    for line in _written(row):
        typer.echo(line)


def _written(values: Mapping[str, object], indent: str = "") -> Iterator[str]:
    """As the rule files have it: one value a line, those within others indented; no empty ones."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            inner = list(_written(value, indent + "  "))
            yield from [f"{indent}{name}:", *inner] if inner else []
        elif isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
            yield f"{indent}{name}:"
            yield from (f"{indent}  - {_on_one_line(one)}" for one in value)
        elif value not in ("", None, (), []):
            yield f"{indent}{name}: {_on_one_line(value)}"


def _on_one_line(value: object) -> str:
    match value:
        case Mapping():
            return ", ".join(f"{name}: {_on_one_line(one)}" for name, one in value.items())
        case list() | tuple():
            return f"[{', '.join(map(_on_one_line, value))}]"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def check() -> None:
    """Report every fault of every rule, centre and calendar file at once."""
    from worker.runtime import load_knowledge

    knowledge, faults = load_knowledge(home_of())
    if faults:
        list_faults(faults)
        say(Text(f"共 {len(faults)} 处错误", f"faults: {len(faults)}"))
        raise typer.Exit(78)
    count, centres = len(knowledge.rulebook.rules), len(knowledge.centres)
    say(Text(
        f"规则 {count} 条，网点 {centres} 个，没有错误",
        f"rules: {count}, centres: {centres}, no faults",
    ))  # fmt: skip
