"""A plan with mistakes is refused, with each of them and its place."""

import pytest

from worker.fake_twilio import BadPlan, read_plan
from worker.fake_twilio.plans import FATES_BY_NUMBER, FAULTS_BY_NUMBER, Fault


def mistakes(raw: object) -> dict[str, str]:
    """Place and text of every mistake."""
    with pytest.raises(BadPlan) as bad:
        read_plan(raw)
    assert all(problem.zh for problem in bad.value.problems)
    return {problem.place: problem.en for problem in bad.value.problems}


def test_an_empty_plan_is_what_numbers_meet_anyway() -> None:
    plan = read_plan({})

    assert (plan.faults, plan.fates, plan.callbacks) == (FAULTS_BY_NUMBER, FATES_BY_NUMBER, ())


def test_a_plan_s_own_rules_come_first() -> None:
    plan = read_plan({"seed": 7, "pace": 0.5, "faults": [{"do": "hang", "nth": [1, 2]}]})

    assert (plan.seed, plan.pace) == (7, 0.5)
    assert plan.faults == (Fault(do="hang", nth=(1, 2)), *FAULTS_BY_NUMBER)


@pytest.mark.parametrize(
    ("raw", "place", "said"),
    [
        ([], "plan", "must be a JSON object"),
        ({"fault": []}, ".fault", "no such key"),
        ({"seed": "1"}, ".seed", "must be integer >= 0"),
        ({"seed": True}, ".seed", "must be integer >= 0"),
        ({"pace": -1}, ".pace", "must be number >= 0"),
        ({"faults": {}}, ".faults", "must be [object, ...]"),
        ({"faults": ["hang"]}, ".faults[0]", "must be a JSON object"),
        ({"faults": [{}]}, ".faults[0].do", "is missing"),
        ({"faults": [{"do": "vanish"}]}, ".faults[0].do", "must be answer | cut | hang"),
        (
            {"faults": [{"do": "cut", "nth": [0.5]}]},
            ".faults[0].nth",
            "must be [integer >= 0, ...]",
        ),
        ({"faults": [{"do": "cut", "stored": 1}]}, ".faults[0].stored", "must be true | false"),
        (
            {"faults": [{"do": "cut", "page": "1"}]},
            ".faults[0].page",
            "must be integer >= 0 | null",
        ),
        (
            {"faults": [{"do": "cut", "at": "before_reading", "to": "+86*"}]},
            ".faults[0].to",
            "before the request is read nobody knows its recipient",
        ),
        ({"fates": [{"end": 5}]}, ".fates[0].end", "must be string"),
        ({"callbacks": [{"do": "forge", "forged": "x"}]}, ".callbacks[0].forged", "must be token"),
    ],
)
def test_a_mistake_is_told_with_its_place(raw: object, place: str, said: str) -> None:
    told = mistakes(raw)

    assert list(told) == [place]
    assert told[place].startswith(said)


def test_every_mistake_is_told_at_once() -> None:
    raw = {"x": 1, "faults": [{"do": "cut"}, {"do": "x", "y": 1}], "fates": [{"code": "5"}]}

    told = mistakes(raw)

    assert list(told) == [".x", ".faults[1].y", ".faults[1].do", ".fates[0].code"]
