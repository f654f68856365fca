"""Bare HTTP/1.1 clients of an OFREP server: a comfortable one would take the time it measures."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

BULK = "/ofrep/v1/evaluate/flags"


@dataclass
class Connection:
    """One keep-alive connection."""

    url: str
    key: str = ""
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request; return status, headers in lower case, and the body.

        A server closes a connection that was idle, so the request is sent once more.
        """
        try:
            return await self._send(method, path, body, headers)
        except (OSError, asyncio.IncompleteReadError):
            self.streams = None
            return await self._send(method, path, body, headers)

    async def _send(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        if self.streams is None:
            address = urlsplit(self.url)
            self.streams = await asyncio.open_connection(address.hostname, address.port)
        reader, writer = self.streams
        lines = [f"{method} {path} HTTP/1.1", "host: localhost", f"content-length: {len(body)}"]
        lines += ["content-type: application/json"] * bool(body)
        lines += [f"x-api-key: {self.key}"] * bool(self.key)
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        pairs = (line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        fields = {name.lower(): value for name, value in pairs}
        content = await reader.readexactly(int(fields.get("content-length", 0)))
        return int(head[9:12]), fields, content

    async def events(self, uri: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a stream."""
        address = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(f"GET {uri} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        try:
            async for line in reader:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        finally:
            writer.close()


@dataclass
class CachingClient:
    """A client that keeps all answers, as OpenFeature's web provider does."""

    connection: Connection
    user: str
    flag: str
    values: list[tuple[float, bool]] = field(default_factory=list)
    etag: str = ""

    async def fetch(self, query: str = "") -> dict[str, Any] | None:
        """Fetch all flags if they changed, and note when the flag's value changed."""
        body = json.dumps({"context": {"targetingKey": self.user}}).encode()
        headers = {"if_none_match": self.etag} if self.etag else {}
        status, fields, content = await self.connection.request(
            "POST", BULK + query, body, **headers
        )
        if status != 200:  # noqa: PLR2004
            return None
        self.etag = fields.get("etag", "")
        answer: dict[str, Any] = json.loads(content)
        value = next(each["value"] for each in answer["flags"] if each["key"] == self.flag)
        if not self.values or self.values[-1][1] != value:
            self.values.append((time.monotonic(), value))
        return answer

    async def stream(self) -> None:
        """Follow the event stream."""
        answer = await self.fetch()
        assert answer is not None
        async for event in self.connection.events(
            answer["eventStreams"][0]["endpoint"]["requestUri"]
        ):
            await self.fetch(f"?flagConfigEtag={event['etag']}")

    async def poll(self, seconds: float) -> None:
        """Fetch again and again."""
        while True:
            await self.fetch()
            await asyncio.sleep(seconds)
