"""The channels the environment names. There is no default, so that nothing is sent unmeant."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from worker.channels.sandbox import Sandbox
from worker.domain.delivery import Channel, ChannelKind
from worker.domain.errors import Fault, Misconfigured, Text
from worker.domain.hosts import is_loopback
from worker.settings import PREFIX, Settings


def open_channels(settings: Settings) -> dict[ChannelKind, Channel]:
    """The channels by what they carry. Raises Misconfigured with every setting that is missing."""
    if settings.sms is None and settings.email is None:
        raise Misconfigured(
            "没有指定发送渠道；试用请设 QIDA_SMS=sandbox 和 QIDA_EMAIL=sandbox",
            "no channel is set; to try Qida set QIDA_SMS=sandbox and QIDA_EMAIL=sandbox",
        )
    _require(settings)
    _refuse_to_mix(settings)
    channels: dict[ChannelKind, Channel] = {}
    if settings.sms is not None:
        channels["sms"] = (
            _twilio(settings) if settings.sms == "twilio" else _sandbox(settings, "sms")
        )
    if settings.email is not None:
        channels["email"] = (
            _smtp(settings) if settings.email == "smtp" else _sandbox(settings, "email")
        )
    return channels


def is_test(settings: Settings) -> bool:
    """Whether nothing leaves this machine: every channel is the sandbox or a stand-in on loopback.

    A mail server on this machine relays to the world like any other where it listens as one.
    """
    return (settings.sms != "twilio" or _is_local(settings.twilio_base_url)) and (
        settings.email != "smtp"
        or (_is_local(settings.smtp_url) and urlsplit(settings.smtp_url).port not in _RELAYS)
    )


def _refuse_to_mix(settings: Settings) -> None:
    """Beside a channel that reaches people the sandbox would swallow what is meant for them, and
    its answers would stand among real ones in a live database (DESIGN §7)."""
    if "sandbox" in (settings.sms, settings.email) and not is_test(settings):
        raise Misconfigured(
            "QIDA_SMS 与 QIDA_EMAIL 一个是沙箱、一个真实发送；请都用沙箱，或去掉沙箱的那一个",
            "of QIDA_SMS and QIDA_EMAIL one is the sandbox and the other sends for real; "
            "use the sandbox for both, or leave the one that is the sandbox out",
        )


_RELAYS = (None, 25, 465, 587)
"""Where a relay listens (IANA: smtp, submissions, submission); none named is one of them."""


def _is_local(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname)


def _require(settings: Settings) -> None:
    """Every missing setting at once."""
    wanted: Mapping[str, str] = {}
    if settings.sms == "twilio":
        wanted = {
            "twilio_account_sid": settings.twilio_account_sid,
            "twilio_auth_token": settings.twilio_auth_token,
            "twilio_from": settings.twilio_from or settings.twilio_messaging_service_sid,
        }
    if settings.email == "smtp":
        wanted = {**wanted, "smtp_url": settings.smtp_url, "mail_from": settings.mail_from}
    faults = tuple(
        Fault(
            PREFIX + name.upper(),
            Text("没有设置", "it is not set"),
            Text("见 .env.example", "see .env.example"),
        )
        for name, value in wanted.items()
        if not value
    )
    if faults:
        raise Misconfigured("发送渠道的设置不全", "settings of a channel are missing", faults)


def _sandbox(settings: Settings, kind: ChannelKind) -> Channel:
    return Sandbox(kind, settings.var / "sandbox.jsonl")


def _twilio(settings: Settings) -> Channel:
    from worker.channels.twilio_sms import TwilioAccount, TwilioSms

    return TwilioSms(
        TwilioAccount(
            account_sid=settings.twilio_account_sid,
            auth_token=settings.twilio_auth_token,
            sender=settings.twilio_from,
            messaging_service_sid=settings.twilio_messaging_service_sid,
            base_url=settings.twilio_base_url,
            public_url=settings.public_url,
        )
    )


def _smtp(settings: Settings) -> Channel:
    from worker.channels.smtp_email import SmtpEmail, SmtpRelay

    return SmtpEmail(
        SmtpRelay(
            url=settings.smtp_url,
            mail_from=settings.mail_from,
            public_url=settings.public_url or None,
            verp=settings.mail_verp,
        )
    )
