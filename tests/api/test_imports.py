"""A whole roster handed in over HTTP: checked whole, applied by the worker, mistakes given back."""

import csv
import io
import json
import logging
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from sqlmodel import select

from tests.api.office import Answer, Office
from worker.services.importing import take_imports
from worker.services.operations import find_case
from worker.services.uploads import MOST_BYTES, MOST_UNFINISHED
from worker.store.database import Database
from worker.store.imports import ImportPartRow

HEADING = "编号,业务,事项,发生时间,姓名,手机"
GOOD = "B-{},national,电话挂失,2026-11-20 16:20,李四,10000000002"
BAD = "B-9,national,电话挂矢,2026-11-20 16:20,李四,10000000002"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
YAML = """
- reference: B-1
  procedure: national
  name: 李四
  phone: 10000000002
  events:
    - {event: 电话挂失, occurred_at: 2026-11-20 16:20}
    - {event: 找回, occurred_at: 2026-11-20 16:25}
"""


def a_roster(*rows: str, heading: str = HEADING) -> bytes:
    return "\n".join([heading, *rows, ""]).encode()


def cases(count: int) -> list[str]:
    return [GOOD.format(number) for number in range(count)]


def hand_in(
    office: Office, content: bytes, media_type: str = "text/csv", query: str = "", **headers: str
) -> Answer:
    said = {"Content-Type": media_type} if media_type else {}
    return office.ask("POST", f"/v1/imports{query}", content, **said | headers)


def work(office: Office) -> None:
    """The worker's turn, which `qida serve` does not take."""
    take_imports(office.desk.context, now=office.desk.now)


def seen(office: Office, handed_in: Answer) -> Any:
    return office.get(f"/v1/imports/{handed_in.body['id']}").body


def references(office: Office) -> list[str]:
    return sorted(case["reference"] for case in office.get("/v1/cases").body["items"])


def test_a_roster_is_checked_at_once_and_applied_by_the_worker(office: Office) -> None:
    taken = hand_in(office, a_roster(*cases(3)))
    before = references(office)
    work(office)

    done = seen(office, taken)
    assert (taken.status, taken.body["state"], taken.body["rows"]) == (202, "queued", 3)
    assert taken.headers["Location"] == f"/v1/imports/{done['id']}"
    assert before == ["A-1"]
    assert (done["state"], done["rows_done"], done["new"]) == ("done", 3, 3)
    assert done["events_recorded"] == 3
    assert done["reminders_planned"] > 0
    assert references(office) == ["A-1", "B-0", "B-1", "B-2"]


def test_a_dry_run_says_the_same_and_changes_nothing(office: Office) -> None:
    roster = a_roster(*cases(3), BAD, "B-10,nowhere,电话挂失,2026-11-20 16:20,李四,10000000002")

    tried = hand_in(office, roster, query="?dry_run=true").body
    work(office)
    left = references(office)
    real = hand_in(office, roster)
    work(office)

    done = seen(office, real)
    told = ("rows", "rows_done", "bad_rows", "new", "events_recorded", "reminders_planned",
            "errors")  # fmt: skip
    assert (tried["state"], tried["dry_run"]) == ("done", True)
    assert {name: tried[name] for name in told} == {name: done[name] for name in told}
    assert done["bad_rows"] == 2
    assert left == ["A-1"]


def test_good_rows_are_applied_and_bad_ones_come_back_with_one_more_column(
    office: Office,
) -> None:
    taken = hand_in(office, a_roster(GOOD.format(1), BAD, "B-3,,电话挂失,2026-11-20,,,"))
    work(office)

    done = seen(office, taken)
    listed = office.get(f"/v1/imports/{done['id']}/errors.csv")
    rows = list(csv.reader(io.StringIO(listed.text.removeprefix("\ufeff"))))
    assert (done["state"], done["new"], done["bad_rows"], done["rows"]) == ("done", 1, 2, 3)
    assert [error["row"] for error in done["errors"]] == [3, 4]
    assert done["errors"][0]["place"] == "import.csv, row 3, column C 事项"
    assert listed.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert listed.text.startswith("\ufeff")
    assert rows[0] == [*HEADING.split(","), "错误原因"]
    assert rows[1] == [*GOOD.format(1).split(","), ""]
    assert rows[2][-1] == "C 事项：没有这种事项；是否想写“电话挂失”？"


