"""`/docs` needs no key and no other site: all it is made of comes from us."""

import re
import shutil
import subprocess
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.api.office import Office
from tests.cli.command import ROOT
from worker.api.docs import ASSETS

VENDORED = ROOT / "worker" / "api" / "swagger_ui"
CHROMIUM = shutil.which("chromium")


class Addresses(HTMLParser):
    """Every address a page names."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found |= {str(given[name]) for name in ("src", "href") if name in given}
        if tag == "style" or (tag == "script" and "src" not in given) or "style" in given:
            self.inline.append(tag)


def addresses(page: str) -> Addresses:
    parser = Addresses()
    parser.feed(page)
    return parser


def test_all_that_the_page_is_made_of_is_served_by_ourselves(anyone: Office) -> None:
    named = addresses(anyone.get("/docs").text)

    answers = {address: anyone.get(urljoin("/docs", address)) for address in named.found}

    assert named.inline == []
    assert {*named.found} == {*(f"docs/{name}" for name in ASSETS), "favicon.svg", "openapi.json"}
    assert {answer.status for answer in answers.values()} == {200}
    assert answers["docs/swagger-ui.css"].headers["Content-Type"].startswith("text/css")
    assert "javascript" in answers["docs/start.js"].headers["Content-Type"]
    assert answers["favicon.svg"].headers["Content-Type"] == "image/svg+xml"


def test_its_policy_lets_nothing_in_from_elsewhere(anyone: Office) -> None:
    policy = anyone.get("/docs").headers["Content-Security-Policy"]

    sources = {source for part in policy.split("; ") for source in part.split(" ")[1:]}

    assert policy.startswith("default-src 'none'")
    assert sources == {"'none'", "'self'", "data:"}
    assert "frame-ancestors 'none'" in policy


def test_the_style_sheet_loads_nothing(anyone: Office) -> None:
    style = anyone.get("/docs/swagger-ui.css").text

    assert set(re.findall(r"url\(\"?(\w+:|)", style)) == {"data:"}
    assert "@import" not in style


@pytest.mark.parametrize("name", ["VENDORED.md", "nothing.js", "..%2fdocs.py", "%2e%2e/docs.py"])
def test_no_other_file_is_handed_out(anyone: Office, name: str) -> None:
    assert anyone.get(f"/docs/{name}").status == 404


def test_browsers_that_guess_the_icon_find_it(anyone: Office) -> None:
    assert anyone.get("/favicon.ico").text == anyone.get("/favicon.svg").text


def test_the_vendored_files_are_those_that_were_noted() -> None:
    noted = re.findall(r"\| `(\S+)` \| `([0-9a-f]{64})` \|", (VENDORED / "VENDORED.md").read_text())

    found = {name: sha256((VENDORED / name).read_bytes()).hexdigest() for name, _ in noted}

    assert len(noted) == 5
    assert found == dict(noted)


@pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")
def test_a_browser_without_a_network_draws_it(anyone: Office, tmp_path: Path) -> None:
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--enable-logging=stderr",
        f"--user-data-dir={tmp_path}", "--virtual-time-budget=20000", "--timeout=60000",
        "--dump-dom", f"http://127.0.0.1:{anyone.port}/docs",
    ]  # fmt: skip

    drawn = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)

    said = [line for line in drawn.stderr.splitlines() if "CONSOLE" in line]
    assert said == []  # neither an error nor a breach of the page's policy
    assert 'id="operations-cases-enrol_case"' in drawn.stdout
