"""Limits at the door: refuse early rather than collapse late."""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router.errors import Overloaded


class Gate:
    """At most ``limit`` queries at once; the next one is told to come back."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Raises Overloaded when full."""
        if self._inside >= self._limit:
            raise Overloaded(self._limit)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


class BodyLimit:
    """Refuses request bodies above ``limit`` bytes with 413, chunked ones too."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = await self._body(receive)
        if body is None:
            refusal = JSONResponse({"detail": f"body is larger than {self._limit} bytes"}, 413)
            await refusal(scope, receive, send)
            return
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body; None when it is too large."""
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return body
            chunk: bytes = message.get("body", b"")
            body += chunk
            if len(body) > self._limit:
                return None
            if not message.get("more_body", False):
                return body
