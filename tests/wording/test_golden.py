"""Every SMS as people read it, kept in golden/; QIDA_UPDATE_GOLDEN=1 writes the files anew."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from worker.domain.centres import Centre
from worker.domain.rules import Procedure
from worker.domain.samples import samples
from worker.templating import Templates, preview

GOLDEN = Path(__file__).parent / "golden"


def as_people_read_it(
    templates: Templates, procedures: tuple[Procedure, ...], centre: Centre, language: str
) -> str:
    """One heading a rule; one line a text, with its units and what it is used for."""
    texts: dict[str, dict[str, list[str]]] = {}
    for row in preview(templates, procedures, centre):
        if (row.channel, row.language) == ("sms", language):
            line = f"{row.units:3} {row.text}"
            texts.setdefault(row.rule, {}).setdefault(line, []).append(f"{row.step}/{row.form}")
    blocks = []
    for rule, lines in sorted(texts.items()):
        said = "\n".join(f"{line}\n    {' '.join(uses)}" for line, uses in lines.items())
        blocks.append(f"## {rule}\n{said}\n")
    return "\n".join([*blocks, second_contacts(templates, procedures, centre, language)])


def second_contacts(
    templates: Templates, procedures: tuple[Procedure, ...], centre: Centre, language: str
) -> str:
    """What whoever else may be told hears, whatever the rule."""
    said = {
        templates.render(
            kind=sample.rule.kind, step=sample.step, rule_id=sample.rule.id, channel="sms",
            language=language, variables=sample.words, recipient="second_contact",
        ).text
        for sample in samples(procedures, centre)
        if sample.language == language
    }  # fmt: skip
    return "## second contact\n" + "".join(f"    {text}\n" for text in sorted(said))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_messages_are_those_on_file(
    shipped: Templates, procedures: tuple[Procedure, ...], centre: Centre, language: str
) -> None:
    file = GOLDEN / f"sms.{language}.txt"

    said = as_people_read_it(shipped, procedures, centre, language)

    if os.environ.get("QIDA_UPDATE_GOLDEN") == "1":
        file.parent.mkdir(exist_ok=True)
        file.write_text(said, encoding="utf-8")
    assert said == file.read_text(encoding="utf-8")


def test_no_line_is_named_where_neither_procedure_nor_centre_has_one(
    shipped: Templates, procedures: tuple[Procedure, ...], centre: Centre
) -> None:
    silent = replace(centre, hotline="")
    employer = tuple(one for one in procedures if one.id == "employer")

    told = [row.text for row in preview(shipped, employer, silent)]

    assert told
    blanks = ("12333", "询\n", "Call .", "call .", "Questions:", "咨询电话", "拨打。", "genuine")
    assert [text for text in told if any(blank in text for blank in blanks)] == []
    assert [text for text in told if text.rstrip().endswith(("询", "Call"))] == []
