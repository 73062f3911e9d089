"""`qida deadlines`: one question or thousands, in words or as data, always the same dates."""

import json
import random
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import BAD_DATA, OK, Qida
from worker.domain.calendar import CHINA, midnight

THREE_DAYS = '{"working_days": 3}'
NATIONAL_DAY = "2026-09-30T16:20:00+08:00"
RULES = [
    "national.phone-loss-report",
    "national.replacement-pickup",
    "chengdu.online-loss-report",
    "hotline-96102.pre-loss-report",
    "hotline-96102.damaged-card-pickup",
    "nanjing-citizen-card.pickup",
    "shanghai.validity",
    "employer.monthly-reimbursement",
]
PERIODS = [
    {"working_days": 3},
    {"days": 10},
    {"days": 10, "roll": "none"},
    {"hours": 72},
    {"hours": 72, "reading": "pause_rest_days"},
    {"years": 10},
    {"monthly_on": 1},
]


def lines(*questions: object) -> str:
    """Questions as JSON lines."""
    return "".join(json.dumps(question) + "\n" for question in questions)


def answers(out: str) -> list[dict[str, Any]]:
    """Answers, one a line."""
    return [json.loads(line) for line in out.splitlines()]


def a_question(**changes: object) -> dict[str, object]:
    return {"id": 1, "starts_at": NATIONAL_DAY, "period": {"working_days": 3}} | changes


def test_one_period_as_data(qida: Qida) -> None:
    done = qida("deadlines", "--period", THREE_DAYS, "--starts-at", NATIONAL_DAY, "--json")

    assert done.rows == [
        {
            "ends_at": "2026-10-11T00:00:00+08:00",
            "last_date": "2026-10-10",
            "earliest_at": "2026-10-11T00:00:00+08:00",
            "latest_at": "2026-10-11T00:00:00+08:00",
            "status": "firm",
            "consulted_to": "2026-10-10",
        }
    ]


def test_one_rule_in_words_names_each_day(qida: Qida) -> None:
    rule = ("--rule", "national.phone-loss-report", "--starts-at", NATIONAL_DAY)

    chinese, english = qida("deadlines", *rule).out, qida("deadlines", *rule, "--lang", "en").out

    assert "2026-10-10 周六  调休上班 国庆节  第3个工作日" in chinese
    assert "2026-10-10" in english
    assert "make-up" in english


@pytest.mark.parametrize(("said", "word"), [("en", "start"), ("zh", "起算"), ("both", "起算")])
def test_words_come_in_the_language_of_the_environment_unless_another_is_asked_for(
    qida: Qida, said: str, word: str
) -> None:
    asked = ("deadlines", "--period", THREE_DAYS, "--starts-at", NATIONAL_DAY)

    told = qida.where(QIDA_LANG=said)(*asked).out
    chosen = qida.where(QIDA_LANG=said)(*asked, "--lang", "en").out

    assert told.startswith(word)
    assert chosen.startswith("start")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--period", THREE_DAYS, "--starts-at", "2026-09-30T16:20:00"], "has no UTC offset"),
        (["--period", THREE_DAYS, "--starts-at", "yesterday"], "cannot read the time"),
        (["--period", THREE_DAYS, "--starts-at", "1999-01-01T00:00:00+08:00"], "calendar (2004"),
        (
            ["--period", '{"hours": 3}', "--starts-at", "9999-12-31T23:00:00+08:00"],
            "calendar (2004",
        ),
        (["--period", '{"working_days": "3"}', "--starts-at", NATIONAL_DAY], "whole number"),
        (["--period", "{", "--starts-at", NATIONAL_DAY], "--period is not JSON"),
        (["--rule", "nope", "--starts-at", NATIONAL_DAY], "qida rules list"),
        (["--rule", "zhuhai.phone-loss-report", "--starts-at", NATIONAL_DAY], "name a bank"),
        (["--batch", "nowhere.jsonl"], "cannot read nowhere.jsonl"),
    ],
)
def test_a_bad_question_gets_one_clear_answer(qida: Qida, asked: list[str], words: str) -> None:
    done = qida("deadlines", *asked)

    assert (done.code, done.out) == (BAD_DATA, "")
    assert words in done.err
    assert done.is_clear


