"""Twilio's words as data: what a status means to us, and what an error code says and asks for.

Twilio warns that codes may change and that programs should not lean on them, so a code that is
not listed is never guessed at: it is final for this attempt and an operator's to look at.
Codes: https://www.twilio.com/docs/api/errors; statuses: the Message resource of its API document.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from worker.domain.delivery import AttemptState, Receipt
from worker.domain.errors import Text

Scope = Literal["recipient", "config", "account", "overload"]

STATES: Mapping[str, AttemptState] = {
    "scheduled": AttemptState.ACCEPTED,
    "accepted": AttemptState.ACCEPTED,
    "queued": AttemptState.ACCEPTED,
    "sending": AttemptState.ACCEPTED,
    "sent": AttemptState.SENT,
    "partially_delivered": AttemptState.SENT,  # listed but undocumented: not final, so polled on
    "delivered": AttemptState.DELIVERED,
    "read": AttemptState.DELIVERED,
    "undelivered": AttemptState.UNDELIVERED,
    "failed": AttemptState.FAILED,
    "canceled": AttemptState.CANCELED,
}
"""Twilio's statuses of outbound messages; any other word leaves the state as it is."""

_FAILURES = (AttemptState.UNDELIVERED, AttemptState.FAILED)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error code says. `scope`: whose matter it is; `overload` passes by itself.

    `is_transient`: the same text may be tried once more. `opted_out`: the person refused messages.
    """

    scope: Scope
    text: Text
    is_transient: bool = False
    opted_out: bool = False


def meaning_of(code: str) -> Meaning:
    """What a code says and asks for; one that is not listed is for an operator to look up."""
    return MEANINGS.get(code) or Meaning(
        "config",
        Text(f"未收录的代码 {code}，请查 Twilio 文档", f"code {code}: see Twilio's error pages"),
    )


def receipt(
    provider_id: str,
    status: str,
    code: str,
    *,
    ref: str = "",
    created_at: datetime | None = None,
    raw: str = "",
) -> Receipt:
    """A receipt in our words from a status and an error code in Twilio's."""
    state = STATES.get(status)
    meaning = meaning_of(code) if state in _FAILURES and code else None
    return Receipt(
        provider_id,
        status,
        state,
        code,
        ref=ref,
        created_at=created_at,
        raw=raw,
        is_transient=meaning is not None and meaning.is_transient,
        opted_out=meaning is not None and meaning.opted_out,
    )


def _recipient(zh: str, en: str, *, passes: bool = False) -> Meaning:
    return Meaning("recipient", Text(zh, en), is_transient=passes)


def _config(zh: str, en: str) -> Meaning:
    return Meaning("config", Text(zh, en))


def _account(zh: str, en: str) -> Meaning:
    return Meaning("account", Text(zh, en))


def _overload(zh: str, en: str) -> Meaning:
    return Meaning("overload", Text(zh, en), is_transient=True)


MEANINGS: Mapping[str, Meaning] = {
    # The account and what it may do
    "20003": _account("账户或令牌不对", "account or token is wrong"),
    "20005": _account("账户未启用或已停用", "the account is not active"),
    "20006": _account("账户无权访问", "the account may not do this"),
    "20008": _account("测试凭证不能真实发送", "test credentials cannot send"),
    "20404": _account("没有这个账户或消息", "there is no such account or message"),
    "30002": _account("账户已停用", "the account is suspended"),
    "21608": _account("试用账户只能发给已验证号码", "a trial account: verified numbers only"),
    # Too much at once: Twilio did not take it, or the queue was full
    "20429": _overload("同时请求过多", "too many requests at once"),
    "21611": _overload("发送号码积压超过10小时", "the sender's queue is longer than 10 hours"),
    "30001": _overload("发送队列已满", "the sending queue was full"),
    # This person's number
    "21211": _recipient("手机号码无效", "the number is not valid"),
    "21265": _recipient("收件号码是短号码", "the number is a short code"),
    "21610": Meaning(
        "recipient",
        Text("收件人已退订，不再发送", "the person opted out; nothing more is sent"),
        opted_out=True,
    ),
    "21614": _recipient("不是手机号码", "not a mobile number"),
    "21635": _recipient("座机收不到短信", "a landline receives no SMS"),
    "30003": _recipient("手机暂时无法接通", "the phone cannot be reached now", passes=True),
    "30004": _recipient("短信被拦截或对方拒收", "the message was blocked"),
    "30005": _recipient("空号或已停机", "the number is unknown or out of service"),
    "30006": _recipient("座机或运营商不可达", "a landline, or a carrier out of reach"),
    "30008": _recipient("运营商未说明原因", "the carrier gave no reason", passes=True),
    "30036": _recipient("有效期内未能送达", "its validity ran out", passes=True),
    "30450": _recipient("目的号码被暂时封锁", "the number is blocked for a while", passes=True),
    "30500": _recipient("Twilio 内部错误", "an error inside Twilio", passes=True),
    # Sender, text and settings
    "21212": _config("发送号码无效", "the sender's number is not valid"),
    "21408": _config("该地区未开通短信", "SMS to this region is not enabled"),
    "21601": _config("发送号码不支持短信", "the sender cannot send SMS"),
    "21602": _config("短信没有正文", "the message has no text"),
    "21603": _config("没有设置发送号码", "no sender is set"),
    "21604": _config("没有收件号码", "no recipient is set"),
    "21605": _config("短信正文过长", "the text is too long"),
    "21606": _config("发送号码发不到该地区", "the sender cannot send to this number"),
    "21609": _config("回执地址无效", "the status callback address is not valid"),
    "21612": _config("发送号码与收件号码不通", "sender and recipient cannot be connected"),
    "21617": _config("正文超过1600个字符", "the text is longer than 1600 characters"),
    "21619": _config("短信没有正文", "the message has no text"),
    "21659": _config("发送号码不属于 Twilio", "the sender is not a Twilio number"),
    "21660": _config("发送号码不属于本账户", "the sender belongs to another account"),
    "21661": _config("发送号码不支持短信", "the sender cannot send SMS"),
    "21701": _config("没有这个消息服务", "there is no such Messaging Service"),
    "21703": _config("消息服务没有可用号码", "the Messaging Service has no sender to use"),
    "21704": _config("消息服务没有号码", "the Messaging Service has no senders"),
    "30007": _config("内容被过滤，勿再发相同文本", "filtered: never send the same text again"),
    "30010": _config("价格超过上限", "the price is over the limit"),
    "30029": _config("未开通正文清除功能", "redaction is not switched on for the account"),
    "30034": _config("发送号码未登记", "the sender is not registered"),
}
"""Every code an operator may meet here. An unlisted one counts as `config`: nobody is blamed."""
