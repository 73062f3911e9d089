"""The first tables. Written out in full: what the tables became later does not change this step."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Part = sa.Column[object] | sa.CheckConstraint | sa.UniqueConstraint

TABLES = (
    "installation",
    "centre",
    "api_key",
    "case",
    "case_event",
    "deadline",
    "reminder",
    "attempt",
    "attempt_event",
    "call_task",
    "opt_out",
    "job_run",
    "audit_entry",
)


def upgrade() -> None:
    """Make every table, those first to which others refer."""
    _installation()
    _create("centre", _text("name"), _time("created_at"))
    _api_key()
    _case()
    _case_event()
    _deadline()
    _reminder()
    _attempt()
    _attempt_event()
    _call_task()
    _opt_out()
    _job_run()
    _audit_entry()


def downgrade() -> None:
    """Drop every table with all it holds."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _installation() -> None:
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        _text("stamp"),
        sa.Column("key_check", sa.LargeBinary(), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
        sa.CheckConstraint("id = 1", name=op.f("ck_installation_one_row")),
        _one_of("installation", "stamp", "test", "live"),
    )


def _api_key() -> None:
    _create(
        "api_key",
        _refers_to("centre", "api_key", "centre_id", nullable=True),
        _text("name"),
        _text("kind"),
        _text("prefix"),
        _text("secret_sha256"),
        _text("scopes"),
        _time("created_at"),
        _time("expires_at", nullable=True),
        _time("last_used_at", nullable=True),
        _time("revoked_at", nullable=True),
        _one_of("api_key", "kind", "test", "team", "live"),
        sa.UniqueConstraint("prefix", name="uq_api_key_prefix"),
    )


def _case() -> None:
    _create(
        "case",
        _refers_to("centre", "case", "centre_id"),
        _text("reference"),
        _text("procedure"),
        _text("language"),
        _text("card_last4"),
        _text("bank"),
        _sealed("name_sealed", nullable=True),
        _sealed("phone_sealed", nullable=True),
        _sealed("email_sealed", nullable=True),
        _sealed("second_phone_sealed", nullable=True),
        _text("phone_index", nullable=True),
        _text("email_index", nullable=True),
        _text("second_phone_index", nullable=True),
        _text("state"),
        _number("version"),
        _time("created_at"),
        _time("updated_at"),
        _time("closed_at", nullable=True),
        _one_of("case", "state", "open", "closed"),
        sa.UniqueConstraint("centre_id", "reference", name="uq_case_centre_id_reference"),
    )
    _index("ix_case_phone_index", "case", "phone_index")
    _index("ix_case_email_index", "case", "email_index")
    _index("ix_case_second_phone_index", "case", "second_phone_index")


def _case_event() -> None:
    _create(
        "case_event",
        _refers_to("centre", "case_event", "centre_id"),
        _refers_to("case", "case_event", "case_id"),
        _text("event"),
        _time("occurred_at"),
        _time("recorded_at"),
        _text("source"),
        _time("voided_at", nullable=True),
        _text("void_reason"),
        _yes_or_no("date_only"),
    )
    _index("ix_case_event_case_id", "case_event", "case_id")
    _index(
        "uq_case_event_in_force", "case_event", "case_id", "event", "occurred_at",
        where="voided_at IS NULL", unique=True,
    )  # fmt: skip


def _deadline() -> None:
    _create(
        "deadline",
        _refers_to("centre", "deadline", "centre_id"),
        _refers_to("case", "deadline", "case_id"),
        _text("rule_id"),
        _text("rule_version"),
        _text("calendar_version"),
        _text("centre_version"),
        _text("kind"),
        _time("started_at"),
        _text("occurrence"),
        _text("state"),
        _time("ends_at", nullable=True),
        _day("last_date"),
        _time("earliest_at", nullable=True),
        _time("latest_at", nullable=True),
        _yes_or_no("firm"),
        _day("consulted_to"),
        _time("act_by_at", nullable=True),
        _day("ready_on"),
        _text("told"),
        _number("plan_version"),
        _time("planned_at"),
        _time("settled_at", nullable=True),
        _time("created_at"),
        _time("updated_at"),
        _one_of("deadline", "state", "open", "settled", "lapsed", "superseded", "cancelled"),
        sa.UniqueConstraint(
            "case_id", "rule_id", "started_at", "occurrence",
            name="uq_deadline_case_id_rule_id_started_at_occurrence",
        ),
    )  # fmt: skip
    _index("ix_deadline_open", "deadline", "centre_id", "kind", where="state = 'open'")
    _index("ix_deadline_state_latest_at", "deadline", "state", "latest_at")


