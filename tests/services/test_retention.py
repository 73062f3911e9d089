"""What is personal leaves by itself when its purpose is over; what proves a reminder stays."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from tests.services.desk import (
    DELIVERED,
    NO_RECEIPT,
    REJECTED,
    SECOND,
    UNDELIVERED,
    Desk,
    Provider,
    both_engines,
)
from worker.domain.centres import Retention
from worker.domain.delivery import AttemptState, Rejected
from worker.services.erasing import open_of
from worker.services.retention import retain
from worker.store.tables import (
    AttemptEventRow,
    AttemptRow,
    AuditEntryRow,
    CaseEventRow,
    CaseRow,
    DeadlineRow,
    ReminderRow,
)


def case_of(desk: Desk, reference: str = "A-1") -> CaseRow:
    with desk.context.db.reading() as session:
        return session.exec(select(CaseRow).where(CaseRow.reference == reference)).one()


def rows(desk: Desk, table: Any) -> int:
    with desk.context.db.reading() as session:
        return len(session.exec(select(table)).all())


def kept(desk: Desk, attempt: AttemptRow) -> tuple[str, str]:
    """Address and text of an attempt, as far as they are still here."""
    context = desk.context
    return open_of(context, attempt, "address_sealed"), open_of(context, attempt, "body_sealed")


def ended(desk: Desk, **cells: Any) -> Desk:
    """A case whose reminder was delivered and which its settling event then ended."""
    desk.enrol(**cells)
    desk.send()
    desk.after(minutes=6).poll()
    desk.record("cancelled")
    return desk


@both_engines
def test_text_and_address_go_as_soon_as_a_message_is_final(desk: Desk) -> None:
    desk.enrol(phone=DELIVERED)
    desk.send()
    retain(desk.context, now=desk.now)
    before = kept(desk, desk.attempt)

    desk.after(minutes=6).poll()
    counts = retain(desk.context, now=desk.now)

    assert desk.attempt.state == AttemptState.DELIVERED
    assert before[0] == DELIVERED
    assert "挂失" in before[1]
    assert kept(desk, desk.attempt) == ("", "")
    assert counts["messages"] == 1
    assert desk.attempt.body_hash


def test_a_text_stays_until_its_provider_forgot_it(desk: Desk) -> None:
    desk.enrol()
    desk.send()
    desk.after(minutes=6).poll()
    with desk.context.db.transaction() as session:
        session.get_one(AttemptRow, desk.attempt.id).redact_at = desk.now

    retain(desk.context, now=desk.now)

    assert kept(desk, desk.attempt)[0] == DELIVERED


@pytest.mark.parametrize("phone", [REJECTED, UNDELIVERED])
def test_a_message_that_failed_is_forgotten_too(desk: Desk, phone: str) -> None:
    desk.enrol(phone=phone)
    desk.send()
    desk.after(minutes=6).poll()

    retain(desk.context, now=desk.now)

    assert kept(desk, desk.attempts()[0]) == ("", "")


def test_a_message_without_a_receipt_is_kept_while_it_may_be_asked_about(desk: Desk) -> None:
    desk.enrol(phone=NO_RECEIPT)
    desk.send()
    desk.after(minutes=6).poll()

    retain(desk.context, now=desk.now)

    assert kept(desk, desk.attempt)[0] == NO_RECEIPT


@both_engines
def test_a_contact_goes_thirty_days_after_its_case_ended(desk: Desk) -> None:
    ended(desk, phone=DELIVERED, email="a@example.com", second_phone=SECOND, card_last4="8642")
    retain(desk.after(days=29).context, now=desk.now)
    before = case_of(desk)

    counts = retain(desk.after(days=2).context, now=desk.now)

    assert before.phone_sealed is not None
    after = case_of(desk)
    assert counts["contacts"] == 1
    sealed = (after.name_sealed, after.phone_sealed, after.email_sealed, after.second_phone_sealed)
    indexes = (after.phone_index, after.email_index, after.second_phone_index)
    assert (*sealed, *indexes) == (None,) * 7
    assert after.card_last4 == ""
    assert desk.audited("contact.erased") == [{"why": "retention"}]


def test_what_proves_the_reminder_stays_without_identity(desk: Desk) -> None:
    ended(desk)

    retain(desk.after(days=31).context, now=desk.now)

    assert desk.attempt.state == AttemptState.DELIVERED
    assert desk.attempt.provider_id
    assert ("poll", "delivered") in desk.seen()
    assert desk.deadlines()["lapse"].ends_at is not None


def test_a_case_that_still_runs_keeps_its_contact(desk: Desk) -> None:
    desk.enrol()
    with desk.context.db.transaction() as session:
        session.get_one(DeadlineRow, desk.deadlines()["lapse"].id).latest_at = desk.now + timedelta(
            days=400
        )
    with desk.context.db.transaction() as session:
        for row in session.exec(select(ReminderRow)):
            row.state = "cancelled"

    counts = retain(desk.after(days=365).context, now=desk.now)

    assert counts["contacts"] == 0
    assert case_of(desk).phone_sealed is not None


def test_a_case_with_an_open_call_task_keeps_whom_to_call(desk: Desk) -> None:
    desk.through(Provider(Rejected("21211")))
    desk.enrol()
    desk.send()
    assert desk.reasons()

    counts = retain(desk.after(days=365).context, now=desk.now)

    assert counts["contacts"] == 0
    assert case_of(desk).phone_sealed is not None


def test_erasing_again_finds_nothing(desk: Desk) -> None:
    ended(desk)
    retain(desk.after(days=31).context, now=desk.now)

    counts = retain(desk.context, now=desk.now)

    assert counts == {}
    assert len(desk.audited("contact.erased")) == 1


def test_more_cases_than_one_batch_are_all_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.services.retention._BATCH", 2)
    for number in range(5):
        desk.enrol(f"A-{number}")
        desk.record("cancelled", f"A-{number}")

    counts = retain(desk.after(days=31).context, now=desk.now)

    assert counts["contacts"] == 5


def test_a_centre_sets_its_own_periods(desk: Desk) -> None:
    ended(desk)
    own = {
        name: replace(centre, retention=Retention(contact=timedelta(days=90)))
        for name, centre in desk.context.centres.items()
    }
    desk.context = replace(desk.context, centres=own)

    early = retain(desk.after(days=89).context, now=desk.now)
    late = retain(desk.after(days=2).context, now=desk.now)

    assert (early["contacts"], late["contacts"]) == (0, 1)


@both_engines
def test_after_two_years_the_proof_goes_and_the_trail_stays(desk: Desk) -> None:
    ended(desk)
    retain(desk.after(days=31).context, now=desk.now)

    counts = retain(desk.after(days=700).context, now=desk.now)

    assert counts["cases"] == 1
    tables = (CaseRow, CaseEventRow, DeadlineRow, ReminderRow, AttemptRow, AttemptEventRow)
    assert [rows(desk, table) for table in tables] == [0] * 6
    assert rows(desk, AuditEntryRow) > 0


def test_what_people_wrote_freely_goes_with_the_contact(desk: Desk) -> None:
    ended(desk)
    with desk.context.db.transaction() as session:
        event = session.exec(select(CaseEventRow)).first()
        assert event is not None
        event.void_reason = "张三打过电话"

    retain(desk.after(days=31).context, now=desk.now)

    with desk.context.db.reading() as session:
        assert {row.void_reason for row in session.exec(select(CaseEventRow))} == {""}
