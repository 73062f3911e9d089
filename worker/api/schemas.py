"""What the API takes and gives. Unknown fields are refused; what the values mean is decided where
rosters are read, so that a case is taken alike whichever way it comes."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

CaseState = Literal["open", "closed"]

Cell = Annotated[str, Field(max_length=200)]
Instant = Annotated[
    str,
    Field(
        max_length=40,
        json_schema_extra={"format": "date-time"},
        description="ISO 8601 with an offset; without one it is refused.",
        examples=["2026-11-20T16:20:00+08:00"],
    ),
]


A_REPORT: JsonDict = {"event": "reported_by_phone", "occurred_at": "2026-11-20T16:20:00+08:00"}


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Contact(_Given):
    """How the citizen is reached. A new case needs a phone number or an e-mail address."""

    name: Cell | None = Field(default=None, examples=["张三"])
    phone: Cell | None = Field(
        default=None, description="A mainland mobile number.", examples=["10000000001"]
    )
    email: Cell | None = Field(default=None, examples=["zhangsan@example.com"])
    language: Literal["zh", "en"] | None = Field(default=None, examples=["zh"])
    second_phone: Cell | None = Field(
        default=None,
        description="Of someone who agreed to be asked in the citizen's stead.",
        examples=["10000000022"],
    )


class EventIn(_Given):
    """Something that happened."""

    model_config = ConfigDict(json_schema_extra={"examples": [A_REPORT]})

    event: Annotated[str, Field(min_length=1, max_length=200, examples=["reported_by_phone"])]
    occurred_at: Instant


class CaseIn(_Given):
    """A case: new, or what is to be added to the one of this reference.

    What is left out or empty stays as it is.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reference": "A-1",
                    "procedure": "national",
                    "contact": {"name": "张三", "phone": "10000000001", "language": "zh"},
                    "card_last4": "0042",
                    "events": [A_REPORT],
                }
            ]
        }
    )

    reference: Annotated[str, Field(min_length=1, max_length=64, examples=["A-1"])]
    procedure: Cell | None = Field(
        default=None, description="Required for a new case.", examples=["national"]
    )
    contact: Contact = Field(
        default=Contact(), examples=[{"name": "张三", "phone": "10000000001", "language": "zh"}]
    )
    card_last4: Cell | None = Field(default=None, examples=["0042"])
    bank: Cell | None = Field(
        default=None,
        description="Required where the bank sets the period.",
        examples=["示例银行甲"],
    )
    events: Annotated[list[EventIn], Field(max_length=100)] = Field(
        default=[], examples=[[A_REPORT]]
    )


class VoidIn(_Given):
    """Why an event is taken back; without names and numbers, for the audit trail keeps it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "填错日期"}]})

    reason: Annotated[
        str, Field(min_length=1, max_length=200, pattern=r"\S", examples=["填错日期"])
    ]


class PeriodIn(_Given):
    """A bare period: exactly one length, and how it is counted."""

    working_days: int | None = None
    days: int | None = None
    hours: int | None = None
    years: int | None = None
    monthly_on: int | None = None
    roll: Literal["none", "forward", "back"] | None = None
    reading: Literal["plain", "roll_same_time", "roll_end_of_day", "pause_rest_days"] | None = None
    start_counted: bool | None = None


class PreviewIn(_Given):
    """What to work out: a rule's deadline, or the end of a bare period."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"starts_at": "2026-11-20T16:20:00+08:00", "period": {"working_days": 3}}]
        }
    )

    starts_at: Instant
    rule: Cell | None = Field(
        default=None, description="By its id, as `national.phone-loss-report`."
    )
    period: PeriodIn | None = Field(default=None, examples=[{"working_days": 3}])
    bank: Cell | None = Field(default=None, examples=["示例银行甲"])


class Note(BaseModel):
    """Something worth knowing that is no fault."""

    zh: str
    en: str


class ContactOut(BaseModel):
    """What is on file of the contact, masked."""

    has_name: bool
    phone: str | None
    email: str | None
    second_phone: str | None
    language: str


