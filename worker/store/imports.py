"""Imports: files handed in over HTTP, kept in sealed pieces until they are applied.

What is personal is in the pieces alone; an import's own row holds counts, instants and states.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlmodel import Field, case, col, delete, func, or_, select

from worker.domain.imports import ImportState
from worker.store.database import Session
from worker.store.tables import CaseEventRow, Row

WORKED_ON = ("checking", "queued", "applying")
"""States in which a worker takes an import up."""
UNFINISHED = ("checking", "held", "queued", "applying")
"""States in which something is to come of an import that was handed in whole."""

PartKind = Literal["content", "faults"]


class ImportRow(Row, table=True):
    """One file and what became of it. `number` is the last row applied, `waiting` those before it
    that need an event further down; `counts` and `notes` are JSON, and name nobody."""

    __tablename__ = "import"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(map(repr, get_args(ImportState)))})", name="state"),
        Index(None, "centre_id", "content_digest"),
        Index(None, "state", "created_at"),
    )

    id: str = Field(primary_key=True)
    centre_id: str = Field(
        sa_column_args=[ForeignKey("centre.id", deferrable=True, initially="DEFERRED")]
    )
    actor: str
    kind: str
    dry_run: bool
    state: str
    reason: str = ""
    content_digest: str = ""
    repeats: str | None = None
    size: int = Field(default=0, sa_type=BigInteger)
    rows: int = 0
    rows_done: int = 0
    number: int = 0
    waiting: str = "[]"
    counts: str = "{}"
    notes: str = "[]"
    held_above: int | None = None
    nearest_act_by_at: datetime | None = None
    owner: str | None = None
    lease_until_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None


class ImportPartRow(Row, table=True):
    """A sealed piece of an import: of the file as it came, or of the list of what is wrong."""

    __tablename__ = "import_part"
    __table_args__ = (
        CheckConstraint("kind IN ('content', 'faults')", name="kind"),
        UniqueConstraint("import_id", "kind", "number"),
    )

    id: str = Field(primary_key=True)
    centre_id: str = Field(
        sa_column_args=[ForeignKey("centre.id", deferrable=True, initially="DEFERRED")]
    )
    import_id: str = Field(
        sa_column_args=[ForeignKey("import.id", deferrable=True, initially="DEFERRED")]
    )
    kind: str
    number: int
    content_sealed: bytes


def find_import(
    session: Session, import_id: str, *, centre_id: str | None = None, lock: bool = False
) -> ImportRow | None:
    """An import by its id, with `centre_id` only that centre's."""
    found = select(ImportRow).where(ImportRow.id == import_id)
    if centre_id is not None:
        found = found.where(ImportRow.centre_id == centre_id)
    return session.exec(found.with_for_update() if lock else found).first()


def list_imports(
    session: Session, *, centre_id: str | None, state: str | None, before: str, limit: int
) -> Sequence[ImportRow]:
    """Imports, newest first and older than the import `before`."""
    found = select(ImportRow).order_by(col(ImportRow.id).desc()).limit(limit)
    if centre_id is not None:
        found = found.where(ImportRow.centre_id == centre_id)
    if state is not None:
        found = found.where(ImportRow.state == state)
    if before:
        found = found.where(ImportRow.id < before)
    return session.exec(found).all()


def count_unfinished(session: Session, centre_id: str) -> int:
    """How many imports of a centre are still to be taken, those being received among them."""
    states = (*UNFINISHED, "receiving")
    found = select(func.count()).where(
        ImportRow.centre_id == centre_id, col(ImportRow.state).in_(states)
    )
    return session.exec(found).one()


def same_content(session: Session, row: ImportRow) -> ImportRow | None:
    """The newest other import of the centre with the same content, tried or real as this one."""
    return session.exec(
        select(ImportRow)
        .where(
            ImportRow.centre_id == row.centre_id,
            ImportRow.content_digest == row.content_digest,
            ImportRow.dry_run == row.dry_run,
            ImportRow.id != row.id,
            col(ImportRow.state).not_in(("receiving", "refused", "cancelled")),
        )
        .order_by(col(ImportRow.id).desc())
        .limit(1)
    ).first()