def _reminder() -> None:
    _create(
        "reminder",
        _refers_to("centre", "reminder", "centre_id"),
        _refers_to("case", "reminder", "case_id"),
        _refers_to("deadline", "reminder", "deadline_id"),
        _text("step"),
        _text("recipient"),
        _text("channel"),
        _number("plan_version"),
        _time("due_at"),
        _time("useless_after_at"),
        _text("state"),
        _number("priority"),
        _text("owner", nullable=True),
        _time("lease_until_at", nullable=True),
        _number("attempts"),
        _refers_to("reminder", "reminder", "carried_by", nullable=True),
        _text("reason"),
        _time("created_at"),
        _time("updated_at"),
        _one_of("reminder", "recipient", "citizen", "second_contact"),
        _one_of("reminder", "channel", "sms", "email"),
        _one_of(
            "reminder", "state", "planned", "submitting", "uncertain", "accepted", "sent",
            "delivered", "undelivered", "unconfirmed", "cancelled", "expired", "needs_person",
        ),
        sa.UniqueConstraint(
            "deadline_id", "step", "recipient", "channel", "plan_version",
            name="uq_reminder_deadline_id_step_recipient_channel_plan_version",
        ),
    )  # fmt: skip
    _index(
        "ix_reminder_planned", "reminder", "useless_after_at", "due_at", where="state = 'planned'"
    )
    _index("ix_reminder_case_id", "reminder", "case_id")
    _index("ix_reminder_carried_by", "reminder", "carried_by")


def _attempt() -> None:
    _create(
        "attempt",
        _refers_to("centre", "attempt", "centre_id"),
        _refers_to("case", "attempt", "case_id"),
        _refers_to("reminder", "attempt", "reminder_id"),
        _number("number"),
        _text("ref"),
        _text("channel_name"),
        _text("kind"),
        _text("state"),
        _text("owner"),
        _time("lease_until_at"),
        _sealed("address_sealed"),
        _text("address_index"),
        _sealed("body_sealed", nullable=True),
        _text("body_hash"),
        _text("template"),
        _number("parts"),
        _text("provider_id", nullable=True),
        _text("provider_status"),
        _text("code"),
        _time("started_at"),
        _time("finished_at", nullable=True),
        _number("misses"),
        _time("next_check_at", nullable=True),
        _time("redact_at", nullable=True),
        _yes_or_no("simulated"),
        _one_of("attempt", "kind", "sms", "email"),
        _one_of(
            "attempt", "state", "submitting", "not_sent", "rejected", "uncertain", "lost",
            "accepted", "sent", "delivered", "undelivered", "failed", "canceled", "unconfirmed",
        ),
        sa.UniqueConstraint("ref", name="uq_attempt_ref"),
    )  # fmt: skip
    _indexes_of_attempts()


def _indexes_of_attempts() -> None:
    _index(
        "uq_attempt_provider", "attempt", "channel_name", "provider_id",
        where="provider_id IS NOT NULL", unique=True,
    )  # fmt: skip
    _index(
        "uq_attempt_open", "attempt", "reminder_id",
        where="state IN ('submitting', 'uncertain', 'accepted', 'sent')", unique=True,
    )  # fmt: skip
    _index("ix_attempt_next_check", "attempt", "next_check_at", where="next_check_at IS NOT NULL")
    _index("ix_attempt_redact", "attempt", "redact_at", where="redact_at IS NOT NULL")
    _index(
        "ix_attempt_submitting", "attempt", "state", "lease_until_at",
        where="state = 'submitting'",
    )  # fmt: skip
    _index("ix_attempt_address_index_started_at", "attempt", "address_index", "started_at")
    _index("ix_attempt_channel_name_started_at", "attempt", "channel_name", "started_at")
    _index("ix_attempt_reminder_id", "attempt", "reminder_id")
    _index("ix_attempt_case_id", "attempt", "case_id")