class EventOut(BaseModel):
    """An event; one taken back keeps its place with `voided_at`."""

    id: str
    event: str
    occurred_at: str
    voided_at: str | None
    void_reason: str


class CaseInShort(BaseModel):
    """A case in a listing."""

    id: str
    reference: str
    procedure: str
    state: CaseState
    team_only: Annotated[bool, Field(description="Whether it is a trial of a team key.")]
    created_at: str


class CaseOut(CaseInShort):
    """A case with its events."""

    card_last4: str
    bank: str
    contact: ContactOut
    events: list[EventOut]


class Submitted(CaseOut):
    """A case after what was handed in: what became of it, and what it leads to."""

    outcome: Literal["new", "changed", "unchanged"]
    events_recorded: int
    reminders_planned: int
    notes: list[Note]


class CasePage(BaseModel):
    """Cases from the oldest on; `next` is the `after` of the page that follows."""

    items: list[CaseInShort]
    next: str | None


class Dates(BaseModel):
    """When something ends or is ready. `ends_at` is exclusive; null where nothing is promised."""

    started_at: str
    ends_at: str | None
    last_date: str | None
    earliest_at: str | None
    latest_at: str | None
    status: Literal["firm", "provisional"]
    consulted_to: str | None
    act_by: str | None
    ready_on: str | None
    calendar_version: str
    rule_version: str


class DayOut(BaseModel):
    """One day on the way; `counted` is its number among those counted."""

    date: str
    kind: str
    name: str
    counted: int | None
    firm: bool


class ReadingOut(BaseModel):
    """What another reading of the same words gives."""

    period: dict[str, Any]
    ends_at: str


class DerivationOut(Dates):
    """How a date came about, day by day, with its sources."""

    period: dict[str, Any] | None
    days: list[DayOut]
    other_readings: list[ReadingOut]
    notices: list[str]
    source: str


class DeadlineOut(Dates):
    """A deadline; `derivation` is null while the worker is about to work it out anew."""

    id: str
    rule: str
    state: Literal["open", "settled", "lapsed", "superseded", "cancelled"]
    derivation: DerivationOut | None


class Deadlines(BaseModel):
    """The deadlines of a case."""

    items: list[DeadlineOut]


class AttemptOut(BaseModel):
    """One try at sending; `delivered_at` is what a receipt says and nothing else."""

    id: str
    reminder: str
    channel: str
    number: int
    state: str
    code: str
    provider: str
    provider_id: str | None
    started_at: str
    accepted_at: str | None
    delivered_at: str | None
    parts: int
    simulated: bool


class ReminderOut(BaseModel):
    """A planned message and what became of it."""

    id: str
    rule: str
    step: str
    recipient: str
    channel: str
    due_at: str
    state: str
    reason: str
    attempts: list[AttemptOut]


class Reminders(BaseModel):
    """The reminders of a case, by due instant."""

    items: list[ReminderOut]


class LinkOut(BaseModel):
    """A link of the chain; `hash` is over `previous_hash`, `seq`, `kind` and `content`."""

    seq: int
    kind: Literal["case", "event", "deadline", "reminder", "attempt", "receipt", "audit"]
    content: dict[str, Any]
    previous_hash: str
    hash: str


class EvidenceOut(BaseModel):
    """What proves a case's reminders, chained; `scripts/verify-evidence` checks a copy alone."""

    format: Literal["qida-evidence-1"]
    links: list[LinkOut]
    head: str


class RunOut(BaseModel):
    """Runs of a duty."""

    id: str
    duty: str
    state: str
    started_at: str
    finished_at: str
    seconds: float
    runs: int
    counts: dict[str, int]
    error: str


class Runs(BaseModel):
    """Job runs, newest first; `next` is the `before` of the page that follows."""

    items: list[RunOut]
    next: str | None


class ErrorOut(BaseModel):
    """One thing to mend. `pointer` leads into the body (RFC 6901), or names a parameter."""

    pointer: str
    code: str
    detail_zh: str
    detail_en: str
    mend_zh: str
    mend_en: str


class ProblemOut(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    detail_zh: str
    detail_en: str
    errors: list[ErrorOut] = []
