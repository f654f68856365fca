"""A proxy that shows a development server's Temporal UI without its write actions.

The development server has no setting for this. The UI server of production has one
(TEMPORAL_DISABLE_WRITE_ACTIONS), whose rules these are: read everything, ask a workflow's queries,
write nothing.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sluice.stack.port_allocator import LOOPBACK

SETTINGS_PATH = "/api/v1/settings"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# A query only reads, but the UI posts it. A word as last segment fits no path of another method.
QUERY_PATH = re.compile(r"/api/v1/namespaces/[^/]+/workflows/.+/query/\w+")
# Headers of one connection, which a proxy does not pass on, and those of a replaced body.
HOP_HEADERS = frozenset(
    {"connection", "host", "keep-alive", "trailer", "transfer-encoding", "upgrade"}
)
BODY_HEADERS = frozenset({"content-encoding", "content-length", "content-type"})
# The UI waits for new events with requests that stay open.
TIMEOUT = httpx.Timeout(10.0, read=None)
REFUSAL = "The UI of `sluice up` only reads. Decide with `sluice` or in the console."


def is_read(method: str, path: str) -> bool:
    """Return True if the request cannot change a workflow."""
    is_query = method == "POST" and QUERY_PATH.fullmatch(path) is not None
    return is_query or method in {"GET", "HEAD"}


def create_app(upstream_port: int) -> Starlette:
    """Return the proxy of the UI at a port of this machine."""
    upstream = httpx.AsyncClient(timeout=TIMEOUT, trust_env=False)

    async def forward(request: Request) -> Response:
        if not is_read(request.method, request.url.path):
            return JSONResponse({"message": REFUSAL}, status_code=403)
        raw_path = request.scope["raw_path"] + b"?" + request.scope["query_string"]
        url = httpx.URL(scheme="http", host=LOOPBACK, port=upstream_port, raw_path=raw_path)
        headers = [pair for pair in request.headers.items() if pair[0] not in HOP_HEADERS]
        outgoing = upstream.build_request(
            request.method, url, headers=headers, content=await request.body()
        )
        answer = await upstream.send(outgoing, stream=True)
        return await _response(answer, is_settings=request.url.path == SETTINGS_PATH)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with upstream:
            yield

    route = Route("/{path:path}", forward, methods=list(METHODS))
    # A foreign page whose name leads to this machine (DNS rebinding) must not read the UI.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"])
    return Starlette(routes=[route], middleware=[hosts], lifespan=lifespan)


async def _response(answer: httpx.Response, *, is_settings: bool) -> Response:
    """Return the UI's answer; its settings say that write actions are off, so it hides them."""
    response: Response
    if is_settings:
        settings = json.loads(await answer.aread())
        response = JSONResponse({**settings, "DisableWriteActions": True})
    else:
        close = BackgroundTask(answer.aclose)
        response = StreamingResponse(answer.aiter_raw(), answer.status_code, background=close)
    drop = HOP_HEADERS | BODY_HEADERS if is_settings else HOP_HEADERS
    for name, value in answer.headers.multi_items():
        if name not in drop:
            response.headers.append(name, value)
    return response


def serve(port: int, upstream_port: int) -> None:
    """Serve the UI until this process is stopped."""
    uvicorn.run(create_app(upstream_port), host=LOOPBACK, port=port, log_level="warning")