def _attempt_event() -> None:
    _create(
        "attempt_event",
        _refers_to("centre", "attempt_event", "centre_id", nullable=True),
        _refers_to("attempt", "attempt_event", "attempt_id", nullable=True),
        _text("source"),
        _text("provider_id"),
        _text("status"),
        _text("code"),
        _text("raw"),
        _time("at"),
        _one_of(
            "attempt_event",
            "source",
            "submit",
            "callback",
            "poll",
            "find",
            "rescue",
            "bounce",
            "sweep",
        ),
    )
    _index("ix_attempt_event_attempt_id", "attempt_event", "attempt_id")


def _call_task() -> None:
    _create(
        "call_task",
        _refers_to("centre", "call_task", "centre_id"),
        _refers_to("case", "call_task", "case_id"),
        _refers_to("deadline", "call_task", "deadline_id"),
        _refers_to("reminder", "call_task", "reminder_id", nullable=True),
        _text("reason"),
        _time("act_by_at", nullable=True),
        _text("state"),
        _time("opened_at"),
        _time("mailed_at", nullable=True),
        _time("done_at", nullable=True),
        _text("done_by"),
        _text("note"),
        _one_of("call_task", "state", "open", "done"),
    )
    _index("uq_call_task_open", "call_task", "deadline_id", where="state = 'open'", unique=True)
    _index("ix_call_task_unmailed", "call_task", "opened_at", where="mailed_at IS NULL")
    _index("ix_call_task_case_id", "call_task", "case_id")
    _index("ix_call_task_deadline_id", "call_task", "deadline_id")


def _opt_out() -> None:
    _create(
        "opt_out",
        _refers_to("centre", "opt_out", "centre_id", nullable=True),
        _text("address_index"),
        _text("source"),
        _time("created_at"),
        sa.UniqueConstraint(
            "address_index", "centre_id", name="uq_opt_out_address_index_centre_id"
        ),
    )
    _index(
        "uq_opt_out_everywhere", "opt_out", "address_index", where="centre_id IS NULL", unique=True
    )


def _job_run() -> None:
    _create(
        "job_run",
        _text("duty"),
        _text("state"),
        _time("started_at"),
        _time("finished_at"),
        _number("runs"),
        _text("counts"),
        _text("error"),
        _one_of("job_run", "state", "ok", "failed"),
    )
    _index("ix_job_run_duty_started_at", "job_run", "duty", "started_at")


def _audit_entry() -> None:
    _create(
        "audit_entry",
        _number("seq"),
        _refers_to("centre", "audit_entry", "centre_id", nullable=True),
        _time("at"),
        _text("actor"),
        _text("action"),
        _text("subject"),
        _text("detail"),
        _text("previous_hash"),
        _text("hash"),
        sa.UniqueConstraint("seq", name="uq_audit_entry_seq"),
    )


def _create(table: str, *parts: Part) -> None:
    op.create_table(table, _text("id"), *parts, sa.PrimaryKeyConstraint("id", name=f"pk_{table}"))


def _text(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _number(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _yes_or_no(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _day(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Date(), nullable=True)


def _sealed(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.LargeBinary(), nullable=nullable)


def _refers_to(target: str, table: str, name: str, *, nullable: bool = False) -> sa.Column[object]:
    reference = sa.ForeignKey(
        f"{target}.id", name=f"fk_{table}_{name}", deferrable=True, initially="DEFERRED"
    )
    return sa.Column(name, sa.String(), reference, nullable=nullable)


def _one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=op.f(f"ck_{table}_{column}"))


def _index(name: str, table: str, *columns: str, where: str = "", unique: bool = False) -> None:
    condition = sa.text(where) if where else None
    op.create_index(
        name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )
