"""Unsubscribing by the link of a mail (RFC 8058)."""

from sqlmodel import select

from tests.api.conftest import Site
from worker.store.tables import OptOutRow


def refusals(site: Site) -> list[tuple[str | None, str]]:
    with site.desk.context.db.reading() as session:
        return [(row.centre_id, row.source) for row in session.exec(select(OptOutRow))]


def test_looking_at_the_link_refuses_nothing(site: Site) -> None:
    status, page = site.ask("GET", f"/u/{site.desk.attempt.ref}")

    assert status == 200
    assert 'method="post"' in page
    assert refusals(site) == []


def test_one_click_refuses_for_that_centre_once(site: Site) -> None:
    body = b"List-Unsubscribe=One-Click"

    answers = [site.ask("POST", f"/u/{site.desk.attempt.ref}", body)[0] for _ in range(3)]

    assert answers == [200] * 3
    assert refusals(site) == [("demo", "link")]


def test_a_link_nobody_was_sent_is_answered_alike_and_refuses_nothing(site: Site) -> None:
    known = site.ask("POST", f"/u/{site.desk.attempt.ref}")
    unknown = site.ask("POST", "/u/" + "f" * 32)

    assert known == unknown
    assert len(refusals(site)) == 1


def test_no_more_is_sent_there_and_the_case_goes_on_by_other_means(site: Site) -> None:
    site.ask("POST", f"/u/{site.desk.attempt.ref}")
    later_step = next(row for row in site.desk.reminders() if row.state == "planned")
    site.desk.clock.advance(later_step.due_at - site.desk.now)

    site.desk.send()

    assert len(site.desk.attempts()) == 1
    assert any("opted_out" in reason for reason in site.desk.reasons())
