"""Reports in a Maildir settle e-mails, and refusals by mail are heard."""

import os
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlmodel import select

from tests.services.desk import Desk, Provider, both_engines
from worker.domain.delivery import Accepted
from worker.services.bouncing import take_bounces
from worker.store.tables import OptOutRow

REPORT = """From: mailer@mx.example.com
To: qida@example.com
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It was not delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
Original-Envelope-Id: {ref}

Final-Recipient: rfc822; a1@example.com
Action: {action}
Status: 5.1.1

--b--
"""


class Smtp(Provider):
    name = "smtp"


@pytest.fixture
def mailed(desk: Desk) -> Desk:
    """A mail that the relay took, four hours ago."""
    desk.enrol(email="a1@example.com")
    desk.through(Smtp(Accepted("Q1"), kind="email"))
    desk.send()
    desk.clock.advance(timedelta(hours=4))
    return desk


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / "mail" / name).mkdir(parents=True)
    return tmp_path / "mail"


def arrived(maildir: Path, content: str, name: str = "1") -> Path:
    path = maildir / "new" / name
    path.write_text(content, "utf-8")
    return path


def test_a_late_report_turns_no_bounce_into_undelivered(mailed: Desk, maildir: Path) -> None:
    arrived(maildir, REPORT.format(ref=mailed.attempt.ref, action="failed"))

    counts = take_bounces(mailed.context, maildir, now=mailed.now)

    assert counts == {"undelivered": 1, "read": 1}
    assert mailed.attempt.code == "5.1.1"
    assert mailed.reasons() != []


def test_a_report_is_deleted_once_recorded_for_it_names_an_address(
    mailed: Desk, maildir: Path
) -> None:
    arrived(maildir, REPORT.format(ref=mailed.attempt.ref, action="failed"))

    take_bounces(mailed.context, maildir, now=mailed.now)

    assert [path for path in maildir.rglob("*") if path.is_file()] == []


def one_before_a_sound_one(mailed: Desk, maildir: Path, action: str) -> None:
    """A report on nobody's message, and after it one on ours."""
    strange = REPORT.format(ref="nobodys", action=action)
    sound = REPORT.format(ref=mailed.attempt.ref, action="failed")
    for name, content, at in (("1", strange, 1), ("2", sound, 2)):
        os.utime(arrived(maildir, content, name), (mailed.now.timestamp() + at,) * 2)


@both_engines
def test_a_word_no_database_can_keep_stops_no_other_report(mailed: Desk, maildir: Path) -> None:
    one_before_a_sound_one(mailed, maildir, action="fai\0led")

    counts = take_bounces(mailed.context, maildir, now=mailed.now)

    assert counts == {"unknown": 1, "undelivered": 1, "read": 2}
    assert mailed.attempt.state == "undelivered"


def test_a_report_that_cannot_be_recorded_is_put_by_and_stops_no_other(
    mailed: Desk, maildir: Path
) -> None:
    one_before_a_sound_one(mailed, maildir, action="relayed")
    with mailed.context.db.transaction() as session:
        session.connection().exec_driver_sql(
            "CREATE TRIGGER broken BEFORE INSERT ON attempt_event WHEN NEW.status = 'relayed' "
            "BEGIN SELECT RAISE(ABORT, 'broken'); END"
        )

    counts = take_bounces(mailed.context, maildir, now=mailed.now)
    again = take_bounces(mailed.context, maildir, now=mailed.now)

    assert counts == {"not_taken": 1, "undelivered": 1, "read": 1}
    assert again == {}
    assert [path.parent.name for path in maildir.rglob("*") if path.is_file()] == ["cur"]


def test_a_mail_that_unsubscribes_refuses_this_centre_only(mailed: Desk, maildir: Path) -> None:
    said = EmailMessage()
    said["From"] = "a1@example.com"
    said["Subject"] = f"unsubscribe {mailed.attempt.ref}"
    arrived(maildir, said.as_string())

    take_bounces(mailed.context, maildir, now=mailed.now)

    with mailed.context.db.reading() as session:
        assert [row.centre_id for row in session.exec(select(OptOutRow))] == ["demo"]
    assert mailed.attempt.state == "accepted"


def test_no_folder_means_no_work(mailed: Desk) -> None:
    assert take_bounces(mailed.context, None, now=mailed.now) == {}
