"""HTTP client for the URLs of the process registry, which reaches only the networks of processes.

A response ends at `RESPONSE_BYTES_MAX`. The read-back has a client of its own, `process_request`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence

import httpx

from sluice.flags.redis.process_networks import (
    AddressRefusedError,
    Network,
    read_networks,
    resolve_address,
)

RESPONSE_BYTES_MAX = 4 * 1024 * 1024


def process_client(
    environment: Mapping[str, str] = os.environ, timeout: float = 5.0
) -> httpx.AsyncClient:
    """Return a client without the environment's proxy: processes are neighbours.

    Raises InvalidFlagError when `SLUICE_PROCESS_NETWORKS` is not a list of networks.
    """
    transport = ProcessTransport(read_networks(environment))
    return httpx.AsyncClient(transport=transport, trust_env=False, timeout=timeout)


class ProcessTransport(httpx.AsyncBaseTransport):
    """Transport to addresses of `networks`; any other address is an httpx.ConnectError."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request to a checked address, with the name as Host and for TLS."""
        name = request.url.host
        try:
            address = await resolve_address(name, request.url.port or 0, self._networks)
        except AddressRefusedError as error:
            raise httpx.ConnectError(str(error)) from error
        request.headers["accept-encoding"] = "identity"
        pinned = httpx.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": name},
        )
        response = await self._inner.handle_async_request(pinned)
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - of an async transport
        response.stream = _BoundedStream(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    """A response's bytes, up to `RESPONSE_BYTES_MAX`."""

    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > RESPONSE_BYTES_MAX:
                raise httpx.ReadError(f"the response is larger than {RESPONSE_BYTES_MAX} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
