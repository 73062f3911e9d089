"""The stand-in's own API below /_fake: plan, clock, ledger, statuses and callbacks, for tests.

Every answer is JSON. What moves messages answers once the callbacks it caused were answered, so
that a test need not wait.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from worker.fake_twilio.account import FakeTwilio
from worker.fake_twilio.answers import Answer, shown
from worker.fake_twilio.http11 import Request
from worker.fake_twilio.plan_reading import BadPlan, read_plan

CONTROL = "/_fake"

_Given = Mapping[str, Any]  # what a test hands in; each use checks its own
_Step = Callable[[FakeTwilio, _Given], Awaitable[object]]


async def controlled(fake: FakeTwilio, request: Request) -> Answer:
    """Do what a test asks for: 200, 400 with what is wrong, or 404."""
    path = request.head.target.partition("?")[0].removeprefix(CONTROL)
    try:
        given = dict(json.loads(request.body or b"{}"))
        if (request.head.method, path) in _STEPS:
            return _said(await _STEPS[request.head.method, path](fake, given))
        message = fake.book.get(path.removeprefix("/messages/"))
        if request.head.method == "POST" and message is not None:
            return _said(await _move(fake, {**given, "sid": message.sid}))
    except BadPlan as error:
        problems = [asdict(problem) for problem in error.problems]
        return _said({"error": "bad plan", "problems": problems}, 400)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        return _said({"error": f"{type(error).__name__}: {error}"}, 400)
    return _said({"error": "no such path", "paths": [" ".join(key) for key in _STEPS]}, 404)


def _said(value: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value, ensure_ascii=False, default=str).encode())


async def _overview(fake: FakeTwilio, _: _Given) -> object:
    return {
        "now": fake.now().isoformat(),
        "messages": len(fake.book),
        "requests": dict(fake.requests),
        "callbacks": dict(Counter(callback.state for callback in fake.callbacks.all)),
        "plan": asdict(fake.plan),
    }


async def _plan(fake: FakeTwilio, given: _Given) -> object:
    fake.follow(read_plan(given))
    return asdict(fake.plan)


async def _clock(fake: FakeTwilio, given: _Given) -> object:
    """`now` puts the clock somewhere, `advance` moves it on; from then on it stands still."""
    now = datetime.fromisoformat(given["now"]) if "now" in given else fake.now()
    if now.tzinfo is None:
        raise ValueError("now needs an offset, as in 2026-11-23T09:00:00+08:00")
    fake.stand_at(now + timedelta(seconds=given.get("advance", 0)))
    await fake.callbacks.settle()
    return {"now": fake.now().isoformat()}


async def _ledger(fake: FakeTwilio, _: _Given) -> object:
    return fake.ledger.rows()


async def _messages(fake: FakeTwilio, _: _Given) -> object:
    """Every message, newest first, those no list shows yet too."""
    return [
        shown(message) | {"status_callback": message.callback, "listed_at": message.listed_at}
        for message in fake.book.newest_first()
    ]


async def _move(fake: FakeTwilio, given: _Given) -> object:
    message = fake.book.get(given["sid"])
    if message is None:
        raise KeyError("sid")
    code = given.get("error_code")
    fake.move(message, str(given["status"]), None if code is None else int(code), fake.now())
    await fake.callbacks.settle()
    return shown(message)


async def _callbacks(fake: FakeTwilio, _: _Given) -> object:
    return [
        {
            "number": callback.number,
            "state": callback.state,
            "results": callback.results,
            "url": callback.url,
            "form": callback.form,
        }
        for callback in fake.callbacks.all
    ]


async def _release(fake: FakeTwilio, given: _Given) -> object:
    """`order`: `made` (the default), `reversed`, or the numbers of callbacks."""
    held = [callback.number for callback in fake.callbacks.all if callback.state == "held"]
    match given.get("order", "made"):
        case "made":
            numbers = held
        case "reversed":
            numbers = held[::-1]
        case [*chosen]:
            numbers = [int(number) for number in chosen]
        case _:
            raise ValueError("order is made, reversed, or a list of numbers")
    await fake.callbacks.release(numbers)
    return {"released": numbers}


async def _settle(fake: FakeTwilio, _: _Given) -> object:
    """Do what is due and wait for the callbacks on their way."""
    fake.catch_up()
    await fake.callbacks.settle()
    return {}


async def _reset(fake: FakeTwilio, _: _Given) -> object:
    await fake.callbacks.stop()
    fake.forget()
    fake.follow(fake.plan)
    return {}


_STEPS: Mapping[tuple[str, str], _Step] = {
    ("GET", ""): _overview,
    ("PUT", "/plan"): _plan,
    ("POST", "/clock"): _clock,
    ("GET", "/ledger"): _ledger,
    ("GET", "/messages"): _messages,
    ("GET", "/callbacks"): _callbacks,
    ("POST", "/callbacks/release"): _release,
    ("POST", "/settle"): _settle,
    ("POST", "/reset"): _reset,
}
