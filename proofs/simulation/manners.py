"""The judge's second half: what people would complain of. At night, too late, too many, unasked.

It imports nothing of `worker`.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from proofs.simulation.books import CHINA, Books, Row, Taken, Violation, instant, ref_in

IN_FLIGHT = timedelta(seconds=160)
"""How long after its claim a message may still be taken: the lease, and what a provider may take
for itself (docs/decisions/0003-lost-answers.md)."""

A_DAY = timedelta(hours=24) - 2 * IN_FLIGHT
"""The caps count claims, the ledger shows arrivals."""


def after_the_end(books: Books) -> Iterator[Violation]:
    """S7: nothing is sent of a deadline that was known to be over when it was claimed."""
    for one, reminder in _told(books):
        deadline = books.deadlines[reminder["deadline_id"]]
        if deadline["state"] not in ("settled", "cancelled", "superseded"):
            continue
        known_at = _known_at(books, deadline)
        if one.at > known_at + IN_FLIGHT:
            yield Violation("S7", "wrong", f"{one.id} of {deadline['id']}, {deadline['state']}")


def _known_at(books: Books, deadline: Row) -> datetime:
    """When the event that ended it was recorded; a start taken back ends it at that instant."""
    ended_at = instant(deadline["settled_at"])
    recorded = [instant(row["recorded_at"]) for row in books.tables["case_event"]
                if row["case_id"] == deadline["case_id"]
                and instant(row["occurred_at"]) == ended_at]  # fmt: skip
    return max([ended_at, *recorded])


def _told(books: Books) -> Iterator[tuple[Taken, Row]]:
    for one in books.taken:
        reminder = books.reminder_of(one)
        if reminder is not None:
            yield one, reminder


def past_its_lease(books: Books) -> Iterator[Violation]:
    """S14: whoever wakes from a pause past its lease sends nothing: others may have by then."""
    for one in books.taken:
        attempt = books.by_ref.get(one.ref)
        if attempt is not None and one.at > instant(attempt["started_at"]) + IN_FLIGHT:
            waited = one.at - instant(attempt["started_at"])
            yield Violation("S14", "wrong", f"{one.id} left {waited} after its claim")


def at_night(books: Books) -> Iterator[Violation]:
    """S8: people hear from us from 09:00 to 20:00; fresh and urgent news from 07:00 to 22:00."""
    for one, reminder in _told(books):
        claimed_at = instant(books.credited[one.id]["started_at"]).astimezone(CHINA)
        is_allowed = 9 <= claimed_at.hour < 20
        widest = 7 <= claimed_at.hour < 22
        if is_allowed or (widest and _is_urgent(books, reminder, claimed_at)):
            continue
        yield Violation("S8", "wrong", f"{one.id} was claimed at {claimed_at:%H:%M}")


SATURDAY = 5


def _is_urgent(books: Books, reminder: Row, at: datetime) -> bool:
    """Told of within half an hour, or with under a day left, Saturdays and Sundays not counted."""
    deadline = books.deadlines[reminder["deadline_id"]]
    is_fresh = at - instant(reminder["created_at"]) <= timedelta(minutes=31)
    if is_fresh or deadline["act_by_at"] is None:
        return is_fresh
    act_by = instant(deadline["act_by_at"]).astimezone(CHINA)
    between = (at.date() + timedelta(days=day) for day in range(1, (act_by - at).days + 1))
    idle = sum(day.weekday() >= SATURDAY for day in between)
    return act_by - at < timedelta(days=1 + idle)


def too_late(books: Books) -> Iterator[Violation]:
    """S9: no message about a lapse arrives when nothing can be done any more."""
    for one, reminder in _told(books):
        deadline = books.deadlines[reminder["deadline_id"]]
        if deadline["kind"] != "lapse" or reminder["step"] == "lapsed":
            continue
        act_by = deadline["act_by_at"]
        if act_by and one.at > instant(act_by) + timedelta(seconds=45):
            yield Violation("S9", "wrong", f"{one.id} came after {act_by}")


def too_many(books: Books) -> Iterator[Violation]:
    """S12: at most four messages a day to a number, two of them alike; none after a refusal."""
    by_number = defaultdict(list)
    for one in books.taken:
        if one.kind == "sms":
            by_number[one.to].append(one)
    for to, messages in by_number.items():
        alike = defaultdict(list)
        for one in messages:
            alike[one.text].append(one.at)
        if _within_a_day([one.at for one in messages], 5):
            yield Violation("S12", "twice", f"{to} got five messages in a day")
        if any(_within_a_day(times, 3) for times in alike.values()):
            yield Violation("S12", "twice", f"{to} got the same text three times in a day")
    yield from _after_a_refusal(books, by_number)


def _within_a_day(times: list[datetime], count: int) -> bool:
    return any(last - first < A_DAY for first, last in zip(times, times[count - 1 :], strict=False))


def _after_a_refusal(books: Books, by_number: dict[str, list[Taken]]) -> Iterator[Violation]:
    refusals = [row for row in books.acknowledged if row["what"] == "refused"]
    for row in refusals:
        for one in by_number.get(row["to"], ()):
            if one.at > instant(row["at"]) + IN_FLIGHT:
                yield Violation("S12", "wrong", f"{row['to']} refused messages and got {one.id}")
    yield from _after_an_opt_out(books, by_number)


def _after_an_opt_out(books: Books, by_number: dict[str, list[Taken]]) -> Iterator[Violation]:
    """Who is known to refuse, from whomever, is neither written to nor tried again."""
    stops = [line for line in books.said_of("refused") if line["code"] == _STOPPED]
    tried = defaultdict(list, {to: [one.at for one in got] for to, got in by_number.items()})
    for line in stops:
        tried[line["to"]].append(instant(line["at"]))
    numbers = _numbers(books, stops)
    known = [(numbers.get(row["address_index"], ""), instant(row["created_at"]))
             for row in books.tables["opt_out"]]  # fmt: skip
    known += [(line["to"], instant(line["at"])) for line in stops if _was_heard(books, line)]
    again = {
        to for to, known_at in known if max(tried[to], default=known_at) > known_at + IN_FLIGHT
    }
    for to in sorted(again):
        yield Violation("S12", "wrong", f"{to} is known to refuse, and was tried again")


def _numbers(books: Books, stops: list[Row]) -> dict[str, str]:
    """The number behind each address that was written to, or tried."""
    seen = [(one.ref, one.to) for one in books.taken]
    seen += [(ref_in(line["callback"]), line["to"]) for line in stops]
    return {books.by_ref[ref]["address_index"]: to for ref, to in seen if ref in books.by_ref}


def _was_heard(books: Books, stop: Row) -> bool:
    """Whether the worker outlived the refusal: else it looked the attempt up, in vain."""
    attempt = books.by_ref.get(ref_in(stop["callback"]), {})
    return attempt.get("state") not in ("lost", "unconfirmed")


_STOPPED = 21610
"""Twilio's code for a number that has stopped the sender."""
