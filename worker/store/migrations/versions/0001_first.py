"""The first tables. Written out in full: what the tables became later does not change this step."""

import sqlalchemy as sa
from alembic import op

from worker.store.migrations.columns import (
    create_table,
    day,
    index,
    number,
    one_of,
    real,
    refers_to,
    sealed,
    text,
    time,
    yes_or_no,
)

revision = "0001"
down_revision = None

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
    "answer",
    "sender",
    "sms_day",
)


def upgrade() -> None:
    """Make every table, those first to which others refer."""
    _installation()
    create_table("centre", text("name"), time("created_at"), time("digest_at", nullable=True))
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
    _answer()
    create_table("sender", real("level"), time("level_at"))
    create_table("sms_day", number("parts"), time("updated_at"))


def downgrade() -> None:
    """Drop every table with all it holds."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _installation() -> None:
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        text("stamp"),
        sa.Column("key_check", sa.LargeBinary(), nullable=False),
        time("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
        sa.CheckConstraint("id = 1", name=op.f("ck_installation_one_row")),
        one_of("installation", "stamp", "test", "live"),
    )


def _api_key() -> None:
    create_table(
        "api_key",
        refers_to("centre", "api_key", "centre_id", nullable=True),
        text("name"),
        text("kind"),
        text("prefix"),
        text("secret_sha256"),
        text("scopes"),
        time("created_at"),
        time("expires_at", nullable=True),
        time("last_used_at", nullable=True),
        time("revoked_at", nullable=True),
        one_of("api_key", "kind", "test", "team", "live"),
        sa.UniqueConstraint("prefix", name="uq_api_key_prefix"),
    )


def _case() -> None:
    create_table(
        "case",
        refers_to("centre", "case", "centre_id"),
        text("reference"),
        text("procedure"),
        text("language"),
        text("card_last4"),
        text("bank"),
        yes_or_no("team_only"),
        sealed("name_sealed", nullable=True),
        sealed("phone_sealed", nullable=True),
        sealed("email_sealed", nullable=True),
        sealed("second_phone_sealed", nullable=True),
        text("phone_index", nullable=True),
        text("email_index", nullable=True),
        text("second_phone_index", nullable=True),
        text("state"),
        number("version"),
        time("created_at"),
        time("updated_at"),
        time("closed_at", nullable=True),
        one_of("case", "state", "open", "closed"),
        sa.UniqueConstraint("centre_id", "reference", name="uq_case_centre_id_reference"),
    )
    index("ix_case_phone_index", "case", "phone_index")
    index("ix_case_email_index", "case", "email_index")
    index("ix_case_second_phone_index", "case", "second_phone_index")


def _case_event() -> None:
    create_table(
        "case_event",
        refers_to("centre", "case_event", "centre_id"),
        refers_to("case", "case_event", "case_id"),
        text("event"),
        time("occurred_at"),
        time("recorded_at"),
        text("source"),
        time("voided_at", nullable=True),
        text("void_reason"),
        yes_or_no("date_only"),
    )
    index("ix_case_event_case_id", "case_event", "case_id")
    index(
        "uq_case_event_in_force", "case_event", "case_id", "event", "occurred_at",
        where="voided_at IS NULL", unique=True,
    )  # fmt: skip


def _deadline() -> None:
    create_table(
        "deadline",
        refers_to("centre", "deadline", "centre_id"),
        refers_to("case", "deadline", "case_id"),
        text("rule_id"),
        text("rule_version"),
        text("calendar_version"),
        text("centre_version"),
        text("kind"),
        time("started_at"),
        text("occurrence"),
        text("state"),
        time("ends_at", nullable=True),
        day("last_date"),
        time("earliest_at", nullable=True),
        time("latest_at", nullable=True),
        yes_or_no("firm"),
        day("consulted_to"),
        time("act_by_at", nullable=True),
        day("ready_on"),
        text("told"),
        number("plan_version"),
        time("planned_at"),
        time("settled_at", nullable=True),
        time("created_at"),
        time("updated_at"),
        one_of("deadline", "state", "open", "settled", "lapsed", "superseded", "cancelled"),
        sa.UniqueConstraint(
            "case_id", "rule_id", "started_at", "occurrence",
            name="uq_deadline_case_id_rule_id_started_at_occurrence",
        ),
    )  # fmt: skip
    index("ix_deadline_open", "deadline", "centre_id", "kind", where="state = 'open'")
    index("ix_deadline_state_latest_at", "deadline", "state", "latest_at")


def _reminder() -> None:
    create_table(
        "reminder",
        refers_to("centre", "reminder", "centre_id"),
        refers_to("case", "reminder", "case_id"),
        refers_to("deadline", "reminder", "deadline_id"),
        text("step"),
        text("recipient"),
        text("channel"),
        number("plan_version"),
        time("due_at"),
        time("useless_after_at"),
        text("state"),
        number("priority"),
        text("owner", nullable=True),
        time("lease_until_at", nullable=True),
        number("attempts"),
        refers_to("reminder", "reminder", "carried_by", nullable=True),
        text("reason"),
        time("created_at"),
        time("updated_at"),
        one_of("reminder", "recipient", "citizen", "second_contact"),
        one_of("reminder", "channel", "sms", "email"),
        one_of(
            "reminder", "state", "planned", "submitting", "uncertain", "accepted", "sent",
            "delivered", "undelivered", "unconfirmed", "cancelled", "expired", "needs_person",
        ),
        sa.UniqueConstraint(
            "deadline_id", "step", "recipient", "channel", "plan_version",
            name="uq_reminder_deadline_id_step_recipient_channel_plan_version",
        ),
    )  # fmt: skip
    index(
        "ix_reminder_planned", "reminder", "useless_after_at", "due_at", where="state = 'planned'"
    )
    index(
        "ix_reminder_to_come", "reminder", "deadline_id", "plan_version",
        where="state = 'planned' AND step <> 'lapsed' AND attempts = 0",
    )  # fmt: skip
    index("ix_reminder_case_id", "reminder", "case_id")
    index("ix_reminder_carried_by", "reminder", "carried_by")


def _attempt() -> None:
    create_table(
        "attempt",
        refers_to("centre", "attempt", "centre_id"),
        refers_to("case", "attempt", "case_id"),
        refers_to("reminder", "attempt", "reminder_id"),
        number("number"),
        text("ref"),
        text("channel_name"),
        text("kind"),
        text("state"),
        text("owner"),
        time("lease_until_at"),
        sealed("address_sealed"),
        text("address_index"),
        sealed("body_sealed", nullable=True),
        text("body_hash"),
        text("template"),
        number("parts"),
        text("carries"),
        text("provider_id", nullable=True),
        text("provider_status"),
        text("code"),
        time("started_at"),
        time("finished_at", nullable=True),
        number("misses"),
        time("next_check_at", nullable=True),
        time("redact_at", nullable=True),
        yes_or_no("simulated"),
        one_of("attempt", "kind", "sms", "email"),
        one_of(
            "attempt", "state", "submitting", "not_sent", "rejected", "uncertain", "lost",
            "accepted", "sent", "delivered", "undelivered", "failed", "canceled", "unconfirmed",
        ),
        sa.UniqueConstraint("ref", name="uq_attempt_ref"),
    )  # fmt: skip
    _indexes_of_attempts()


def _indexes_of_attempts() -> None:
    index(
        "uq_attempt_provider", "attempt", "channel_name", "provider_id",
        where="provider_id IS NOT NULL", unique=True,
    )  # fmt: skip
    index(
        "uq_attempt_open", "attempt", "reminder_id",
        where="state IN ('submitting', 'uncertain', 'accepted', 'sent')", unique=True,
    )  # fmt: skip
    index("ix_attempt_next_check", "attempt", "next_check_at", where="next_check_at IS NOT NULL")
    index("ix_attempt_redact", "attempt", "redact_at", where="redact_at IS NOT NULL")
    index(
        "ix_attempt_submitting", "attempt", "state", "lease_until_at",
        where="state = 'submitting'",
    )  # fmt: skip
    index("ix_attempt_address_index_started_at", "attempt", "address_index", "started_at")
    index("ix_attempt_channel_name_started_at", "attempt", "channel_name", "started_at")
    index("ix_attempt_reminder_id", "attempt", "reminder_id")
    index("ix_attempt_case_id", "attempt", "case_id")


def _attempt_event() -> None:
    create_table(
        "attempt_event",
        refers_to("centre", "attempt_event", "centre_id", nullable=True),
        refers_to("attempt", "attempt_event", "attempt_id", nullable=True),
        text("source"),
        text("provider_id"),
        text("status"),
        text("code"),
        text("raw"),
        time("at"),
        one_of(
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
    index("ix_attempt_event_attempt_id", "attempt_event", "attempt_id")
    index("ix_attempt_event_orphan", "attempt_event", "provider_id", where="attempt_id IS NULL")


def _call_task() -> None:
    create_table(
        "call_task",
        refers_to("centre", "call_task", "centre_id"),
        refers_to("case", "call_task", "case_id"),
        refers_to("deadline", "call_task", "deadline_id"),
        refers_to("reminder", "call_task", "reminder_id", nullable=True),
        text("reason"),
        time("act_by_at", nullable=True),
        text("state"),
        time("opened_at"),
        time("mailed_at", nullable=True),
        time("done_at", nullable=True),
        text("done_by"),
        text("note"),
        one_of("call_task", "state", "open", "done"),
    )
    index("uq_call_task_open", "call_task", "deadline_id", where="state = 'open'", unique=True)
    index("ix_call_task_unmailed", "call_task", "opened_at", where="mailed_at IS NULL")
    index("ix_call_task_case_id", "call_task", "case_id")
    index("ix_call_task_deadline_id", "call_task", "deadline_id")


def _opt_out() -> None:
    create_table(
        "opt_out",
        refers_to("centre", "opt_out", "centre_id", nullable=True),
        text("address_index"),
        text("source"),
        time("created_at"),
        sa.UniqueConstraint(
            "address_index", "centre_id", name="uq_opt_out_address_index_centre_id"
        ),
    )
    index(
        "uq_opt_out_everywhere", "opt_out", "address_index", where="centre_id IS NULL", unique=True
    )


def _job_run() -> None:
    create_table(
        "job_run",
        text("duty"),
        text("state"),
        time("started_at"),
        time("finished_at"),
        number("runs"),
        text("counts"),
        text("error"),
        one_of("job_run", "state", "ok", "failed"),
    )
    index("ix_job_run_duty_started_at", "job_run", "duty", "started_at")


def _audit_entry() -> None:
    create_table(
        "audit_entry",
        number("seq"),
        refers_to("centre", "audit_entry", "centre_id", nullable=True),
        time("at"),
        text("actor"),
        text("action"),
        text("subject"),
        text("detail"),
        text("previous_hash"),
        text("hash"),
        sa.UniqueConstraint("seq", name="uq_audit_entry_seq"),
    )


def _answer() -> None:
    create_table(
        "answer",
        refers_to("centre", "answer", "centre_id"),
        text("case_id", nullable=True),
        text("fingerprint"),
        number("status"),
        text("etag"),
        sealed("body_sealed", nullable=True),
        time("lease_until_at"),
        time("expires_at"),
    )
    index("ix_answer_expires_at", "answer", "expires_at")
    index("ix_answer_case_id", "answer", "case_id")
