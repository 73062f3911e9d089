"""The judge of a simulated seed: what the provider took against what the database claims.

It imports nothing of `worker`. docs/proofs.md explains the invariants S1 to S14.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from proofs.simulation.books import CHINA, Books, Row, Violation, instant, read
from proofs.simulation.manners import after_the_end, at_night, past_its_lease, too_late, too_many

FINAL = {"delivered", "undelivered", "unconfirmed", "cancelled", "expired", "needs_person"}
ON_ITS_WAY = {"accepted", "sent"}
MAY_HAVE_LEFT = {
    "accepted", "sent", "delivered", "undelivered", "failed", "canceled", "unconfirmed",
}  # fmt: skip
NEVER_LEFT = {"not_sent", "rejected"}
PASSES = {30001, 30003, 30008, 30036, 30450, 30500}
"""Codes after which the same text is tried once more, on purpose (RULES.md)."""

LOOK_UPS, LOOKED_FOR = 4, timedelta(minutes=43)
MAIL_LOOKED_FOR = timedelta(minutes=15)
GRACE = timedelta(minutes=6)
A_LIST = timedelta(minutes=2)
"""Between the start of a look-up, as it is recorded, and the answer to its last page."""

A_PASS = timedelta(minutes=5)
"""How long after the instant of its pass a list may be asked for: others before it may hang."""


@dataclass(slots=True)
class Report:
    """The verdict on one seed, with the counts that make it worth something.

    `exceptions` names each reminder that left twice although its first message may have arrived:
    what promise 3 allows, and wants listed.
    """

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)


def check(books: Books) -> Report:
    """Hold the books against every invariant."""
    found = [one for invariant in _INVARIANTS for one in invariant(books)]
    return Report(_counts(books), found, [*_told_twice(books)])


def _told_twice(books: Books) -> Iterator[str]:
    """Reminders of which two messages left, the first of them given up after its look-ups."""
    for reminder_id, attempts in books.attempts_of.items():
        left = [one for one in attempts if books.messages_of.get(one["id"])]
        for first, second in pairwise(left):
            if _was_lost(first):
                waited = instant(second["started_at"]) - instant(first["started_at"])
                what, misses = first["kind"], first["misses"]
                yield (f"reminder {reminder_id}: {what} of {first['started_at']} given up after "
                       f"{misses} look-ups, sent again {waited} after it")  # fmt: skip


def _acknowledged(books: Books) -> Iterator[Violation]:
    """S1: every acknowledged event is on record, and every one taken back is so."""
    references = {row["id"]: row["reference"] for row in books.tables["case"]}
    kept = defaultdict(list)
    for row in books.tables["case_event"]:
        key = (references[row["case_id"]], row["event"], instant(row["occurred_at"]))
        kept[key].append(row["voided_at"] is not None)
    voided = {_event_key(row) for row in books.acknowledged if row["what"] == "voided"}
    for row in books.acknowledged:
        if row["what"] != "enrolled":
            continue
        key = _event_key(row)
        if key not in kept:
            yield Violation("S1", "lost", f"{key} was acknowledged and is gone")
        elif all(kept[key]) and key not in voided:
            yield Violation("S1", "lost", f"{key} is void and nobody took it back")


def _event_key(row: Row) -> tuple[str, str, datetime]:
    return row["reference"], row["event"], instant(row["happened"])


def _settled(books: Books) -> Iterator[Violation]:
    """S2: after three quiet days everything is in one known state and nothing hangs."""
    by = books.ended_at - GRACE
    for row in books.reminders.values():
        state = row["state"]
        if state == "planned" and instant(row["due_at"]) < by and _is_day(by):
            yield Violation("S2", "lost", f"reminder {row['id']} was due and is still planned")
        elif state not in FINAL | ON_ITS_WAY | {"planned"}:
            yield Violation("S2", "wrong", f"reminder {row['id']} hangs in {state!r}")
    for row in books.tables["attempt"]:
        if row["state"] in ("submitting", "uncertain"):
            yield Violation("S2", "wrong", f"attempt {row['id']} hangs in {row['state']!r}")
        elif row["state"] in ON_ITS_WAY and not row["next_check_at"]:
            yield Violation("S2", "lost", f"attempt {row['id']} is {row['state']}, nobody asks")


def _is_day(at: datetime) -> bool:
    return 9 <= at.astimezone(CHINA).hour < 20


def _twice(books: Books) -> Iterator[Violation]:
    """S3: a second message for a reminder only after a look-up in due form, or a passing failure.

    Climbing is another reminder. Twins stand for each other: nobody got more than was planned.
    """
    for ref, count in Counter(one.ref for one in books.taken).items():
        if count > 1:
            yield Violation("S3", "twice", f"ref {ref} was taken {count} times")
    for reminder_id, attempts in books.attempts_of.items():
        left = [one for one in attempts if books.messages_of.get(one["id"])]
        excused = sum(_is_excused(books, one) for one in left[:-1])
        if len(left) - 1 > excused or sum(map(_was_lost, attempts)) > 2:
            yield Violation("S3", "twice", f"reminder {reminder_id}: {len(left)} messages")


def _is_excused(books: Books, attempt: Row) -> bool:
    """Whether another message might follow this one's."""
    if _was_lost(attempt):
        return True  # whether rightly so is S4's to say
    return any(books.final_of(one)[1] in PASSES for one in books.messages_of[attempt["id"]])


