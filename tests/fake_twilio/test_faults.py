"""Each fault as a client's socket sees it, and whether the message was taken."""

import http.client
import json

import pytest

from tests.fake_twilio.talking import MESSAGES, Talk, talk

REFUSED_OR_CUT = (ConnectionError, http.client.HTTPException)


def stored(fake: Talk) -> int:
    """How many messages were taken."""
    return len(fake.ledger())


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    ("status", "code"), [(500, 20500), (502, 20500), (503, 20503), (429, 20429), (401, 20003)]
)
def test_an_error_is_answered_and_the_message_kept_or_not(
    status: int, code: int, kept: bool
) -> None:
    with talk({"faults": [{"do": "answer", "status": status, "stored": kept}]}) as fake:
        said = fake.create()

        assert (said.status, said.data["code"], said.data["status"]) == (status, code, status)
        assert stored(fake) == kept


def test_a_429_says_when_to_come_back() -> None:
    with talk({"faults": [{"do": "answer", "status": 429, "retry_after": 7}]}) as fake:
        said = fake.create()

    assert (said.status, said.headers["Retry-After"]) == (429, "7")


def test_a_refusal_has_the_status_of_its_code() -> None:
    with talk({"faults": [{"do": "answer", "code": 21408}]}) as fake:
        said = fake.create()

    assert (said.status, said.data["code"]) == (400, 21408)


@pytest.mark.parametrize(
    ("body", "is_text"),
    [
        ("html", lambda text: text.startswith("<html>")),
        ("empty", lambda text: text == ""),
        ("object", lambda text: text == "{}"),
        ("wrong_type", lambda text: json.loads(text)["sid"] == 5),
        ("huge", lambda text: len(text) > 10_000_000),
        ("truncated", lambda text: text.startswith('{"account_sid": "AC') and text[-1] != "}"),
    ],
)
def test_a_broken_body_comes_with_a_201(body: str, is_text: object) -> None:
    with talk({"faults": [{"do": "answer", "body": body, "stored": True}]}) as fake:
        said = fake.create()

        assert said.status == 201
        assert callable(is_text)
        assert is_text(said.text)
        assert stored(fake) == 1


def test_a_proxy_bears_no_twilio_request_id() -> None:
    with talk({"faults": [{"do": "answer", "status": 403, "body": "html"}]}) as fake:
        said = fake.create()

    assert (said.status, said.headers["Content-Type"]) == (403, "text/html")
    assert "Twilio-Request-Id" not in said.headers


@pytest.mark.parametrize("kept", [False, True])
def test_a_connection_is_reset_before_the_answer(kept: bool) -> None:
    with talk({"faults": [{"do": "cut", "stored": kept}]}) as fake:
        with pytest.raises(ConnectionResetError):
            fake.create()

        assert stored(fake) == kept


def test_a_connection_is_cut_in_the_middle_of_the_answer() -> None:
    with talk({"faults": [{"do": "cut", "at": "in_answer"}]}) as fake:
        with pytest.raises(http.client.IncompleteRead) as cut:
            fake.create()

        assert cut.value.partial.startswith(b'{"account_sid"')
        assert stored(fake) == 1


def test_a_connection_is_reset_before_the_body_is_read() -> None:
    with (
        talk({"faults": [{"do": "cut", "at": "before_reading"}]}) as fake,
        fake.raw() as connection,
    ):
        connection.sendall(
            f"POST {MESSAGES} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode()
        )

        with pytest.raises(ConnectionResetError):
            connection.recv(1)

        assert stored(fake) == 0
        assert fake.control("GET", "")["requests"] == {"create": 1}


@pytest.mark.parametrize("kept", [False, True])
def test_a_hanging_request_ends_without_an_answer(kept: bool) -> None:
    with talk({"faults": [{"do": "hang", "seconds": 0.05, "stored": kept}]}) as fake:
        with pytest.raises(REFUSED_OR_CUT):
            fake.create()

        assert stored(fake) == kept


def test_a_client_that_gives_up_on_a_hanging_request_can_ask_at_once() -> None:
    with talk({"faults": [{"do": "hang", "seconds": 600, "stored": True}]}) as fake:
        with fake.raw() as connection:
            connection.sendall(f"POST {MESSAGES} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

        assert fake.listed() == []


@pytest.mark.parametrize("do", ["slow", "drip"])
def test_a_slow_answer_is_whole_in_the_end(do: str) -> None:
    with talk({"faults": [{"do": do, "seconds": 0.05}]}) as fake:
        said = fake.create()

        assert said.status == 201
        assert said.data["sid"] == fake.ledger()[0]["sid"]


def test_an_answer_lost_by_its_number_was_taken(fake: Talk) -> None:
    with pytest.raises(ConnectionResetError):
        fake.create(To="+8610000000005")

    assert [row["to"] for row in fake.ledger()] == ["+8610000000005"]
    assert len(fake.listed(To="+8610000000005")) == 1


def test_only_the_second_page_of_a_list_fails() -> None:
    plan = {"faults": [{"on": "list", "page": 1, "do": "answer", "status": 429}]}
    with talk(plan) as fake:
        for _ in range(3):
            fake.created()

        first = fake.ask("GET", f"{MESSAGES}?PageSize=2")
        second = fake.ask("GET", first.data["next_page_uri"])

    assert (first.status, second.status) == (200, 429)


@pytest.mark.parametrize("on", ["fetch", "any"])
def test_a_fault_strikes_the_kind_of_request_it_is_for(on: str) -> None:
    with talk() as fake:
        sid = fake.created()
        fake.control("PUT", "/plan", {"faults": [{"on": on, "do": "answer", "status": 500}]})

        fetched = fake.ask("GET", MESSAGES.replace(".json", f"/{sid}.json")).status
        listed = fake.ask("GET", MESSAGES).status

    assert (fetched, listed) == (500, 500 if on == "any" else 200)


def statuses(plan: dict[str, object], tries: int, **form: str) -> list[int]:
    """What so many creates are answered."""
    with talk(plan) as fake:
        return [fake.create(**form).status for _ in range(tries)]


def test_the_nth_request_is_counted_from_one() -> None:
    plan: dict[str, object] = {"faults": [{"do": "answer", "nth": [2, 4]}]}

    assert statuses(plan, 5) == [201, 500, 201, 500, 201]


def test_every_rule_counts_what_fits_it_though_another_strikes() -> None:
    first = {"do": "answer", "status": 500, "nth": [1]}
    second = {"do": "answer", "status": 503, "nth": [2]}

    assert statuses({"faults": [first, second]}, 3) == [500, 503, 201]


def test_a_rule_strikes_only_so_many_times() -> None:
    assert statuses({"faults": [{"do": "answer", "times": 2}]}, 4) == [500, 500, 201, 201]


def test_a_rule_strikes_only_the_numbers_it_names() -> None:
    plan: dict[str, object] = {"faults": [{"do": "answer", "to": "+86*7?"}]}

    assert statuses(plan, 1, To="+8610000000077") == [500]
    assert statuses(plan, 1) == [201]


def test_one_seed_gives_one_sequence_of_faults() -> None:
    fault = {"do": "answer", "probability": 0.5}

    runs = [statuses({"seed": seed, "faults": [fault]}, 40) for seed in (1, 1, 2)]

    assert runs[0] == runs[1] != runs[2]
    assert 5 < runs[0].count(500) < 35
