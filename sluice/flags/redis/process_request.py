"""One `GET /flags` of a process, on a connection of its own.

A pool scans its connections for each request. With hundreds of processes that alone takes seconds.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

import h11

from sluice.flags.errors import InvalidFlagError
from sluice.flags.redis.process_networks import (
    AddressRefusedError,
    read_networks,
    resolve_address,
)

READ_BYTES = 65_536
BODY_BYTES_MAX = 64_000_000
STATUS_OK = 200
DEFAULT_PORTS = {"http": 80, "https": 443}


class ProcessRequestError(Exception):
    """A process did not answer as it must; the message says how."""


async def fetch_flags(url: str) -> bytes:
    """Return the body of the process's answer. The caller limits the time.

    Raises:
        ProcessRequestError: any other answer than 200, or none.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    context = ssl.create_default_context() if parts.scheme == "https" else None
    try:
        address = await resolve_address(host, port, read_networks(os.environ))
        name = host if context else None
        reader, writer = await asyncio.open_connection(
            address, port, ssl=context, server_hostname=name
        )
    except (OSError, AddressRefusedError, InvalidFlagError) as error:
        raise ProcessRequestError(f"no connection to {url}: {error}") from error
    try:
        return await _exchange(parts.netloc, reader, writer)
    except (OSError, h11.RemoteProtocolError) as error:
        raise ProcessRequestError(f"{url} did not answer: {error}") from error
    finally:
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()


async def _exchange(host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    connection = h11.Connection(h11.CLIENT)
    headers = [("Host", host), ("Accept", "application/json"), ("Connection", "close")]
    request = h11.Request(method="GET", target="/flags", headers=headers)
    writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
    body, size = [], 0
    while True:
        event = connection.next_event()
        match event:
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(READ_BYTES))
            case h11.Response(status_code=status) if status != STATUS_OK:
                raise ProcessRequestError(f"HTTP status {status}")
            case h11.Data(data=data):
                body.append(bytes(data))
                size += len(data)
                if size > BODY_BYTES_MAX:
                    raise ProcessRequestError(f"an answer above {BODY_BYTES_MAX} bytes")
            case h11.EndOfMessage():
                return b"".join(body)
            case h11.ConnectionClosed():
                raise ProcessRequestError("the connection ended before the answer")
