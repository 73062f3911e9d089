"""`qida keys rotate`, from the command line."""

import json

from tests.cli.command import BAD_DATA, NOW, OK, Qida


def test_a_rotation_is_verified_and_the_old_key_retired(enrolled: Qida) -> None:
    before = json.loads(enrolled("export", "A-1").out)[0]["contact"]

    rotated = enrolled("keys", "rotate")
    [verified] = enrolled("keys", "rotate", "--verify").rows
    retired = enrolled("keys", "rotate", "--retire")
    [left] = enrolled("keys", "rotate", "--verify").rows

    assert (rotated.code, retired.code) == (OK, OK)
    assert "back it up now" in rotated.err
    assert min(verified["values"].values()) == 0
    assert verified["unreadable"] == left["unreadable"] == 0
    assert list(left["values"]) == [left["current"]] == [verified["current"]]
    assert json.loads(enrolled("export", "A-1").out)[0]["contact"] == before
    assert enrolled("tick", *NOW).code == OK


def test_keys_that_are_needed_are_not_retired(enrolled: Qida) -> None:
    ring = enrolled.home / "var" / "keys.json"
    written = json.loads(ring.read_text())
    other = {"id": "00000000", "key": written["sealing"][0]["key"]}
    ring.write_text(json.dumps(written | {"sealing": [other, *written["sealing"]]}))

    done = enrolled("keys", "rotate", "--retire")

    assert done.code == BAD_DATA
    assert done.is_clear
