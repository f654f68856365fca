"""Many rollouts on one worker share the reads of the flag document, and the commits."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from activities.adapters.redis_flags import RedisFlags
from activities.adapters.shared_reads import SharedReads
from tests.integration.activities.flag_port import flag_write

pytestmark = pytest.mark.integration
FLAGS = [f"flag-{number}" for number in range(40)]


@pytest_asyncio.fixture
async def flags(redis_url: str) -> AsyncIterator[RedisFlags]:
    port = RedisFlags.from_url(redis_url)
    yield port
    await port.close()


async def calls(redis_url: str, command: str) -> int:
    """Return how often Redis has run the command since its counts were reset."""
    async with Redis.from_url(redis_url) as redis:
        statistics: dict[str, Any] = await redis.info("commandstats")
    return int(statistics.get(f"cmdstat_{command}", {"calls": 0})["calls"])


async def test_rollbacks_of_many_flags_at_once_do_not_undo_each_others_work(
    flags: RedisFlags, redis_url: str
) -> None:
    """All flags are one document: side by side, all writes but one would begin again each time."""
    async with Redis.from_url(redis_url) as redis:
        await redis.config_resetstat()
    lower = {"percentage": 0, "create": True, "is_rollback": True}
    writes = (flags.apply(flag_write(1, flag=flag, **lower)) for flag in FLAGS)
    receipts = await asyncio.gather(*writes)
    assert len({receipt.version for receipt in receipts}) == len(FLAGS)
    assert await calls(redis_url, "eval") == 1


async def test_the_document_is_read_once_for_all_who_ask(flags: RedisFlags, redis_url: str) -> None:
    await flags.apply(flag_write(1, flag=FLAGS[0], percentage=25, create=True))
    async with Redis.from_url(redis_url) as redis:
        await redis.config_resetstat()
    reads = (flags.read("default", FLAGS[0]) for _ in range(200))
    assert {receipt.percentage for receipt in await asyncio.gather(*reads) if receipt} == {25}
    assert await calls(redis_url, "exec") == 1


async def test_a_shared_read_began_after_it_was_asked_for() -> None:
    """Else a watch could see the flag as it was before its rollout's own write."""
    stored, gate = ["before"], asyncio.Event()

    async def read() -> str:
        value = stored[0]
        await gate.wait()
        return value

    shared = SharedReads(read)
    first = asyncio.create_task(shared.get())
    await asyncio.sleep(0.01)
    stored[0] = "after"
    later = [asyncio.create_task(shared.get()) for _ in range(5)]
    await asyncio.sleep(0.01)
    gate.set()
    assert await first == "before"
    assert await asyncio.gather(*later) == ["after"] * 5


async def test_a_failed_read_is_everybodys_and_the_next_one_is_new() -> None:
    answers: list[object] = [ConnectionError("gone"), "back"]

    async def read() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    shared = SharedReads(read)
    results = await asyncio.gather(shared.get(), shared.get(), return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionError] * 2
    assert await shared.get() == "back"
