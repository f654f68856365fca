"""The router over HTTP. Handlers translate; the router decides."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Scope

from router.errors import (
    DeadlineExceeded,
    Forbidden,
    InjectedFault,
    InvalidQuestion,
    NotReady,
    Overloaded,
    RouterError,
    RouterSettingsError,
    StoreUnavailable,
    Unauthorised,
    UnknownQueryId,
)
from router.http.api_keys import ApiKeys, Principal
from router.http.middleware import Refuse, RequestMiddleware
from router.http.operations import add_operations
from router.http.schemas import AnswerBody, ErrorBody, FeedbackBody, QueryBody, ReceiptBody
from router.learning import InvalidFeedbackError
from router.observability import trace
from router.observability.telemetry import Telemetry
from router.overload.timeouts import cancel_all
from router.phases.process_heartbeat import send_heartbeats
from router.router import QueryRouter
from sluice.flags.redis.process_registry import ServiceProcess

KEYS_RELOAD_SECONDS = 2.0
logger = structlog.get_logger(__name__)
_STATUS: dict[type[Exception], int] = {
    InvalidQuestion: 422,
    InvalidFeedbackError: 422,
    Unauthorised: 401,
    Forbidden: 403,
    UnknownQueryId: 404,
    Overloaded: 429,
    DeadlineExceeded: 504,
    NotReady: 503,
    StoreUnavailable: 503,
    InjectedFault: 500,
    TimeoutError: 503,
    Exception: 500,
}
_DESCRIPTIONS = {
    400: "the body is no JSON",
    401: "no valid API key (only where keys are configured)",
    403: "the key lacks the scope",
    404: "this query id was not given out, or too long ago",
    413: "the body is too large",
    422: "a field is missing or wrong; `detail` names it",
    429: "too much in flight; come back after Retry-After seconds",
    500: "a fault of the router",
    503: "not ready, late, or every store failed",
    504: "no answer within the request's own `seconds`",
}


def _error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {each: {"model": ErrorBody, "description": _DESCRIPTIONS[each]} for each in statuses}


@dataclass(slots=True)
class ServiceState:
    """What the server tells the application while it runs, and why that could not start."""

    draining: bool = False
    startup_error: RouterSettingsError | None = None
    telemetry: Telemetry = field(default_factory=Telemetry)


def create_app(
    router: QueryRouter, process: ServiceProcess, state: ServiceState | None = None
) -> FastAPI:
    """The application of one process. The router is initialised and closed with it.

    Raises SettingsError for a key file that can't be used.
    """
    state = state or ServiceState(telemetry=Telemetry.from_environment(os.environ))
    keys = ApiKeys(router.settings.access.keys_path)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await router.initialize()
        except RouterSettingsError as error:
            state.startup_error = error
            raise
        redis, environment = router.components.redis, router.settings.environment
        tasks = [
            asyncio.create_task(send_heartbeats(redis, environment, process, router.metrics)),
            asyncio.create_task(_reload_keys(keys)),
        ]
        try:
            yield
        finally:
            await cancel_all(tasks)
            await router.close()
            state.telemetry.close()

    app = FastAPI(title="Sluice query router", lifespan=lifespan, redoc_url=None, version="1")
    app.add_middleware(
        RequestMiddleware,
        telemetry=state.telemetry,
        body_limit=router.settings.limits.body_bytes,
        refuse=_admission(router, keys),
    )
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    for error, status in _STATUS.items():
        app.add_exception_handler(error, _error_handler(status))
    _add_queries(app, router, keys)
    add_operations(app, router, process, lambda: state.draining)
    return app


def _admission(router: QueryRouter, keys: ApiKeys) -> Refuse:
    def refuse(scope: Scope) -> str | None:
        authorization = dict(scope["headers"]).get(b"authorization", b"")
        try:
            router.components.admission.require_capacity(
                keys.tenant(authorization.decode("latin-1"))
            )
        except Overloaded as error:
            return str(error)
        return None

    return refuse


def _add_queries(app: FastAPI, router: QueryRouter, keys: ApiKeys) -> None:
    @app.post(
        "/query",
        response_model=AnswerBody,
        responses=_error_responses(400, 401, 403, 413, 422, 429, 500, 503, 504),
        summary="Answer a question",
    )
    async def query(
        body: QueryBody, caller: Annotated[Principal, Depends(_require_scope(keys, "query"))]
    ) -> Response:
        """Found records, best first, and enough of the decision to explain it.

        A store or model that is away makes the answer `degraded`, not an error.
        """
        answer = await router.query(
            body.query,
            user_id=body.user_id,
            session_id=body.session_id,
            limit=body.limit,
            tenant=caller.tenant,
            seconds=body.seconds,
        )
        trace.set_attributes(query_id=answer.query_id, cohort=answer.cohort, outcome=answer.outcome)
        text = AnswerBody.from_answer(answer, explain=body.explain).model_dump_json()
        return Response(text, media_type="application/json")

    @app.post(
        "/feedback",
        status_code=202,
        responses=_error_responses(400, 401, 403, 404, 413, 422, 429, 500, 503),
        summary="Tell what a user made of an answer",
    )
    async def feedback(
        body: FeedbackBody, caller: Annotated[Principal, Depends(_require_scope(keys, "feedback"))]
    ) -> ReceiptBody:
        """Durable when 202 comes back; sent again after a doubt it counts once."""
        trace.set_attributes(query_id=body.query_id, tenant=caller.tenant)
        receipt = await router.record_feedback(
            body.to_feedback(), complaint=body.complaint, tenant=caller.tenant
        )
        return ReceiptBody(outcome=receipt.outcome, cohort=receipt.cohort, reward=receipt.reward)


_bearer = HTTPBearer(auto_error=False, description="An API key from `sluice key TENANT`.")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def _require_scope(keys: ApiKeys, scope: str) -> Callable[[Request, Bearer], Awaitable[Principal]]:
    async def allowed(request: Request, _: Bearer) -> Principal:
        caller = keys.authorize(request.headers.get("authorization"), scope)
        trace.set_attributes(tenant=caller.tenant)
        return caller

    return allowed


async def _reload_keys(keys: ApiKeys) -> None:
    while True:
        await asyncio.sleep(KEYS_RELOAD_SECONDS)
        await asyncio.to_thread(keys.reload_if_changed)


Handler = Callable[[Request, Exception], Awaitable[Response]]


def _error_handler(status: int) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        if not isinstance(error, RouterError | ValueError):
            logger.warning("query_failed", path=request.url.path, why=repr(error))
        headers = {}
        if isinstance(error, Overloaded):
            headers["Retry-After"] = str(error.retry_after_seconds)
        if isinstance(error, Unauthorised):
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse({"detail": _error_detail(error)}, status_code=status, headers=headers)

    return handle


async def _handle_validation_error(_: Request, error: Exception) -> Response:
    """Where and what, without what was sent: it may be no text at all, or a secret."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    found = [{name: each[name] for name in ("loc", "msg", "type")} for each in error.errors()]
    for each in found:
        if each["type"] == "model_attributes_type":
            each["msg"] = "send a JSON object, with the header content-type: application/json"
    text = json.dumps({"detail": found}, default=str)  # ASCII, so that any message can be sent
    return Response(text, status_code=422, media_type="application/json")


def _error_detail(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    # What went wrong inside is for the log, which has the trace id; not for whoever asks.
    return str(error) if isinstance(error, RouterError | ValueError) else "internal error"
