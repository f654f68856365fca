"""The flags port on both stores: in memory, and on a real Redis."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from activities.adapters.redis_flags import RedisFlags
from activities.doubles.flags import MemoryFlags
from sluice.flags import FeatureFlags
from tests.integration.activities.flag_port import FlagPort


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[FlagPort]:
    if request.param == "memory":
        memory = MemoryFlags()
        yield FlagPort(memory, memory.environment("default"))
        return
    url = request.getfixturevalue("redis_url")
    flags, redis = RedisFlags.from_url(url), Redis.from_url(url)
    yield FlagPort(flags, FeatureFlags(redis))
    await redis.aclose()
    await flags.close()
