"""The examples of the README, run as a reader would: what it shows is what comes."""

import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.command import ROOT

ID = re.compile(r"\b[0-9a-f]{32}\b")
NOT_HERE = "make "  # it would install


class Example(NamedTuple):
    """A command with the lines shown below it."""

    command: str
    shown: list[str]


class Shell:
    """One reader's shell in a folder of its own; ids in the text stand for those that came."""

    def __init__(self, home: Path) -> None:
        self.home, self.exports = home, ""
        self.ids: dict[str, str] = {}

    def run(self, command: str) -> tuple[list[str], list[str]]:
        """What it says on stdout and on stderr."""
        command = ID.sub(lambda match: self.ids.get(match[0], match[0]), command)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", self.exports + command],  # noqa: S607 - whichever the reader has
            capture_output=True, text=True, check=False, cwd=self.home,
            env={"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8"},
        )  # fmt: skip
        if command.startswith("export "):
            self.exports += f"{command}\n"
        return done.stdout.splitlines(), done.stderr.splitlines()

    def learn(self, example: Example, out: list[str]) -> list[str]:
        """What is shown, with the ids that really came."""
        told, came = (ID.findall("\n".join(lines)) for lines in (example.shown, out))
        self.ids |= dict(zip(told, came, strict=False))
        return [
            ID.sub(lambda match: self.ids.get(match[0], match[0]), one) for one in example.shown
        ]


def examples(document: str) -> list[Example]:
    """Every command of a document's console blocks, here-documents with it."""
    text = (ROOT / document).read_text("utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    commands = chain.from_iterable(
        re.split(r"^\$ ", block, flags=re.MULTILINE)[1:] for block in blocks
    )
    return [_example(command) for command in commands if not command.startswith(NOT_HERE)]


def _example(text: str) -> Example:
    lines = text.rstrip("\n").splitlines()
    length = lines.index("END") + 1 if "<<'END'" in lines[0] else 1
    return Example("\n".join(lines[:length]), lines[length:])


@pytest.mark.parametrize("documents", [["README.md"], ["README.en.md", "docs/operating.md"]])
def test_the_examples_show_what_comes(documents: list[str], tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    seen = 0

    for example in chain.from_iterable(map(examples, documents)):
        out, said = shell.run(example.command)
        shown = shell.learn(example, out)
        assert [line for line in shown if line not in said] == out, example.command
        seen += 1

    assert seen >= 10
