"""Why a reminder or a call task is as it is, in words: what is kept is a code, with a detail."""

from collections.abc import Mapping

from worker.domain.errors import Text

_PREFIXES: Mapping[str, Text] = {
    "not_reached": Text("", ""),
    "ladder": Text("改用其他方式：", "by another means: "),
}


def why(reason: str) -> Text:
    """A reason, `code` or `code:detail`, in words; an unknown one as it stands."""
    code, _, detail = reason.partition(":")
    before = _PREFIXES.get(code)
    if before is not None:
        code, _, detail = detail.partition(":")
    said = _WHY.get(code)
    if said is None:
        return Text(reason, reason)
    zh, en = said.zh, said.en
    if detail := detail.strip():
        more = _DETAILS.get(detail, Text(detail, detail))
        zh, en = f"{zh}（{more.zh}）", f"{en} ({more.en})"
    return Text(before.zh + zh, before.en + en) if before else Text(zh, en)


_DETAILS: Mapping[str, Text] = {
    "number": Text("该号码24小时内的条数已满", "this number had its share of 24 hours"),
    "centre_day": Text("本网点今天的条数已用完", "the centre's parts of the day are used up"),
}
_WHY: Mapping[str, Text] = {
    "nobody_reached": Text("期限将至，没有任何消息送达", "no message reached anyone in time"),
    "no_time_after_the_night": Text("等到早上再发就来不及", "after the night it is too late"),
    "too_late_to_write": Text("已来不及发消息", "it is too late to write"),
    "lapsed_before_enrolment": Text("登记前刚逾期", "it had just lapsed before enrolment"),
    "capped": Text("短信已达上限", "held back by the SMS limits"),
    "lost_twice": Text("两次提交都没有下落", "two submissions were lost"),
    "no_address": Text("没有号码也没有邮箱", "there is no number and no address"),
    "not_composed": Text("消息无法生成", "the message could not be written"),
    "no_sms_channel": Text("没有配置短信渠道", "no SMS channel is set"),
    "no_email_channel": Text("没有配置邮件渠道", "no e-mail channel is set"),
    "opted_out": Text("本人拒收消息", "this person refused messages"),
    "unsendable": Text("该号码或邮箱不能发送", "this number or address cannot be written to"),
    "rejected": Text("运营商拒收", "the provider refused the message"),
    "refused": Text("运营商不接受本单位的账户或设置", "the provider refuses our account or set-up"),
    "channel_rests": Text("发送渠道暂停，等不及恢复", "the channel rests for too long"),
    "not_on_team_list": Text("试用密钥不能发给此号码或邮箱", "a trial key may not write to them"),
    "not_sent": Text("没能交给运营商", "it could not be handed to the provider"),
    "no_receipt": Text("没有回执", "no receipt came"),
    "undelivered": Text("未送达", "not delivered"),
    "failed": Text("发送失败", "sending failed"),
    "canceled": Text("被运营商取消", "the provider cancelled it"),
    "lost": Text("没有下落", "it was lost"),
    "again_after_lost": Text("没有下落，再发一次", "lost, to be sent once more"),
    "again_after": Text("暂时失败，再试一次", "failed for now, to be tried once more"),
    "moved_to_allowed_hours": Text("移到允许发送的时段", "moved into the allowed hours"),
    "outside_hours_fresh": Text("刚发生，当晚仍可发", "fresh news, sent late all the same"),
    "outside_hours_urgent": Text("紧急，当晚仍可发", "urgent, sent late all the same"),
    "too_late": Text("已来不及", "it was too late"),
    "date_moved": Text("日期有变", "the date moved"),
    "no_longer_planned": Text("按现行规则不再需要", "by the rules in force it is not wanted"),
    "deadline_settled": Text("已办妥", "the matter is settled"),
    "deadline_lapsed": Text("已逾期", "the deadline lapsed"),
    "deadline_superseded": Text("期限已被取代", "another deadline took its place"),
    "settled": Text("已办妥", "the matter is settled"),
    "lapsed": Text("已逾期", "the deadline lapsed"),
    "superseded": Text("期限已被取代", "another deadline took its place"),
    "ended": Text("期限不再适用", "the deadline applies no more"),
    "deadline_cancelled": Text("期限不再适用", "the deadline applies no more"),
    "started_again": Text("重新起算", "it was started again"),
    "deadline_open": Text("案件已结束", "the case is closed"),
    "capped past its use": Text("短信已达上限，期限前轮不到", "SMS limits leave no room in time"),
    "a_later_step_went_out": Text("之后的提醒已发出", "a later reminder went out"),
    "cannot_be_recalled": Text(
        "已交给运营商，无法收回", "it was handed over and cannot be recalled"
    ),
    "delivered": Text("其他消息已送达", "another message arrived"),
}
