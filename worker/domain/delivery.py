"""Messages, attempts and receipts: the states they pass through and what may follow what.

Pure tables and functions. Nothing here knows a provider, a database or the time of day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Literal, Protocol

ChannelKind = Literal["sms", "email"]


class AttemptState(StrEnum):
    """One try at submitting a reminder to a provider (DESIGN §5)."""

    SUBMITTING = "submitting"
    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    UNCERTAIN = "uncertain"
    LOST = "lost"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    CANCELED = "canceled"
    UNCONFIRMED = "unconfirmed"


class ReminderState(StrEnum):
    """One planned message (DESIGN §5)."""

    PLANNED = "planned"
    SUBMITTING = "submitting"
    UNCERTAIN = "uncertain"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    UNCONFIRMED = "unconfirmed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NEEDS_PERSON = "needs_person"


class DeadlineState(StrEnum):
    """What became of a deadline."""

    OPEN = "open"
    SETTLED = "settled"
    LAPSED = "lapsed"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


OPEN_ATTEMPTS = frozenset(
    {
        AttemptState.SUBMITTING,
        AttemptState.UNCERTAIN,
        AttemptState.ACCEPTED,
        AttemptState.SENT,
    }
)
"""States in which an attempt may still change; a reminder has at most one attempt in them."""


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """A whole day in the citizen's calendar: `uid` stays with the deadline, `sequence` grows when
    it moves (RFC 5545 §3.8.7.4), so that the entry already imported moves too."""

    uid: str
    sequence: int
    on: date
    summary: str
    description: str


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A rendered message on its way to one channel.

    It carries both the text (Twilio, SMTP) and the template key with named variables (gateways
    that take a registered template id). `message_id` names the reminder, not the attempt: an
    e-mail sent again after a lost answer keeps its Message-ID.
    """

    to: str
    text: str
    subject: str = ""
    html: str = ""
    template: str = ""
    registration_id: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    language: str = "zh"
    useless_after_at: datetime | None = None
    message_id: str = ""
    entry: CalendarEntry | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that passed the channel's own checks, ready for exactly one wire attempt."""

    request: SendRequest
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the message and named it."""

    provider_id: str
    status: str = "accepted"


@dataclass(frozen=True, slots=True)
class NotSent:
    """The message certainly never reached the provider, or it said 429; it may be tried again."""

    reason: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider refused it for good; `scope` says whose fault it is."""

    code: str
    scope: Literal["recipient", "config", "account"] = "recipient"
    opted_out: bool = False


@dataclass(frozen=True, slots=True)
class Uncertain:
    """Bytes may have left and no usable answer came: it may or may not have been sent."""

    why: str


Outcome = Accepted | NotSent | Rejected | Uncertain


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider said later about one message. `status` is the provider's own word;
    `state` is ours, or None where the word is unknown (kept, alerted, never guessed).

    `is_transient`: the failure may pass, so the same text may be tried once more (DESIGN §5.7).
    `opted_out`: the person refused messages; nothing more is sent to this address.
    """

    provider_id: str
    status: str
    state: AttemptState | None
    code: str = ""
    ref: str = ""
    text: str | None = None
    created_at: datetime | None = None
    raw: str = ""
    is_transient: bool = False
    opted_out: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Answer to a look-up. Only a `complete` one allows the conclusion that nothing was sent."""

    complete: bool
    hits: tuple[Receipt, ...] = ()


FINDS_AFTER = (
    timedelta(minutes=1),
    timedelta(minutes=3),
    timedelta(minutes=13),
    timedelta(minutes=43),
)
"""When an uncertain attempt is looked up, counted from its start (DESIGN §5.6)."""


@dataclass(frozen=True, slots=True)
class Caps:
    """What a channel can do, so that the services need no provider names.

    `can_redact`: the provider keeps the text until told to forget it. `can_list`: it can name
    every message of a day, for the daily sweep. `finds_after`: when a lost answer is looked up.
    `simulated`: it sends nothing, so what it says is no evidence.
    """

    echoes_ref: bool
    lookup_by_address: bool
    delivery_receipts: bool
    needs_registered_text: bool
    can_redact: bool = False
    can_list: bool = False
    finds_after: tuple[timedelta, ...] = FINDS_AFTER
    route_adds_units: int = 0
    max_in_flight: int = 16
    simulated: bool = False


class Unsendable(Exception):
    """The channel's own check refuses the request; nothing was sent."""

    def __init__(self, code: str, scope: Literal["recipient", "config"] = "recipient") -> None:
        super().__init__(code)
        self.code = code
        self.scope = scope


