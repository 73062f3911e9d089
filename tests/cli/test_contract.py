"""What every command promises: help, exit codes, data on stdout, text on stderr."""

from collections.abc import Iterator

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tests.cli.command import (
    BAD_DATA,
    FAILURE,
    GOOD,
    NOW,
    OK,
    UNAVAILABLE,
    USAGE,
    Qida,
    lying_still,
)
from worker.cli import app
from worker.cli.output import EXIT_CODES


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group of `qida`, by its words."""
    yield path
    for name, inner in getattr(group, "commands", {}).items():
        yield from commands(inner, (*path, name))


@pytest.mark.parametrize("words", list(commands(get_command(app))), ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"])

    assert shown.exit_code == 0
    assert "Usage:" in shown.output
    assert len(shown.output.splitlines()) > 4


def test_help_lists_commands_and_exit_codes(qida: Qida) -> None:
    done = qida.really("--help")

    assert (done.code, done.err) == (OK, "")
    words = done.out.split()
    promised = ["run", "demo", "tick", "deadlines", "enrol", "cases", "calls", "reminders",
                "rules", "calendar", "templates", "jobs", "migrate"]  # fmt: skip
    assert [word for word in promised if word not in words] == []
    assert EXIT_CODES.split() == words[-len(EXIT_CODES.split()) :]


@pytest.mark.parametrize(
    "words",
    [
        ["rules", "list"],
        ["rules", "show", "national.phone-loss-report"],
        ["calendar", "show"],
        ["calendar", "show", "2026"],
        ["calendar", "check"],
        ["templates", "preview", "--lang", "zh"],
        ["deadlines", "--rule", "national.phone-loss-report", "--starts-at",
         "2026-11-20T16:20:00+08:00"],
        ["cases", "list"],
        ["cases", "show", "A-1"],
        ["reminders", "list"],
        ["calls", "list"],
        ["jobs"],
        ["tick", *NOW],
        ["enrol", "/dev/null", *NOW],
    ],
    ids=lambda words: " ".join(words[:2]),
)  # fmt: skip
def test_json_is_always_an_array_with_nothing_else_on_stdout(
    enrolled: Qida, words: list[str]
) -> None:
    done = enrolled(*words, "--json")

    assert done.code == (BAD_DATA if words[0] == "enrol" else OK)
    assert done.rows or words in (["jobs"], ["calls", "list"])
    assert "Traceback" not in done.err


def test_every_instant_in_json_is_beijing_time(enrolled: Qida) -> None:
    listings = [
        enrolled(*words, "--json").rows
        for words in (["cases", "list"], ["cases", "show", "A-1"], ["reminders", "list"])
    ]

    instants = [value for value in leaves(listings) if "T" in value and value[:2] == "20"]
    assert len(instants) > 20
    assert {value[-6:] for value in instants} == {"+08:00"}


def leaves(value: object) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from leaves(one)
    elif isinstance(value, str):
        yield value


def test_reminders_have_the_fields_others_build_on(enrolled: Qida) -> None:
    rows = enrolled("reminders", "list", "--json").rows

    wanted = {"id", "reference", "rule", "step", "channel", "due_at", "state", "attempts"}
    assert all(wanted <= row.keys() for row in rows)
    assert {row["reference"] for row in rows} == {"A-1", "A-2"}
    assert [row["due_at"] for row in rows] == sorted(row["due_at"] for row in rows)
    assert rows[0]["attempts"] == 0


def test_listings_can_be_narrowed(enrolled: Qida) -> None:
    one = enrolled("reminders", "list", "--case", "A-1", "--state", "planned", "--json").rows

    assert {row["reference"] for row in one} == {"A-1"}
    assert enrolled("cases", "list", "--state", "closed", "--json").rows == []


@pytest.mark.parametrize(
    "words",
    [
        ["nope"],
        ["enrol"],
        ["deadlines"],
        ["cases", "event", "A-1", "--now", "2026-11-23T10:00:00+08:00"],
        ["cases", "list", "--state", "half-open"],
        ["reminders", "list", "--state", "lost"],
        ["calls", "list", "--state", "half-done"],
        ["templates", "preview", "--lang", "fr"],
    ],
    ids=" ".join,
)
def test_a_command_that_makes_no_sense_is_a_usage_error(enrolled: Qida, words: list[str]) -> None:
    done = enrolled(*words)

    assert (done.code, done.out) == (USAGE, "")
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "words",
    [
        ["rules", "show", "nope"],
        ["calendar", "show", "1999"],
        ["cases", "show", "Z-9"],
        ["cases", "list", "--centre", "nowhere"],
        ["reminders", "list", "--centre", "nowhere"],
        ["calls", "list", "--centre", "nowhere"],
        ["calls", "show", "nobody"],
        ["calls", "done", "nobody"],
        ["jobs", "--duty", "foo"],
        ["tick", "--now", "2026-11-23T10:00:00"],
        ["tick", "--now", "9999-12-31T23:30:00+08:00"],
        ["tick", "--now", "9999-12-31T23:00:00Z"],
        ["cases", "event", "A-1", "found", "--at", "9999-12-31T23:00:00Z"],
        ["deadlines", "--rule", "national.phone-loss-report", "--starts-at",
         "9999-12-31T23:00:00Z"],
        ["tick", "--now", "tomorrow"],
        ["deadlines", "--rule", "nope", "--starts-at", "2026-11-20T16:20:00+08:00"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_bad_data_is_told_in_both_languages(enrolled: Qida, words: list[str]) -> None:
    done = enrolled(*words)

    assert (done.code, done.out) == (BAD_DATA, "")
    assert done.is_clear
    assert len(done.err.splitlines()) == 2


def test_an_instant_without_offset_is_shown_as_it_should_be(enrolled: Qida) -> None:
    done = enrolled("tick", "--now", "2026-11-23T10:00:00")

    assert "请写成 2026-11-23T10:00:00+08:00" in done.err
    assert "write 2026-11-23T10:00:00+08:00" in done.err


def test_language_of_messages_can_be_chosen(qida: Qida) -> None:
    chinese, english = (
        qida.where(QIDA_LANG=language)("rules", "show", "nope").err.splitlines()
        for language in ("zh", "en")
    )

    assert chinese == ["没有规则 nope；全部规则见 qida rules list"]
    assert english == ["no rule nope; qida rules list names them all"]


def test_output_that_cannot_be_written_is_told(qida: Qida) -> None:
    to_a_full_disk = qida.behind("sh", "-c", '"$@" > /dev/full', "sh")

    done = to_a_full_disk.really("rules", "list")

    assert done.code == UNAVAILABLE
    assert done.is_clear


def test_a_reader_that_goes_away_ends_the_command_quietly(qida: Qida) -> None:
    read_a_little = qida.behind("sh", "-c", '"$@" | head -1', "sh")

    done = read_a_little.really("calendar", "show", "2026", "--json")

    assert (done.out, done.err) == ("[\n", "")


def test_a_duty_that_failed_fails_the_tick(enrolled: Qida) -> None:
    (enrolled.home / "var" / "inbox").mkdir(exist_ok=True)
    (enrolled.home / "var" / "done").write_text("in the way", "utf-8")
    path = enrolled.roster(GOOD, name="var/inbox/cases.csv")
    lying_still(path)

    done = enrolled("tick", *NOW)

    assert done.code == FAILURE
    assert "inbox" in done.err
    assert path.exists()
