"""OFREP's single evaluation as plain ASGI, in front of the routes: clients ask it per request.

Routing, request and response objects, and an encoder for each answer cost two thirds of its time.
An answer is one of a few for each flag and version, so it is encoded once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from sluice.flags.resolution import FLAG_NOT_FOUND, Resolution, resolve
from sluice.flags.server.access import key_in
from sluice.flags.server.answers import failure, success
from sluice.flags.server.api_keys import EVALUATE, FlagApiKeys
from sluice.flags.server.requests import BadRequestError, parse_targeting_key, read_body
from sluice.flags.view import FlagView

PREFIX = "/ofrep/v1/evaluate/flags/"
ANSWERS_CACHED_MAX = 1024
_NO_BODY = (b"content-length", b"0")
_ALLOW = (b"allow", b"POST")
Answer = tuple[HTTPStatus, bytes]


class SingleEvaluation:
    """The endpoint, or ``app`` for every other path."""

    def __init__(self, app: ASGIApp, view: FlagView, keys: FlagApiKeys) -> None:
        self._app = app
        self._view = view
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        if scope["method"] != "POST":
            await _send(send, HTTPStatus.METHOD_NOT_ALLOWED, b"", (_NO_BODY, _ALLOW))
            return
        scopes = self._keys.scopes(key_in(scope["headers"]))
        if EVALUATE not in scopes:
            status = HTTPStatus.FORBIDDEN if scopes else HTTPStatus.UNAUTHORIZED
            await _send(send, status, b"", (_NO_BODY,))
            return
        status, body = await self._answer(scope["path"][len(PREFIX) :], receive)
        length = str(len(body)).encode()
        headers = ((b"content-length", length), (b"content-type", b"application/json"))
        await _send(send, status, body, headers)

    async def _answer(self, flag: str, receive: Receive) -> Answer:
        try:
            user = parse_targeting_key(await read_body(receive))
        except BadRequestError as error:
            return HTTPStatus.BAD_REQUEST, _encode(failure(flag, error.code, error.details))
        resolved = resolve(self._view, flag, user)
        if isinstance(resolved, Resolution):
            return HTTPStatus.OK, _encoded_success(flag, resolved)
        is_unknown = resolved.code == FLAG_NOT_FOUND
        status = HTTPStatus.NOT_FOUND if is_unknown else HTTPStatus.BAD_REQUEST
        return status, _encode(failure(flag, resolved.code, resolved.message))


@lru_cache(maxsize=ANSWERS_CACHED_MAX)
def _encoded_success(flag: str, resolved: Resolution) -> bytes:
    return _encode(success(flag, resolved))


def _encode(document: dict[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


async def _send(
    send: Send, status: HTTPStatus, body: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> None:
    start = {"type": "http.response.start", "status": int(status), "headers": list(headers)}
    await send(start)
    await send({"type": "http.response.body", "body": body})
