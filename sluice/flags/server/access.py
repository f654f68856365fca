"""The API key of a request, and endpoints that require one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

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
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key") or (token if scheme.lower() == "bearer" else "")
