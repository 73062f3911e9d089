"""What is sealed opens in its own place and with our keys, or not at all."""

import hmac
import json
import stat
from pathlib import Path

import pytest

from worker.domain.errors import Misconfigured
from worker.store.keys import (
    CannotOpen,
    KeyRing,
    add_key,
    create_key_ring,
    drop_old_keys,
    key_id_of,
    load_key_ring,
)

PLACE = {"table": "case", "column": "phone_sealed", "row_id": "c1", "centre_id": "chengdu-01"}
PHONE = "10000000001"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ring of a test is kept."""
    return tmp_path / "ring.json"


@pytest.mark.parametrize("plain", [PHONE, "", "张三", "𠮷" * 1000])
def test_what_is_sealed_opens_in_its_place(keys: KeyRing, plain: str) -> None:
    sealed = keys.seal(plain, **PLACE)

    assert keys.open(sealed, **PLACE) == plain
    assert not plain or plain.encode() not in sealed


def test_the_same_text_is_never_sealed_alike(keys: KeyRing) -> None:
    sealed = {keys.seal(PHONE, **PLACE) for _ in range(100)}

    assert len(sealed) == 100


@pytest.mark.parametrize("part", PLACE)
def test_a_sealed_value_moved_elsewhere_does_not_open(keys: KeyRing, part: str) -> None:
    sealed = keys.seal(PHONE, **PLACE)

    with pytest.raises(CannotOpen):
        keys.open(sealed, **(PLACE | {part: "other"}))


@pytest.mark.parametrize(
    ("table", "column"), [("casephone", "_sealed"), ('case", "phone', "_sealed"), ("", "case")]
)
def test_no_two_places_are_the_same_by_their_joint(keys: KeyRing, table: str, column: str) -> None:
    sealed = keys.seal(PHONE, **(PLACE | {"table": "case", "column": "phone_sealed"}))

    with pytest.raises(CannotOpen):
        keys.open(sealed, **(PLACE | {"table": table, "column": column}))


def test_a_sealed_value_changed_anywhere_does_not_open(keys: KeyRing) -> None:
    sealed = keys.seal(PHONE, **PLACE)

    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(CannotOpen):
            keys.open(bytes(changed), **PLACE)


@pytest.mark.parametrize("length", [0, 1, 4, 5, 12, 17, 20])
def test_a_sealed_value_cut_short_does_not_open(keys: KeyRing, length: int) -> None:
    sealed = keys.seal(PHONE, **PLACE)

    with pytest.raises(CannotOpen):
        keys.open(sealed[:length], **PLACE)


def test_another_ring_opens_nothing_of_ours(keys: KeyRing, path: Path) -> None:
    sealed = keys.seal(PHONE, **PLACE)
    other = create_key_ring(path)

    with pytest.raises(CannotOpen) as refused:
        other.open(sealed, **PLACE)

    assert PHONE not in str(refused.value)


def test_an_index_is_equal_within_a_centre_and_unlike_elsewhere(keys: KeyRing, path: Path) -> None:
    here = keys.index(PHONE, centre_id="chengdu-01")

    others = [
        keys.index(PHONE, centre_id="zhuhai-01"),
        keys.index(PHONE, centre_id=""),
        keys.index("10000000002", centre_id="chengdu-01"),
        create_key_ring(path).index(PHONE, centre_id="chengdu-01"),
        keys.digest(PHONE),
    ]

    assert keys.index(PHONE, centre_id="chengdu-01") == here
    assert here not in others
    assert PHONE not in here


def test_a_digest_depends_on_text_and_ring(keys: KeyRing, path: Path) -> None:
    text = keys.digest("您的社保卡")

    assert keys.digest("您的社保卡") == text
    assert keys.digest("您的社保卡。") != text
    assert create_key_ring(path).digest("您的社保卡") != text


def test_the_first_key_seals_and_every_key_opens(path: Path) -> None:
    old = create_key_ring(path)
    sealed_before = old.seal(PHONE, **PLACE)
    ring = json.loads(path.read_text())
    create_key_ring(path.with_name("new.json"))
    newer = json.loads(path.with_name("new.json").read_text())["sealing"]
    path.write_text(json.dumps(ring | {"sealing": newer + ring["sealing"]}))

    both = load_key_ring(path)

    assert both.open(sealed_before, **PLACE) == PHONE
    assert next(iter(both.sealing)) != next(iter(old.sealing))


def test_a_ring_in_use_takes_up_a_key_that_is_added(path: Path) -> None:
    in_use = create_key_ring(path)
    before = in_use.current

    add_key(path)

    elsewhere = load_key_ring(path)
    assert in_use.open(elsewhere.seal(PHONE, **PLACE), **PLACE) == PHONE
    assert key_id_of(in_use.seal(PHONE, **PLACE)) == elsewhere.current != before


def test_a_ring_in_use_goes_on_while_its_file_is_broken(path: Path) -> None:
    in_use = create_key_ring(path)
    sealed = in_use.seal(PHONE, **PLACE)
    path.write_text("{")

    again = in_use.seal(PHONE, **PLACE)

    assert [in_use.open(one, **PLACE) for one in (sealed, again)] == [PHONE, PHONE]


def test_an_added_key_changes_neither_index_nor_digest(path: Path) -> None:
    before = create_key_ring(path)
    index, digest = before.index(PHONE, centre_id="demo"), before.digest("text")

    add_key(path)

    after = load_key_ring(path)
    assert (after.index(PHONE, centre_id="demo"), after.digest("text")) == (index, digest)
    assert len(after.sealing) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_what_an_old_key_sealed_opens_no_more_once_it_is_dropped(path: Path) -> None:
    sealed = create_key_ring(path).seal(PHONE, **PLACE)
    add_key(path)

    gone = drop_old_keys(path)

    assert gone == 1
    with pytest.raises(CannotOpen):
        load_key_ring(path).open(sealed, **PLACE)


def test_a_new_ring_is_for_its_owner_alone_and_leaves_no_draft(path: Path) -> None:
    create_key_ring(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_an_existing_ring_is_never_replaced(path: Path) -> None:
    sealed = create_key_ring(path).seal(PHONE, **PLACE)

    again = create_key_ring(path)

    assert again.open(sealed, **PLACE) == PHONE
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_ring_that_others_may_use_is_refused(path: Path, mode: int) -> None:
    create_key_ring(path)
    path.chmod(mode)

    with pytest.raises(Misconfigured, match="chmod 600"):
        load_key_ring(path)


def test_a_missing_ring_is_said_clearly(path: Path) -> None:
    with pytest.raises(Misconfigured, match="restore it"):
        load_key_ring(path)


def test_a_ring_that_cannot_be_written_is_said_clearly(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be written"):
        create_key_ring(tmp_path / "nowhere" / "ring.json")


@pytest.mark.parametrize(
    "damage",
    [
        lambda ring: [ring],
        lambda ring: ring | {"sealing": []},
        lambda ring: ring | {"sealing": {}},
        lambda ring: ring | {"sealing": [{"id": "00000000"}]},
        lambda ring: ring | {"indexing": ""},
        lambda ring: ring | {"digesting": "c2hvcnQ="},
        lambda ring: {"sealing": ring["sealing"]},
    ],
)
def test_a_damaged_ring_is_refused(path: Path, damage: object) -> None:
    create_key_ring(path)
    assert callable(damage)
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))

    with pytest.raises(Misconfigured, match="damaged"):
        load_key_ring(path)


def test_a_ring_cut_short_is_refused_without_showing_it(path: Path) -> None:
    create_key_ring(path)
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])

    with pytest.raises(Misconfigured, match="damaged") as refused:
        load_key_ring(path)

    assert refused.value.__cause__ is None


def test_nothing_a_ring_shows_is_a_key(path: Path) -> None:
    ring = create_key_ring(path)
    written = json.loads(path.read_text())

    shown = f"{ring!r} {ring}"

    secrets = [written["indexing"], written["digesting"], written["sealing"][0]["key"]]
    assert not any(secret in shown for secret in secrets)
    assert repr(ring.indexing) not in shown


@pytest.mark.parametrize("value", ["", 'a"b', "a\\b", "a/b", "\x00\x1f\x7f", "张三", "𠮷", "\u2028",
                                   "\ud800", "a, b", "]["])  # fmt: skip
def test_what_binds_a_value_to_its_place_is_a_json_list(keys: KeyRing, value: str) -> None:
    digest = hmac.digest(keys.indexing, json.dumps(["centre", value]).encode(), "sha256")

    assert keys.index(value, centre_id="centre") == digest.hex()
