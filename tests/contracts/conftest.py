"""The flag stores that pass the same contracts: in memory, Redis and Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from sluice.flags import FeatureFlags, FlagStore, MemoryFlagStore, RedisFlagStore
from sluice.flags.keys import FlagKeys
from tests.faults.redis_server import RedisServer, valkey_program


@pytest.fixture(scope="module")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = RedisServer(tmp_path_factory.mktemp("valkey"), program=valkey_program())
    yield server.url
    server.kill()


@pytest.fixture(
    params=[
        "memory",
        pytest.param("redis_url", marks=pytest.mark.integration),
        pytest.param("valkey_url", marks=pytest.mark.integration),
    ]
)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[FlagStore]:
    if request.param == "memory":
        yield MemoryFlagStore()
        return
    async with Redis.from_url(request.getfixturevalue(request.param)) as client:
        await client.flushall()
        yield RedisFlagStore(client, FlagKeys("contract"))


@pytest.fixture
def flags(store: FlagStore) -> FeatureFlags:
    return FeatureFlags(store)
