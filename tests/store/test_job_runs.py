"""Idle runs of a duty are folded into one row an hour; what worked or failed keeps its own."""

from datetime import UTC, datetime, timedelta

import pytest

from worker.store.database import Database
from worker.store.job_runs import JobRunRow, fold_idle_run, list_runs

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def run_of(
    database: Database,
    name: str,
    at: datetime,
    *,
    duty: str = "poll",
    state: str = "ok",
    counts: str = "{}",
) -> None:
    run = JobRunRow(id=name, duty=duty, state=state, counts=counts, started_at=at, finished_at=at)
    with database.transaction() as session:
        session.add(run)


def fold(database: Database, minutes: int) -> bool:
    with database.transaction() as session:
        return fold_idle_run(session, "poll", NINE + timedelta(minutes=minutes))


def test_an_idle_run_is_counted_in_the_latest_row_for_an_hour(database: Database) -> None:
    run_of(database, "1", NINE - timedelta(hours=2))
    run_of(database, "2", NINE)

    folded = [fold(database, minutes) for minutes in (1, 60, 61)]

    with database.reading() as session:
        latest, older = list_runs(session, "poll")
    assert folded == [True, True, False]
    assert (latest.runs, latest.finished_at) == (3, NINE + timedelta(hours=1))
    assert older.runs == 1


@pytest.mark.parametrize("latest", [{"counts": '{"asked": 1}'}, {"state": "failed"}])
def test_an_idle_run_after_one_that_worked_or_failed_gets_a_row(
    database: Database, latest: dict[str, str]
) -> None:
    run_of(database, "idle", NINE)
    run_of(database, "latest", NINE + timedelta(minutes=1), **latest)

    assert not fold(database, 2)


def test_an_idle_run_is_not_counted_for_another_duty(database: Database) -> None:
    run_of(database, "idle", NINE, duty="send")

    assert not fold(database, 1)
