"""`qida templates check` and `preview`: every message in words before anyone receives it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from worker.domain.centres import Centre
from worker.domain.errors import Fault, Misconfigured, Text
from worker.domain.rules import Procedure
from worker.domain.samples import Sample, occurs, samples
from worker.domain.sms import count_parts
from worker.domain.wording import blemishes
from worker.templating.rendering import FRAME, SECOND_CONTACT, Rendered, Templates, stems_of
from worker.templating.sources import Flaw, Source, fault_in

_FOR_SECOND_CONTACT = frozenset({"signature", "short_name", "centre_name", "hotline", "honorific"})


class Preview(NamedTuple):
    """A row of `qida templates preview`: one message with the longest data its rule can meet."""

    template: str
    rule: str
    step: str
    form: str
    channel: str
    language: str
    subject: str
    text: str
    units: int
    parts: int


def preview(
    templates: Templates, procedures: Iterable[Procedure], centre: Centre
) -> Iterator[Preview]:
    """Every message a centre may send, in words.

    Raises Misconfigured at the first template that cannot be used.
    """
    for sample in samples(procedures, centre):
        if not occurs(sample, centre):
            continue
        said = _rendered(templates, sample, sample.words)
        told = (sample.rule.id, sample.step, sample.form, sample.channel, sample.language)
        units = count_parts(said.text).units
        yield Preview(said.template, *told, said.subject, said.text, units, said.parts)


def check(
    templates: Templates, procedures: Iterable[Procedure], centres: Iterable[Centre]
) -> tuple[Fault, ...]:
    """Every fault: refused files, missing and stray ones, and whatever is wrong with a message made
    of the longest data of each rule at each centre (told once a file, fault and rule).
    """
    procedures = tuple(procedures)
    made = [sample for centre in centres for sample in samples(procedures, centre)]
    faults = [*templates.faults, *_strays(templates, made), *_indiscreet(templates)]
    known = {(fault.place, fault.code): fault for fault in faults}
    found: dict[tuple[str, ...], Fault] = {}
    for sample in made:
        try:
            for fault in _complaints(templates, sample):
                found.setdefault((fault.place, fault.code, sample.rule.id), fault)
        except Misconfigured as error:
            missing = Fault("templates:1", error.text, _RESTORE, code="template.missing")
            for fault in error.faults or (missing,):
                if (fault.place, fault.code) not in known:
                    found.setdefault((fault.place, fault.code, str(fault.message)), fault)
    return (*faults, *found.values())


def _rendered(
    templates: Templates, sample: Sample, words: Mapping[str, str], recipient: str = "citizen"
) -> Rendered:
    return templates.render(
        kind=sample.rule.kind,
        step=sample.step,
        rule_id=sample.rule.id,
        channel=sample.channel,
        language=sample.language,
        variables=words,
        recipient=recipient,
    )


def _strays(templates: Templates, made: Iterable[Sample]) -> Iterator[Fault]:
    """Files no message can ask for, most often because their name is misspelt."""
    wanted = {FRAME}
    for sample in made:
        stems = stems_of(sample.rule.kind, sample.step, sample.rule.id, "citizen")
        for stem in (*stems, SECOND_CONTACT):
            key = f"{sample.channel}/{sample.language}/{stem}"
            wanted.update((key,) if sample.channel == "sms" else (f"{key}.subject", f"{key}.body"))
    for key in sorted(templates.sources.keys() - wanted):
        yield fault_in(templates.sources[key].file, 1, _STRAY)


def _indiscreet(templates: Templates) -> Iterator[Fault]:
    """A second contact learns whom to tell and where to ring, never the matter."""
    for key, source in templates.sources.items():
        if SECOND_CONTACT in key:
            for name in sorted(source.names - _FOR_SECOND_CONTACT):
                yield fault_in(source.file, 1, _INDISCREET, name)


def _complaints(templates: Templates, sample: Sample) -> Iterator[Fault]:
    told = _rendered(templates, sample, sample.words)
    second = _rendered(templates, sample, sample.words, SECOND_CONTACT)
    flaws = [(told, *left_out) for left_out in _left_out(told, sample)]
    for rendered in (told, second):
        source = templates.sources[rendered.template]
        flaws += [(rendered, *flaw) for flaw in _flaws(rendered, source, sample)]
    if _reads_like_a_certain_one(templates, sample, told):
        flaws.append((told, _UNMARKED, ""))
    about = f"{sample.rule.id} {sample.step} {sample.form}"
    for rendered, what, found in flaws:
        file = templates.sources[rendered.template].file
        yield fault_in(file, 1, what, f"{about}: {found}" if found else about)


def _reads_like_a_certain_one(templates: Templates, sample: Sample, told: Rendered) -> bool:
    if not sample.certain or sample.step == "lapsed" or sample.rule.approximate:
        return False  # what is approximate by law says so in any year
    return told.text == _rendered(templates, sample, sample.certain).text


def _flaws(rendered: Rendered, source: Source, sample: Sample) -> Iterator[tuple[Flaw, str]]:
    """What is wrong with any message, whoever gets it."""
    for why, found in blemishes(f"{rendered.subject}\n{rendered.text}"):
        yield Flaw("template.blemish", why, _REWORD), found
    if sample.channel == "email":
        return
    if rendered.parts > source.parts:
        yield _TOO_MANY_PARTS, f"{rendered.parts} > {source.parts}: {rendered.text}"
    opening = "[{}]" if sample.language == "en" else "【{}】"
    if not rendered.text.startswith(opening.format(sample.words["signature"])):
        yield _UNSIGNED, rendered.text


_ACTION = ("act", "hotline", "act_by", "first_opening", "ready_on", "last_date")
_WHOLE_ACTION = (*_ACTION, "place", "papers")
_WHOLE_STORY = (*_WHOLE_ACTION, "consequence", "advice", "grace", "source")


def _left_out(rendered: Rendered, sample: Sample) -> Iterator[tuple[Flaw, str]]:
    text = rendered.text.lower()  # an English text may begin with the words of `act`
    for name in _needed(sample):
        if sample.words[name].lower() not in text:
            yield _LEFT_OUT, name


def _needed(sample: Sample) -> tuple[str, ...]:
    """An SMS holds the whole action, an e-mail the whole story, one after the end only the line to
    ring. Where and with what may make room for a first call or for a new date.
    """
    if sample.step == "lapsed":
        return ("hotline",)
    if sample.channel == "email":
        return _WHOLE_STORY
    crowded = sample.step == "moved" or sample.form.startswith("no_counter")
    return _ACTION if crowded else _WHOLE_ACTION


_ALLOWED_THERE = ", ".join(sorted(_FOR_SECOND_CONTACT))
_STRAY = Flaw(
    "template.stray",
    Text("没有消息会用到这个文件", "no message can ask for this file"),
    Text(
        "检查文件名：类别.步骤 或 by_rule/规则.步骤",
        "check its name: kind.step, or by_rule/rule.step",
    ),
)
_INDISCREET = Flaw(
    "template.indiscreet",
    Text("给第二联系人的消息不得透露事项", "a second contact must not learn the matter"),
    Text(f"只可用：{_ALLOWED_THERE}", f"use only: {_ALLOWED_THERE}"),
)
_TOO_MANY_PARTS = Flaw(
    "template.parts",
    Text("短信超出条数", "the SMS takes too many parts"),
    Text(
        "缩短文字；确需两条时文件首行写 {# parts: 2, 理由 #}",
        "shorten it; if two are needed begin the file with {# parts: 2, reason #}",
    ),
)
_UNSIGNED = Flaw(
    "template.unsigned",
    Text("短信须以签名开头", "an SMS begins with the signature"),
    Text(
        "以 【{{ signature }}】 开头",
        "begin with 【{{ signature }}】, in English [{{ signature }}]",
    ),
)
_LEFT_OUT = Flaw(
    "template.left_out",
    Text("消息缺少必要内容", "the message leaves out what people need"),
    Text("把该变量写进模板（不要只放在 room 之内）", "name the variable, not only under `room`"),
)
_UNMARKED = Flaw(
    "template.unmarked",
    Text("暂定日期与确定日期写得一样", "a provisional date reads like a certain one"),
    Text(
        "用 {{ until }}，或用 {% if provisional %} 说明", "use {{ until }}, or {% if provisional %}"
    ),
)
_REWORD = Text("请改写", "reword it")
_RESTORE = Text("请恢复随附的文件", "restore the shipped file")
