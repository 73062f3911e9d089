"""Imports over HTTP, and the sealed pieces of their files."""

import sqlalchemy as sa
from alembic import op

from worker.store.migrations.columns import (
    create_table,
    index,
    number,
    one_of,
    refers_to,
    sealed,
    text,
    time,
    yes_or_no,
)

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make both tables."""
    create_table(
        "import",
        refers_to("centre", "import", "centre_id"),
        text("actor"),
        text("kind"),
        yes_or_no("dry_run"),
        text("state"),
        text("reason"),
        text("content_digest"),
        text("repeats", nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        number("rows"),
        number("rows_done"),
        number("number"),
        text("waiting"),
        text("counts"),
        text("notes"),
        sa.Column("held_above", sa.Integer(), nullable=True),
        time("nearest_act_by_at", nullable=True),
        text("owner", nullable=True),
        time("lease_until_at", nullable=True),
        time("created_at"),
        time("updated_at"),
        time("finished_at", nullable=True),
        one_of(
            "import", "state",
            "receiving", "checking", "held", "queued", "applying", "done", "refused", "cancelled",
        ),
    )  # fmt: skip
    index("ix_import_centre_id_content_digest", "import", "centre_id", "content_digest")
    index("ix_import_state_created_at", "import", "state", "created_at")
    create_table(
        "import_part",
        refers_to("centre", "import_part", "centre_id"),
        refers_to("import", "import_part", "import_id"),
        text("kind"),
        number("number"),
        sealed("content_sealed"),
        one_of("import_part", "kind", "content", "faults"),
        sa.UniqueConstraint(
            "import_id", "kind", "number", name="uq_import_part_import_id_kind_number"
        ),
    )


def downgrade() -> None:
    """Drop them with all they hold."""
    op.drop_table("import_part")
    op.drop_table("import")