def test_the_list_mended_is_handed_in_as_it_is(office: Office) -> None:
    taken = hand_in(office, a_roster(GOOD.format(1), BAD))
    work(office)
    listed = office.get(f"/v1/imports/{taken.body['id']}/errors.csv")

    mended = hand_in(office, listed.text.replace("电话挂矢", "电话挂失").encode())
    work(office)

    done = seen(office, mended)
    assert (done["bad_rows"], done["new"], done["unchanged"]) == (0, 1, 1)


def test_reasons_come_in_english_too(office: Office) -> None:
    taken = hand_in(office, a_roster(BAD))

    listed = office.get(f"/v1/imports/{taken.body['id']}/errors.csv?lang=en")

    assert "C 事项: there is no such event; did you mean 电话挂失?" in listed.text


@pytest.mark.parametrize("kind", ["xlsx", "yaml", "gb18030"])
def test_workbooks_yaml_and_other_encodings_are_taken_too(
    office: Office, tmp_path: Path, kind: str
) -> None:
    if kind == "xlsx":
        with xlsxwriter.Workbook(tmp_path / "x.xlsx") as book:
            sheet = book.add_worksheet("李四")
            for number, row in enumerate([HEADING, GOOD.format(1), BAD]):
                sheet.write_row(number, 0, row.split(","))
        taken = hand_in(office, (tmp_path / "x.xlsx").read_bytes(), XLSX)
    elif kind == "yaml":
        taken = hand_in(office, YAML.encode(), "application/yaml")
    else:
        taken = hand_in(office, a_roster(GOOD.format(1)).decode().encode("gb18030"), "")
    work(office)

    done = seen(office, taken)
    assert (done["state"], done["new"]) == ("done", 1)
    assert done["kind"] == {"gb18030": "csv"}.get(kind, kind)
    assert references(office) == ["A-1", "B-1"]


def test_a_file_that_cannot_be_read_is_refused_with_its_reason(office: Office) -> None:
    taken = hand_in(office, a_roster("x", heading="姓名,手机"))
    work(office)

    assert (taken.status, taken.body["state"]) == (202, "refused")
    assert {error["code"] for error in taken.body["errors"]} == {"columns.missing"}
    assert seen(office, taken)["finished_at"] is not None


def test_a_repeated_file_changes_nothing_and_says_so(office: Office) -> None:
    first = hand_in(office, a_roster(*cases(3)))
    at_once = hand_in(office, a_roster(*cases(3)))
    work(office)

    again = hand_in(office, a_roster(*cases(3)))
    work(office)

    done = seen(office, again)
    assert (at_once.status, at_once.body["id"]) == (200, first.body["id"])
    assert (again.status, again.body["repeats"]) == (202, first.body["id"])
    assert (done["new"], done["unchanged"], done["events_recorded"]) == (0, 3, 0)


def test_the_centre_of_a_row_is_that_of_the_key(office: Office, other: Office) -> None:
    heading = f"网点,{HEADING}"
    rows = [f"demo,{GOOD.format(1)}", f"twin,{GOOD.format(2)}", f",{GOOD.format(3)}"]

    taken = hand_in(other, a_roster(*rows, heading=heading))
    work(other)

    done = seen(other, taken)
    assert [(error["row"], error["code"]) for error in done["errors"]] == [(2, "centre.other")]
    assert references(other) == ["B-2", "B-3"]
    assert references(office) == ["A-1"]


