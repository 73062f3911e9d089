"""`qida cases opt-out`: who refuses messages at the counter gets none, and is not forgotten."""

from tests.cli.command import BAD_DATA, OK, Qida

NEXT = "2026-11-25T14:30:00+08:00"


def reminders(qida: Qida) -> set[tuple[str, str]]:
    rows = qida("reminders", "list", "--case", "A-1", "--json").rows
    return {(row["state"], row["reason"]) for row in rows if row["step"] != "lapsed"}


def test_who_refuses_is_telephoned_instead(enrolled: Qida) -> None:
    done = enrolled("cases", "opt-out", "A-1")
    enrolled("tick", "--now", NEXT)

    assert done.code == OK
    assert not any(state in ("accepted", "sent", "delivered") for state, _ in reminders(enrolled))
    calls = enrolled("calls", "list", "--json").rows
    assert any(row["reference"] == "A-1" for row in calls)


def test_a_refusal_can_be_taken_back(enrolled: Qida) -> None:
    enrolled("cases", "opt-out", "A-1")
    enrolled("cases", "opt-out", "A-1", "--undo")

    enrolled("tick", "--now", NEXT)

    assert any(state in ("accepted", "delivered") for state, _ in reminders(enrolled))


def test_what_was_never_given_cannot_be_refused(enrolled: Qida) -> None:
    done = enrolled("cases", "opt-out", "A-1", "--channel", "email")

    assert done.code == BAD_DATA
    assert done.is_clear
