"""What every request passes first: room for it, its trace, its size, its line in the log."""

import json
import time
from collections.abc import Callable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router.observability.telemetry import Telemetry

QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/flags"})
"""Asked every second by machines: logged only when it fails."""
SERVER_ERROR = 500
QUERY_PATH = "/query"
Refuse = Callable[[Scope], str | None]
"""Returns the reason to refuse a query before its body is read, or None."""
logger = structlog.get_logger(__name__)


class RequestMiddleware:
    """Pure ASGI: a middleware of Starlette's kind would cost more than the handlers do."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, body_limit: int, refuse: Refuse) -> None:
        self._app = app
        self._telemetry = telemetry
        self._limit = body_limit
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == QUERY_PATH and (refusal := self._refuse(scope)):
            # No trace and no log line: a refusal must cost less than the work it avoids.
            await _send_error(send, 429, refusal, (b"retry-after", b"1"))
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        path, started, status = scope["path"], time.perf_counter(), SERVER_ERROR
        with self._telemetry.trace_request(f"{scope['method']} {path}", headers) as trace:

            async def sent(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    message["headers"] = [
                        *message.get("headers", ()),
                        (b"x-trace-id", trace.id.encode()),
                    ]
                await send(message)

            try:
                await self._call_with_body_limit(scope, receive, sent)
            finally:
                level = "warning" if status >= SERVER_ERROR else "info"
                if path not in QUIET_PATHS or level == "warning":
                    getattr(logger, level)(
                        "request",
                        method=scope["method"],
                        path=path,
                        status=status,
                        ms=round((time.perf_counter() - started) * 1000, 2),
                        **trace.attributes,
                    )

    async def _call_with_body_limit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse bodies above the limit with 413, chunked ones too."""
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = await _read_body(receive, self._limit)
        if body is None:
            detail = f"body is larger than {self._limit} bytes"
            # What is left of the body is not read.
            await _send_error(send, 413, detail, (b"connection", b"close"))
            return
        waiting = True

        async def replay() -> Message:
            nonlocal waiting
            if not waiting:
                return await receive()
            waiting = False
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


async def _read_body(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None when it is too large."""
    chunks, size = [], 0
    while True:
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
        if message["type"] != "http.request" or not message.get("more_body", False):
            return b"".join(chunks)


async def _send_error(send: Send, status: int, detail: str, header: tuple[bytes, bytes]) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        header,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
