"""A process that is too busy refuses queries before it reads them, and nothing else."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from router.http.middleware import RequestMiddleware
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
    door = RequestMiddleware(
        Starlette(routes=paths),
        Telemetry(),
        10,
        lambda _: "busy; try again shortly" if load.is_busy else None,
    )
    transport = httpx.ASGITransport(app=door)
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
