"""The router over HTTP. Handlers translate; the router decides."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from router.errors import (
    InjectedFault,
    InvalidQuestion,
    NotReady,
    Overloaded,
    RouterError,
    StoreUnavailable,
    UnknownDecision,
)
from router.flags.processes import RouterProcess, told
from router.learning import InvalidFeedbackError
from router.processes import report
from router.router import QueryRouter
from router.service_limits import BodyLimit, Gate
from router.service_models import AnswerBody, FeedbackBody, FeedbackTaken, Problem, QueryBody

logger = structlog.get_logger(__name__)
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    429: {"model": Problem, "description": "too many queries in flight; see Retry-After"},
    503: {"model": Problem, "description": "not ready, or every store failed"},
}
_STATUS: dict[type[Exception], int] = {
    InvalidQuestion: 422,
    InvalidFeedbackError: 422,
    UnknownDecision: 404,
    Overloaded: 429,
    NotReady: 503,
    StoreUnavailable: 503,
    InjectedFault: 500,
    TimeoutError: 503,
}


def create_app(router: QueryRouter, process: RouterProcess) -> FastAPI:
    """The application of one process. The router is initialised and closed with it."""
    gate = Gate(router.settings.limits.in_flight)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await router.initialize()
        parts = router.parts
        reporting = asyncio.create_task(
            report(parts.redis, router.settings.environment, process, router.metrics)
        )
        try:
            yield
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)
            await router.close()

    app = FastAPI(title="Sluice query router", lifespan=lifespan, redoc_url=None)
    app.add_middleware(BodyLimit, limit=router.settings.limits.body_bytes)
    for error, status in _STATUS.items():
        app.add_exception_handler(error, _problem(status))
    _add_queries(app, router, gate)
    _add_operations(app, router, process)
    return app


def _add_queries(app: FastAPI, router: QueryRouter, gate: Gate) -> None:
    @app.post("/query", responses=_PROBLEMS)
    async def query(body: QueryBody) -> AnswerBody:
        with gate.entered():
            answer = await router.query(
                body.query, user_id=body.user_id, session_id=body.session_id, limit=body.limit
            )
        return AnswerBody.of(answer)

    @app.post("/feedback", status_code=202, responses={**_PROBLEMS, 404: {"model": Problem}})
    async def feedback(body: FeedbackBody) -> FeedbackTaken:
        receipt = await router.record_feedback(body.signals(), complaint=body.complaint)
        return FeedbackTaken(outcome=receipt.outcome, cohort=receipt.cohort, reward=receipt.reward)


def _add_operations(app: FastAPI, router: QueryRouter, process: RouterProcess) -> None:
    @app.get("/flags")
    async def flags() -> dict[str, Any]:
        return told(process.id, router.parts.reader)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", responses={503: {"model": Problem}})
    async def readyz() -> dict[str, Any]:
        """Ready when the flags are followed and at least one store answers; the rest is told."""
        if router.parts.reader.stale:
            raise NotReady("the flags are not followed: is Redis up?")
        stores = await router.health()
        if all(state != "ok" for state in stores.values()):
            raise NotReady(f"no store answers: {stores}")
        return {"status": "ready", "stores": stores}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(router.metrics.registry), media_type=CONTENT_TYPE_LATEST)


Handler = Callable[[Request, Exception], Awaitable[Response]]


def _problem(status: int) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        if not isinstance(error, RouterError | ValueError):
            logger.warning("query_failed", path=request.url.path, why=repr(error))
        headers = {}
        if isinstance(error, Overloaded):
            headers["Retry-After"] = str(error.retry_after_seconds)
        detail = str(error) or "no answer in time"
        return JSONResponse({"detail": detail}, status_code=status, headers=headers)

    return handle
