"""HTTP application of the router: handlers translate between HTTP and QueryRouter."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import urlsplit

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
from router.http.api_docs import add_api_docs
from router.http.api_keys import ApiKeys, Principal
from router.http.garbage_collection import spare_collections
from router.http.middleware import Refuse, RequestLimits, RequestMiddleware
from router.http.operations import add_operations
from router.http.schemas import (
    AnswerBody,
    ErrorBody,
    FeedbackBody,
    QueryBody,
    ReceiptBody,
    answer_json,
)
from router.http.trusted_hosts import TrustedHosts
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
    400: "the body is not JSON, or the Host header is unknown",
    401: "no valid API key (only if keys are configured)",
    403: "the key lacks the scope",
    404: "this query id was not issued to the tenant, or too long ago",
    413: "the body is too large",
    422: "a field is missing or wrong; `detail` names it",
    429: "too much in flight, or over the tenant's quota; retry after Retry-After seconds",
    500: "an error of the router",
    503: "not ready, late, or every store failed",
    504: "no answer within the request's own `seconds`",
}


def _error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": ErrorBody, "description": _DESCRIPTIONS[status]} for status in statuses
    }


@dataclass(slots=True)
class ServiceState:
    """State that the server shares with the application of one process."""

    draining: bool = False
    startup_error: RouterSettingsError | None = None
    telemetry: Telemetry = field(default_factory=Telemetry)
    run_operations: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None
    """Serves the operations on a port of their own; None adds them to the public application."""


def create_app(
    router: QueryRouter, process: ServiceProcess, state: ServiceState | None = None
) -> FastAPI:
    """Return the application of one process; it initialises and closes the router.

    Raises:
        RouterSettingsError: the key file is unusable.
    """
    state = state or ServiceState(telemetry=Telemetry.from_environment(os.environ))
    keys = ApiKeys(router.settings.access.keys_path)
    app = FastAPI(
        title="Sluice query router",
        lifespan=_lifespan(router, process, state, keys),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        version="1",
    )
    _add_middleware(app, router, process, state, _admission(router, keys))
    _add_queries(app, router, keys)
    add_api_docs(app)
    if state.run_operations is None:
        add_operations(app, router, process, lambda: state.draining)
    return app


def create_operations_app(
    router: QueryRouter, process: ServiceProcess, state: ServiceState
) -> FastAPI:
    """Return the application of the operations port: flags, health and metrics, without keys."""
    app = FastAPI(
        title="Sluice query router: operations",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    _add_middleware(app, router, process, state, lambda _: None)
    add_operations(app, router, process, lambda: state.draining)
    return app


def _add_middleware(
    app: FastAPI, router: QueryRouter, process: ServiceProcess, state: ServiceState, refuse: Refuse
) -> None:
    advertised = urlsplit(process.url).hostname or ""
    hosts = TrustedHosts((*router.settings.access.trusted_hosts, advertised))
    limits = RequestLimits(router.settings.limits.body_bytes, hosts, refuse)
    app.add_middleware(RequestMiddleware, telemetry=state.telemetry, limits=limits)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    for error, status in _STATUS.items():
        app.add_exception_handler(error, _error_handler(status))


def _lifespan(
    router: QueryRouter, process: ServiceProcess, state: ServiceState, keys: ApiKeys
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if state.run_operations is not None:
                operations = create_operations_app(router, process, state)
                await stack.enter_async_context(state.run_operations(operations))
            try:
                await router.initialize()
            except RouterSettingsError as error:
                state.startup_error = error
                raise
            spare_collections()
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

    return lifespan


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
        """Return records, best first, with the decision that led to them.

        An unavailable store or model makes the answer `degraded`, not an error.
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
        return Response(answer_json(answer, explain=body.explain), media_type="application/json")

    @app.post(
        "/feedback",
        status_code=202,
        responses=_error_responses(400, 401, 403, 404, 413, 422, 429, 500, 503),
        summary="Record a user's signals about an answer",
    )
    async def feedback(
        body: FeedbackBody, caller: Annotated[Principal, Depends(_require_scope(keys, "feedback"))]
    ) -> ReceiptBody:
        """Record feedback. It is durable when 202 returns; a repetition counts once."""
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
        trace.set_attributes(tenant=caller.tenant, key_id=caller.key_id)
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
            logger.warning("query_failed", path=request.url.path, reason=repr(error))
        headers = {}
        if isinstance(error, Overloaded):
            headers["Retry-After"] = str(error.retry_after_seconds)
        if isinstance(error, Unauthorised):
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse({"detail": _error_detail(error)}, status_code=status, headers=headers)

    return handle


async def _handle_validation_error(_: Request, error: Exception) -> Response:
    """Name the field and the error, without the value: it may be a secret or invalid text."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    details = [
        {name: problem[name] for name in ("loc", "msg", "type")} for problem in error.errors()
    ]
    for detail in details:
        if detail["type"] == "model_attributes_type":
            detail["msg"] = "send a JSON object, with the header content-type: application/json"
    text = json.dumps({"detail": details}, default=str)  # ASCII, so that any message can be sent
    return Response(text, status_code=422, media_type="application/json")


def _error_detail(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    # Internal errors go to the log, which has the trace id, and not to the caller.
    return str(error) if isinstance(error, RouterError | ValueError) else "internal error"
