"""Who asks: the bearer key of a request, and with it the one centre whose cases it may see."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from worker.api.desk import desk_of
from worker.api.problems import Problem
from worker.domain.errors import Text
from worker.services.api_keys import Caller, caller_of
from worker.services.context import Context

_bearer = HTTPBearer(auto_error=False, description="A key of `qida keys create`: qk_live_…")

_NO_KEY = Problem(
    401,
    "key.invalid",
    Text(
        "请在 Authorization 头写 Bearer 和有效的密钥",
        "send a valid key: Authorization: Bearer qk_...",
    ),
    headers={"WWW-Authenticate": "Bearer"},  # RFC 9110 §15.5.2
)
_NOT_AN_OPERATOR = Problem(
    403, "key.operator_only", Text("此处须用操作员密钥", "this takes an operator's key")
)
_NOT_A_CENTRE = Problem(
    403, "key.centre_only", Text("此处须用网点密钥", "this takes the key of a centre")
)
_TOO_FAST = Text("请求过快，请稍后再试", "too many requests; come again shortly")


@dataclass(frozen=True, slots=True)
class Visit:
    """One authenticated request; for a centre's key `centre_id` says whose."""

    context: Context
    now: datetime
    caller: Caller

    @property
    def centre_id(self) -> str:
        """The centre of the key. Raises Problem for an operator's."""
        if self.caller.centre_id is None:
            raise _NOT_A_CENTRE
        return self.caller.centre_id


def _visit(
    request: Request,
    presented: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Visit:
    desk = desk_of(request)
    context, now = desk.context, desk.now
    caller = caller_of(context, presented.credentials, now=now) if presented else None
    if caller is None:
        raise _NO_KEY
    if wait := desk.pace.seconds_to_wait(caller.key_id, now):
        raise Problem(429, "too_fast", _TOO_FAST, headers={"Retry-After": str(wait)})
    return Visit(context, now, caller)


def _of_a_centre(visit: Annotated[Visit, Depends(_visit)]) -> Visit:
    if visit.caller.centre_id is None:
        raise _NOT_A_CENTRE
    return visit


def _of_an_operator(visit: Annotated[Visit, Depends(_visit)]) -> Visit:
    if visit.caller.centre_id is not None:
        raise _NOT_AN_OPERATOR
    return visit


CentreVisit = Annotated[Visit, Depends(_of_a_centre)]
OperatorVisit = Annotated[Visit, Depends(_of_an_operator)]
