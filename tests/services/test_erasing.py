"""A citizen may have everything erased, or handed out; nothing of them is left in any file."""

import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from tests.services.desk import DELIVERED, SECOND, Desk, Provider, both_engines
from worker.domain.delivery import AttemptState, Uncertain
from worker.services.erasing import Erased, erase_case, export_case
from worker.services.operations import find_case
from worker.services.opt_outs import opt_out_at_counter, opt_out_by_link
from worker.store.tables import AttemptRow, CaseRow, OptOutRow

NAME, MAIL = "欧阳罕见", "rare.person@example.com"
PLANTED: dict[str, Any] = {
    "name": NAME, "phone": DELIVERED, "email": MAIL, "second_phone": SECOND,
}  # fmt: skip


def erase(desk: Desk, reference: str = "A-1") -> Erased:
    case_id = find_case(desk.context, reference)
    return erase_case(desk.context, case_id, actor="cli", now=desk.now)


def export(desk: Desk) -> str:
    case_id = find_case(desk.context, "A-1")
    return json.dumps(
        export_case(desk.context, case_id, actor="cli", now=desk.now), ensure_ascii=False
    )


def put(desk: Desk, place: str, content: str | bytes) -> Path:
    path = desk.context.home / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@both_engines
def test_nothing_of_the_person_is_left_and_nothing_more_is_sent(desk: Desk) -> None:
    desk.enrol(**PLANTED)
    desk.send()
    planned = [row for row in desk.reminders() if row.state == "planned"]

    erased = erase(desk)

    assert erased.cancelled == len(planned) > 0
    assert not any(word in export(desk) for word in PLANTED.values())
    assert desk.at("2026-11-25T14:00").send() == {}
    assert "planned" not in desk.states().values()
    assert desk.audited("case.erased") == [
        {"why": "request", "reminders_cancelled": len(planned), "files": 0}
    ]


def test_the_sealed_values_are_in_no_file_any_more(desk: Desk, tmp_path: Path) -> None:
    desk.enrol(**PLANTED)
    desk.send()
    sealed = sealed_values(desk)
    before = on_disk(tmp_path)

    erased = erase(desk)

    assert len(sealed) == 6
    assert all(value in before for value in sealed)
    assert erased.scrubbed
    assert not any(value in on_disk(tmp_path) for value in sealed)


def sealed_values(desk: Desk) -> list[bytes]:
    with desk.context.db.reading() as session:
        case, attempt = session.exec(select(CaseRow)).one(), session.exec(select(AttemptRow)).one()
    found = (case.name_sealed, case.phone_sealed, case.email_sealed, case.second_phone_sealed,
             attempt.address_sealed, attempt.body_sealed)  # fmt: skip
    return [one for one in found if one]


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_reader_in_the_way_is_said(desk: Desk, tmp_path: Path) -> None:
    desk.enrol(**PLANTED)
    with closing(sqlite3.connect(tmp_path / "qida.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute('SELECT count(*) FROM "case"').fetchone()

        erased = erase(desk)

    assert not erased.scrubbed


@pytest.mark.parametrize(
    ("encoding", "written", "folder"),
    [
        ("utf-8", NAME, "done"),
        ("gb18030", NAME, "errors"),
        ("utf-16", MAIL, "done"),
        ("utf-8", "100 0000 0001", "errors"),
        ("gb18030", "１０００００００００１", "done"),  # as some type numbers
    ],
)
def test_copies_of_rosters_that_name_the_person_go(
    desk: Desk, encoding: str, written: str, folder: str
) -> None:
    desk.enrol(**PLANTED)
    content = f"编号,姓名,手机\nA-1,某,{written}\n".encode(encoding)
    named = put(desk, f"var/{folder}/20261120T163000-cases.csv", content)
    other = put(desk, f"var/{folder}/other.csv", "编号,姓名\nA-2,张三\n")

    erased = erase(desk)

    assert erased.files == 1
    assert not named.exists()
    assert other.exists()


def test_a_workbook_that_names_the_person_goes(desk: Desk) -> None:
    desk.enrol(**PLANTED)
    path = put(desk, "var/done/cases.xlsx", b"")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", f"<si><t>{NAME}</t></si>")

    erased = erase(desk)

    assert (erased.files, path.exists()) == (1, False)


def test_files_people_keep_themselves_are_named_and_left(desk: Desk) -> None:
    desk.enrol(**PLANTED)
    own = put(desk, "config/cases/ours.csv", f"A-1,{NAME}")

    erased = erase(desk)

    assert erased.left == (own,)
    assert own.exists()


def test_erasing_twice_changes_nothing_more(desk: Desk) -> None:
    desk.enrol(**PLANTED)
    erase(desk)
    rows = desk.reminders()

    again = erase(desk)

    assert (again.cancelled, again.files) == (0, 0)
    assert desk.reminders() == rows


def test_a_refusal_outlives_the_case(desk: Desk) -> None:
    desk.enrol(**PLANTED)
    case_id = find_case(desk.context, "A-1")
    opt_out_at_counter(desk.context, case_id, "sms", undo=False, actor="cli", now=desk.now)

    erase(desk)

    desk.enrol("A-2", phone=DELIVERED)
    desk.send()
    assert desk.attempts() == []
    assert desk.reasons() == ["not_reached:opted_out"]


def test_a_link_of_an_erased_message_records_nobody(desk: Desk) -> None:
    desk.enrol(**PLANTED)
    desk.send()
    erase(desk)

    known = opt_out_by_link(desk.context, desk.attempt.ref, now=desk.now)

    assert not known
    with desk.context.db.reading() as session:
        assert session.exec(select(OptOutRow)).all() == []


def test_a_receipt_that_comes_later_is_still_taken(desk: Desk) -> None:
    desk.enrol(**PLANTED)
    desk.send()
    erase(desk)

    state = desk.receive(AttemptState.DELIVERED, provider_id=desk.attempt.provider_id)

    assert state == "delivered"
    assert desk.reminder().state == "delivered"


def test_an_answer_in_doubt_is_never_sent_again(desk: Desk) -> None:
    provider = Provider(Uncertain("cut off"))
    desk.through(provider)
    desk.enrol(**PLANTED)
    desk.send()
    erase(desk)

    for _ in range(6):
        desk.after(hours=13).settle()
        desk.send()

    assert len(provider.handed) == 1
    assert desk.attempt.state == AttemptState.UNCONFIRMED
    assert desk.reasons() == []


def test_an_erased_case_stays_so_when_everything_is_worked_out_anew(desk: Desk) -> None:
    desk.enrol(**PLANTED)
    erase(desk)

    desk.after(days=1).record("cancelled")
    desk.recalculate()
    desk.audit()

    assert {row.state for row in desk.deadlines().values()} == {"cancelled"}
    assert desk.reasons() == []


def test_an_export_holds_everything_and_is_audited(desk: Desk) -> None:
    desk.enrol(**PLANTED)
    desk.send()

    said = export(desk)

    assert all(word in said for word in PLANTED.values())
    assert "挂失" in said
    assert '"delivered_at"' in said
    assert len(desk.audited("case.exported")) == 1
