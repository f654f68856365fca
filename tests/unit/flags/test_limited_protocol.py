"""A client cannot fill the memory with headers, nor hold a connection with half a request."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from sluice.flags.server import limited_protocol
from sluice.flags.server.limited_protocol import HEADER_BYTES_MAX, LimitedHttpProtocol


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["method"].encode()})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(
        app, port=0, http=LimitedHttpProtocol, log_level="error", lifespan="off"
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def send_raw(port: int, *chunks: bytes) -> bytes:
    """Send the chunks and return everything until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b"reset"
    finally:
        writer.close()


HEAD = b"GET / HTTP/1.1\r\nhost: a\r\n"


async def test_ordinary_and_pipelined_requests_pass(port: int) -> None:
    big = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n" + b"x" * 60_000
    last = HEAD + b"connection: close\r\nx: " + b"y" * 20_000 + b"\r\n\r\n"
    answers = await send_raw(port, HEAD + b"\r\n", big + HEAD + b"\r\n", last)
    assert answers.count(b"HTTP/1.1 200") == 4
    assert answers.count(b"POST") == 1


@pytest.mark.parametrize(
    "attack",
    [
        [HEAD + b"x: " + b"y" * (HEADER_BYTES_MAX + 1)],
        [HEAD + b"x: ", *[b"y" * 8192] * 100],
        [HEAD + b"".join(b"x%d: y\r\n" % n for n in range(8000)) + b"\r\n"],
        [b"GET /" + b"y" * (HEADER_BYTES_MAX + 1)],
    ],
    ids=["one line", "one endless line", "many lines", "path"],
)
async def test_headers_above_the_limit_get_431(port: int, attack: list[bytes]) -> None:
    answer = await send_raw(port, *attack)
    assert answer.startswith(b"HTTP/1.1 431") or answer == b"reset"


async def test_half_a_request_is_ended(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited_protocol, "HEADER_SECONDS", 0.1)
    assert (await send_raw(port, HEAD)).startswith(b"HTTP/1.1 408")
