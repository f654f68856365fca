"""Operations of a router process, for machines: flags, health and metrics. They need no key."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from router.errors import NotReady
from router.http.schemas import ErrorBody
from router.router import QueryRouter
from sluice.flags.redis.process_registry import ServiceProcess
from sluice.flags.service.readback import flags_response


def add_operations(
    app: FastAPI, router: QueryRouter, process: ServiceProcess, draining: Callable[[], bool]
) -> None:
    """Add the routes; ``draining`` returns True while the process is about to stop."""

    @app.get("/flags", tags=["operations"], summary="Flags as this process sees them")
    async def flags() -> dict[str, Any]:
        return flags_response(process.id, router.components.reader)

    @app.get("/healthz", tags=["operations"], summary="Alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/readyz",
        tags=["operations"],
        summary="Send queries here?",
        responses={503: {"model": ErrorBody, "description": "no: `detail` says why"}},
    )
    async def readyz() -> dict[str, Any]:
        """Return 200 if the flags are followed, all is warm and at least one store answers.

        A part that could not be warmed is in `not_warm` with the reason.
        """
        if draining():
            raise NotReady("draining: this process stops soon")
        stores = await _require_ready(router)
        return {"status": "ready", "stores": stores, "not_warm": router.components.warm_up.failures}

    @app.get(
        "/metrics",
        tags=["operations"],
        summary="Prometheus metrics",
        response_class=PlainTextResponse,
    )
    async def metrics() -> Response:
        return Response(generate_latest(router.metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def _require_ready(router: QueryRouter) -> dict[str, str]:
    """Return the state of each store. Raises NotReady with the reason."""
    components = router.components
    if components.reader.stale:
        raise NotReady("the flags are stale: check that Redis is up and writable")
    if pending := components.warm_up.pending:
        raise NotReady(f"warming up: {', '.join(pending)}")
    stores = await router.health()
    if all(state != "ok" for state in stores.values()):
        raise NotReady(f"no store answers: {stores}")
    return stores