class Channel(Protocol):
    """One way to reach a person through one provider."""

    @property
    def name(self) -> str:
        """`sandbox`, `twilio`, `smtp`: stored with each attempt."""

    @property
    def kind(self) -> ChannelKind:
        """What it carries."""

    @property
    def caps(self) -> Caps:
        """What it can do."""

    def prepare(self, request: SendRequest) -> Prepared:
        """Check address and text without touching the network. Raises Unsendable."""

    def submit(self, prepared: Prepared, ref: str, *, now: datetime) -> Outcome:
        """Exactly one wire attempt; never retries, never raises."""

    def poll(self, provider_id: str, *, now: datetime) -> Receipt | None:
        """What the provider says of this message today; None when it cannot be asked now."""

    def find(self, prepared: Prepared, ref: str, *, since: datetime, now: datetime) -> Found:
        """Look for a message whose answer was lost."""

    def redact(self, provider_id: str) -> bool:
        """Have the provider forget the text of a message whose state is final; False to ask
        again later. Only called where `caps.can_redact`."""

    def listed(self, since: datetime, until: datetime) -> Found:
        """Every message the provider took in a span of time, for the daily sweep. Only called
        where `caps.can_list`."""

    def interrupt(self) -> None:
        """Break off the calls on the wire, from any thread: they end uncertain, not unrecorded."""

    def close(self) -> None:
        """Let go of connections and files."""


_RANK: Mapping[AttemptState, int] = {
    AttemptState.SUBMITTING: 0,
    AttemptState.UNCERTAIN: 1,
    AttemptState.ACCEPTED: 2,
    AttemptState.SENT: 3,
    AttemptState.UNCONFIRMED: 4,
    AttemptState.DELIVERED: 5,
    AttemptState.UNDELIVERED: 5,
    AttemptState.FAILED: 5,
    AttemptState.CANCELED: 5,
}
_CORRECTABLE = frozenset({AttemptState.UNDELIVERED, AttemptState.FAILED, AttemptState.UNCONFIRMED})


def advance(current: AttemptState, said: AttemptState | None, *, polled: bool) -> AttemptState:
    """The state after a receipt: ranks only rise and finals are sticky.

    One exception: `delivered` replaces a negative final when a *poll* says so, since a poll is the
    provider's present word while a callback may be an old one (research/channels.md §7 rule 5).
    """
    if said is None or current in (AttemptState.NOT_SENT, AttemptState.REJECTED):
        return current
    if said is AttemptState.DELIVERED and polled and current in _CORRECTABLE:
        return said
    if current is AttemptState.LOST:
        return said  # a late receipt proves that it was sent after all
    return said if _RANK.get(said, -1) > _RANK[current] else current


REMINDER_STATE: Mapping[AttemptState, ReminderState] = {
    AttemptState.SUBMITTING: ReminderState.SUBMITTING,
    AttemptState.NOT_SENT: ReminderState.PLANNED,
    AttemptState.UNCERTAIN: ReminderState.UNCERTAIN,
    AttemptState.ACCEPTED: ReminderState.ACCEPTED,
    AttemptState.SENT: ReminderState.SENT,
    AttemptState.DELIVERED: ReminderState.DELIVERED,
    AttemptState.UNDELIVERED: ReminderState.UNDELIVERED,
    AttemptState.FAILED: ReminderState.UNDELIVERED,
    AttemptState.REJECTED: ReminderState.UNDELIVERED,
    AttemptState.CANCELED: ReminderState.UNDELIVERED,
    AttemptState.UNCONFIRMED: ReminderState.UNCONFIRMED,
}
"""How a reminder reads from its latest attempt. `lost` is absent: what follows it is decided."""

POLLS_AFTER = (
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=12),
    timedelta(hours=24),
    timedelta(hours=72),
)
"""When a message without a final receipt is polled, counted from its start (DESIGN §5.7)."""

LEASE = timedelta(seconds=120)
"""How long a claim may submit: connect 5 s + read 35 s + a wide margin, never renewed."""


def next_find_at(
    started_at: datetime,
    misses: int,
    act_by: datetime | None,
    finds_after: Sequence[timedelta] = FINDS_AFTER,
) -> datetime | None:
    """When to look an uncertain attempt up again after `misses` complete empty look-ups.

    None when the look-ups are used up. A near `act_by` pulls the last ones forward (promise 3),
    never before the first minute: providers answer or give up within 30 s. One already past when
    the attempt began hurries nothing: a message that a report has lapsed has no last minute.
    """
    if misses >= len(finds_after):
        return None
    due_at = started_at + finds_after[misses]
    if act_by is None or act_by <= started_at or due_at < act_by:
        return due_at
    return max(started_at + finds_after[0], act_by - timedelta(minutes=5))


def next_poll_at(started_at: datetime, act_by: datetime | None, now: datetime) -> datetime | None:
    """When to poll a message next; None after 72 h. Sooner when `act_by` is near."""
    due_at = next((at for after in POLLS_AFTER if (at := started_at + after) > now), None)
    if due_at is None:
        return None
    if act_by is not None and now < act_by < due_at:
        return min(due_at, max(now + POLLS_AFTER[0], act_by - timedelta(hours=2)))
    return due_at
