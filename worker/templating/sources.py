"""Template files: read, vetted as a tree against a short list of what is allowed, then compiled.

Templates are written by people who may edit nothing else. The sandbox alone lets `10**(10**7)` and
`lipsum(n=100000)` run and leaks what objects hold; so nothing is compiled that is not on the list,
and a template is given plain text only.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2 import Template as Compiled
from jinja2.sandbox import ImmutableSandboxedEnvironment

from worker.domain.errors import Fault, Misconfigured, Text
from worker.domain.wording import VARIABLES

FILTERS = ("lower", "trim", "upper")
NAMES = frozenset({*VARIABLES, "step", "ample", "room", "courtesy"})
"""What a template may name: the words of its matter, its step, and what there is room for."""

FRAME_NAMES = frozenset({"language", "subject", "content"})
"""What `email/frame.html.j2` may name instead."""

_DEEPEST = 30  # Python refuses 100 levels of indentation; no message needs ten
_TWO_PARTS = re.compile(r"\{#-?\s*parts:\s*2\s*[,，]\s*\S.*?#\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """One file: the hash of its bytes, the names it uses, its compiled form.

    `compiled` is None where `faults` says why the file was refused. `parts` is what an SMS of it
    may cost: one, or two where the file's first line says why.
    """

    file: Path
    sha256: str
    parts: int = 1
    names: frozenset[str] = frozenset()
    compiled: Compiled | None = None
    faults: tuple[Fault, ...] = ()


class Flaw(NamedTuple):
    """What can be wrong with a template, and the mend."""

    code: str
    message: Text
    mend: Text


def fault_in(file: Path, line: int, what: Flaw, value: str = "") -> Fault:
    """A flaw at its place, `file:line`."""
    return Fault(f"{file}:{line}", what.message, what.mend, value, what.code)


def _environment(*, lines_matter: bool, autoescape: bool = False) -> ImmutableSandboxedEnvironment:
    """A sandbox that knows nothing but the listed filters.

    Where lines matter (e-mail), a line that holds only a tag leaves none behind.
    """
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=autoescape,
        trim_blocks=lines_matter,
        lstrip_blocks=lines_matter,
    )
    environment.globals.clear()
    environment.tests.clear()
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    return environment


_SMS = _environment(lines_matter=False)
_EMAIL = _environment(lines_matter=True)
_HTML = _environment(lines_matter=True, autoescape=True)


def read_source(file: Path, known: frozenset[str]) -> Source:
    raw = file.read_bytes()
    sha256 = hashlib.sha256(raw).hexdigest()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Source(file, sha256, faults=(fault_in(file, 1, _NOT_UTF8),))
    environment, most = _way_of(file)
    if len(text) > most:
        return Source(file, sha256, faults=(fault_in(file, 1, _TOO_LONG, f"{len(text)} > {most}"),))
    parts = 2 if _TWO_PARTS.match(text) else 1
    try:
        names, compiled = _vetted(file, text, environment, known)
    except Misconfigured as refused:
        return Source(file, sha256, parts, faults=refused.faults)
    return Source(file, sha256, parts, names, compiled)


def _way_of(file: Path) -> tuple[ImmutableSandboxedEnvironment, int]:
    """The environment for a file and how many characters it may have."""
    if file.name.endswith(".html.j2"):
        return _HTML, 8_000
    return (_EMAIL if file.name.endswith(".body.txt.j2") else _SMS), 2_000


def _vetted(
    file: Path, text: str, environment: ImmutableSandboxedEnvironment, known: frozenset[str]
) -> tuple[frozenset[str], Compiled]:
    """Names used and the compiled form. Raises Misconfigured before anything is compiled."""
    try:
        tree = environment.parse(text)
        faults = tuple(_refusals(file, tree, known))
    except TemplateSyntaxError as error:
        faults = (fault_in(file, error.lineno, _SYNTAX, error.message or ""),)
    except RecursionError:  # thousands of brackets
        faults = (fault_in(file, 1, _TOO_DEEP),)
    if faults:
        raise Misconfigured(f"模板 {file} 有错", f"template {file} is refused", faults)
    return frozenset(node.name for node in tree.find_all(nodes.Name)), environment.from_string(tree)


_ALLOWED = frozenset(
    {
        nodes.Template,
        nodes.Output,
        nodes.TemplateData,
        nodes.If,
        nodes.Compare,
        nodes.And,
        nodes.Or,
        nodes.Not,
    }
)


def _refusals(file: Path, tree: nodes.Template, known: frozenset[str]) -> Iterator[Fault]:
    """Every node that is not on the list, with its line; what hangs below it is not looked at."""
    waiting: list[tuple[nodes.Node, int, int]] = [(tree, 1, 0)]
    while waiting:
        node, line, depth = waiting.pop()
        line = node.lineno or line  # an operand has none of its own
        if depth > _DEEPEST:
            yield fault_in(file, line, _TOO_DEEP)
        elif type(node) in _ALLOWED or _is_plain(node):
            waiting.extend((child, line, depth + 1) for child in node.iter_child_nodes())
        elif not isinstance(node, nodes.Name):
            yield fault_in(file, line, _REFUSED, type(node).__name__)
        elif node.name not in known:
            yield fault_in(file, line, _UNKNOWN, node.name)


def _is_plain(node: nodes.Node) -> bool:
    match node:
        case nodes.Const(value=str()) | nodes.Operand(op="eq" | "ne"):
            return True
        case nodes.Filter(args=[], kwargs=[], dyn_args=None, dyn_kwargs=None):
            return node.node is not None and node.name in FILTERS
        case _:
            return False


_KNOWN = ", ".join(sorted(NAMES))
_NOT_UTF8 = Flaw(
    "template.encoding",
    Text("不是 UTF-8 文本", "not UTF-8 text"),
    Text("请另存为 UTF-8", "save it as UTF-8"),
)
_TOO_LONG = Flaw(
    "template.too_long",
    Text("文件太长", "the file is too long"),
    Text("文本模板至多 2000 字符，HTML 至多 8000", "at most 2,000 characters, HTML 8,000"),
)
_TOO_DEEP = Flaw(
    "template.too_deep",
    Text("嵌套太深", "nested too deeply"),
    Text("请减少括号与 if 的层数", "use fewer brackets and nested ifs"),
)
_SYNTAX = Flaw(
    "template.syntax",
    Text("语法错误", "syntax error"),
    Text("请对照 docs/templates.md 修改", "compare with docs/templates.md"),
)
_REFUSED = Flaw(
    "template.refused",
    Text("模板中不允许的写法", "not allowed in a template"),
    Text(
        "只可用文字、{{ 变量 }}、if/elif/else、==、!=、and/or/not 与过滤器 lower、trim、upper",
        "use text, {{ variable }}, if/elif/else, ==, !=, and/or/not, filters lower, trim, upper",
    ),
)
_UNKNOWN = Flaw(
    "template.unknown_variable",
    Text("没有这个变量", "no such variable"),
    Text(f"可用：{_KNOWN}", f"known: {_KNOWN}"),
)
