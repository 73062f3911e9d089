"""Evidence as a page to print: the same links, in Chinese and English, nothing left out."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from worker.domain.errors import Text

_KINDS: Mapping[str, Text] = {
    "case": Text("案件", "Case"),
    "event": Text("事项", "Event"),
    "deadline": Text("期限与推算", "Deadline and how it came about"),
    "reminder": Text("提醒", "Reminder"),
    "attempt": Text("发送", "Attempt"),
    "receipt": Text("回执", "Receipt"),
    "audit": Text("审计链末端", "Head of the audit trail"),
}
STYLE = """body{font:11pt/1.5 sans-serif;max-width:60em;margin:2em auto;color:#111}
h2{font-size:12pt;margin:1.5em 0 .3em;break-after:avoid}table{border-collapse:collapse;width:100%}
td{border:1px solid #bbb;padding:.2em .5em;vertical-align:top;overflow-wrap:anywhere}
td:first-child{width:30%;color:#444}.hash{font:8pt monospace;color:#555}
.test{border:3px solid #b00020;padding:.5em 1em;font-weight:bold}"""


def evidence_page(evidence: Mapping[str, Any]) -> str:
    """A whole HTML document without anything from elsewhere."""
    title = "提醒证据 · Evidence of reminders"
    links = evidence["links"]
    body = "".join(_section(link) for link in links)
    return (
        '<!doctype html><html lang="zh"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
        f"{_warning(links[0]['content'])}{body}"
        f'<p class="hash">{escape(str(evidence["format"]))} · {escape(evidence["head"])}</p>'
        "</body></html>\n"
    )


def _warning(case: Mapping[str, Any]) -> str:
    if not case["test"]:
        return ""
    return (
        '<p class="test">测试库：沙箱的结果不是证据，未列出。<br>'
        "Test database: what the sandbox said is no evidence and is left out.</p>"
    )


def _section(link: Mapping[str, Any]) -> str:
    kind = _KINDS[link["kind"]]
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>"
        for name, value in _flat("", link["content"])
    )
    return (
        f"<h2>{link['seq']}. {kind.zh} · {kind.en}</h2><table>{rows}</table>"
        f'<p class="hash">{escape(link["hash"])}</p>'
    )


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Nested values a row each, under their path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        for number, inner in enumerate(value, start=1):
            yield from _flat(f"{name}.{number}", inner)
    elif value not in (None, "", []):
        yield name, "、".join(map(str, value)) if isinstance(value, list) else str(value)
