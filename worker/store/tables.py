"""The tables. Every row of a centre carries `centre_id`; personal data is in `*_sealed` columns.

Table classes do not validate: what is written was checked in the domain, and the database holds
the rest (states, uniqueness, references). A change here needs a migration.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlmodel import Field

from worker.domain.delivery import OPEN_ATTEMPTS, AttemptState, DeadlineState, ReminderState
from worker.store.rows import Row as Row
from worker.store.rows import use_instants


def _refers_to(table: str, *, required: bool = True) -> Any:  # noqa: ANN401  # as Field itself
    """A column with the id of a row of `table`, checked when the transaction commits.

    Deferred, since one use case writes a case with its deadlines and reminders in one go, and the
    order in which the session does so is its own.
    """
    reference = ForeignKey(f"{table}.id", deferrable=True, initially="DEFERRED")
    if required:
        return Field(sa_column_args=[reference])
    return Field(default=None, sa_column_args=[reference])


def one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    """A column holds one of these words."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _where(predicate: str, name: str, *columns: str, unique: bool = False) -> Index:
    """A partial index. Queries must spell the predicate with literals, or it is not used."""
    condition = text(predicate)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


class InstallationRow(Row, table=True):
    """The one row that says what this database is for and which key ring opens it."""

    __tablename__ = "installation"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        one_of("stamp", ("test", "live")),
    )

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    stamp: str
    key_check: bytes
    created_at: datetime


class CentreRow(Row, table=True):
    """A service centre whose configuration file has been seen."""

    __tablename__ = "centre"

    id: str = Field(primary_key=True)
    name: str
    created_at: datetime
    digest_at: datetime | None = None


class ApiKeyRow(Row, table=True):
    """A bearer key: found by `prefix`, proved by its hash. Without a centre it is an operator's."""

    __tablename__ = "api_key"
    __table_args__ = (one_of("kind", ("test", "team", "live")),)

    id: str = Field(primary_key=True)
    centre_id: str | None = _refers_to("centre", required=False)
    name: str
    kind: str
    prefix: str = Field(unique=True)
    secret_sha256: str
    scopes: str = ""
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class CaseRow(Row, table=True):
    """One citizen's card matter; `team_only` is a trial of a team key."""

    __tablename__ = "case"
    __table_args__ = (
        UniqueConstraint("centre_id", "reference"),
        one_of("state", ("open", "closed")),
        Index(None, "phone_index"),
        Index(None, "email_index"),
        Index(None, "second_phone_index"),
    )

    id: str = Field(primary_key=True)
    centre_id: str = _refers_to("centre")
    reference: str
    procedure: str
    language: str = "zh"
    card_last4: str = ""
    bank: str = ""
    team_only: bool = False
    name_sealed: bytes | None = None
    phone_sealed: bytes | None = None
    email_sealed: bytes | None = None
    second_phone_sealed: bytes | None = None
    phone_index: str | None = None
    email_index: str | None = None
    second_phone_index: str | None = None
    state: str = "open"
    version: int = 1
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None


class CaseEventRow(Row, table=True):
    """A fact about a case. A voided one stays, and may be recorded anew."""

    __tablename__ = "case_event"
    __table_args__ = (
        _where(
            "voided_at IS NULL",
            "uq_case_event_in_force",
            "case_id",
            "event",
            "occurred_at",
            unique=True,
        ),
        Index(None, "case_id"),
    )

    id: str = Field(primary_key=True)
    centre_id: str = _refers_to("centre")
    case_id: str = _refers_to("case")
    event: str
    occurred_at: datetime
    recorded_at: datetime
    source: str
    voided_at: datetime | None = None
    void_reason: str = ""
    date_only: bool = False


class DeadlineRow(Row, table=True):
    """A rule applied to a start. `told` is the date last announced, `planned_at` the last plan."""

    __tablename__ = "deadline"
    __table_args__ = (
        UniqueConstraint("case_id", "rule_id", "started_at", "occurrence"),
        one_of("state", DeadlineState),
        _where("state = 'open'", "ix_deadline_open", "centre_id", "kind"),
        Index(None, "state", "latest_at"),
    )

    id: str = Field(primary_key=True)
    centre_id: str = _refers_to("centre")
    case_id: str = _refers_to("case")
    rule_id: str
    rule_version: str
    calendar_version: str
    centre_version: str
    kind: str
    started_at: datetime
    occurrence: str = ""
    state: str
    ends_at: datetime | None = None
    last_date: date | None = None
    earliest_at: datetime | None = None
    latest_at: datetime | None = None
    firm: bool
    consulted_to: date | None = None
    act_by_at: datetime | None = None
    ready_on: date | None = None
    told: str = ""
    plan_version: int = 1
    planned_at: datetime
    settled_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


_TO_COME = "state = 'planned' AND step <> 'lapsed' AND attempts = 0"


