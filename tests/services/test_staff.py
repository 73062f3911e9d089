"""Staff hear by mail whom to call: in bundles, once a task, and all open ones each morning."""

from datetime import timedelta

import pytest

from tests.services.desk import Desk, Provider
from worker.domain.delivery import Accepted, NotSent, Outcome, Rejected, Uncertain
from worker.services.staff import mail_staff


@pytest.fixture
def called(desk: Desk) -> tuple[Desk, Provider]:
    """Two citizens whose number was refused: two call tasks, opened now."""
    post = Provider(kind="email")
    desk.through(Provider(Rejected("21211")), post)
    desk.enrol("A-1")
    desk.enrol("A-2", phone="10000000033")
    desk.send()
    return desk, post


def mail(desk: Desk) -> dict[str, int]:
    return dict(mail_staff(desk.context, now=desk.now))


def test_new_tasks_wait_ten_minutes_for_others_and_go_in_one_mail(
    called: tuple[Desk, Provider],
) -> None:
    desk, post = called
    mail(desk.at("2026-11-20T16:31"))
    post.handed.clear()  # that morning's list

    desk.enrol("A-3", phone="10000000034")
    desk.send()
    early = mail(desk)
    late = mail(desk.after(minutes=10))

    assert early == {}
    assert late == {"mails": 1, "tasks": 1}
    assert [request.to for request in post.handed] == ["staff@example.com"]


def test_a_task_is_mailed_once_and_again_only_in_the_morning(
    called: tuple[Desk, Provider],
) -> None:
    desk, _ = called

    counts = [mail(desk.after(minutes=11)) for _ in range(3)]
    morning = mail(desk.at("2026-11-21T09:00"))
    after = mail(desk.after(minutes=30))

    assert counts == [{"mails": 1, "tasks": 2}, {}, {}]
    assert morning == {"mails": 1, "tasks": 2}
    assert after == {}


def test_the_mail_names_cases_by_reference_and_nobody(called: tuple[Desk, Provider]) -> None:
    desk, post = called

    mail(desk.after(minutes=11))

    (request,) = post.handed
    assert "A-1" in request.text
    assert "A-2" in request.text
    for private in ("张三", "10000000001", "10000000033"):
        assert private not in request.text + request.subject


def test_a_mail_that_was_not_taken_is_sent_again(called: tuple[Desk, Provider]) -> None:
    desk, _ = called
    post = Provider(NotSent("no route"), Accepted("M1"), kind="email")
    desk.through(post)

    first = mail(desk.after(minutes=11))
    second = mail(desk)

    assert (first, second) == ({"not_sent": 1}, {"mails": 1, "tasks": 2})
    assert len({request.message_id for request in post.handed}) == 1


@pytest.mark.parametrize("outcome", [Uncertain("the line broke"), Rejected("550")])
def test_a_mail_in_doubt_or_refused_is_not_repeated_before_the_morning(
    called: tuple[Desk, Provider], outcome: Outcome
) -> None:
    desk, _ = called
    post = Provider(outcome, kind="email")
    desk.through(post)

    for _ in range(30):
        mail(desk.after(minutes=11))
    by_evening = len(post.handed)
    mail(desk.at("2026-11-21T09:00"))

    assert (by_evening, len(post.handed)) == (1, 2)


def test_without_mail_the_list_stands_by_itself(called: tuple[Desk, Provider]) -> None:
    desk, _ = called
    desk.through(Provider())

    assert mail(desk.after(minutes=11)) == {}
    assert len(desk.reasons()) == 2


def test_what_was_done_is_not_listed_any_more(called: tuple[Desk, Provider]) -> None:
    desk, post = called
    mail(desk.after(minutes=11))
    desk.record("reported_in_writing", "A-1")

    desk.clock.advance(timedelta(hours=17))
    mail(desk)

    assert "A-1" not in post.handed[-1].text
    assert "A-2" in post.handed[-1].text


def test_a_morning_without_calls_is_over_and_the_next_task_waits_for_others(desk: Desk) -> None:
    post = Provider(kind="email")
    desk.through(Provider(Rejected("21211")), post)
    mail(desk)

    desk.enrol("A-1")
    desk.send()
    at_once = mail(desk)

    assert at_once == {}
    assert mail(desk.after(minutes=10)) == {"mails": 1, "tasks": 1}
