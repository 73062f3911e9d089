"""What people are told of one deadline: the words a template may use, all plain text.

Everything is computed from the one Deadline that also feeds the derivation and the JSON, so that
they cannot disagree. A lapse names `act_by` and never a later instant; what an unpublished notice
may still move carries a mark.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from worker.domain.calendar import in_china
from worker.domain.centres import Centre
from worker.domain.deadlines import Deadline
from worker.domain.errors import Text
from worker.domain.rules import Procedure, Rule, RuleKind
from worker.domain.sms import count_parts

_ENGLISH_SENDER = "Card centre"  # a Chinese signature would make an English SMS UCS-2
_WEEKDAYS_ZH = "一二三四五六日"
_WEEKDAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun",
              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # fmt: skip
_AT_LATEST = Text("最迟", "no later than ")
_ABOUT = Text("约", "about ")
_HAN_NAME = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]+")
_COMPOUNDS = (
    "欧阳太史端木上官司马东方独孤南宫万俟闻人夏侯诸葛尉迟公羊赫连澹台皇甫宗政濮阳公冶"
    "太叔申屠公孙慕容仲孙钟离长孙宇文司徒鲜于司空闾丘子车亓官司寇巫马公西颛孙壤驷公良"
    "漆雕乐正宰父谷梁拓跋夹谷轩辕令狐段干百里呼延东郭南门羊舌微生左丘东门西门第五纳兰"
)
_COMPOUND_SURNAMES = frozenset(
    _COMPOUNDS[first : first + 2] for first in range(0, len(_COMPOUNDS), 2)
)


@dataclass(frozen=True, slots=True)
class Matter:
    """One person's deadline with everything a message may say about it.

    `first_opening` is when the counter opens next; it is told only where no counter minute lies
    inside a lapse (`act_by` is None).
    """

    rule: Rule
    procedure: Procedure
    deadline: Deadline
    centre: Centre
    name: str = ""
    card_last4: str = ""
    bank: str = ""
    first_opening: datetime | None = None


VARIABLES = (
    "signature", "short_name", "centre_name", "hotline", "bank",
    "honorific", "card", "procedure", "act", "place", "papers", "consequence", "advice", "grace",
    "rule", "source", "started", "act_by", "until", "today", "no_counter", "first_opening",
    "ready_on", "last_date", "provisional", "holidays_may_extend",
)  # fmt: skip
"""Every name `variables` answers to, always all of them; what does not apply is empty."""


def variables(matter: Matter, *, language: str, now: datetime) -> dict[str, str]:
    """The words for one matter in `zh` or `en`, by the names in VARIABLES.

    `now` decides whether a date shows its year and whether it is `today`. Raises NaiveInstant.
    """
    return {
        **_sender(matter, language),
        **_phrases(matter, language),
        **_dates(matter, language, now),
    }


def _sender(matter: Matter, language: str) -> dict[str, str]:
    centre = matter.centre
    return {
        "signature": _signature(centre, language),
        "short_name": centre.short_name or centre.name,
        "centre_name": centre.name,
        "hotline": hotline(matter.procedure, centre, matter.bank),
        "bank": matter.bank,
        "honorific": honorific(matter.name, language),
        "card": _card(matter.card_last4, language),
    }


def _phrases(matter: Matter, language: str) -> dict[str, str]:
    rule = matter.rule
    return {
        "procedure": matter.procedure.title.in_language(language),
        "act": rule.act.in_language(language),
        "place": rule.place.in_language(language),
        "papers": rule.papers.in_language(language),
        "consequence": rule.consequence.in_language(language),
        "advice": rule.advice.in_language(language) if rule.advice else "",
        "grace": rule.grace.in_language(language) if rule.grace else "",
        "rule": rule.id,
        "source": rule.source.title.in_language(language) if rule.source.title else "",
        "holidays_may_extend": _yes(rule.holidays_may_extend),
    }


def _dates(matter: Matter, language: str, now: datetime) -> dict[str, str]:
    rule, deadline = matter.rule, matter.deadline
    lapse, act_by, opening = rule.kind is RuleKind.LAPSE, deadline.act_by, matter.first_opening
    stranded = lapse and act_by is None
    return {
        "started": format_date(in_china(deadline.started_at).date(), language, now),
        "act_by": format_instant(act_by, language, now) if lapse and act_by else "",
        "until": _until(act_by, deadline.firm, language, now) if lapse and act_by else "",
        "today": _yes(lapse and act_by is not None and _same_day(act_by, now)),
        "no_counter": _yes(stranded),
        "first_opening": format_instant(opening, language, now) if stranded and opening else "",
        "ready_on": _about(deadline.ready_on, matter, language, now),
        "last_date": _about(_last_safe_day(matter), matter, language, now),
        "provisional": _yes(deadline.ends_at is not None and not deadline.firm),
    }


def _until(act_by: datetime, firm: bool, language: str, now: datetime) -> str:
    """`11月25日周三17:00前`, or `最迟11月25日周三17:00` where it is only the earliest it can be."""
    instant = format_instant(act_by, language, now)
    if not firm:
        return _AT_LATEST.in_language(language) + instant
    return f"by {instant}" if language == "en" else f"{instant}前"


def _same_day(instant: datetime, now: datetime) -> bool:
    return in_china(instant).date() == in_china(now).date()


def _last_safe_day(matter: Matter) -> date | None:
    """The day of an expiry or a recurring date; the earliest it can be while provisional.

    None for a lapse: its last day may lie after `act_by`, which no message may print.
    """
    earliest_at = matter.deadline.earliest_at
    if matter.rule.kind not in (RuleKind.EXPIRY, RuleKind.RECURRING) or earliest_at is None:
        return None
    return (in_china(earliest_at) - timedelta(microseconds=1)).date()  # ends are exclusive


def _about(day: date | None, matter: Matter, language: str, now: datetime) -> str:
    if day is None:
        return ""
    certain = matter.deadline.firm and not matter.rule.approximate
    return ("" if certain else _ABOUT.in_language(language)) + format_date(day, language, now)


def format_date(day: date, language: str, now: datetime) -> str:
    """`11月25日周三` or `Wed 25 Nov`, with the year where it is not the year of `now`."""
    other_year = day.year != in_china(now).year
    if language == "en":
        shown = f"{_WEEKDAYS_EN[day.weekday()]} {day.day} {_MONTHS_EN[day.month - 1]}"
        return f"{shown} {day.year}" if other_year else shown
    year = f"{day.year}年" if other_year else ""
    return f"{year}{day.month}月{day.day}日周{_WEEKDAYS_ZH[day.weekday()]}"


def format_instant(instant: datetime, language: str, now: datetime) -> str:
    """`11月25日周三17:00` or `17:00 Wed 25 Nov` at UTC+8; seconds are dropped, never rounded up."""
    local = in_china(instant)
    shown = format_date(local.date(), language, now)
    return f"{local:%H:%M} {shown}" if language == "en" else f"{shown}{local:%H:%M}"


def hotline(procedure: Procedure, centre: Centre, bank: str = "") -> str:
    """The line to ring: the bank's where the procedure says so, else the procedure's own.

    Else the centre's; empty where none is named, since a guessed line could not answer.
    """
    of_bank = ""
    if procedure.hotline_of_bank and bank in centre.banks:
        of_bank = centre.banks[bank].hotline
    return of_bank or procedure.hotline or centre.hotline


def honorific(name: str, language: str) -> str:
    """Surname with 先生/女士 (the gender is unknown); empty where the surname is not plain.

    Only Han names put the surname first for certain: `John Doe` and `阿依古丽·买买提` give nothing.
    """
    name = name.strip()
    if not _HAN_NAME.fullmatch(name):
        return ""
    surname = name[:2] if name[:2] in _COMPOUND_SURNAMES else name[0]
    return f"Mr/Ms {surname}" if language == "en" else f"{surname}先生/女士"


def _signature(centre: Centre, language: str) -> str:
    if language == "en" and count_parts(centre.signature).encoding != "gsm7":
        return _ENGLISH_SENDER
    return centre.signature


def _card(last4: str, language: str) -> str:
    if not last4:
        return ""
    return f"ending {last4}" if language == "en" else f"尾号{last4}"


def _yes(answer: bool) -> str:
    return "yes" if answer else ""


_BLEMISHES = (
    (
        re.compile(r"https?:|www\.|\b[\w-]+\.(?:cn|com|net|org|gov|info|top)\b", re.IGNORECASE),
        Text("含网址；大陆线路拒收", "holds a link; the mainland route refuses it"),
    ),
    (
        re.compile(
            "[\u200b-\u200f\u2060-\u2064\u2600-\u27bf\u2b00-\u2bff\ufe00-\ufe0f\U0001f000-\U0001faff]"
        ),
        Text("含表情或不可见字符", "holds an emoji or an invisible character"),
    ),
    (
        re.compile(
            "优惠|促销|特价|抽奖|中奖|红包|打折|返利|秒杀|"
            r"\b(?:discount|offer|prize|promotion|sale|winner)s?\b",
            re.IGNORECASE,
        ),
        Text("含营销用语；只可发服务信息", "holds marketing words; only service texts are sent"),
    ),
)


def blemishes(text: str) -> Iterator[tuple[Text, str]]:
    """What no message may hold (links, emoji, marketing words), each with the words found."""
    for pattern, why in _BLEMISHES:
        if found := pattern.search(text):
            yield why, found.group()