def test_a_file_far_above_the_usual_day_waits_for_an_operator(
    office: Office, anyone: Office, caplog: pytest.LogCaptureFixture
) -> None:
    operator = anyone.holding(None)
    with caplog.at_level(logging.ERROR):
        taken = hand_in(office, a_roster(*cases(1001)))
    work(office)
    before = references(office)

    refused = office.post(f"/v1/imports/{taken.body['id']}/approve", {})
    approved = operator.post(f"/v1/imports/{taken.body['id']}/approve", {})
    work(office)

    done = seen(office, taken)
    (alert,) = [record for record in caplog.records if record.message == "import.held"]
    assert (taken.body["state"], taken.body["held_above"]) == ("held", 1000)
    assert taken.body["nearest_act_by"] == "2026-11-25T17:00:00+08:00"
    assert (alert.act_by, alert.count) == ("2026-11-25T17:00:00+08:00", 1001)  # type: ignore[attr-defined]
    assert before == ["A-1"]
    assert (refused.status, approved.status, approved.body["state"]) == (403, 200, "queued")
    assert (done["state"], done["new"]) == ("done", 1001)


def test_a_usual_day_lets_a_file_of_three_times_its_size_pass(office: Office) -> None:
    for day in range(3):
        office.desk.clock.advance(timedelta(days=1))
        rows = [row.replace("B-", f"D{day}-") for row in cases(400)]
        hand_in(office, a_roster(*rows))
        work(office)
    office.desk.clock.advance(timedelta(days=1))

    passed = hand_in(office, a_roster(*cases(1200)))
    held = hand_in(office, a_roster(*cases(1201)))

    assert (passed.body["state"], held.body["state"]) == ("queued", "held")
    assert held.body["held_above"] == 1200


def test_what_nobody_approves_in_a_week_is_cancelled(office: Office) -> None:
    taken = hand_in(office, a_roster(*cases(1001)))
    office.desk.clock.advance(timedelta(days=7, minutes=1))

    work(office)

    gone = seen(office, taken)
    assert (gone["state"], gone["reason"]) == ("cancelled", "expired")
    assert parts(office) == 0


def test_a_centre_cancels_its_own_import(office: Office) -> None:
    taken = hand_in(office, a_roster(*cases(3)))

    cancelled = office.post(f"/v1/imports/{taken.body['id']}/cancel", {})
    work(office)
    again = office.post(f"/v1/imports/{taken.body['id']}/cancel", {})

    assert (cancelled.status, cancelled.body["state"]) == (200, "cancelled")
    assert again.status == 409
    assert references(office) == ["A-1"]
    assert parts(office) == 0


def parts(office: Office) -> int:
    with office.desk.context.db.reading() as session:
        return len(session.exec(select(ImportPartRow)).all())


def test_a_file_goes_once_it_is_done_and_one_with_mistakes_after_a_week(office: Office) -> None:
    hand_in(office, a_roster(*cases(3)))
    faulty = hand_in(office, a_roster(BAD, GOOD.format(7)))
    work(office)
    kept = parts(office)
    office.desk.clock.advance(timedelta(days=7, minutes=1))
    work(office)

    listed = office.get(f"/v1/imports/{faulty.body['id']}/errors.csv")
    assert kept == 2  # the file, and what is wrong with it
    assert parts(office) == 0
    assert listed.status == 404
    assert seen(office, faulty)["bad_rows"] == 1


def test_nothing_of_a_file_can_be_read_in_the_database(
    office: Office, sqlite_database: Database
) -> None:
    hand_in(office, a_roster("MARK-1,national,电话挂失,2026-11-20 16:20,慕容罕见,10000000061"))

    content = b"".join(path.read_bytes() for path in Path(sqlite_database.place).parent.glob("*"))
    assert b"import.received" in content  # so what is not sealed would be seen
    for word in ("慕容罕见", "10000000061", "MARK-1"):
        assert word.encode() not in content


