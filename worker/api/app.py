"""The application: the API of centres and operators, callbacks, and whether the worker is well."""

import logging
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse

from worker import __version__
from worker.api.callbacks import hook, unsubscribing
from worker.api.cases import cases
from worker.api.desk import Desk, Rehearse, desk_of
from worker.api.docs import docs
from worker.api.envelope import Envelope
from worker.api.examples import ANSWERS, PROBLEM
from worker.api.imports import imports
from worker.api.metrics import metering
from worker.api.pace import Pace
from worker.api.previews import previews
from worker.api.problems import add_problems
from worker.api.proof import proof
from worker.api.runs import runs
from worker.api.schemas import ProblemOut
from worker.clock import Clock
from worker.runtime import Callbacks
from worker.services.context import Context

log = logging.getLogger(__name__)

health = APIRouter(tags=["health"])

_ABOUT = (
    "期达为网点登记的每个案件推算何时失效、何时可办，并及时提醒当事人。"
    "时间均为 ISO 8601（+08:00）；密钥由 `qida keys create` 生成，每个操作写明所需权限。\n\n"
    "Qida works out when something lapses or becomes ready for each case a service centre "
    "enrols, and reminds the citizen in time. Instants are ISO 8601 at +08:00. "
    "`qida keys create` makes keys; each operation names the scope it takes."
)


class _Described(FastAPI):
    """FastAPI, with what its description lacks: the schema of problems, since no route has it as
    its answer, and an example of each good answer."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        described = super().openapi()
        problem = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}")
        problem["examples"] = [PROBLEM]
        described["components"]["schemas"] |= {**problem.pop("$defs", {}), "ProblemOut": problem}
        for operation in operations(described):
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    _show(answer, ANSWERS.get(operation["operationId"]))
        return described


def operations(described: dict[str, Any]) -> list[dict[str, Any]]:
    """Every operation of an OpenAPI document."""
    return [one for methods in described["paths"].values() for one in methods.values()]


def _show(answer: dict[str, Any], example: object) -> None:
    """Put the example beside the schema it fits: text where it is text."""
    for media_type, content in answer.get("content", {}).items():
        if (media_type == "application/json") != isinstance(example, str) and example is not None:
            content["example"] = example


def create_app(
    context: Callable[[], Context],
    clock: Clock,
    callbacks: Callbacks | None = None,
    pace: Pace | None = None,
    rehearse: Rehearse = lambda _: None,
) -> FastAPI:
    """The application over the context in force; without `callbacks` there is no hook.

    `pace` is how fast a key may ask; `rehearse` gives what test keys see.
    """
    app = _Described(
        title="Qida",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        # Two operations of one name would be told apart by their paths alone
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.desk = Desk(context, clock, pace or Pace(), rehearse)
    add_problems(app)
    for router in (cases, proof, imports, previews, runs, metering(), health, unsubscribing, docs):
        app.include_router(router)
    if callbacks is not None:
        app.include_router(hook(callbacks))
    app.add_middleware(Envelope)
    return app


@health.get("/healthz", summary="进程在运行 · Whether the process answers")
def healthz() -> dict[str, str]:
    """Nothing else is asked: for the supervisor that would start it again."""
    return {"status": "ok"}


@health.get(
    "/readyz",
    summary="可以接受请求 · Whether the database answers, too",
    response_model=dict[str, str],
    responses={503: {"description": "The database is away"}},
)
def readyz(request: Request) -> JSONResponse:
    """For the balancer that would send requests elsewhere."""
    try:
        with desk_of(request).context.db.reading() as session:
            session.connection()
    except Exception:
        log.exception("database.away")
        return JSONResponse({"status": "the database is away"}, 503)
    return JSONResponse({"status": "ok"})