def _was_lost(attempt: Row) -> bool:
    """`lost`, or so once: a late receipt may have brought it back."""
    most = LOOK_UPS if attempt["kind"] == "sms" else 1
    return bool(attempt["state"] == "lost" or attempt["misses"] >= most)


def _lost_in_due_form(books: Books) -> Iterator[Violation]:
    """S4: "never sent" is said after four whole lists over 43 minutes in which it did not stand,
    sooner only where `act_by` is nearer; of a letter after a quarter of an hour."""
    listed = defaultdict(list)
    for line in books.said_of("listed"):
        listed[line["to"]].append(line)
    for attempt in books.tables["attempt"]:
        if attempt["state"] != "lost":
            continue
        for fault in (_too_soon(books, attempt), _too_few_lists(books, attempt, listed)):
            if fault:
                yield Violation("S4", "wrong", f"attempt {attempt['id']} {fault}")


def _too_soon(books: Books, attempt: Row) -> str:
    waited = _given_up_at(books, attempt) - instant(attempt["started_at"])
    needed = LOOKED_FOR if attempt["kind"] == "sms" else MAIL_LOOKED_FOR
    act_by = _act_by(books, attempt)
    pressed = act_by is not None and _given_up_at(books, attempt) > act_by - timedelta(minutes=6)
    return "" if waited >= needed or pressed else f"was given up after {waited}"


def _too_few_lists(books: Books, attempt: Row, listed: Mapping[str, list[Row]]) -> str:
    to = _number_of(books, attempt)
    if attempt["kind"] != "sms" or not to:
        return ""
    since, until = instant(attempt["started_at"]), _given_up_at(books, attempt) + A_PASS
    lists = [line for line in listed[to] if since <= instant(line["at"]) <= until
             and _reaches_back(books, line, since)]  # fmt: skip
    if len(lists) < LOOK_UPS:
        return f"was given up after {len(lists)} lists"
    mine = {one.id for one in books.messages_of.get(attempt["id"], ())}
    stood = any(mine & set(line["sids"]) for line in lists)
    return "stood in the list and was given up" if stood else ""


def _reaches_back(books: Books, line: Row, started_at: datetime) -> bool:
    """Whether a list, newest first, shows all since an attempt began: it is whole, or its end is
    older."""
    shown = set(line["sids"])
    times = [one.at for one in books.taken if one.id in shown]
    return bool(line["whole"] or (times and min(times) < started_at))