@pytest.mark.parametrize(
    "media_type", ["application/x-www-form-urlencoded", "multipart/form-data", "application/json"]
)
def test_another_kind_of_body_is_refused_with_how_to_send_a_file(
    office: Office, media_type: str
) -> None:
    refused = hand_in(office, a_roster(*cases(1)), media_type)

    assert (refused.status, refused.body["code"]) == (415, "media_type")
    assert "--data-binary" in refused.body["detail_en"]


def test_a_file_beyond_the_cap_is_refused_before_it_is_sent(office: Office) -> None:
    length = str(MOST_BYTES + 1)

    refused = office.ask("POST", "/v1/imports", None, **{"Content-Length": length})

    assert (refused.status, refused.body["code"]) == (413, "too_large")


def test_a_file_of_unknown_length_is_counted_while_it_comes(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.services.uploads.MOST_BYTES", 3_000_000)
    connection = HTTPConnection("127.0.0.1", office.port, timeout=10)
    connection.putrequest("POST", "/v1/imports")
    connection.putheader("Authorization", f"Bearer {office.key}")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    for _ in range(31):
        connection.send(b"186a0\r\n" + b"x" * 100_000 + b"\r\n")

    answer = connection.getresponse()

    assert (answer.status, json.loads(answer.read())["code"]) == (413, "too_large")
    connection.close()
    assert office.get("/v1/imports").body["items"] == []
    assert parts(office) == 0


def test_a_file_that_breaks_off_leaves_nothing(office: Office) -> None:
    connection = HTTPConnection("127.0.0.1", office.port, timeout=10)
    connection.putrequest("POST", "/v1/imports")
    connection.putheader("Authorization", f"Bearer {office.key}")
    connection.putheader("Content-Length", "3000000")
    connection.endheaders()
    connection.send(b"x" * 2_000_000)
    connection.close()

    while office.get("/v1/imports").body["items"]:  # until the server has noticed
        pass

    assert parts(office) == 0


def test_too_many_unfinished_imports_wait_for_each_other(office: Office) -> None:
    for number in range(MOST_UNFINISHED):
        hand_in(office, a_roster(GOOD.format(number)))

    refused = hand_in(office, a_roster(GOOD.format(99)))
    work(office)

    assert (refused.status, refused.body["code"]) == (409, "imports.many")
    assert hand_in(office, a_roster(GOOD.format(99))).status == 202


def test_an_idempotency_key_holds_for_files(office: Office) -> None:
    key = {"Idempotency-Key": "8e03978e"}
    first = hand_in(office, a_roster(*cases(3)), **key)
    work(office)

    again = hand_in(office, a_roster(*cases(3)), **key)
    other = hand_in(office, a_roster(*cases(4)), **key)

    assert (again.status, again.text) == (first.status, first.text)
    assert (other.status, other.body["code"]) == (422, "idempotency_key.taken")
    assert len(office.get("/v1/imports").body["items"]) == 1
    assert parts(office) == 0


def test_imports_are_listed_newest_first_page_by_page(office: Office) -> None:
    ids = []
    for number in range(3):
        office.desk.clock.advance(timedelta(seconds=1))
        ids.append(hand_in(office, a_roster(GOOD.format(number))).body["id"])

    first = office.get("/v1/imports?limit=2")
    rest = office.get(first.headers["Link"].split(">")[0].strip("<"))

    listed = [item["id"] for item in first.body["items"] + rest.body["items"]]
    assert listed == ids[::-1]
    assert rest.body["next"] is None


def test_an_imported_case_is_the_one_of_its_reference(office: Office) -> None:
    hand_in(office, a_roster("A-1,,书面挂失,2026-11-20 16:25,,", GOOD.format(1)))
    work(office)

    events = office.get("/v1/cases/ref:A-1").body["events"]
    assert [event["event"] for event in events] == ["reported_by_phone", "reported_in_writing"]
    assert find_case(office.desk.context, "B-1", centre_id="demo")
