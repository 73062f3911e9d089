"""The sandbox: it stores before it answers, as a provider does, and its ledger names nobody."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from worker.channels.sandbox import OUTCOMES, Sandbox
from worker.domain.delivery import (
    Accepted,
    AttemptState,
    ChannelKind,
    Prepared,
    Rejected,
    SendRequest,
    Uncertain,
    Unsendable,
)
from worker.domain.errors import Unavailable

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
ADDRESS, TEXT = "10000000001", "【示例社保】测试"

Open = Callable[..., Sandbox]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "var" / "sandbox.jsonl"


@pytest.fixture
def sandbox(ledger: Path) -> Iterator[Open]:
    """Open a sandbox; several over one ledger are several workers."""
    opened: list[Sandbox] = []

    def open_one(kind: ChannelKind = "sms") -> Sandbox:
        opened.append(Sandbox(kind, ledger))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def prepared(to: str = ADDRESS, text: str = TEXT) -> Prepared:
    return Prepared(SendRequest(to=to, text=text))


def entries(ledger: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in ledger.read_text("utf-8").splitlines()[1:]]


@pytest.mark.parametrize(
    ("address", "answer", "later"),
    [
        ("10000000001", Accepted, AttemptState.DELIVERED),
        ("10000000002", Accepted, AttemptState.UNDELIVERED),
        ("10000000004", Accepted, AttemptState.SENT),
        ("10000000005", Uncertain, AttemptState.DELIVERED),
        ("10000000006", Accepted, AttemptState.DELIVERED),
        ("10000000099", Accepted, AttemptState.DELIVERED),
    ],
)
def test_a_number_decides_the_answer_and_what_a_poll_says_later(
    sandbox: Open, ledger: Path, address: str, answer: type, later: AttemptState
) -> None:
    channel = sandbox()

    outcome = channel.submit(prepared(address), "ref", now=NOW)
    receipt = channel.poll(entries(ledger)[0]["id"], now=NOW)

    assert isinstance(outcome, answer)
    assert receipt is not None
    assert receipt.state is later


def test_a_rejected_number_leaves_nothing_in_the_ledger(sandbox: Open, ledger: Path) -> None:
    outcome = sandbox().submit(prepared("10000000003"), "ref", now=NOW)

    assert outcome == Rejected("sandbox-rejected")
    assert entries(ledger) == []


def test_only_the_documented_numbers_are_special() -> None:
    assert OUTCOMES == {
        "10000000001": "delivered",
        "10000000002": "undelivered",
        "10000000003": "rejected",
        "10000000004": "no_receipt",
        "10000000005": "answer_lost",
    }


@pytest.mark.parametrize(
    ("address", "answer", "later"),
    [
        ("someone@example.com", Accepted, AttemptState.SENT),
        ("undelivered@example.com", Accepted, AttemptState.UNDELIVERED),
        ("answer_lost@example.com", Uncertain, AttemptState.DELIVERED),
    ],
)
def test_a_mail_is_sent_and_no_more_unless_its_address_says_so(
    sandbox: Open, ledger: Path, address: str, answer: type, later: AttemptState
) -> None:
    channel = sandbox("email")

    outcome = channel.submit(prepared(address), "ref", now=NOW)
    receipt = channel.poll(entries(ledger)[0]["id"], now=NOW)

    assert isinstance(outcome, answer)
    assert receipt is not None
    assert receipt.state is later


def test_the_message_is_in_the_file_when_the_answer_comes(sandbox: Open, ledger: Path) -> None:
    outcome = sandbox().submit(prepared(), "ref-1", now=NOW)

    (entry,) = entries(ledger)
    assert isinstance(outcome, Accepted)
    assert (entry["id"], entry["ref"], entry["kind"]) == (outcome.provider_id, "ref-1", "sms")
    assert entry["at"] == NOW.isoformat()


def test_the_ledger_names_nobody(sandbox: Open, ledger: Path) -> None:
    sandbox().submit(prepared(), "ref", now=NOW)

    written = ledger.read_text("utf-8")
    assert ADDRESS not in written
    assert TEXT not in written
    assert json.dumps(TEXT)[1:-1] not in written
    assert ledger.stat().st_mode & 0o077 == 0


def test_a_lost_message_is_found_by_address_and_text(sandbox: Open, ledger: Path) -> None:
    channel = sandbox()
    channel.submit(prepared("10000000005"), "ref", now=NOW)

    found = channel.find(prepared("10000000005"), "ref", since=NOW, now=NOW)

    assert found.complete
    assert [hit.provider_id for hit in found.hits] == [entries(ledger)[0]["id"]]
    assert found.hits[0].created_at == NOW


@pytest.mark.parametrize(
    ("to", "text", "since"),
    [
        ("10000000006", TEXT, NOW),
        ("10000000005", "【示例社保】别的", NOW),
        ("10000000005", TEXT, NOW + timedelta(seconds=1)),
    ],
)
def test_another_message_is_not_taken_for_it(
    sandbox: Open, to: str, text: str, since: datetime
) -> None:
    channel = sandbox()
    channel.submit(prepared("10000000005"), "ref", now=NOW)

    found = channel.find(prepared(to, text), "ref", since=since, now=NOW)

    assert (found.complete, found.hits) == (True, ())


def test_a_message_nobody_sent_is_known_to_nobody(sandbox: Open) -> None:
    assert sandbox().poll("SBnothing", now=NOW) is None


def test_text_messages_and_mail_share_a_ledger_and_are_told_apart(
    sandbox: Open, ledger: Path
) -> None:
    sms, email = sandbox("sms"), sandbox("email")
    sms.submit(prepared(), "ref", now=NOW)

    assert email.poll(entries(ledger)[0]["id"], now=NOW) is None
    assert email.find(prepared(), "ref", since=NOW, now=NOW).hits == ()


def test_another_worker_sees_what_this_one_sent(sandbox: Open) -> None:
    one, another = sandbox(), sandbox()
    another.find(prepared(), "ref", since=NOW, now=NOW)

    outcome = one.submit(prepared(), "ref", now=NOW)

    assert isinstance(outcome, Accepted)
    assert another.poll(outcome.provider_id, now=NOW) is not None
    assert len(another.find(prepared(), "ref", since=NOW, now=NOW).hits) == 1


def test_a_restarted_sandbox_remembers(sandbox: Open) -> None:
    outcome = sandbox().submit(prepared(), "ref", now=NOW)

    assert isinstance(outcome, Accepted)
    assert sandbox().poll(outcome.provider_id, now=NOW) is not None


def test_messages_sent_at_once_keep_their_lines_apart(sandbox: Open, ledger: Path) -> None:
    workers = [sandbox(), sandbox()]

    def submit(number: int) -> None:
        workers[number % 2].submit(prepared(), f"ref-{number}", now=NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(submit, range(200)))

    assert {entry["ref"] for entry in entries(ledger)} == {f"ref-{n}" for n in range(200)}


def test_a_line_cut_off_by_a_power_cut_is_passed_over_until_it_is_whole(
    sandbox: Open, ledger: Path
) -> None:
    sandbox().submit(prepared(), "ref", now=NOW)
    whole = ledger.read_bytes()
    ledger.write_bytes(whole[:-10])
    reader = sandbox()

    cut = reader.find(prepared(), "ref", since=NOW, now=NOW)
    ledger.write_bytes(whole)
    found = reader.find(prepared(), "ref", since=NOW, now=NOW)

    assert cut.hits == ()
    assert len(found.hits) == 1


def test_an_empty_address_is_refused_before_anything_is_sent(sandbox: Open) -> None:
    with pytest.raises(Unsendable) as refused:
        sandbox().prepare(SendRequest(to="", text=TEXT))

    assert refused.value.code == "no_address"


def test_the_parts_of_a_text_message_are_counted(sandbox: Open) -> None:
    one, two = "测" * 70, "测" * 71

    assert sandbox().prepare(SendRequest(to=ADDRESS, text=one)).parts == 1
    assert sandbox().prepare(SendRequest(to=ADDRESS, text=two)).parts == 2
    assert sandbox("email").prepare(SendRequest(to=ADDRESS, text=two)).parts == 1


def test_a_ledger_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "var"
    in_the_way.write_text("a file, not a folder")

    with pytest.raises(Unavailable) as refused:
        Sandbox("sms", in_the_way / "sandbox.jsonl")

    assert str(in_the_way / "sandbox.jsonl") in refused.value.text.en


def test_a_full_disk_spoils_no_line_of_the_ledger(
    sandbox: Open, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = sandbox()
    one.submit(prepared(), "r1", now=NOW)
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, line: write(file, line[:40]))
        with pytest.raises(OSError, match="No space left"):
            one.submit(prepared(), "r2", now=NOW)

    said = one.submit(prepared(), "r3", now=NOW)

    assert isinstance(said, Accepted)
    assert one.poll(said.provider_id, now=NOW) is not None
    assert [entry["ref"] for entry in entries(ledger)] == ["r1", "r3"]
