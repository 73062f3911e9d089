"""Two at work at once: each meets the other between two of its statements, held there on purpose.

Only PostgreSQL lets two write at a time; SQLite has them queue.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Literal

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from tests.services.desk import APPLIED, NO_RECEIPT, REPORTED, SECOND, Desk, Provider, both_engines
from worker.domain.delivery import Accepted, AttemptState, Found, Rejected
from worker.domain.errors import Unavailable
from worker.domain.limits import IDENTICAL
from worker.domain.pace import LONGEST
from worker.services import sending
from worker.services.context import Senders

on_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
PATIENCE = 20  # seconds, for what happens at once unless something is broken
SLOW = 0.01  # parts a second: a test takes less than the time of one

When = Literal["before_cursor_execute", "after_cursor_execute"]


def on(desk: Desk, when: When, *words: str, then: Callable[[], object]) -> None:
    """Do something whenever a desk's writing connection meets a statement with these words."""

    @event.listens_for(desk.context.db.engine, when)
    def met(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if all(word in statement for word in words):
            then()


def hold(desk: Desk, when: When, *words: str, until: Event) -> Event:
    """Stop a desk once at such a statement until something else has happened.

    Returns what is set when the desk stands there.
    """
    stands = Event()

    def stop() -> None:
        if not stands.is_set():
            stands.set()
            until.wait(PATIENCE)

    on(desk, when, *words, then=stop)
    return stands


def held_by(desk: Desk) -> Event:
    """What is set once this desk has locked a case."""
    is_held = Event()
    on(desk, "after_cursor_execute", 'FROM "case"', " FOR ", then=is_held.set)
    return is_held


def both(*things: Callable[[], object]) -> None:
    """Run things side by side; an error of any is the test's."""
    with ThreadPoolExecutor(len(things)) as pool:
        for done in [pool.submit(thing) for thing in things]:
            done.result(2 * PATIENCE)


def send_beside(desk: Desk, other: Desk, *words: str, when: When) -> None:
    """One worker stops at a statement of its claim until the other has sent all that it can, or
    waits for its turn."""
    came = Event()
    for turn in ("pg_advisory_xact_lock", "BEGIN IMMEDIATE"):
        on(other, "before_cursor_execute", turn, then=came.set)
    stands = hold(desk, when, *words, until=came)

    def send_meanwhile() -> None:
        stands.wait(PATIENCE)
        other.send()
        came.set()

    both(desk.send, send_meanwhile)
    assert stands.is_set()


@on_postgresql
def test_a_claim_and_a_correction_of_one_case_do_not_stop_each_other(
    desk: Desk, other_desk: Desk
) -> None:
    desk.enrol()
    is_held = held_by(other_desk)
    is_claiming = hold(desk, "before_cursor_execute", "INSERT INTO attempt ", until=is_held)

    def correct() -> None:
        is_claiming.wait(PATIENCE)
        other_desk.correct(language="en")

    both(desk.send, correct)

    assert is_claiming.is_set()
    assert is_held.is_set()
    assert desk.reminder().state == "accepted"


@on_postgresql
def test_a_refusal_is_recorded_while_its_case_is_corrected(desk: Desk, other_desk: Desk) -> None:
    desk.enrol()
    desk.through(Provider(Rejected("21211")))
    is_held = held_by(other_desk)
    is_climbing = hold(desk, "before_cursor_execute", "INSERT INTO call_task ", until=is_held)

    def correct() -> None:
        is_climbing.wait(PATIENCE)
        other_desk.correct(language="en")

    both(desk.send, correct)

    assert is_climbing.is_set()
    assert is_held.is_set()
    assert desk.attempt.state == "rejected"
    assert len(desk.reasons()) == 1


@both_engines
def test_two_workers_together_send_one_number_no_more_than_its_cap(
    desk: Desk, other_desk: Desk
) -> None:
    for number in range(2 * IDENTICAL + 2):
        desk.enrol(f"A-{number}")
    for one in (desk, other_desk):
        one.context = replace(one.context, send_batch=IDENTICAL + 1)

    send_beside(desk, other_desk, "INSERT INTO attempt ", when="before_cursor_execute")

    assert len({row.body_hash for row in desk.attempts()}) == 1
    assert len(desk.attempts()) == IDENTICAL


@both_engines
def test_two_workers_together_keep_the_pace_of_their_sender(desk: Desk, other_desk: Desk) -> None:
    for number in range(2 * LONGEST):
        desk.enrol(f"A-{number}", phone=f"100000000{number + 10}")
    for one in (desk, other_desk):
        one.context = replace(one.context, senders=Senders(SLOW), send_batch=LONGEST - 1)

    send_beside(desk, other_desk, "INSERT INTO attempt ", when="before_cursor_execute")

    assert len(desk.attempts()) == LONGEST


@both_engines
def test_a_worker_begun_anew_goes_on_at_the_pace_of_the_one_before(
    desk: Desk, other_desk: Desk
) -> None:
    for number in range(2 * LONGEST):
        desk.enrol(f"A-{number}", phone=f"100000000{number + 10}")
    for one in (desk, other_desk):
        one.context = replace(one.context, senders=Senders(SLOW))

    desk.send()
    other_desk.send()

    assert len(desk.attempts()) == LONGEST


@on_postgresql
def test_two_workers_send_one_case_one_message(desk: Desk, other_desk: Desk) -> None:
    desk.enrol(events=[*REPORTED, *APPLIED])
    for one in (desk, other_desk):
        one.context = replace(one.context, send_batch=1)

    send_beside(desk, other_desk, "LIMIT", "SKIP LOCKED", when="after_cursor_execute")

    assert desk.attempt.state == "accepted"
    assert [row.state for row in desk.reminders() if row.step == "at_once"] == ["accepted"] * 2


def meanwhile(
    desk: Desk, first: Callable[[], object], *words: str, second: Callable[[], object]
) -> None:
    """The first stops at a statement until the second is done, or waits for the first."""
    is_over = Event()
    stands = hold(desk, "before_cursor_execute", *words, until=is_over)

    def do_meanwhile() -> None:
        stands.wait(PATIENCE)
        second()
        is_over.set()

    def watch() -> None:
        stands.wait(PATIENCE)
        while not is_over.is_set():
            if somebody_waits(desk):
                is_over.set()

    both(first, do_meanwhile, watch)
    assert stands.is_set()


def somebody_waits(desk: Desk) -> bool:
    """Whether anyone in this database waits for a lock of another."""
    asked = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with desk.context.db.engine.connect() as connection:
        return bool(connection.execute(asked).scalar_one())


def nobody_confirmed(desk: Desk, *references: str) -> None:
    """On the last afternoon every message has been silent for half an hour."""
    for reference in references:
        desk.enrol(reference, phone=NO_RECEIPT)
    for at in ("2026-11-20T16:30", "2026-11-24T09:00", "2026-11-25T09:00", "2026-11-25T14:00"):
        desk.at(at).send()
    desk.at("2026-11-25T14:31")


@on_postgresql
def test_nobody_is_called_who_comes_while_the_audit_looks(desk: Desk, other_desk: Desk) -> None:
    nobody_confirmed(desk, "A-1")

    meanwhile(
        desk, desk.audit, "INSERT INTO call_task ",
        second=lambda: other_desk.record("reported_in_writing"),
    )  # fmt: skip

    assert desk.deadlines()["lapse"].state == "settled"
    assert desk.reasons() == []


@on_postgresql
def test_two_audits_at_once_call_about_each_lapse_once(desk: Desk, other_desk: Desk) -> None:
    nobody_confirmed(desk, "A-1", "A-2")

    meanwhile(desk, desk.audit, "INSERT INTO call_task ", second=other_desk.audit)

    assert desk.reasons() == ["nobody_reached"] * 2


@on_postgresql
def test_nobody_is_called_who_comes_while_a_failure_is_told(desk: Desk, other_desk: Desk) -> None:
    desk.enrol()
    desk.through(Provider(Accepted("P1")))
    desk.send()
    has_come = Event()
    stands = hold(desk, "after_cursor_execute", "JOIN deadline", until=has_come)

    def come() -> None:
        stands.wait(PATIENCE)
        other_desk.record("reported_in_writing")
        has_come.set()

    both(lambda: desk.receive(AttemptState.UNDELIVERED, code="30005"), come)

    assert stands.is_set()
    assert desk.deadlines()["lapse"].state == "settled"
    assert desk.reasons() == []


class Mail(Provider):
    """A mail server that nobody can ask what became of a letter: silence says it never left."""

    name = "smtp"

    def __init__(self, *, during: Callable[[Provider], object]) -> None:
        super().__init__(kind="email", found=[Found(complete=True)], during=during)
        self.caps = replace(self.caps, finds_after=(timedelta(minutes=15),))


@both_engines
def test_nobody_is_mailed_twice_where_the_database_was_away_when_answers_came(desk: Desk) -> None:
    has_answered, has_failed = Event(), Event()
    provider = Mail(during=lambda _: has_answered.set())
    for number in range(6):
        desk.enrol(f"A-{number}", email=f"c{number}@example.com")
    desk.through(provider)

    @event.listens_for(desk.context.db.engine, "commit")
    def leave(_: object) -> None:
        if has_answered.is_set() and not has_failed.is_set():
            has_failed.set()
            raise OperationalError("COMMIT", {}, ConnectionResetError())

    desk.send()
    desk.after(minutes=3).rescue()
    desk.after(minutes=13).settle()
    desk.after(minutes=1).send()

    assert has_failed.is_set()
    mailed = Counter(request.to for request in provider.handed)
    assert mailed == {f"c{number}@example.com": 1 for number in range(6)}
    assert desk.reasons() == []


@both_engines
def test_nobody_is_mailed_twice_where_the_database_was_away_for_long(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_RECORD_AGAIN", (0.0, 0.0))
    has_answered, is_back = Event(), Event()
    provider = Mail(during=lambda _: has_answered.set())
    for number in range(6):
        desk.enrol(f"A-{number}", email=f"c{number}@example.com")
    desk.through(provider)

    @event.listens_for(desk.context.db.engine, "commit")
    def leave(_: object) -> None:
        if has_answered.is_set() and not is_back.is_set():
            raise OperationalError("COMMIT", {}, ConnectionResetError())

    for _ in range(2):
        with pytest.raises(Unavailable):
            desk.send()
    is_back.set()
    for minutes in (20, 1):
        desk.after(minutes=minutes).rescue()
        desk.settle()
        desk.send()

    mailed = Counter(request.to for request in provider.handed)
    assert mailed == {f"c{number}@example.com": 1 for number in range(6)}
    assert {row.state for row in desk.attempts()} == {"accepted"}


@on_postgresql
def test_outcomes_take_their_rows_in_one_order_as_an_enrolment_does(desk: Desk) -> None:
    """An UPDATE over a list takes rows as they lie in the table; whoever holds the next one in the
    order of ids would wait for us, and we for it."""
    met: list[str] = []
    on(desk, "before_cursor_execute", "FROM reminder", "ORDER BY reminder.id", " FOR NO KEY UPDATE",
       then=lambda: met.append("locked"))  # fmt: skip
    on(desk, "before_cursor_execute", "UPDATE reminder SET", "carried_by IN",
       then=lambda: met.append("changed"))  # fmt: skip
    desk.enrol(phone=SECOND)

    desk.send()

    assert met == ["locked", "changed"]