def test_a_batch_answers_in_order_and_bad_lines_stop_nothing(qida: Qida) -> None:
    given = lines(
        a_question(id="a"),
        a_question(id="b", starts_at="2026-09-30T16:20:00"),
        {"id": "c"},
        a_question(id="d", rule="national.phone-loss-report"),
        a_question(id="e", period={"fortnights": 1}),
        [1, 2],
    ) + 'no JSON\n{"id": "f", "rule": "national.replacement-pickup", "starts_at": 7}\n' + lines(
        {"id": "g", "starts_at": NATIONAL_DAY, "rule": "national.replacement-pickup"}
    )  # fmt: skip

    done = qida("deadlines", "--batch", "-", given=given)

    assert done.code == BAD_DATA
    found = answers(done.out)
    assert [one["id"] for one in found] == ["a", "b", "c", "d", "e", None, None, "f", "g"]
    assert ["error" in one for one in found] == [False, *[True] * 7, False]
    assert found[1]["error"].startswith("第 2 行：")
    assert "line 2: 2026-09-30T16:20:00 has no UTC offset" in found[1]["error"]
    assert found[-1]["ready_on"] == "2026-10-28"


def test_an_id_of_any_type_comes_back_as_it_was(qida: Qida) -> None:
    ids: list[object] = [
        None,
        True,
        0,
        -1.5,
        12345678901234567890123,
        "",
        "张三 ✓ 𠮷",
        [1, [None]],
        {"k": {}},
    ]

    done = qida("deadlines", "--batch", "-", given=lines(*(a_question(id=i) for i in ids)))

    assert done.code == OK
    assert [one["id"] for one in answers(done.out)] == ids


@pytest.mark.parametrize(
    "given",
    [
        lines(a_question(), a_question(id=2)).replace("\n", "\r\n").encode(),
        b"\n\n" + lines(a_question()).encode() + b"   \n\t\n" + lines(a_question(id=2)).encode(),
        b"\xef\xbb\xbf" + lines(a_question(), a_question(id=2)).encode().rstrip(),
    ],
    ids=["windows", "blank lines", "byte order mark, no last line end"],
)
def test_line_ends_and_blank_lines_do_not_matter(qida: Qida, given: bytes) -> None:
    done = qida("deadlines", "--batch", "-", given=given)

    assert done.code == OK
    assert [one["id"] for one in answers(done.out)] == [1, 2]


@pytest.mark.parametrize(
    "line",
    [
        b'{"id": "\xff\xfe"}',
        b'{"id": NaN, "starts_at": "2026-09-30T16:20:00+08:00", "period": {"hours": 1}}',
        b'{"id": 1e999, "starts_at": "2026-09-30T16:20:00+08:00", "period": {"hours": 1}}',
        b"[" * 100_000,
        b'{"id": 5, "starts_at": "9999-12-31T23:59:00-08:00", "period": {"hours": 1}}',
        b'{"id": 5, "starts_at": "2026-09-30T16:20:00+08:00", "period": {"years": 1e300}}',
    ],
    ids=["not UTF-8", "NaN", "infinite", "nested", "year 10000", "endless"],
)
def test_a_hostile_line_gets_an_error_and_the_next_its_answer(qida: Qida, line: bytes) -> None:
    done = qida("deadlines", "--batch", "-", given=line + b"\n" + lines(a_question()).encode())

    assert done.code == BAD_DATA
    hostile, next_one = (json.loads(one) for one in done.out.splitlines())
    assert "第 1 行：" in hostile["error"]
    assert next_one["last_date"] == "2026-10-10"
    assert done.err == ""


