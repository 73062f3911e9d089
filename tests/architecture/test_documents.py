"""Documents point at what exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)(?P<target>[^)#\s]+)")


def dead_links(document: Path) -> list[str]:
    """Relative links of one Markdown file that lead nowhere."""
    targets = LINK.findall(document.read_text(encoding="utf-8"))
    return [target for target in targets if not (document.parent / target).exists()]


def test_every_relative_link_leads_to_a_file() -> None:
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/*.md")]

    dead = {str(document.relative_to(ROOT)): dead_links(document) for document in documents}

    assert {name: links for name, links in dead.items() if links} == {}


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[here](page.md) [there](nowhere.md#part) [out](https://example.com/x)")

    dead = dead_links(page)

    assert dead == ["nowhere.md"]


def test_the_index_lists_every_decision() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")

    decisions = {path.name for path in ROOT.glob("docs/decisions/*.md")}

    assert decisions == set(re.findall(r"decisions/(\d{4}-[\w-]+\.md)", index))
