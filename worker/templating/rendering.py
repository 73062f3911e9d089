"""From the facts of one reminder to its words: which file, filled how, registered as what."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from worker.configfile import Item, read_folder
from worker.domain.delivery import ChannelKind
from worker.domain.errors import Fault, Misconfigured, Text
from worker.domain.sms import ROUTE_UNITS, count_parts
from worker.domain.wording import VARIABLES
from worker.templating.sources import FRAME_NAMES, NAMES, Source, read_source

_ROOMS = ("ample", "room", "courtesy")
"""Words an SMS may do without, most dispensable first: tried with all of them, then with fewer."""

FRAME = "email/frame"
SECOND_CONTACT = "second_contact"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message in words. `variables` are those its template names, for gateways that take the id
    of a registered text with values; `registration_id` is empty where the file was changed since.
    `parts` counts an SMS with what the route adds; an e-mail is one.
    """

    template: str
    subject: str
    text: str
    html: str
    variables: Mapping[str, str]
    registration_id: str
    parts: int


class Registration(NamedTuple):
    """What a provider approved: its id, and the hash the file had then."""

    registration_id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Templates:
    """Every template of one directory, compiled once, by key: `sms/zh/lapse.at_once`.

    `faults` holds every fault of every file. A refused file stays known, so that no other text
    silently takes its place.
    """

    sources: Mapping[str, Source]
    registrations: Mapping[str, Registration]
    faults: tuple[Fault, ...]

    @classmethod
    def load(cls, directory: Path) -> "Templates":
        """Read `sms/`, `email/` and `registered.yaml`. Raises Misconfigured without a directory."""
        if not directory.is_dir():
            raise Misconfigured(f"没有模板目录 {directory}", f"no template directory {directory}")
        sources = {}
        for channel in ("sms", "email"):
            for file in sorted((directory / channel).rglob("*.j2")):
                key = re.sub(r"\.(txt|html)\.j2$", "", file.relative_to(directory).as_posix())
                sources[key] = read_source(file, FRAME_NAMES if key == FRAME else NAMES)
        registrations, faults = _read_registrations(directory, sources)
        faults += tuple(fault for source in sources.values() for fault in source.faults)
        return cls(sources, registrations, faults)

    def render(  # noqa: PLR0913 - the six words that choose a text, and what fills it
        self,
        *,
        kind: str,
        step: str,
        rule_id: str,
        channel: ChannelKind,
        language: str,
        variables: Mapping[str, str],
        recipient: str = "citizen",
    ) -> Rendered:
        """The words of one reminder; `variables` come from `domain.wording`.

        Raises Misconfigured where the template is missing, refused, or names a variable that is
        not given.
        """
        stems = stems_of(kind, step, rule_id, recipient)
        keys = [f"{channel}/{language}/{stem}" for stem in stems]
        known = {**variables, "step": step, **dict.fromkeys(_ROOMS, "yes")}
        if channel == "sms":
            return self._sms(keys, known, language)
        return self._email(keys, known, language)

    def registered(self, template: str) -> str | None:
        """The registration id of a template, None where it has none.

        Raises Misconfigured where the file is no longer the text that was approved: a provider
        rejects, or holds for a day, whatever differs from it.
        """
        registration = self.registrations.get(template)
        if registration is None:
            return None
        if not self._unchanged(template, registration):
            raise Misconfigured(
                f"模板 {template} 与备案文本不同；请恢复原文，或重新备案并更新 registered.yaml",
                f"template {template} differs from its registered text; restore it, or register "
                "the new one and update registered.yaml",
            )
        return registration.registration_id

    def _sms(self, keys: list[str], known: dict[str, str], language: str) -> Rendered:
        key, source = self._first_of(keys)
        text, parts = "", 0
        for given_up in range(len(_ROOMS) + 1):
            spared = dict.fromkeys(_ROOMS[:given_up], "")
            text = _begun(_on_one_line(_filled(source, {**known, **spared}), language))
            parts = count_parts(text, reserved=ROUTE_UNITS).parts
            if parts <= source.parts:
                break
        return Rendered(key, "", text, "", _used(known, source), self._id_of(key), parts)

    def _email(self, keys: list[str], known: dict[str, str], language: str) -> Rendered:
        _, head = self._first_of([f"{key}.subject" for key in keys])
        key, body = self._first_of([f"{key}.body" for key in keys])
        subject = _on_one_line(_filled(head, known), language)
        text = _in_paragraphs(_filled(body, known))
        html = self.framed(subject, text, hotline=known.get("hotline", ""), language=language)
        return Rendered(key, subject, text, html, _used(known, head, body), self._id_of(key), 1)

    def framed(self, subject: str, text: str, *, hotline: str, language: str) -> str:
        """An e-mail's text as HTML in the one frame, so that the two cannot disagree."""
        _, frame = self._first_of([FRAME])
        content = _as_html(text, hotline)
        return _filled(frame, {"language": language, "subject": subject, "content": content})

    def _first_of(self, keys: list[str]) -> tuple[str, Source]:
        for key in keys:
            if key in self.sources:
                return key, self.sources[key]
        raise Misconfigured(
            f"缺少模板 {keys[-1]}；请恢复随附的文件",
            f"there is no template {keys[-1]}; restore the shipped file",
        )

    def _id_of(self, key: str) -> str:
        registration = self.registrations.get(key)
        if registration is None or not self._unchanged(key, registration):
            return ""
        return registration.registration_id

    def _unchanged(self, key: str, registration: Registration) -> bool:
        source = self.sources.get(key)
        return source is not None and source.sha256 == registration.sha256


