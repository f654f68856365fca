"""`SluiceMiddleware`: one line makes an ASGI service one that a rollout can gate and read back.

    app.add_middleware(SluiceMiddleware, flag="new_ranking")

It evaluates the flag for each request's user, counts requests and users by cohort, announces the
process and answers the read-back. A request without a user id passes through and is not counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry

from sluice.flags.redis.reader import FlagReader
from sluice.flags.redis.urls import connect
from sluice.flags.service.announcement import Announcement, announce
from sluice.flags.service.cohort_labels import DEFAULT_LABELS, CohortLabels
from sluice.flags.service.exposure import Exposure, OutcomeRecorder
from sluice.flags.service.metrics import FlagMetrics, ServiceMetrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
UserId = Callable[[Scope], str | None]

USER_HEADER = "x-user-id"
SCOPE_KEY = "sluice"
READY_SECONDS = 2.0
SERVER_ERROR_MIN = 500
logger = logging.getLogger(__name__)


def user_from_header(name: str = USER_HEADER) -> UserId:
    """Return a function that reads the user id from a request header."""
    header_name = name.lower().encode("latin-1")

    def user_id(scope: Scope) -> str | None:
        for key, value in scope["headers"]:
            if key == header_name:
                return str(value, "utf-8", "replace") or None
        return None

    return user_id


def exposure(scope: Scope) -> Exposure | None:
    """Return the request's exposure; None without a user id. Starlette: `exposure(request.scope)`."""
    request_exposure: Exposure | None = scope.get(SCOPE_KEY)
    return request_exposure


class SluiceMiddleware:
    """ASGI middleware for one flag. `user` returns a request's user id, or None.

    `cohorts` is the label of the cohorts in the metrics, as `cohorts:` of the plan names it.

    `reader` defaults to the flags of `REDIS_URL` and `SLUICE_ENVIRONMENT`. It starts with the
    application, or with the first request where the server runs no lifespan.
    """

    def __init__(  # noqa: PLR0913  only the flag must be given
        self,
        app: App,
        flag: str,
        *,
        user: UserId | None = None,
        reader: FlagReader | None = None,
        cohorts: CohortLabels = DEFAULT_LABELS,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._app = app
        self._user = user or user_from_header()
        self._reader = reader or FlagReader.from_environment()
        self._redis = connect(self._reader.redis_url)
        families = ServiceMetrics.of(registry, cohorts.label)
        metrics = FlagMetrics(families, flag, self._reader, cohorts)
        self._recorder = OutcomeRecorder(flag, self._reader, self._redis, metrics)
        self._announcement: Announcement | None = None
        self._flusher: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._serve_lifespan(scope, receive, send)
        elif scope["type"] == "http" and (user_id := self._user(scope)):
            self._start()
            await self._serve_request(user_id, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve_request(
        self, user_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        exposed = scope[SCOPE_KEY] = self._recorder.expose(user_id)
        status = SERVER_ERROR_MIN  # an application that never answers has failed

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        try:
            await self._app(scope, receive, send_and_note)
        except Exception:
            status = SERVER_ERROR_MIN
            raise
        finally:
            seconds = time.perf_counter() - started
            exposed.record_request(seconds, failed=status >= SERVER_ERROR_MIN)

    async def _serve_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_and_start() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._start()
                await self._wait_ready()
            return message

        async def stop_and_send(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown"):
                await self._stop()  # before the server may close the loop
            await send(message)

        await self._app(scope, receive_and_start, stop_and_send)

    def _start(self) -> None:
        if self._announcement is None:
            self._reader.start()
            self._announcement = announce(self._reader)
            self._flusher = asyncio.get_running_loop().create_task(self._recorder.users.run())

    async def _wait_ready(self) -> None:
        if not await asyncio.to_thread(self._reader.wait_ready, READY_SECONDS):
            logger.warning("the flags are not read yet: every user is in control until they are")

    async def _stop(self) -> None:
        announcement, self._announcement = self._announcement, None
        if announcement is None or self._flusher is None:
            return
        self._flusher.cancel()
        with suppress(asyncio.CancelledError):
            await self._flusher
        await self._recorder.users.flush()
        await self._redis.aclose()
        await asyncio.to_thread(announcement.close)
        self._reader.stop()
