"""A Redis that may be killed and frozen, a reader of its flags, and one flag at 100 per cent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from sluice.flags import FeatureFlags, FlagReader
from tests.faults.redis_server import FLAG, RedisServer, is_treated, wait_until


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, persists_writes=getattr(request, "param", False))
    yield server
    server.kill()


@pytest.fixture
def reader(server: RedisServer) -> Iterator[FlagReader]:
    reader = FlagReader(server.url)
    reader.start()
    assert reader.wait_ready(2.0)
    yield reader
    reader.stop()


@pytest.fixture
async def flags(server: RedisServer, reader: FlagReader) -> AsyncIterator[FeatureFlags]:
    """Create a flag at 100 per cent that the reader serves."""
    async with Redis.from_url(server.url) as client:
        flags = FeatureFlags(client, reader=reader)
        await flags.create_flag(FLAG, rollout_percentage=100)
        wait_until(lambda: is_treated(reader))
        yield flags
