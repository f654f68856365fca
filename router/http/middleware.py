"""ASGI middleware of every request: admission, limits, trace, security headers, log line."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router.http.security_headers import security_headers
from router.http.trusted_hosts import TrustedHosts
from router.observability.telemetry import Telemetry

QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/flags"})
"""Requested every second by machines, so only their failures are logged."""
SERVER_ERROR = 500
QUERY_PATH = "/query"
BODY_SECONDS = 10.0
"""Time to receive a whole body."""
REFUSAL_DELAY_SECONDS = 0.2
"""Delay of a 429: a client that ignores Retry-After cannot occupy the process with refusals."""
DELAYED_REFUSALS_MAX = 512
Refuse = Callable[[Scope], str | None]
"""Returns the reason to refuse a query before its body is read, or None."""
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Limits that apply before the application sees a request."""

    body_bytes: int
    hosts: TrustedHosts
    refuse: Refuse


class RequestMiddleware:
    """Pure ASGI: Starlette's middleware base would cost more time than the handlers."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, limits: RequestLimits) -> None:
        self._app = app
        self._telemetry = telemetry
        self._limits = limits
        self._delayed_refusals = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == QUERY_PATH and (refusal := self._limits.refuse(scope)):
            await self._send_refusal(send, refusal)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        if not self._limits.hosts.is_trusted(headers.get("host", "")):
            await _send_error(send, 400, "unknown Host header: add it to SLUICE_TRUSTED_HOSTS")
            return
        await self._handle(scope, receive, send, headers)

    async def _handle(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]
    ) -> None:
        path, started, status = scope["path"], time.perf_counter(), SERVER_ERROR
        with self._telemetry.trace_request(f"{scope['method']} {path}", headers) as trace:

            async def send_with_headers(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    message["headers"] = [
                        *message.get("headers", ()),
                        *security_headers(path),
                        (b"x-trace-id", trace.id.encode()),
                    ]
                await send(message)

            try:
                await self._call_with_body_limit(scope, receive, send_with_headers)
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

    async def _send_refusal(self, send: Send, reason: str) -> None:
        """Send 429 without a trace and a log line: a refusal must cost less than the query."""
        if self._delayed_refusals < DELAYED_REFUSALS_MAX:
            self._delayed_refusals += 1
            try:
                await asyncio.sleep(REFUSAL_DELAY_SECONDS)
            finally:
                self._delayed_refusals -= 1
        await _send_error(send, 429, reason, (b"retry-after", b"1"))

    async def _call_with_body_limit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a body above the limit with 413 and a slow one with 408, chunked ones too."""
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        limit = self._limits.body_bytes
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read_body(receive, limit)
        except TimeoutError:
            detail = f"the body took longer than {BODY_SECONDS:g} s"
            await _send_error(send, 408, detail, (b"connection", b"close"))
            return
        if body is None:
            detail = f"body is larger than {limit} bytes"
            # The rest of the body is not read.
            await _send_error(send, 413, detail, (b"connection", b"close"))
            return
        await self._app(scope, _replay(body, receive), send)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that yields the body first."""
    is_pending = True

    async def replay() -> Message:
        nonlocal is_pending
        if not is_pending:
            return await receive()
        is_pending = False
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _read_body(receive: Receive, limit: int) -> bytes | None:
    """Return the whole body, or None above the limit."""
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


async def _send_error(send: Send, status: int, detail: str, *headers: tuple[bytes, bytes]) -> None:
    body = json.dumps({"detail": detail}).encode()
    fields = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *headers,
        *security_headers(""),
    ]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