def _given_up_at(books: Books, attempt: Row) -> datetime:
    seen = [instant(row["at"]) for row in books.tables["attempt_event"]
            if row["attempt_id"] == attempt["id"] and row["source"] == "find"]  # fmt: skip
    return max(seen, default=instant(attempt["started_at"])) + A_LIST


def _act_by(books: Books, attempt: Row) -> datetime | None:
    deadline = _deadline_of(books, attempt)
    return instant(deadline["act_by_at"]) if deadline["act_by_at"] else None


def _deadline_of(books: Books, attempt: Row) -> Row:
    return books.deadlines[books.reminders[attempt["reminder_id"]]["deadline_id"]]


def _number_of(books: Books, attempt: Row) -> str:
    """The number behind an attempt, as far as any message to it shows; else empty."""
    return next((one.to for one in books.taken
                 if books.by_ref.get(one.ref, {}).get("address_index") == attempt["address_index"]),
                "")  # fmt: skip


def _recorded(books: Books) -> Iterator[Violation]:
    """S5: every message has its attempt on record, bound to it or listed as given up; and every
    attempt that claims a message has one of its own."""
    for one in books.taken:
        if one.kind == "email" and one.text.startswith("staff-"):
            continue
        attempt = books.credited.get(one.id)
        if attempt is None:
            yield Violation("S5", "wrong", f"{one.id} left without an attempt on record")
        elif attempt["state"] not in MAY_HAVE_LEFT | {"lost"}:
            said = f"{one.id} left; its attempt {attempt['id']} is {attempt['state']!r}"
            yield Violation("S5", "wrong", said)
        elif one.kind == "sms" and attempt["provider_id"] not in (None, one.id):
            yield Violation("S5", "wrong", f"attempt {attempt['id']} is bound to another message")
    yield from _claims(books)


def _claims(books: Books) -> Iterator[Violation]:
    ids = {one.id for one in books.taken}
    for attempt in books.tables["attempt"]:
        sid = attempt["provider_id"]
        if attempt["kind"] == "sms" and sid and sid not in ids:
            yield Violation("S5", "wrong", f"attempt {attempt['id']} is bound to no message")
        if attempt["state"] in MAY_HAVE_LEFT and not _left(books, attempt):
            yield Violation("S5", "lost", f"attempt {attempt['id']}: nothing ever left")


def _left(books: Books, attempt: Row) -> bool:
    return bool(books.messages_of.get(attempt["id"]))


def _true(books: Books) -> Iterator[Violation]:
    """S6: "delivered" means that the provider said so; and its last word is ours, once it got
    through, by callback or poll."""
    got_through = {(line["sid"], line["status"]) for line in books.said_of("told")}
    for one in books.taken:
        attempt = books.credited.get(one.id)
        if one.kind != "sms" or attempt is None or attempt["provider_id"] != one.id:
            continue
        said, state = books.final_of(one)[0], attempt["state"]
        if state == "delivered" and said != "delivered":
            yield Violation("S6", "wrong", f"{one.id} is {said}, its attempt delivered")
        elif said in _LAST_WORDS and (one.id, said) in got_through and state not in (said, "lost"):
            yield Violation("S6", "wrong", f"{one.id} is {said}, its attempt {state}")


_FAILED = {"undelivered", "failed"}
_LAST_WORDS = {"delivered", "undelivered", "failed"}


def _reached(books: Books) -> Iterator[Violation]:
    """S10: of every lapse that ran out, someone was told, or a person was asked to call."""
    delivered = _deadlines_told_of(books)
    called = defaultdict(list)
    for row in books.tables["call_task"]:
        called[row["deadline_id"]].append(instant(row["opened_at"]))
    for deadline in books.deadlines.values():
        if deadline["kind"] != "lapse" or deadline["state"] not in ("open", "lapsed"):
            continue
        act_by = instant(deadline["act_by_at"]) if deadline["act_by_at"] else None
        if act_by is None or act_by > books.ended_at or deadline["id"] in delivered:
            continue
        if deadline["id"] not in called:
            yield Violation("S10", "lost", f"deadline {deadline['id']}: not told, not called")
        elif _was_time(books, deadline, act_by) and min(called[deadline["id"]]) > act_by:
            yield Violation("S10", "lost", f"deadline {deadline['id']} was called too late")


