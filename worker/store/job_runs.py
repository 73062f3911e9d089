"""Job runs: one row a run that worked or failed, one an hour for runs that found nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Index
from sqlmodel import Field, col, select, update

from worker.store.database import Session
from worker.store.tables import Row, one_of

_FOLDED = timedelta(hours=1)


class JobRunRow(Row, table=True):
    """Runs of a duty, as operators see them; `runs` idle ones are folded into one row."""

    __tablename__ = "job_run"
    __table_args__ = (one_of("state", ("ok", "failed")), Index(None, "duty", "started_at"))

    id: str = Field(primary_key=True)
    duty: str
    state: str
    started_at: datetime
    finished_at: datetime
    runs: int = 1
    counts: str = "{}"
    error: str = ""


def fold_idle_run(session: Session, duty: str, at: datetime) -> bool:
    """Count an idle run in the duty's latest row, if that is an idle row under an hour old."""
    latest = (
        select(JobRunRow.id)
        .where(JobRunRow.duty == duty)
        .order_by(col(JobRunRow.started_at).desc())
        .limit(1)
    )
    idle = update(JobRunRow).where(
        col(JobRunRow.id) == latest.scalar_subquery(),
        col(JobRunRow.counts) == "{}",
        col(JobRunRow.state) == "ok",
        col(JobRunRow.started_at) >= at - _FOLDED,
    )
    once_more = idle.values(runs=col(JobRunRow.runs) + 1, finished_at=at)
    return bool(session.connection().execute(once_more).rowcount)


def last_work(session: Session, duty: str) -> datetime | None:
    """When a duty last did something without failing."""
    return session.exec(
        select(JobRunRow.started_at)
        .where(JobRunRow.duty == duty, JobRunRow.state == "ok", JobRunRow.counts != "{}")
        .order_by(col(JobRunRow.id).desc())
        .limit(1)
    ).first()


def list_runs(
    session: Session, duty: str | None = None, *, before: str = "", limit: int = 100
) -> Sequence[JobRunRow]:
    """The latest runs, newest first; those older than the run `before`, if it is given."""
    found = select(JobRunRow).order_by(col(JobRunRow.id).desc()).limit(limit)
    if duty:
        found = found.where(JobRunRow.duty == duty)
    if before:
        found = found.where(JobRunRow.id < before)
    return session.exec(found).all()
