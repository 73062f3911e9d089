"""Whatever is handed in over HTTP is read right or refused with its row, and harms nothing."""

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.api.office import Office
from tests.services.desk import Office as Installation
from tests.services.desk import beijing
from worker.api.app import create_app
from worker.api.server import served
from worker.clock import FixedClock
from worker.rosters import neutralised
from worker.runtime import require_knowledge
from worker.services.importing import take_imports
from worker.services.operations import case_listing, find_case
from worker.store.cases import case_files, contact
from worker.store.database import Database
from worker.store.installation import stamp
from worker.store.keys import KeyRing

ROOT = Path(__file__).parents[2]
ENCODINGS = ("utf-8", "utf-8-sig", "gb18030", "utf-16")
ROSTERS = 400
SURNAMES, GIVEN = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗",
    "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超霞𠮷㐂",
)
HEADINGS = (
    ("编号", "业务", "事项", "发生时间", "姓名", "手机"),
    ("reference", "procedure", "event", "occurred_at", "name", "phone"),
)


@pytest.fixture(scope="module")
def knowledge() -> Any:
    """What the shipped files say."""
    return require_knowledge(ROOT)


@pytest.fixture
def office(
    tmp_path: Path, keys: KeyRing, sqlite_database: Database, knowledge: Any
) -> Iterator[Office]:
    """The system of a centre before a served application."""
    installation = Installation(tmp_path, keys, knowledge)
    desk = installation.desk(sqlite_database, FixedClock(beijing("2026-11-20T16:30")))
    with sqlite_database.transaction() as session:
        stamp(session, keys, stamp="test", now=desk.now)
    with served(create_app(lambda: desk.context, desk.clock), "127.0.0.1", 0) as port:
        yield replace(Office(desk, port).holding("demo"), port=port)
    installation.close()


def taken(office: Office, content: bytes, media_type: str = "text/csv") -> Any:
    """What became of a file that was handed in and worked on."""
    answer = office.ask("POST", "/v1/imports", content, **{"Content-Type": media_type})
    assert answer.status in (200, 202), answer.text
    take_imports(office.desk.context, now=office.desk.now)
    return office.get(f"/v1/imports/{answer.body['id']}").body


def generated(rng: Random, number: int) -> tuple[bytes, dict[str, str], list[int]]:
    """A roster in one of four encodings: its bytes, the name of each good case, its bad rows."""
    rows, names, bad = [rng.choice(HEADINGS)], {}, []
    for row in range(2, rng.randint(3, 12)):
        reference = f"R{number}-{row}"
        name = rng.choice(SURNAMES) + "".join(rng.choices(GIVEN, k=rng.randint(1, 2)))
        event, phone = "电话挂失", f"100000000{rng.randint(10, 99)}"
        if rng.random() < 0.2:
            event, phone = rng.choice((("电话挂矢", phone), (event, "12345"), ("", phone)))
            bad.append(row)
        else:
            names[reference] = name
        rows.append((reference, "national", event, "2026-11-20 16:20", name, phone))
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=rng.choice(",;\t")).writerows(rows)
    return text.getvalue().encode(ENCODINGS[number % len(ENCODINGS)]), names, bad


def test_rosters_in_four_encodings_are_read_right_or_refused_with_the_row(office: Office) -> None:
    rng = Random(20261122)  # noqa: S311  # a load, no secret
    expected: dict[str, str] = {}
    for number in range(ROSTERS):
        content, names, bad = generated(rng, number)

        done = taken(office, content)

        unread = [error for error in done["errors"] if error["code"] == "file.two_readings"]
        if unread:  # a few letters that fit two encodings: refused rather than guessed
            assert (done["state"], done["new"]) == ("refused", 0)
            continue
        assert sorted({error["row"] for error in done["errors"]}) == bad, number
        assert done["new"] == len(names)
        expected |= names

    assert names_on_file(office) == expected
    assert len(expected) > ROSTERS * 3


def names_on_file(office: Office) -> dict[str, str]:
    context = office.desk.context
    found = {str(case["reference"]): str(case["id"]) for case in case_listing(context)}
    with context.db.reading() as session:
        files = case_files(session, list(found.values()))
        return {
            reference: contact(context.keys, files[case_id].case, "citizen", "name")
            for reference, case_id in found.items()
        }


HEADING = "编号,业务,事项,发生时间,姓名,手机\n"
GOOD = "G-1,national,电话挂失,2026-11-20 16:20,李四,10000000002\n"


def bomb(parts: Callable[[zipfile.ZipFile], None]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        parts(archive)
    return content.getvalue()


def of_zeros(archive: zipfile.ZipFile) -> None:
    archive.writestr("xl/workbook.xml", "<workbook/>")
    archive.writestr("xl/worksheets/sheet1.xml", b"0" * (60 << 20))


def with_a_far_cell(archive: zipfile.ZipFile) -> None:
    archive.writestr("xl/workbook.xml", "<workbook/>")
    archive.writestr("xl/worksheets/sheet1.xml", '<c r="XFD1048576"><v>1</v></c>')


HOSTILE = {
    "nul": HEADING.encode() + b"A\0,,,,,\n",
    "nul in utf-16": (HEADING + "A-1,,,,张\0三,\n").encode("utf-16"),
    "ten thousand columns": ("编号,事项,发生时间" + ",姓名" * 10_000 + "\n" + GOOD).encode(),
    "ten thousand cells": (HEADING + "A-1" + ",x" * 10_000 + "\n").encode(),
    "an open quote": (HEADING + GOOD + 'A-2,"national,,,,\n' + "x,,,,,\n" * 500).encode(),
    "a line without end": (HEADING + GOOD + "A-2,," + "x" * 2_000_000).encode(),
    "a bomb": bomb(of_zeros),
    "a cell far off": bomb(with_a_far_cell),
    "a broken archive": bomb(of_zeros)[:-40],
    "no text": bytes(range(256)) * 40,
    "nothing": b"",
    "only column names": HEADING.encode(),
    "only a mark": b"\xef\xbb\xbf",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("media_type", ["text/csv", "application/yaml"])
def test_a_hostile_file_is_told_as_such_and_breaks_nothing(
    office: Office, content: bytes, media_type: str
) -> None:
    done = taken(office, content, media_type)

    listed = office.get(f"/v1/imports/{done['id']}/errors.csv")
    assert done["state"] in ("done", "refused")
    assert done["errors"]
    assert all(error["detail_zh"] and error["mend_zh"] for error in done["errors"])
    assert listed.status == 200
    assert taken(office, (HEADING + GOOD.replace("G-1", "Z-1")).encode())["new"] == 1
    assert find_case(office.desk.context, "Z-1")


@pytest.mark.parametrize(
    "payload", ["=1+1", "@SUM(A1)", "+1", "-1", "\t=1", "＝1+1", "＠x", "|'=x"]
)
def test_no_list_of_errors_holds_a_formula(office: Office, payload: str) -> None:
    roster = f'{HEADING}A-1,national,电话挂矢,2026-11-20 16:20,"{payload}",10000000002\n'

    done = taken(office, roster.encode())

    listed = office.get(f"/v1/imports/{done['id']}/errors.csv").text
    rows = list(csv.reader(io.StringIO(listed.removeprefix("\ufeff"))))
    assert rows[1][4] in (neutralised(payload), payload)
    assert all(neutralised(cell) == cell for row in rows for cell in row)
