"""Which file speaks, what falls away when room is short, and what a registered text is."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.domain.errors import Misconfigured
from worker.domain.wording import VARIABLES
from worker.templating import Rendered, Templates

Write = Callable[[str, str], Templates]
WORDS = dict.fromkeys(VARIABLES, "") | {
    "signature": "示例社保",
    "act": "书面挂失",
    "until": "11月25日周三17:00前",
    "hotline": "12333",
}


def an_sms(templates: Templates, *, step: str = "at_once", rule_id: str = "a.b") -> Rendered:
    return templates.render(
        kind="lapse", step=step, rule_id=rule_id, channel="sms", language="zh", variables=WORDS
    )


def an_email(templates: Templates, **words: str) -> Rendered:
    return templates.render(
        kind="lapse", step="at_once", rule_id="a.b", channel="email", language="zh",
        variables=WORDS | words,
    )  # fmt: skip


def test_the_most_special_file_speaks(with_template: Write) -> None:
    with_template("sms/zh/by_rule/a.b.default.txt.j2", "规则通用")
    with_template("sms/zh/by_rule/a.b.moved.txt.j2", "规则与步骤")
    templates = with_template("sms/zh/lapse.last_day.txt.j2", "类别与步骤")

    said = [
        an_sms(templates, step="moved").text,
        an_sms(templates, step="last_day").text,
        an_sms(templates, step="at_once").text,
        an_sms(templates, step="moved", rule_id="a.c").template,
    ]

    assert said == ["规则与步骤", "类别与步骤", "规则通用", "sms/zh/lapse.default"]


def test_a_second_contact_gets_a_text_of_its_own(shipped: Templates) -> None:
    words = WORDS | {"card": "尾号0001", "honorific": "张先生/女士", "short_name": "示例中心"}

    told = shipped.render(
        kind="lapse", step="last_day", rule_id="a.b", channel="sms", language="zh",
        variables=words, recipient="second_contact",
    )  # fmt: skip

    assert told.template == "sms/zh/second_contact"
    assert "转告张先生/女士" in told.text
    assert "0001" not in told.text
    assert "挂失" not in told.text


def test_lines_of_an_sms_file_join_with_a_blank_in_english_only(with_template: Write) -> None:
    with_template("sms/zh/lapse.default.txt.j2", "甲，\n  乙\n\n{% if place %}丙{% endif %}\n丁\n")
    templates = with_template("sms/en/lapse.default.txt.j2", "One.\n\n Two.\n")

    english = templates.render(
        kind="lapse", step="moved", rule_id="", channel="sms", language="en", variables=WORDS
    )

    assert an_sms(templates).text == "甲，乙丁"
    assert english.text == "One. Two."


@pytest.mark.parametrize(
    ("length", "kept"), [(55, "甲乙丙"), (56, "乙丙"), (57, "丙"), (58, ""), (59, "")]
)
def test_what_may_fall_away_falls_in_order(with_template: Write, length: int, kept: str) -> None:
    optional = "{% if ample %}甲{% endif %}{% if room %}乙{% endif %}{% if courtesy %}丙{% endif %}"
    templates = with_template("sms/zh/lapse.default.txt.j2", "办" * length + optional)

    told = an_sms(templates)

    assert told.text == "办" * length + kept
    assert told.parts == (1 if length <= 58 else 2)


def test_two_parts_are_used_only_where_the_file_says_why(with_template: Write) -> None:
    optional = "办" * 58 + "{% if ample %}甲{% endif %}"
    reasoned = with_template(
        "sms/zh/lapse.default.txt.j2", "{# parts: 2, because it must be said #}" + optional
    )
    unreasoned = with_template("sms/zh/lapse.moved.txt.j2", "{# parts: 2 #}" + optional)

    assert an_sms(reasoned).parts == 2
    assert an_sms(unreasoned, step="moved").parts == 1


def test_the_variables_a_template_names_are_handed_on(with_template: Write) -> None:
    templates = with_template(
        "sms/zh/lapse.default.txt.j2", "【{{ signature }}】{% if room %}{{ until }}{% endif %}"
    )

    told = an_sms(templates)

    assert told.variables == {"signature": "示例社保", "until": "11月25日周三17:00前"}


def test_a_variable_that_is_not_given_is_an_error_even_in_a_branch_not_taken(
    with_template: Write,
) -> None:
    templates = with_template(
        "sms/zh/lapse.default.txt.j2", "{% if place %}{{ papers }}{% endif %}"
    )

    with pytest.raises(Misconfigured, match="papers"):
        templates.render(
            kind="lapse", step="at_once", rule_id="", channel="sms", language="zh",
            variables={"place": ""},
        )  # fmt: skip


def test_a_missing_template_is_named(shipped: Templates) -> None:
    with pytest.raises(Misconfigured, match=r"sms/fr/lapse\.default"):
        shipped.render(
            kind="lapse", step="at_once", rule_id="", channel="sms", language="fr", variables=WORDS
        )


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="nowhere"):
        Templates.load(tmp_path / "nowhere")


def test_an_email_says_the_same_in_text_and_html(shipped: Templates) -> None:
    told = an_email(shipped, place="卡中心", consequence="挂失自动解除", centre_name="示例中心")

    content = told.html.partition("<body")[2].partition(">")[2].partition("</body>")[0]
    words = re.sub(r"</th>", "：", content)
    words = re.sub(r"<[^>]*>|\s", "", words)
    assert words == re.sub(r"\s", "", told.text)
    assert "<th" in told.html
    assert '<a href="tel:12333">12333</a>' in told.html
    assert told.subject == "社保卡提醒：请11月25日周三17:00前书面挂失"


def test_html_is_escaped(shipped: Templates) -> None:
    told = an_email(shipped, act='<img src="x">&', centre_name="<script>alert(1)</script>")

    assert "<img" not in told.html
    assert "<script" not in told.html
    assert '<img src="x">&' in told.text


def test_a_hotline_that_is_no_number_is_not_made_a_link(shipped: Templates) -> None:
    told = an_email(shipped, hotline='"><script>')

    assert "tel:" not in told.html
    assert "<script>" not in told.html


@pytest.mark.parametrize("line", ["12333", "025-12333"])
def test_only_the_whole_hotline_becomes_a_link(shipped: Templates, line: str) -> None:
    told = an_email(shipped, hotline=line, advice="另可拨025-12333或1233344")

    links = set(re.findall(r'href="([^"]*)"', told.html))
    assert links == {f"tel:{line}"}
    assert "1233344" in told.html
    assert ("或1233344" in told.html) and ("025-<a" not in told.html)  # noqa: PT018 - one fact


def register(directory: Path, sha256: str, key: str = "sms/zh/lapse.default") -> Templates:
    (directory / "registered.yaml").write_text(
        f"{key}:\n  registration_id: SMS_01\n  sha256: {sha256!r}\n", encoding="utf-8"
    )
    return Templates.load(directory)


def test_a_registered_text_carries_its_id(with_template: Write, tmp_path: Path) -> None:
    text = "【{{ signature }}】请{{ until }}{{ act }}"
    with_template("sms/zh/lapse.default.txt.j2", text)

    templates = register(tmp_path / "templates", hashlib.sha256(text.encode()).hexdigest())

    assert templates.faults == ()
    assert templates.registered("sms/zh/lapse.default") == "SMS_01"
    assert an_sms(templates).registration_id == "SMS_01"


def test_a_registered_text_that_differs_is_refused(with_template: Write, tmp_path: Path) -> None:
    with_template("sms/zh/lapse.default.txt.j2", "【{{ signature }}】改过了")

    templates = register(tmp_path / "templates", hashlib.sha256(b"another").hexdigest())

    assert an_sms(templates).registration_id == ""
    with pytest.raises(Misconfigured, match=r"sms/zh/lapse\.default"):
        templates.registered("sms/zh/lapse.default")


def test_a_text_without_registration_has_none(shipped: Templates) -> None:
    assert shipped.registrations == {}
    assert shipped.registered("sms/zh/lapse.default") is None


@pytest.mark.parametrize(
    ("key", "sha256", "code"),
    [
        ("sms/zh/lapse.defualt", "0" * 64, "template.unknown"),
        ("sms/zh/lapse.default", "abc", "wrong_form"),
    ],
)
def test_a_wrong_registration_is_a_fault_at_its_place(
    with_template: Write, tmp_path: Path, key: str, sha256: str, code: str
) -> None:
    with_template("sms/zh/lapse.default.txt.j2", "")

    templates = register(tmp_path / "templates", sha256, key)

    assert [fault.code for fault in templates.faults] == [code]
    assert "registered.yaml:" in templates.faults[0].place
    assert templates.registrations == {}
