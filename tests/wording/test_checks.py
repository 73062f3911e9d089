"""`qida templates check` passes what is shipped and finds every kind of mistake, all at once."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from worker.domain.centres import Bank, Centre, RuleOverride
from worker.domain.errors import Fault
from worker.domain.periods import Days
from worker.domain.rules import Procedure, RuleKind
from worker.domain.samples import samples
from worker.domain.steps import LAST_DAYS, NAMED_STEPS
from worker.templating import Preview, Templates, check, preview

Write = Callable[[str, str], Templates]
Procedures = tuple[Procedure, ...]
GOOD = (
    "【{{ signature }}】{{ until }}{{ first_opening }}到{{ place }}{{ act }}，带{{ papers }}。"
    "{{ hotline }}"
)


def codes(faults: tuple[Fault, ...]) -> set[str]:
    return {fault.code for fault in faults}


def steps_shown(rows: list[Preview], rule_id: str) -> set[str]:
    return {row.step for row in rows if row.rule == rule_id}


def test_every_shipped_template_passes(
    shipped: Templates, procedures: Procedures, centre: Centre
) -> None:
    faults = check(shipped, procedures, [centre])

    assert [fault.in_language("en") for fault in faults] == []


def test_the_check_meets_every_rule_step_language_and_channel(
    procedures: Procedures, centre: Centre
) -> None:
    made = list(samples(procedures, centre))

    met = {(sample.rule.id, sample.channel, sample.language) for sample in made}
    assert len({sample.rule.id for sample in made}) == 23
    assert len(met) == 23 * 4
    of_lapse = [sample for sample in made if sample.rule.id == "national.phone-loss-report"]
    assert {sample.step for sample in of_lapse} == {
        "at_once", "working_day_before", "last_day", "open_hours_3", "lapsed", "open_hours_8",
        "working_days_3_before", "last_working_day", "moved",
    }  # fmt: skip
    assert {sample.form for sample in of_lapse} == {
        "firm", "firm_next_year", "provisional", "no_counter", "no_counter_provisional", "today",
        "today_provisional",
    }  # fmt: skip


def test_a_preview_shows_the_steps_a_rule_has_and_no_other(
    shipped: Templates, procedures: Procedures, centre: Centre
) -> None:
    of_step = RuleOverride(steps=(NAMED_STEPS[RuleKind.READY]["ready_day"],))
    own = replace(centre, overrides={"national.replacement-pickup": of_step})

    rows = list(preview(shipped, procedures, own))

    assert steps_shown(rows, "national.phone-loss-report") == {
        "at_once", "working_day_before", "last_day", "open_hours_3", "lapsed", "moved"
    }  # fmt: skip
    assert steps_shown(rows, "zhuhai.phone-loss-report") == {  # its bank counts in calendar days
        "at_once", "working_days_3_before", "working_day_before", "last_working_day", "lapsed",
        "moved",
    }  # fmt: skip
    assert steps_shown(rows, "national.interim-treatment") == {"at_once"}
    assert steps_shown(rows, "national.replacement-pickup") == {"ready_day", "moved"}


def test_a_preview_tells_a_last_day_on_the_day(
    shipped: Templates, procedures: Procedures, centre: Centre
) -> None:
    rows = list(preview(shipped, procedures, centre))

    on_the_day = {row.step for row in rows if row.form.startswith("today")}
    assert on_the_day == {"last_day", "last_working_day"}
    assert {row.form for row in rows if row.step in on_the_day} == {"today", "today_provisional"}


def test_a_last_day_reads_like_no_other_step(
    shipped: Templates, procedures: Procedures, centre: Centre
) -> None:
    said: dict[bool, set[str]] = {True: set(), False: set()}
    for sample in samples(procedures, centre):
        if sample.form == "today":
            rendered = shipped.render(
                kind=sample.rule.kind, step=sample.step, rule_id=sample.rule.id,
                channel=sample.channel, language=sample.language, variables=sample.words,
            )  # fmt: skip
            said[sample.step in LAST_DAYS] |= {rendered.text, rendered.subject} - {""}

    assert said[True]
    assert said[True] & said[False] == set()


def test_no_message_names_a_rule_or_a_file(
    shipped: Templates, procedures: Procedures, centre: Centre
) -> None:
    rows = list(preview(shipped, procedures, centre))

    assert [row for row in rows if row.rule in row.text or ".txt" in row.text] == []
    assert all("《" in row.text for row in rows if (row.channel, row.language) == ("email", "zh"))


def test_an_english_message_begins_with_a_capital(
    shipped: Templates, procedures: Procedures, centre: Centre
) -> None:
    rows = [row for row in preview(shipped, procedures, centre) if row.language == "en"]

    begun = [row.text.partition("] ")[2] for row in rows if row.channel == "sms"]
    begun += [row.subject for row in rows if row.channel == "email"]
    assert [text for text in begun if not text[0].isupper()] == []


def test_a_moment_is_marked_as_the_latest_or_as_an_end_never_as_both(
    shipped: Templates, procedures: Procedures, centre: Centre
) -> None:
    rows = [row for row in preview(shipped, procedures, centre) if row.language == "zh"]

    lines = [line for row in rows for line in f"{row.subject}\n{row.text}".splitlines()]
    assert any("最迟" in line for line in lines)
    assert [line for line in lines if re.search(r"最迟[^，。；]*前", line)] == []


def test_no_sms_leaves_its_part(shipped: Templates, procedures: Procedures, centre: Centre) -> None:
    rows = [row for row in preview(shipped, procedures, centre) if row.channel == "sms"]

    assert {row.parts for row in rows} == {1}
    assert max(row.units for row in rows if row.language == "zh") <= 58
    assert max(row.units for row in rows if row.language == "en") <= 148


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (GOOD + "一" * 30, "template.parts"),
        (GOOD.replace("【{{ signature }}】", ""), "template.unsigned"),
        (GOOD.replace("{{ hotline }}", ""), "template.left_out"),
        (GOOD.replace("到{{ place }}", ""), "template.left_out"),
        (GOOD.replace("{{ until }}", "{% if room %}{{ until }}{% endif %}") + "一" * 20,
         "template.left_out"),
        (GOOD.replace("{{ until }}", "{{ act_by }}前"), "template.unmarked"),
        (GOOD + "www.example.cn", "template.blemish"),
        (GOOD + "😀", "template.blemish"),
        (GOOD + "优惠", "template.blemish"),
        (GOOD + "{{ x }}", "template.unknown_variable"),
        (GOOD + "{{ act.x }}", "template.refused"),
        (GOOD + "{% if %}", "template.syntax"),
    ],
)  # fmt: skip
def test_a_mistake_is_found(
    with_template: Write, procedures: Procedures, centre: Centre, text: str, code: str
) -> None:
    templates = with_template("sms/zh/lapse.default.txt.j2", text)

    faults = check(templates, procedures, [centre])

    assert code in codes(faults)
    assert {fault.place.rpartition("/")[2] for fault in faults} == {"lapse.default.txt.j2:1"}


@pytest.mark.parametrize(
    "name", ["lapse.at_onse", "laspe.default", "by_rule/national.no-such-rule.at_once", "lapse"]
)
def test_a_file_no_message_asks_for_is_found(
    with_template: Write, procedures: Procedures, centre: Centre, name: str
) -> None:
    templates = with_template(f"sms/zh/{name}.txt.j2", GOOD)

    (fault,) = check(templates, procedures, [centre])

    assert fault.code == "template.stray"
    assert name in fault.place


def test_a_missing_file_is_named(
    with_template: Write, procedures: Procedures, centre: Centre, tmp_path: Path
) -> None:
    with_template("sms/zh/lapse.default.txt.j2", GOOD)
    (tmp_path / "templates" / "email" / "en" / "ready.default.subject.txt.j2").unlink()

    templates = Templates.load(tmp_path / "templates")

    (fault,) = [f for f in check(templates, procedures, [centre]) if f.code == "template.missing"]
    assert "email/en/ready.default.subject" in fault.message.en


@pytest.mark.parametrize("name", ["card", "act", "until"])
def test_a_second_contact_text_that_tells_the_matter_is_found(
    with_template: Write, procedures: Procedures, centre: Centre, name: str
) -> None:
    text = f"【{{{{ signature }}}}】请转告{{{{ {name} }}}}"
    templates = with_template("sms/zh/second_contact.txt.j2", text)

    faults = check(templates, procedures, [centre])

    assert [(fault.code, fault.value) for fault in faults] == [("template.indiscreet", name)]


def test_all_mistakes_of_all_files_come_out_at_once(
    with_template: Write, procedures: Procedures, centre: Centre
) -> None:
    with_template("sms/zh/lapse.default.txt.j2", "{{ range }}")
    with_template("sms/en/step.default.txt.j2", "[{{ signature }}] {{ act }}")
    templates = with_template("email/zh/ready.default.body.txt.j2", "{{ act }} 见 example.com")

    faults = check(templates, procedures, [centre])

    assert codes(faults) >= {
        "template.unknown_variable", "template.left_out", "template.blemish", "template.unmarked"
    }  # fmt: skip


def test_a_long_signature_is_found_before_it_is_sent(
    shipped: Templates, procedures: Procedures, centre: Centre
) -> None:
    long = replace(centre, id="long", signature="示例市社会保障卡中心")

    faults = check(shipped, procedures, [centre, long])

    assert codes(faults) == {"template.parts"}


def test_a_hotline_that_makes_english_texts_ucs2_is_found(
    shipped: Templates, procedures: Procedures, centre: Centre
) -> None:
    wordy = replace(centre, banks={"示例银行": Bank("示例银行", Days(5), "热线0001")})

    faults = check(shipped, procedures, [wordy])

    assert codes(faults) == {"template.parts"}
    assert all("/en/" in fault.place for fault in faults)