def test_a_pipe_is_read_like_a_file(qida: Qida, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(lines(a_question()), "utf-8")
    piped = qida.behind("sh", "-c", f'cat {file} | "$@"', "sh")

    done = piped.really("deadlines", "--batch", "-")

    assert (done.code, done.err) == (OK, "")
    assert [one["id"] for one in answers(done.out)] == [1]


def test_half_a_surrogate_pair_is_written_as_json_writes_it(qida: Qida) -> None:
    given = '{"id": "\\ud800", "starts_at": "2026-09-30T16:20:00Z", "period": {"hours": 1}}\n'

    done = qida("deadlines", "--batch", "-", given=given)

    assert done.code == OK
    assert '"id": "\\ud800"' in done.out


def test_words_derivation_and_data_name_the_same_dates(qida: Qida, tmp_path: Path) -> None:
    """A thousand random cases: what people read is what programs get."""
    questions = random_questions(1000)
    file = tmp_path / "questions.jsonl"
    file.write_text(lines(*questions), "utf-8")

    plain = answers(qida("deadlines", "--batch", file).out)
    derived = answers(qida("deadlines", "--batch", file, "--explain", "--json").out)
    chinese = paragraphs(qida("deadlines", "--batch", file, "--explain").out)
    english = paragraphs(qida("deadlines", "--batch", file, "--explain", "--lang", "en").out)

    assert len(plain) == len(derived) == len(chinese) == len(english) == 1000
    for data, derivation, *texts in zip(plain, derived, chinese, english, strict=True):
        assert {key: derivation[key] for key in data} == data
        for text in texts:
            assert_same_dates(data, text)


def random_questions(count: int) -> list[dict[str, object]]:
    """Rules and bare periods from random instants, most of them inside published calendars."""
    seeded = random.Random(20261120)  # noqa: S311 - the same thousand every time
    first = datetime(2015, 1, 1, tzinfo=CHINA)
    questions: list[dict[str, object]] = []
    for number in range(count):
        start = first + timedelta(minutes=seeded.randrange(12 * 365 * 24 * 60))
        kind: dict[str, object] = (
            {"rule": seeded.choice(RULES)} if number % 2 else {"period": seeded.choice(PERIODS)}
        )
        questions.append({"id": number, "starts_at": start.isoformat(), **kind})
    return questions


def paragraphs(out: str) -> list[str]:
    """The derivations of a batch, one a question."""
    return out.removeprefix("# ").rstrip("\n").split("\n\n# ")


def assert_same_dates(data: dict[str, Any], text: str) -> None:
    """The lines for people name exactly the instants of the data."""
    said = {name: spoken(text, words) for name, words in LINES.items()}
    expected = {
        "ends_at": datetime.fromisoformat(data["ends_at"]),
        "act_by": data.get("act_by") and datetime.fromisoformat(data["act_by"]),
        "ready_on": data.get("ready_on") and midnight(date.fromisoformat(data["ready_on"])),
    }
    assert said == expected, (data, text)


LINES = {"ends_at": "(?:截止|end )", "act_by": "(?:办理|act by)", "ready_on": "(?:可领|ready on)"}


def spoken(text: str, begins: str) -> datetime | None:
    """The instant on the line that begins so; 24:00 is the next day's midnight."""
    found = re.search(
        rf"^{begins}.*?(\d{{4}}-\d\d-\d\d) \S+(?: (\d\d):(\d\d))?", text, re.MULTILINE
    )
    if found is None:
        return None
    on, hour, minute = found.groups("0")
    return midnight(date.fromisoformat(on)) + timedelta(hours=int(hour), minutes=int(minute))


def test_thirty_thousand_lines_are_answered(qida: Qida, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(lines(*random_questions(1000)) * 30, "utf-8")

    done = qida("deadlines", "--batch", file)

    assert done.code == OK
    found = done.out.splitlines()
    assert len(found) == 30_000
    assert found[:1000] == found[-1000:]
