"""No template can do more than put words together; every refusal names file and line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from worker.domain.errors import Misconfigured
from worker.templating import Templates

FILE = "sms/zh/lapse.default.txt.j2"
Write = Callable[[str, str], Templates]

REFUSED = [
    "{{ act.upper }}",
    "{{ act.__class__ }}",
    "{{ act.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''.__class__.__base__ }}",
    "{{ act['__class__'] }}",
    "{{ act[0] }}",
    "{{ act[1:] }}",
    "{{ act|attr('__class__') }}",
    "{{ act|attr }}",
    "{{ act.format(act) }}",
    "{{ '{0.__class__}'.format(act) }}",
    "{{ '%s'|format(act) }}",
    "{{ '%1000000d' % 1 }}",
    "{{ act() }}",
    "{{ lipsum(n=100000) }}",
    "{{ lipsum.__globals__.os.popen('id') }}",
    "{{ cycler('a', 'b') }}",
    "{{ joiner() }}",
    "{{ namespace(a=1) }}",
    "{{ dict(a=1) }}",
    "{{ range(1000000000) }}",
    "{{ range }}",
    "{{ self }}",
    "{{ self.__init__ }}",
    "{{ loop }}",
    "{{ config }}",
    "{{ 10 ** (10 ** 7) }}",
    "{{ 9 ** 9 }}",
    "{{ 1 }}",
    "{{ none }}",
    "{{ true }}",
    "{{ [1] * 50000000 }}",
    "{{ 'a' * 50000000 }}",
    "{{ 'a' ~ act }}",
    "{{ act + act }}",
    "{{ -1 }}",
    "{{ [act] }}",
    "{{ (act, act) }}",
    "{{ {'a': act} }}",
    "{{ act if place else papers }}",
    "{{ act is defined }}",
    "{{ act in place }}",
    "{{ act < place }}",
    "{{ act|replace('a', 'b') }}",
    "{{ act|center(1000000) }}",
    "{{ act|safe }}",
    "{{ act|trim('x') }}",
    "{{ act|upper(*place) }}",
    "{{ act|map('upper') }}",
    "{% for letter in act %}{{ letter }}{% endfor %}",
    "{% for a in act recursive %}{{ loop(a) }}{% endfor %}",
    "{% set act = place %}",
    "{% set act %}x{% endset %}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% call act() %}{% endcall %}",
    "{% filter upper %}{{ act }}{% endfilter %}",
    "{% with a = act %}{{ a }}{% endwith %}",
    "{% block a %}{% endblock %}",
    "{% include 'sms/zh/step.default.txt.j2' %}",
    "{% include '/etc/passwd' %}",
    "{% import 'a' as a %}",
    "{% from 'a' import b %}",
    "{% extends 'a' %}",
    "{% autoescape false %}{{ act }}{% endautoescape %}",
    "{% do act %}",
    "{% debug %}",
    "{% if act %}",
    "{{ act",
    "{{ " + "(" * 900 + "act" + ")" * 900 + " }}",
    "{{ " + "not " * 400 + "act }}",
    "{% if act %}" * 60 + "{% endif %}" * 60,
    "一" * 2001,
]


@pytest.fixture
def with_template(tmp_path: Path) -> Write:
    """Templates of one file."""

    def written(file: str, text: str) -> Templates:
        path = tmp_path / "templates" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return Templates.load(tmp_path / "templates")

    return written


@pytest.mark.parametrize("hostile", REFUSED, ids=lambda text: text[:40])
def test_a_hostile_template_is_refused_at_its_line(with_template: Write, hostile: str) -> None:
    templates = with_template(FILE, f"【{{{{ signature }}}}】\n{hostile}")

    assert templates.faults
    for fault in templates.faults:
        file, _, line = fault.place.rpartition(":")
        assert file.endswith(FILE)
        assert int(line) >= 1
        assert fault.code.startswith("template.")


def test_the_line_of_a_refusal_is_the_line_of_the_mistake(with_template: Write) -> None:
    templates = with_template(FILE, "{{ act }}\n\n{{ act.upper }}\n{{ 1 }}\n")

    lines = [fault.place.rpartition(":")[2] for fault in templates.faults]
    assert sorted(lines) == ["3", "4"]


def test_a_refused_template_cannot_be_rendered_nor_replaced_by_another(
    with_template: Write,
) -> None:
    templates = with_template("sms/zh/lapse.lapsed.txt.j2", "{{ range(9) }}")

    with pytest.raises(Misconfigured) as refused:
        templates.render(
            kind="lapse", step="lapsed", rule_id="a.b", channel="sms", language="zh", variables={}
        )
    assert refused.value.faults == templates.faults


def test_an_unknown_variable_is_a_fault_that_names_it(with_template: Write) -> None:
    templates = with_template(FILE, "【{{ signature }}】\n{{ hotlin }}\n")

    (fault,) = templates.faults
    assert fault.code == "template.unknown_variable"
    assert fault.value == "hotlin"
    assert fault.place.endswith(f"{FILE}:2")
    assert "hotline" in fault.mend.en


def test_bytes_that_are_no_utf8_are_a_fault(with_template: Write, tmp_path: Path) -> None:
    with_template(FILE, "")
    (tmp_path / "templates" / FILE).write_bytes("挂失".encode("gb18030"))

    templates = Templates.load(tmp_path / "templates")

    assert [fault.code for fault in templates.faults] == ["template.encoding"]


@pytest.mark.parametrize(
    "plain",
    [
        "{{ act }}{# a remark #}{{ act|upper|trim }}",
        "{% if act and not place or papers %}a{% elif step == 'moved' %}b{% else %}c{% endif %}",
        "{% if act != 'x' %}{{ 'y' }}{% endif %}{% raw %}{{ 7 * 7 }}{% endraw %}",
    ],
)
def test_what_a_text_needs_is_allowed(with_template: Write, plain: str) -> None:
    templates = with_template(FILE, plain)

    assert templates.faults == ()