def stems_of(kind: str, step: str, rule_id: str, recipient: str) -> list[str]:
    """Names to look for, the most special first."""
    if recipient != "citizen":
        return [SECOND_CONTACT]
    by_rule = f"by_rule/{rule_id}"
    return [f"{by_rule}.{step}", f"{kind}.{step}", f"{by_rule}.default", f"{kind}.default"]


def _filled(source: Source, known: Mapping[str, str]) -> str:
    if source.compiled is None:
        raise Misconfigured(
            f"模板 {source.file} 有错，不能使用",
            f"template {source.file} is refused",
            source.faults,
        )
    if missing := sorted(source.names - known.keys()):
        raise Misconfigured(
            f"没有给出模板 {source.file} 用到的变量 {missing}",
            f"template {source.file} names variables that are not given: {missing}",
        )
    return source.compiled.render(known)


def _used(known: Mapping[str, str], *sources: Source) -> dict[str, str]:
    names = frozenset[str]().union(*(source.names for source in sources))
    return {name: known[name] for name in VARIABLES if name in names}


def _on_one_line(text: str, language: str) -> str:
    """Line breaks are for whoever edits the file: English joins with a blank, Chinese without."""
    lines = (line.strip() for line in text.splitlines())
    return (" " if language == "en" else "").join(line for line in lines if line)


_FIRST_LETTER = re.compile(r"^\[[^\]]*\] [a-z]")


def _begun(text: str) -> str:
    """With a capital after the signature, whatever polite word before it had to make room."""
    return _FIRST_LETTER.sub(lambda start: start.group()[:-1] + start.group()[-1].upper(), text)


def _in_paragraphs(text: str) -> str:
    """Paragraphs one empty line apart, however many the branches left."""
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines) + "\n"


_LABELLED = re.compile(r"([^：:]{1,24})(?:：|: )\s*(\S.*)")


def _as_html(text: str, hotline: str) -> Markup:
    """The same paragraphs as HTML: lines of `label: value` become a table, the hotline a link."""
    blocks = [_block(block.splitlines()) for block in text.strip().split("\n\n")]
    html = Markup("\n").join(blocks)
    if not re.fullmatch(r"[\d-]+", hotline):
        return html
    link = f'<a href="tel:{hotline}">{hotline}</a>'
    linked = re.sub(rf"(?<![\d-]){hotline}(?![\d-])", link, str(html))
    return Markup(linked)  # noqa: S704 - escaped by _block; the hotline is digits and hyphens


def _block(lines: list[str]) -> Markup:
    pairs = [pair for line in lines if (pair := _LABELLED.fullmatch(line))]
    if len(pairs) < max(len(lines), 2):
        return Markup("<p>{}</p>").format(Markup("<br>").join(lines))
    row = Markup('<tr><th scope="row" align="left" valign="top">{}</th><td>{}</td></tr>')
    rows = Markup("\n").join(row.format(*pair.groups()) for pair in pairs)
    return Markup('<table cellpadding="6">\n{}\n</table>').format(rows)


def _read_registrations(
    directory: Path, sources: Mapping[str, Source]
) -> tuple[dict[str, Registration], tuple[Fault, ...]]:
    """What `registered.yaml` says; nothing of it while it has a fault."""
    files = read_folder(directory, lambda _, item: dict(_registrations(item, sources)))
    return files.read.get("registered", {}), files.faults


def _registrations(item: Item, sources: Mapping[str, Source]) -> Iterator[tuple[str, Registration]]:
    for key, value in item.entries():
        if key.written not in sources:
            key.fault("template.unknown", *_NO_SUCH)
        said = value.fields(("registration_id", "sha256"))
        sha256 = said["sha256"].match("[0-9a-f]{64}", hashlib.sha256().hexdigest())
        yield key.written, Registration(said["registration_id"].text(), sha256)


_NO_SUCH = (
    Text("没有这个模板", "there is no such template"),
    Text("写成 sms/zh/lapse.default 这样", "write it like sms/zh/lapse.default"),
)
