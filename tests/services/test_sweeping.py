"""Order at the provider: texts it need not keep, and messages that are none of ours."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.services.desk import SECOND, Desk, Provider, beijing, both_engines
from worker.domain.delivery import Accepted, AttemptState, Found, Outcome, Receipt
from worker.services.sweeping import is_sweep_due, redact, sweep
from worker.store.tables import AttemptEventRow

DELIVERED, SENT = AttemptState.DELIVERED, AttemptState.SENT
YESTERDAY = "2026-11-20"
THREE = "2026-11-21T03:00"


class Keeper(Provider):
    """A provider that keeps texts and lists; it forgets as a test wants, in order."""

    def __init__(
        self, *outcomes: Outcome, forgets: Sequence[bool | Exception] = (True,),
        found: Sequence[Found] = (),
    ) -> None:  # fmt: skip
        super().__init__(*outcomes, found=found)
        self.caps = replace(self.caps, can_redact=True, can_list=True)
        self.forgets = [*forgets]
        self.asked: list[str] = []
        self.spans: list[tuple[object, ...]] = []

    def redact(self, provider_id: str) -> bool:
        self.asked.append(provider_id)
        answer = self.forgets.pop(0) if len(self.forgets) > 1 else self.forgets[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def listed(self, *span: object) -> Found:
        self.spans.append(span)
        return super().listed()


def sent_through(desk: Desk, keeper: Provider) -> None:
    desk.enrol()
    desk.through(keeper)
    desk.send()


# Forgetting.


@both_engines
def test_a_text_is_forgotten_once_its_message_is_final(desk: Desk) -> None:
    keeper = Keeper(Accepted("P1"))
    sent_through(desk, keeper)

    before = [redact(desk.context, now=desk.after(minutes=10).now)]
    desk.receive(SENT)
    before += [redact(desk.context, now=desk.after(minutes=10).now)]
    desk.receive(DELIVERED)
    before += [redact(desk.context, now=desk.after(minutes=4).now)]
    counts = redact(desk.context, now=desk.after(minutes=1).now)

    assert before == [{}, {}, {}]
    assert counts == {"redacted": 1}
    assert keeper.asked == ["P1"]


@both_engines
def test_a_late_receipt_does_not_have_it_forgotten_twice(desk: Desk) -> None:
    keeper = Keeper(Accepted("P1"))
    sent_through(desk, keeper)
    desk.receive(AttemptState.UNDELIVERED, code="30005")
    redact(desk.context, now=desk.after(minutes=5).now)

    desk.receive(SENT)
    desk.receive(DELIVERED, source="poll")
    redact(desk.context, now=desk.after(hours=7).now)

    assert desk.attempt.state == "delivered"
    assert keeper.asked == ["P1"]


@both_engines
@pytest.mark.parametrize("refusal", [False, ConnectionResetError("gone")])
def test_a_provider_that_refuses_is_asked_again_six_hours_later(
    desk: Desk, refusal: bool | Exception
) -> None:
    keeper = Keeper(Accepted("P1"), forgets=[refusal, True])
    sent_through(desk, keeper)
    desk.receive(DELIVERED)

    now = desk.after(minutes=5).now
    first = redact(desk.context, now=now)
    early = redact(desk.context, now=now + timedelta(hours=6, seconds=-1))
    again = redact(desk.context, now=now + timedelta(hours=6))

    assert (first, early, again) == ({"refused": 1}, {}, {"redacted": 1})
    assert desk.attempt.redact_at is None


def test_one_that_cannot_be_asked_keeps_nobody_elses_text(desk: Desk) -> None:
    keeper = Keeper(forgets=[ConnectionResetError("gone"), True])
    desk.enrol("A-1")
    desk.enrol("A-2", phone=SECOND)
    desk.through(keeper)
    desk.send()
    for attempt in desk.attempts():
        desk.receive(DELIVERED, ref=attempt.ref, provider_id=attempt.provider_id)

    counts = redact(desk.context, now=desk.after(minutes=5).now)

    assert counts == {"refused": 1, "redacted": 1}


def test_texts_at_a_provider_no_longer_configured_do_not_block_the_others(desk: Desk) -> None:
    sent_through(desk, Keeper(Accepted("P1")))
    desk.receive(DELIVERED)
    desk.through(desk_channel := Provider())
    desk_channel.name = "another"

    now = desk.after(minutes=5).now
    counts = redact(desk.context, now=now)

    assert counts == {"refused": 1}
    assert desk.attempt.redact_at == now + timedelta(hours=6)


def test_a_message_without_an_id_has_nothing_to_forget(desk: Desk) -> None:
    keeper = Keeper(Accepted("P1"))
    sent_through(desk, keeper)
    desk.receive(DELIVERED)
    with desk.context.db.transaction() as session:
        session.merge(desk.attempt).provider_id = None

    redact(desk.context, now=desk.after(minutes=5).now)

    assert (desk.attempt.redact_at, keeper.asked) == (None, [])


# Yesterday's list.


def listed(*provider_ids: str, complete: bool = True) -> Found:
    return Found(complete, tuple(Receipt(one, "delivered", DELIVERED) for one in provider_ids))


def orphans(desk: Desk) -> list[tuple[str, str | None]]:
    with desk.context.db.reading() as session:
        rows = session.exec(select(AttemptEventRow).where(AttemptEventRow.source == "sweep"))
        return [(row.provider_id, row.attempt_id) for row in rows]


def alerts(caplog: pytest.LogCaptureFixture) -> list[tuple[str, object]]:
    return [
        (record.getMessage(), getattr(record, "count", None))
        for record in caplog.records
        if record.levelname in ("ERROR", "WARNING")
    ]


@both_engines
def test_a_message_that_is_none_of_ours_is_kept_and_alerted_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    sent_through(desk, Keeper(Accepted("P1"), found=[listed("P1", "P8", "P9")]))

    counts = sweep(desk.context, now=desk.at(THREE).now)
    again = sweep(desk.context, now=desk.at("2026-11-21T04:00").now)

    assert counts == {"compared": 3, "unknown": 2}
    assert again == {"compared": 3}
    assert sorted(orphans(desk)) == [("P8", None), ("P9", None)]
    assert alerts(caplog) == [("sweep.unknown_messages", 2)]


def test_the_whole_of_yesterday_is_compared_by_beijing_time(desk: Desk) -> None:
    keeper = Keeper(found=[listed()])
    desk.through(keeper)

    sweep(desk.context, now=desk.at(THREE).now)

    assert keeper.spans == [(beijing(f"{YESTERDAY}T00:00"), beijing("2026-11-21T00:00"))]


@both_engines
def test_a_long_list_is_compared_whole(desk: Desk) -> None:
    names = [f"X{number}" for number in range(1201)]
    sent_through(desk, Keeper(Accepted("P1"), found=[listed(*names, "P1")]))

    counts = sweep(desk.context, now=desk.at(THREE).now)

    assert counts == {"compared": 1202, "unknown": 1201}


def test_an_incomplete_list_proves_nothing(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.through(Keeper(found=[listed("P8", complete=False)]))

    counts = sweep(desk.context, now=desk.at(THREE).now)

    assert counts == {"incomplete": 1}
    assert orphans(desk) == []
    assert alerts(caplog) == [("sweep.incomplete", None)]


def test_a_list_that_raises_proves_nothing(desk: Desk) -> None:
    class Broken(Keeper):
        def listed(self, *_: object) -> Found:
            raise ConnectionResetError

    desk.through(Broken())

    counts = sweep(desk.context, now=desk.at(THREE).now)

    assert counts == {"incomplete": 1}


def test_a_channel_without_a_list_is_not_asked(desk: Desk) -> None:
    desk.through(Provider(found=[listed("P8")]))

    assert sweep(desk.context, now=desk.at(THREE).now) == {}


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        (None, "2026-11-21T02:59", False),
        (None, "2026-11-21T03:00", True),
        ("2026-11-20T03:00", "2026-11-21T02:59", False),
        ("2026-11-20T03:00", "2026-11-21T03:00", True),
        ("2026-11-20T23:59", "2026-11-21T03:00", True),
        ("2026-11-21T03:00", "2026-11-21T03:01", False),
        ("2026-11-21T03:00", "2026-11-21T23:59", False),
        ("2026-11-17T03:00", "2026-11-21T15:00", True),
    ],
)
def test_the_list_is_asked_for_once_a_day_from_three_in_the_morning(
    last: str | None, now: str, due: bool
) -> None:
    assert is_sweep_due(beijing(last) if last else None, beijing(now)) is due
