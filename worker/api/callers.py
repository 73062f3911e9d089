"""Who asks: the bearer key of a request, and with it the one centre whose cases it may see."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from worker.api.desk import desk_of
from worker.api.problems import Problem
from worker.domain.errors import Text
from worker.services.api_keys import Caller, CentreScope, OperatorScope, caller_of
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


class _WithoutScope(Problem):
    """A key that lacks what the route takes; said in the header too (RFC 6750 §3.1)."""

    def __init__(self, scope: str) -> None:
        said = Text(
            f"此密钥没有权限 {scope}；请用 qida keys create --scope 另建密钥",
            f"this key lacks the scope {scope}; make one that has it: qida keys create --scope",
        )
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
        super().__init__(403, "key.scope", said, headers={"WWW-Authenticate": challenge})
        self.scope = scope

    def body(self) -> dict[str, object]:
        """The problem, with the scope for programs."""
        return super().body() | {"scope": self.scope}


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
    if presented is None:
        raise _NO_KEY
    context, now = desk.context_of(presented.credentials), desk.now
    caller = caller_of(context, presented.credentials, now=now)
    if caller is None:
        raise _NO_KEY
    if wait := desk.pace.seconds_to_wait(caller.key_id):
        raise Problem(429, "too_fast", _TOO_FAST, headers={"Retry-After": str(wait)})
    return Visit(context, now, caller)


async def _of_a_centre(visit: Annotated[Visit, Depends(_visit)], takes: SecurityScopes) -> Visit:
    if visit.caller.centre_id is None:
        raise _NOT_A_CENTRE
    return _holding(visit, takes)


async def _of_an_operator(visit: Annotated[Visit, Depends(_visit)], takes: SecurityScopes) -> Visit:
    if visit.caller.centre_id is not None:
        raise _NOT_AN_OPERATOR
    return _holding(visit, takes)


def _holding(visit: Visit, takes: SecurityScopes) -> Visit:
    for scope in takes.scopes:
        if scope not in visit.caller.scopes:
            raise _WithoutScope(scope)
    return visit


def _centre_with(scope: CentreScope) -> object:
    return Security(_of_a_centre, scopes=[scope])


def _operator_with(scope: OperatorScope) -> object:
    return Security(_of_an_operator, scopes=[scope])


ReadingVisit = Annotated[Visit, _centre_with("cases:read")]
WritingVisit = Annotated[Visit, _centre_with("cases:write")]
ImportVisit = Annotated[Visit, _centre_with("imports")]
EvidenceVisit = Annotated[Visit, _centre_with("evidence")]
RunsVisit = Annotated[Visit, _operator_with("job-runs")]
ApprovingVisit = Annotated[Visit, _operator_with("imports:approve")]
MetricsVisit = Annotated[Visit, _operator_with("metrics")]
"""Who asks, by what the route takes: a scope a route, told in the description of each."""
