"""A wire to a server that can be cut, jammed and made to lie; and servers that are frozen."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Literal

import psutil

ProxyFault = Literal["none", "stopped", "garbage"]
GARBAGE = bytes(range(256)) * 4


class FaultyProxy:
    """Listens on ``port`` and passes everything on to ``target``, until ``fault`` says otherwise."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._fault: ProxyFault = "none"
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def set_fault(self, fault: ProxyFault) -> None:
        """Cut open connections, so that the fault acts at once."""
        self._fault = fault
        for writer in list(self._open):
            writer.transport.abort()
        if fault == "stopped":
            await self.close()
        elif self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            with suppress(OSError):
                await (self._answer_garbage if self._fault == "garbage" else self._forward)(
                    reader, writer
                )
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _answer_garbage(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while await reader.read(65536):
            writer.write(GARBAGE)
            await writer.drain()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._open.add(back)
        try:
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            self._open.discard(back)
            back.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def faulty_proxy(target: int) -> AsyncIterator[FaultyProxy]:
    wire = FaultyProxy(target)
    await wire.set_fault("none")
    try:
        yield wire
    finally:
        await wire.set_fault("stopped")
        await asyncio.sleep(0.1)  # the cut connections end, and none is left to the collector


@asynccontextmanager
async def slow_proxy(target: int, round_trip_seconds: float) -> AsyncIterator[int]:
    """Open a port that forwards to ``target`` and delays each byte by half a round trip."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(round_trip_seconds)  # a TCP handshake is a round trip too
        there, back = await asyncio.open_connection("127.0.0.1", target)
        late = round_trip_seconds / 2
        with suppress(OSError):
            await asyncio.gather(_copy_late(reader, back, late), _copy_late(there, writer, late))
        for stream in (back, writer):
            stream.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(2 * round_trip_seconds)  # the last bytes arrive, and the pipes end


async def _copy_late(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
) -> None:
    loop = asyncio.get_running_loop()
    while data := await reader.read(65536):
        loop.call_later(seconds, writer.write, data)
    loop.call_later(seconds, writer.close)


@contextmanager
def frozen_process(pid: int) -> Iterator[None]:
    """SIGSTOP for a server and all its processes; the kernel still takes connections for it."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    for one in family:
        os.kill(one.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in reversed(family):
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGCONT)
