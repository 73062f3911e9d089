"""Settings: the environment only, checked as a whole, every secret also as `*_FILE`."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worker.domain.errors import Fault, Misconfigured, Text

PREFIX = "QIDA_"
_OURS_BUT_NOT_SETTINGS = frozenset({"QIDA_CRASH_AT", "QIDA_LONG_TESTS", "QIDA_TEST_DATABASE_URL"})


class Settings(BaseModel):
    """What the environment says. Field `x_y` is the variable `QIDA_X_Y`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    home: Path = Field(
        description="Folder of config/, templates/ and var/; default: the current one if it has "
        "config/, else ~/.local/share/qida"
    )
    database_url: str = Field(
        "", description="sqlite:///FILE or postgresql://USER@HOST/NAME; default: SQLite under var/"
    )
    key_ring: Path | None = Field(
        None, description="Key file that seals personal data; default: var/keys.json"
    )
    public_url: str = Field(
        "", description="Our address as the internet sees it, for callbacks and unsubscribing"
    )
    sms: Literal["sandbox", "twilio"] | None = Field(
        None, description="SMS provider: sandbox or twilio. No default: nothing is sent unmeant"
    )
    email: Literal["sandbox", "smtp"] | None = Field(
        None, description="E-mail provider: sandbox or smtp. No default"
    )
    twilio_account_sid: str = Field("", description="Twilio: the account, AC and 32 hex digits")
    twilio_auth_token: str = Field("", repr=False, description="Twilio: the account's auth token")
    twilio_auth_token_old: str = Field(
        "", repr=False, description="Twilio: the token before, while callbacks still use it"
    )
    twilio_from: str = Field("", description="Twilio: sending number, unless a service is named")
    twilio_messaging_service_sid: str = Field("", description="Twilio: messaging service")
    twilio_base_url: str = Field(
        "https://api.twilio.com", description="Twilio: API address; http only on loopback"
    )
    sms_parts_per_second: float = Field(
        0,
        ge=0,
        le=1000,
        description="What the SMS sender may send, in parts, all workers together; 0: no limit",
    )
    smtp_url: str = Field(
        "",
        repr=False,
        description="Mail relay: smtp://, smtps:// or smtp+starttls://USER:PASSWORD@HOST:PORT",
    )
    mail_from: str = Field("", description="Sender of e-mails: Name <address>")
    mail_verp: bool = Field(
        False, description="Bounces come to bounce+REF@ the sender's domain: true or false"
    )
    bounces: Path | None = Field(None, description="Maildir where bounces arrive, read and emptied")
    heartbeat_url: str = Field(
        "", repr=False, description="Asked for after each clean audit, so that silence is noticed"
    )
    send_threads: int = Field(16, ge=1, le=100, description="Messages on the wire at once")
    send_batch: int = Field(
        50, ge=1, le=500, description="Reminders claimed in one transaction at most"
    )
    log: Literal["json", "plain"] = Field(
        "json", description="Form of the log on stderr: json or plain"
    )
    lang: Literal["zh", "en", "both"] = Field(
        "both", description="Language of what commands say: zh, en or both"
    )

    @property
    def var(self) -> Path:
        """Where Qida keeps its own files."""
        return self.home / "var"

    @property
    def database(self) -> str:
        """The database address, SQLite under var/ unless set."""
        return self.database_url or f"sqlite:///{self.var / 'qida.db'}"

    @property
    def keys(self) -> Path:
        """The key ring's file."""
        return self.key_ring or self.var / "keys.json"


def read_settings(environment: Mapping[str, str], *, here: Path, user_home: Path) -> Settings:
    """Settings from an environment. Raises Misconfigured with every fault found."""
    values, faults = _values(environment)
    values.setdefault("home", str(default_home(here, user_home)))
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        faults += [_fault(item["loc"][0], item["type"], item) for item in error.errors()]
    if faults:
        raise Misconfigured("环境变量有误", "the environment is wrong", tuple(faults))
    return settings


def _values(environment: Mapping[str, str]) -> tuple[dict[str, str], list[Fault]]:
    values: dict[str, str] = {}
    faults: list[Fault] = []
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name in _OURS_BUT_NOT_SETTINGS or not value:
            continue
        key = name.removeprefix(PREFIX).lower()
        if key.endswith("_file") and key.removesuffix("_file") in Settings.model_fields:
            try:
                values[key.removesuffix("_file")] = Path(value).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError):
                faults.append(_fault(key, "unreadable", {}))
        else:
            values[key] = value
    return values, faults


def _fault(field: int | str, kind: str, details: Mapping[str, Any]) -> Fault:
    """One wrong setting in words. Its value is not shown: it may be a secret."""
    name, limits = PREFIX + str(field).upper(), details.get("ctx") or {}
    match kind:
        case "unreadable":
            said = Text("所指的文件读不到", "the file it names cannot be read")
            return Fault(name, said, Text("请核对路径和权限", "check its path and permissions"))
        case "extra_forbidden":
            return Fault(name, Text("没有这个设置", "there is no such setting"), _nearest(field))
        case "literal_error":
            listed = str(limits.get("expected", ""))
            said = Text(f"只能是 {listed.replace(' or ', ' 或 ')}", f"it must be {listed}")
        case "int_parsing":
            said = Text("须为整数", "it must be a whole number")
        case "greater_than_equal" | "less_than_equal":
            bound = limits.get("ge", limits.get("le"))
            zh, en = ("不小于", "least") if kind.startswith("greater") else ("不大于", "most")
            said = Text(f"须{zh} {bound}", f"it must be at {en} {bound}")
        case _:
            said = Text("值无效", f"the value cannot be used: {details.get('msg', '')}")
    return Fault(name, said, _SEE_EXAMPLE)


def _nearest(field: int | str) -> Text:
    found = get_close_matches(str(field), list(Settings.model_fields), n=1)
    near = PREFIX + found[0].upper() if found else ""
    return Text(f"是否想写 {near}？", f"did you mean {near}?") if near else _SEE_EXAMPLE


_SEE_EXAMPLE = Text("见 .env.example", "see .env.example")


def default_home(here: Path, user_home: Path) -> Path:
    """The current folder if it holds a configuration, else the user's own data folder."""
    return here if (here / "config").is_dir() else user_home / ".local" / "share" / "qida"


def example() -> str:
    """The text of `.env.example`: every setting, commented, with its default."""
    lines = ["# Every setting can also be read from a file: QIDA_X_FILE=/path/to/secret", ""]
    for name, field in Settings.model_fields.items():
        default = "" if field.is_required() or field.default is None else field.default
        lines += [f"# {field.description}", f"#{PREFIX}{name.upper()}={default}", ""]
    return "\n".join(lines)
