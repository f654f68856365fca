"""Limits that apply before the application: admission, hosts, bodies, security headers."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from router.http import middleware
from router.http.middleware import RequestLimits, RequestMiddleware
from router.http.trusted_hosts import TrustedHosts
from router.observability.telemetry import Telemetry


class StubLoad:
    is_busy = True


@pytest.fixture
def load() -> StubLoad:
    return StubLoad()


@pytest.fixture
async def client(load: StubLoad) -> AsyncIterator[httpx.AsyncClient]:
    async def echo(request: Request) -> PlainTextResponse:
        return PlainTextResponse(await request.body())

    paths = [Route(path, echo, methods=["GET", "POST"]) for path in ("/query", "/feedback", "/x")]
    limits = RequestLimits(
        10,
        TrustedHosts(["router"]),
        lambda _: "busy; try again shortly" if load.is_busy else None,
    )
    app = RequestMiddleware(Starlette(routes=paths), Telemetry(), limits)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://router") as http:
        yield http


async def test_a_shed_query_gets_retry_after(client: httpx.AsyncClient, load: StubLoad) -> None:
    answer = await client.post("/query", content=b"a question")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert "try again" in answer.json()["detail"]
    load.is_busy = False
    assert (await client.post("/query", content=b"a question")).text == "a question"


@pytest.mark.parametrize("path", ["/feedback", "/x"])
async def test_feedback_and_operation_are_never_refused(
    client: httpx.AsyncClient, path: str
) -> None:
    assert (await client.post(path, content=b"rated")).text == "rated"


async def test_a_body_above_the_limit_ends_the_connection(
    client: httpx.AsyncClient, load: StubLoad
) -> None:
    load.is_busy = False
    answer = await client.post("/query", content=b"x" * 11)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")


async def test_a_body_that_is_too_slow_is_refused(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b""
            await asyncio.sleep(0.01)

    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.05)
    answer = await client.post("/x", content=endless())
    assert (answer.status_code, answer.headers["connection"]) == (408, "close")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("router", 200),
        ("router:8100", 200),
        ("ROUTER.", 200),
        ("localhost:1", 200),
        ("127.0.0.1:8100", 200),
        ("[::1]:8100", 200),
        ("evil", 400),
        ("router.evil", 400),
        ("127.0.0.1.evil:80", 400),
        ("", 400),
    ],
)
async def test_only_known_hosts_are_served(
    client: httpx.AsyncClient, host: str, status: int
) -> None:
    assert (await client.get("/x", headers={"host": host})).status_code == status


async def test_each_response_has_security_headers(client: httpx.AsyncClient) -> None:
    for answer in (await client.get("/x"), await client.post("/query"), await client.get("/none")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
