"""How a citizen may be reached, and the words centres use for events."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SANDBOX = re.compile(r"100000000[0-9]{2}")
_MAINLAND_MOBILE = re.compile(r"\+861[3-9][0-9]{9}")  # no area code but Beijing's 10 begins with 1


@dataclass(frozen=True, slots=True)
class PhonePolicy:
    """Which numbers a roster may hold besides mainland mobiles.

    `sandbox`: the numbers 100000000NN, which nobody can own; also allows times relative to today.
    `abroad`: mobiles outside the mainland (Hong Kong, Macau and Taiwan included).
    `landline`: fixed lines of the mainland, which as a rule only a call reaches.
    """

    sandbox: bool = False
    abroad: bool = False
    landline: bool = False

    def lacks(self, phone: str) -> str:
        """What would have to be allowed for a number that was read: `abroad`, `landline`, or
        nothing."""
        if is_sandbox_number(phone) or _MAINLAND_MOBILE.fullmatch(phone):
            return ""
        kind = "landline" if phone.startswith("+86") else "abroad"
        return "" if getattr(self, kind) else kind


def is_sandbox_number(phone: str) -> bool:
    """Whether `phone` is one of the hundred numbers only the sandbox may be given."""
    return _SANDBOX.fullmatch(phone) is not None


EVENT_NAMES_ZH: Mapping[str, str] = {
    "电话挂失": "reported_by_phone",
    "口头挂失": "reported_by_phone",
    "网上挂失": "reported_online",
    "书面挂失": "reported_in_writing",
    "预挂失": "pre_reported",
    "书面预挂失": "pre_reported_in_writing",
    "申请补卡": "replacement_applied",
    "损坏换卡": "damaged_replacement_applied",
    "领卡": "collected",
    "激活": "activated",
    "银行激活": "bank_activated",
    "改密": "password_changed",
    "发卡": "card_issued",
    "缴费": "contribution_paid",
    "入职参保": "scheme_joined",
    "离职": "scheme_left",
    "交材料": "papers_handed_in",
    "未持卡就诊": "treated_without_card",
    "找回": "found",
    "撤案": "cancelled",
}
"""Event names as rosters write them in Chinese. The first word of an event is the one shown."""

EVENT_NAMES = frozenset(EVENT_NAMES_ZH.values())
"""Every event of the shipped catalogue."""

_WORDS: Mapping[str, str] = {name: word for word, name in reversed(tuple(EVENT_NAMES_ZH.items()))}


def event_word(name: str) -> str:
    """An event's Chinese word, or its name where a rule file brought it along."""
    return _WORDS.get(name, name)
