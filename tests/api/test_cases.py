"""Cases over the API: taken as rosters are, told back, and nobody else's."""

from typing import Any

import pytest

from tests.api.office import Office, a_case, reported


def test_a_new_case_is_there_with_its_deadlines_and_reminders(office: Office) -> None:
    answer = office.post("/v1/cases", a_case("B-1"))

    assert answer.status == 201
    assert answer.body["outcome"] == "new"
    assert answer.body["reminders_planned"] > 0
    found = office.get("/v1/cases/ref:B-1")
    assert found.body["id"] == answer.body["id"]
    assert office.get(f"/v1/cases/{answer.body['id']}/deadlines").body["items"][0]["derivation"]
    assert office.get(f"/v1/cases/{answer.body['id']}/reminders").body["items"][0]["due_at"]


def test_the_same_case_again_changes_nothing(office: Office) -> None:
    first = office.post("/v1/cases", a_case("B-1"))

    again = office.post("/v1/cases", a_case("B-1"))

    assert (again.status, again.body["outcome"]) == (200, "unchanged")
    assert again.body["id"] == first.body["id"]
    assert again.etag == first.etag


def test_a_case_of_which_one_event_cannot_stand_leaves_nothing(office: Office) -> None:
    refused = office.post(
        "/v1/cases",
        a_case("B-1", events=[reported(), {"event": "collected", "occurred_at": "2026-11-20"}]),
    )

    assert refused.status == 422
    assert office.pointers(refused) == [("/events/1/occurred_at", "time.offset")]
    assert office.get("/v1/cases/ref:B-1").status == 404


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ({"contact": {"phone": "028-86471234"}}, ("/contact/phone", "phone.landline")),
        ({"contact": {"email": "张三"}}, ("/contact/email", "email.invalid")),
        ({"contact": {"name": "张三"}}, ("/contact/phone", "contact.missing")),
        ({"procedure": "nationl"}, ("/procedure", "procedure.unknown")),
        ({"procedure": None}, ("/procedure", "procedure.missing")),
        ({"card_last4": "6217000012345678"}, ("/card_last4", "card.long")),
        ({"reference": "  "}, ("/reference", "reference.missing")),
        ({"nickname": "x"}, ("/nickname", "extra_forbidden")),
        ({"contact": {"phone": 10000000001}}, ("/contact/phone", "string_type")),
        ({"events": [{"event": "reported"}]}, ("/events/0/occurred_at", "missing")),
        ({"events": [reported(event="报失")]}, ("/events/0/event", "event.unknown")),
        (
            {"events": [reported(at="2026-11-20T16:20:00")]},
            ("/events/0/occurred_at", "time.offset"),
        ),
        (
            {"events": [reported(at="2026-12-20T16:20:00+08:00")]},
            ("/events/0/occurred_at", "time.future"),
        ),
    ],
)
def test_a_refusal_points_at_what_to_mend(
    office: Office, cells: dict[str, Any], fault: tuple[str, str]
) -> None:
    refused = office.post("/v1/cases", a_case("B-1") | cells)

    assert refused.status == 422
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert fault in office.pointers(refused)
    assert all(error["mend_zh"] and error["mend_en"] for error in refused.body["errors"])


def test_what_hangs_on_another_mistake_points_to_it(office: Office) -> None:
    later = reported("reported_in_writing", "2026-11-20T16:25:00+08:00")

    refused = office.post("/v1/cases", a_case("B-1", procedure=None, events=[reported(), later]))

    assert office.pointers(refused) == [
        ("/procedure", "procedure.missing"), ("/events/1", "case.not_opened"),
    ]  # fmt: skip
    hanging = refused.body["errors"][1]
    assert hanging["mend_en"] == "mend /procedure first"
    assert hanging["mend_zh"] == "请先改好 /procedure"


def test_no_refusal_repeats_the_contact(office: Office) -> None:
    contact = {"name": "测试甲" * 30, "phone": "0288647123499", "email": "secret@@example.com"}

    refused = office.post("/v1/cases", a_case("B-1", contact=contact))

    assert len(refused.body["errors"]) == 3
    assert not any(value in refused.text for value in contact.values())


def test_the_contact_comes_back_masked(office: Office) -> None:
    contact = {"name": "张三", "phone": "10000000007", "email": "zhangsan@example.com"}

    taken = office.post("/v1/cases", a_case("B-1", contact=contact))

    assert taken.body["contact"] == {
        "has_name": True,
        "phone": "****0007",
        "email": "z***@example.com",
        "second_phone": None,
        "language": "zh",
    }


def test_cases_are_listed_page_by_page(office: Office) -> None:
    references = ["A-1", "B-1", "B-2", "B-3"]
    for reference in references[1:]:
        office.post("/v1/cases", a_case(reference))

    seen: list[str] = []
    address = "/v1/cases?limit=3"
    while address:
        page = office.get(address)
        seen += [item["reference"] for item in page.body["items"]]
        address = page.headers.get("Link", "").partition(">")[0].removeprefix("<")

    assert sorted(seen) == references  # of one millisecond any order
    assert len(office.get("/v1/cases?reference=B-2").body["items"]) == 1
    assert office.get("/v1/cases?state=closed").body == {"items": [], "next": None}


def test_an_event_is_recorded_once_and_told_in_chinese_too(office: Office) -> None:
    event = {"event": "书面挂失", "occurred_at": "2026-11-20T16:25:00+08:00"}

    answers = [office.post("/v1/cases/ref:A-1/events", event) for _ in range(2)]

    assert [answer.status for answer in answers] == [201, 200]
    assert [one["event"] for one in answers[1].body["events"]] == [
        "reported_by_phone",
        "reported_in_writing",
    ]


def test_an_event_at_odds_with_the_record_is_a_conflict(office: Office) -> None:
    event = {"event": "collected", "occurred_at": "2026-11-20T16:25:00+08:00"}

    refused = office.post("/v1/cases/ref:A-1/events", event)

    assert refused.status == 409
    assert office.pointers(refused) == [("/event", "event.order")]


def test_an_event_is_taken_back_once(office: Office) -> None:
    event = office.get("/v1/cases/ref:A-1").body["events"][0]["id"]
    address = f"/v1/cases/ref:A-1/events/{event}/void"

    answers = [office.post(address, {"reason": "填错"}) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 409]
    assert answers[0].body["events"][0]["voided_at"] is not None
    deadlines = office.get("/v1/cases/ref:A-1/deadlines").body["items"]
    assert {one["state"] for one in deadlines} == {"cancelled"}


def test_a_case_that_changed_since_is_not_overwritten(office: Office) -> None:
    seen = office.get("/v1/cases/ref:A-1").etag
    office.post("/v1/cases", a_case("A-1", contact={"phone": "10000000009"}))

    late = office.post("/v1/cases", a_case("A-1"), **{"If-Match": seen})
    fresh = office.get("/v1/cases/ref:A-1")
    on_time = office.post("/v1/cases", a_case("A-1"), **{"If-Match": fresh.etag})

    assert (late.status, on_time.status) == (412, 200)
    assert fresh.body["contact"]["phone"] == "****0009"


def test_if_match_never_opens_a_case(office: Office) -> None:
    refused = office.post("/v1/cases", a_case("B-1"), **{"If-Match": "*"})

    assert refused.status == 412
    assert office.get("/v1/cases/ref:B-1").status == 404