def claim_import(
    session: Session, owner: str, *, now: datetime, lease: timedelta, import_id: str | None = None
) -> ImportRow | None:
    """Take up an import that nobody works on, the shortest first, so that a long one delays no
    other; None if there is none. `import_id` takes that one or none."""
    free = or_(col(ImportRow.lease_until_at).is_(None), col(ImportRow.lease_until_at) <= now)
    found = select(ImportRow).where(col(ImportRow.state).in_(WORKED_ON), free)
    if import_id is not None:
        found = found.where(ImportRow.id == import_id)
    found = found.order_by(col(ImportRow.size), col(ImportRow.id)).limit(1)
    row = session.exec(found.with_for_update(skip_locked=True)).first()
    if row is not None:
        row.owner, row.lease_until_at = owner, now + lease
    return row


def is_another_waiting(session: Session, import_id: str, *, now: datetime) -> bool:
    """Whether some other import could be worked on."""
    free = or_(col(ImportRow.lease_until_at).is_(None), col(ImportRow.lease_until_at) <= now)
    found = select(ImportRow.id).where(
        col(ImportRow.state).in_(WORKED_ON), free, ImportRow.id != import_id
    )
    return session.exec(found.limit(1)).first() is not None


def left_alone(session: Session, states: Sequence[str], since: datetime) -> Sequence[ImportRow]:
    """Imports in some states that nothing happened to since an instant."""
    found = select(ImportRow).where(
        col(ImportRow.state).in_(states), col(ImportRow.updated_at) <= since
    )
    return session.exec(found.with_for_update(skip_locked=True)).all()


def part_of(session: Session, import_id: str, kind: PartKind, number: int) -> ImportPartRow | None:
    """One piece; None beyond the last."""
    return session.exec(
        select(ImportPartRow).where(
            ImportPartRow.import_id == import_id,
            ImportPartRow.kind == kind,
            ImportPartRow.number == number,
        )
    ).first()


def holds_parts(session: Session, import_id: str) -> bool:
    """Whether anything of an import's file is still there."""
    found = select(ImportPartRow.id).where(ImportPartRow.import_id == import_id)
    return session.exec(found.limit(1)).first() is not None


def with_parts(session: Session, *, centre_id: str | None = None) -> Sequence[ImportRow]:
    """Imports whose file is still there, whole or in part."""
    holds = select(ImportPartRow.id).where(ImportPartRow.import_id == ImportRow.id)
    found = select(ImportRow).where(holds.exists()).order_by(col(ImportRow.id))
    if centre_id is not None:
        found = found.where(ImportRow.centre_id == centre_id)
    return session.exec(found).all()


def drop_parts(session: Session, import_id: str, limit: int) -> int:
    """Erase some pieces of an import, the last first; returns how many there were."""
    of = select(ImportPartRow.id).where(ImportPartRow.import_id == import_id)
    ids = session.exec(of.order_by(col(ImportPartRow.number).desc()).limit(limit)).all()
    gone = delete(ImportPartRow).where(col(ImportPartRow.id).in_(ids))
    session.execute(gone.execution_options(synchronize_session=False))
    return len(ids)


def drop_faults(session: Session, import_id: str) -> None:
    """Forget what was found wrong: the file is read again from its beginning."""
    gone = delete(ImportPartRow).where(
        col(ImportPartRow.import_id) == import_id, col(ImportPartRow.kind) == "faults"
    )
    session.execute(gone.execution_options(synchronize_session=False))


def drop_old_imports(session: Session, centre_id: str, before: datetime, limit: int) -> int:
    """Delete imports that ended before an instant and whose pieces are gone."""
    holds = select(ImportPartRow.id).where(ImportPartRow.import_id == ImportRow.id)
    ids = session.exec(
        select(ImportRow.id)
        .where(
            ImportRow.centre_id == centre_id, col(ImportRow.finished_at) < before, ~holds.exists()
        )
        .limit(limit)
    ).all()
    gone = delete(ImportRow).where(col(ImportRow.id).in_(ids))
    session.execute(gone.execution_options(synchronize_session=False))
    return len(ids)


def events_by_day(session: Session, centre_id: str, begins: Sequence[datetime]) -> list[int]:
    """How many events a centre recorded from each instant to the next, in one pass over them."""
    at = col(CaseEventRow.recorded_at)
    sums = [func.sum(case(((at >= one) & (at < following), 1), else_=0))
            for one, following in pairwise(begins)]  # fmt: skip
    counted = select(*sums).where(CaseEventRow.centre_id == centre_id, at >= begins[0])
    return [int(count or 0) for count in session.execute(counted).one()]
