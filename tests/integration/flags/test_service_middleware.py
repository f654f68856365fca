"""One line makes a service measurable, and known to the controller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sluice.flags import (
    CohortLabels,
    FeatureFlags,
    FlagReader,
    InvalidFlagError,
    SluiceMiddleware,
)
from sluice.flags.redis.process_polling import poll_processes
from sluice.flags.redis.process_registry import live_processes
from sluice.flags.service.middleware import exposure

pytestmark = pytest.mark.integration
FLAG = "new-ranking"
USERS = [f"user-{number}" for number in range(40)]


async def search(request: Request) -> JSONResponse:
    """Answer with the cohort; fail for a user whose name says so, and take a score."""
    exposed = exposure(request.scope)
    if exposed is None:
        return JSONResponse({"cohort": None})
    if request.headers["x-user-id"] == "user-7":
        raise RuntimeError("broken for one user")
    if score := request.query_params.get("score"):
        exposed.rate(float(score))
    return JSONResponse({"cohort": exposed.cohort})


@asynccontextmanager
async def running(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the application with uvicorn on a free port, in this loop."""
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="on", ws="none")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        try:
            yield http
        finally:
            server.should_exit = True
            await task


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def http(
    redis: Redis, redis_url: str, registry: CollectorRegistry
) -> AsyncIterator[httpx.AsyncClient]:
    await FeatureFlags(redis).create_flag(FLAG, rollout_percentage=50)
    app = Starlette(routes=[Route("/search", search)])
    app.add_middleware(SluiceMiddleware, flag=FLAG, reader=FlagReader(redis_url), registry=registry)
    async with running(app) as client:
        yield client


async def ask(http: httpx.AsyncClient, user: str, score: str = "") -> httpx.Response:
    params = {"score": score} if score else {}
    return await http.get("/search", headers={"x-user-id": user}, params=params)


async def test_requests_and_users_are_counted_by_cohort(
    http: httpx.AsyncClient, registry: CollectorRegistry
) -> None:
    for _ in range(2):
        replies = {user: await ask(http, user, "0.5") for user in USERS}
    treated = [user for user, r in replies.items() if r.text.find("treatment") > 0]
    assert 5 < len(treated) < 35
    await asyncio.sleep(0.6)  # two flushes

    def read(name: str, cohort: str = "treatment", **labels: str) -> float | None:
        return registry.get_sample_value(name, {"flag": FLAG, "cohort": cohort, **labels})

    errors = sum(read("sluice_requests_total", c, outcome="error") or 0 for c in cohorts())
    assert errors == 2
    assert (
        sum(
            read("sluice_users_failed_total", c, nth="1", past="usual", since="step") or 0
            for c in cohorts()
        )
        == 1
    )
    assert read("sluice_users_total") in {len(treated), len(treated) + 1}
    assert sum(read("sluice_users_total", c) or 0 for c in cohorts()) == len(USERS)
    assert read("sluice_users_score_count", since="step") == len(treated)
    assert read("sluice_users_score_squares_total", since="step") == 0.25 * len(treated)
    assert sum(read("sluice_request_duration_seconds_count", c) or 0 for c in cohorts()) == 80


def cohorts() -> tuple[str, str]:
    return "control", "treatment"


async def test_a_rollback_is_read_back_from_the_process(
    http: httpx.AsyncClient, redis: Redis
) -> None:
    flags = FeatureFlags(redis)
    async with asyncio.timeout(5):
        while not (processes := await live_processes(redis, "default")):  # noqa: ASYNC110  polled
            await asyncio.sleep(0.05)
    killed = await flags.kill(FLAG)
    async with asyncio.timeout(5):
        while True:
            (poll,) = await poll_processes(processes)
            if poll.response and poll.response.version >= killed.version:
                break
    assert poll.exposes_at_most(killed)
    assert (await ask(http, USERS[0])).json() == {"cohort": "control"}


async def test_a_request_without_a_user_is_not_counted(
    http: httpx.AsyncClient, registry: CollectorRegistry
) -> None:
    """A health check never meets the flag: in control it would dilute every comparison."""
    assert (await http.get("/search")).json() == {"cohort": None}
    for cohort in cohorts():
        labels = {"flag": FLAG, "cohort": cohort, "outcome": "ok"}
        assert registry.get_sample_value("sluice_requests_total", labels) == 0


async def test_a_stopped_service_leaves_the_registry(
    redis: Redis, redis_url: str, registry: CollectorRegistry
) -> None:
    app = Starlette(routes=[Route("/search", search)])
    app.add_middleware(SluiceMiddleware, flag=FLAG, reader=FlagReader(redis_url), registry=registry)
    async with running(app), asyncio.timeout(5):
        while not await live_processes(redis, "default"):  # noqa: ASYNC110  polled
            await asyncio.sleep(0.05)
    assert not await live_processes(redis, "default")


async def test_a_score_that_is_no_share_is_refused(
    redis: Redis, redis_url: str, registry: CollectorRegistry
) -> None:
    await FeatureFlags(redis).create_flag(FLAG, rollout_percentage=50)
    reader = FlagReader(redis_url)
    middleware = SluiceMiddleware(_never, FLAG, reader=reader, registry=registry)
    exposed = middleware._recorder.expose("alice")
    for score in (float("nan"), -0.1, 1.5):
        with pytest.raises(InvalidFlagError, match="0 to 1"):
            exposed.rate(score)


async def _never(*_: object) -> None:
    with suppress(Exception):
        raise AssertionError


async def test_cohorts_are_counted_under_the_teams_own_label(
    redis: Redis, redis_url: str, registry: CollectorRegistry
) -> None:
    """Another label in the same registry is refused: Prometheus knows one set of labels a metric."""
    await FeatureFlags(redis).create_flag(FLAG, rollout_percentage=100)
    app = Starlette(routes=[Route("/search", search)])
    labels = CohortLabels("variant", "new", "old")
    app.add_middleware(
        SluiceMiddleware,
        flag=FLAG,
        reader=FlagReader(redis_url),
        cohorts=labels,
        registry=registry,
    )
    async with running(app) as http:
        await ask(http, "alice")
    counted = {"flag": FLAG, "variant": "new", "outcome": "ok"}
    assert registry.get_sample_value("sluice_requests_total", counted) == 1
    users = registry.get_sample_value("sluice_users_total", {"flag": FLAG, "variant": "new"})
    assert users == 0  # at 100 % there is nobody to compare with
    with pytest.raises(InvalidFlagError, match="the metrics of this registry have 'variant'"):
        SluiceMiddleware(app, "other", reader=FlagReader(redis_url), registry=registry)
    with pytest.raises(InvalidFlagError, match="they must differ"):
        CohortLabels("variant", "new", "new")
