"""The API key of a request, and endpoints that require one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response

from sluice.flags.server.api_keys import FlagApiKeys

Endpoint = Callable[[Request], Awaitable[Response]]


def guarded(endpoint: Endpoint, keys: FlagApiKeys, scope: str) -> Endpoint:
    """Return the endpoint behind a key of that scope: 401 without one, 403 without the scope."""

    async def guarded_endpoint(request: Request) -> Response:
        scopes = keys.scopes(key_of(request))
        if scope in scopes:
            return await endpoint(request)
        return Response(status_code=403 if scopes else 401)

    return guarded_endpoint


def key_of(request: Request) -> str:
    """Return the key of `X-API-Key` or `Authorization: Bearer`; empty without one."""
    return key_in(request.scope["headers"])


def key_in(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the key of ASGI's headers: the first `X-API-Key`, else the first bearer token."""
    bearer = ""
    for name, value in headers:
        if name == b"x-api-key" and value:
            return value.decode("latin-1")
        if name == b"authorization" and not bearer:
            scheme, _, token = value.decode("latin-1").partition(" ")
            bearer = token if scheme.lower() == "bearer" else ""
    return bearer