def _was_time(books: Books, deadline: Row, act_by: datetime) -> bool:
    """Whether a worker was up, and knew of it, when a call would still have helped: long enough
    for its audit to end once, in the hours in which that has to decide."""
    known_at = instant(deadline["created_at"])
    early_enough = known_at < act_by - timedelta(hours=5)
    was_audited = any(
        row["duty"] == "audit"
        and instant(row["started_at"]) <= act_by
        and instant(row["finished_at"]) >= act_by - timedelta(hours=2)
        for row in books.tables["job_run"]
    )
    return (
        early_enough and was_audited and not books.was_closed(act_by - timedelta(hours=5), act_by)
    )


def _deadlines_told_of(books: Books) -> set[str]:
    """Those of which a message was delivered, or a letter was taken and not sent back."""
    failed = {line["ref"] for line in books.said_of("report") if line["status"] == "failed"}
    arrived = set()
    for one in books.taken:
        attempt = books.credited.get(one.id)
        is_there = (
            books.final_of(one)[0] == "delivered" if one.kind == "sms" else one.ref not in failed
        )
        if attempt is not None and is_there:
            arrived.add(attempt["reminder_id"])
    return {
        row["deadline_id"]
        for row in books.reminders.values()
        if row["id"] in arrived or row["carried_by"] in arrived
    }


def _believed_no_stranger(books: Books) -> Iterator[Violation]:
    """S11: a forged callback leaves no trace in the tables."""
    forged = {line["sid"] for line in books.said_of("forged")} - {one.id for one in books.taken}
    for row in books.tables["attempt_event"]:
        if row["code"] == _FORGED or row["provider_id"] in forged:
            yield Violation("S11", "wrong", f"event {row['id']} is a stranger's")
    for row in books.tables["attempt"]:
        if row["code"] == _FORGED or row["provider_id"] in forged:
            yield Violation("S11", "wrong", f"attempt {row['id']} believed a stranger")


_FORGED = "39999"


def _duties(books: Books) -> Iterator[Violation]:
    """S13: no duty fails, whatever the wire does."""
    for row in books.tables["job_run"]:
        if row["state"] == "failed":
            yield Violation("S13", "wrong", f"duty {row['duty']} failed: {row['error']}")


_INVARIANTS: tuple[Callable[[Books], Iterable[Violation]], ...] = (
    _acknowledged, _settled, _twice, _lost_in_due_form, _recorded, _true, after_the_end, at_night,
    too_late, _reached, _believed_no_stranger, too_many, _duties,
    past_its_lease,
)  # fmt: skip


def _counts(books: Books) -> Counter[str]:
    attempts = books.tables["attempt"]
    states = Counter(f"attempts {row['state']}" for row in attempts)
    rescued = {row["attempt_id"] for row in books.tables["attempt_event"]
               if row["source"] in ("find", "rescue")}  # fmt: skip
    tried = [attempt for tries in books.attempts_of.values() for attempt in tries[:-1]]
    return states + Counter({
        "cases": len(books.cases),
        "reminders": len(books.reminders),
        "messages": len(books.taken),
        "once uncertain": len(rescued),
        "given up, then tried again": sum(map(_was_lost, tried)),
        "failed for now, then tried again": sum(one["state"] in _FAILED for one in tried),
        "calls": len(books.tables["call_task"]),
        "forged": len(books.said_of("forged")),
    })  # fmt: skip


__all__ = ["Books", "Report", "Violation", "check", "read"]