class ReminderRow(Row, table=True):
    """One planned message; the planned ones are the schedule. `priority`: 0 lapse, 1 dated, 2 step.

    `carried_by` names the reminder inside whose message this one went out.
    """

    __tablename__ = "reminder"
    __table_args__ = (
        UniqueConstraint("deadline_id", "step", "recipient", "channel", "plan_version"),
        one_of("recipient", ("citizen", "second_contact")),
        one_of("channel", ("sms", "email")),
        one_of("state", ReminderState),
        _where("state = 'planned'", "ix_reminder_planned", "useless_after_at", "due_at"),
        _where(_TO_COME, "ix_reminder_to_come", "deadline_id", "plan_version"),
        Index(None, "case_id"),
        Index(None, "carried_by"),
    )

    id: str = Field(primary_key=True)
    centre_id: str = _refers_to("centre")
    case_id: str = _refers_to("case")
    deadline_id: str = _refers_to("deadline")
    step: str
    recipient: str
    channel: str
    plan_version: int
    due_at: datetime
    useless_after_at: datetime
    state: str
    priority: int
    owner: str | None = None
    lease_until_at: datetime | None = None
    attempts: int = 0
    carried_by: str | None = _refers_to("reminder", required=False)
    reason: str = ""
    created_at: datetime
    updated_at: datetime


_OPEN_ATTEMPT = ", ".join(f"'{state}'" for state in AttemptState if state in OPEN_ATTEMPTS)


class AttemptRow(Row, table=True):
    """One try at submitting a reminder: written before the first byte leaves.

    The partial unique index is the last guard of "nobody is told twice": a reminder has at most
    one attempt that may still reach the person. `carries` lists the other reminders that its
    message tells of, by id: those that it takes along may be planned again meanwhile.
    """

    __tablename__ = "attempt"
    __table_args__ = (
        one_of("kind", ("sms", "email")),
        one_of("state", AttemptState),
        _where(
            "provider_id IS NOT NULL",
            "uq_attempt_provider",
            "channel_name",
            "provider_id",
            unique=True,
        ),
        _where(f"state IN ({_OPEN_ATTEMPT})", "uq_attempt_open", "reminder_id", unique=True),
        _where("next_check_at IS NOT NULL", "ix_attempt_next_check", "next_check_at"),
        _where("state = 'submitting'", "ix_attempt_submitting", "state", "lease_until_at"),
        _where("redact_at IS NOT NULL", "ix_attempt_redact", "redact_at"),
        Index(None, "address_index", "started_at"),
        Index(None, "channel_name", "started_at"),
        Index(None, "reminder_id"),
        Index(None, "case_id"),
    )

    id: str = Field(primary_key=True)
    centre_id: str = _refers_to("centre")
    case_id: str = _refers_to("case")
    reminder_id: str = _refers_to("reminder")
    number: int
    ref: str = Field(unique=True)
    channel_name: str
    kind: str
    state: str
    owner: str
    lease_until_at: datetime
    address_sealed: bytes
    address_index: str
    body_sealed: bytes | None = None
    body_hash: str
    template: str
    parts: int
    carries: str = ""
    provider_id: str | None = None
    provider_status: str = ""
    code: str = ""
    started_at: datetime
    finished_at: datetime | None = None
    misses: int = 0
    next_check_at: datetime | None = None
    redact_at: datetime | None = None
    simulated: bool


class AttemptEventRow(Row, table=True):
    """What was seen of an attempt, in the provider's own words; never changed. One without an
    attempt is about a message we do not know."""

    __tablename__ = "attempt_event"
    __table_args__ = (
        one_of("source", ("submit", "callback", "poll", "find", "rescue", "bounce", "sweep")),
        Index(None, "attempt_id"),
        _where("attempt_id IS NULL", "ix_attempt_event_orphan", "provider_id"),
    )

    id: str = Field(primary_key=True)
    centre_id: str | None = _refers_to("centre", required=False)
    attempt_id: str | None = _refers_to("attempt", required=False)
    source: str
    provider_id: str = ""
    status: str = ""
    code: str = ""
    raw: str = ""
    at: datetime


class CallTaskRow(Row, table=True):
    """An open task for a person at the centre; one at a time for a deadline."""

    __tablename__ = "call_task"
    __table_args__ = (
        one_of("state", ("open", "done")),
        _where("state = 'open'", "uq_call_task_open", "deadline_id", unique=True),
        _where("mailed_at IS NULL", "ix_call_task_unmailed", "opened_at"),
        Index(None, "case_id"),
        Index(None, "deadline_id"),
    )

    id: str = Field(primary_key=True)
    centre_id: str = _refers_to("centre")
    case_id: str = _refers_to("case")
    deadline_id: str = _refers_to("deadline")
    reminder_id: str | None = _refers_to("reminder", required=False)
    reason: str
    act_by_at: datetime | None = None
    state: str = "open"
    opened_at: datetime
    mailed_at: datetime | None = None
    done_at: datetime | None = None
    done_by: str = ""
    note: str = ""


class OptOutRow(Row, table=True):
    """An address that refused messages: of one centre, or of every one (no centre)."""

    __tablename__ = "opt_out"
    __table_args__ = (
        UniqueConstraint("address_index", "centre_id"),
        _where("centre_id IS NULL", "uq_opt_out_everywhere", "address_index", unique=True),
    )

    id: str = Field(primary_key=True)
    centre_id: str | None = _refers_to("centre", required=False)
    address_index: str
    source: str
    created_at: datetime


class AuditEntryRow(Row, table=True):
    """A link of the audit chain: `seq` has no gaps, `hash` covers the entry and `previous_hash`."""

    __tablename__ = "audit_entry"

    id: str = Field(primary_key=True)
    seq: int = Field(unique=True)
    centre_id: str | None = _refers_to("centre", required=False)
    at: datetime
    actor: str
    action: str
    subject: str
    detail: str
    previous_hash: str
    hash: str


use_instants(Row.metadata.tables)
