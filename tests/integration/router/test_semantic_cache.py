"""The semantic cache on a real Redis: scopes, expiry, bounds, invalidation, near misses."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
from numpy.typing import NDArray
from redis.asyncio import Redis

from router.cache import CacheEntry, CacheLimits, CacheScope, SemanticCache, memory_budget
from sluice.flags import FeatureFlags

pytestmark = pytest.mark.integration
CONTROL, TREATMENT = CacheScope("acme", "control", 10), CacheScope("acme", "treatment", 10)


def vector(seed: int) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).standard_normal(384).astype(np.float32)
    return values / np.float32(np.linalg.norm(values))


def entry(query: str) -> CacheEntry:
    return CacheEntry(query, {"results": [query]}, "decision")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


def semantic_cache(redis: Redis, *, entries: int = 100, ttl_seconds: int = 60) -> SemanticCache:
    return SemanticCache(redis, "cache-test", CacheLimits(0.95, ttl_seconds, entries))


async def test_typing_differences_hit_exactly(redis: Redis) -> None:
    ours = semantic_cache(redis)
    await ours.put(CONTROL, entry("Who drives truck T-12?"), vector(1), [])
    found = await ours.find_exact(CONTROL, "who drives  truck T-12")
    assert found is not None
    assert (found.match_kind, found.answer) == ("exact", {"results": ["Who drives truck T-12?"]})


async def test_operators_are_part_of_the_question(redis: Redis) -> None:
    ours = semantic_cache(redis)
    await ours.put(CONTROL, entry("amount > 5000"), vector(1), [])
    assert await ours.find_exact(CONTROL, "amount < 5000") is None


@pytest.mark.parametrize(
    "other", [TREATMENT, CacheScope("globex", "control", 10), CacheScope("acme", "control", 5)]
)
async def test_other_cohorts_tenants_and_sizes_never_share(redis: Redis, other: CacheScope) -> None:
    ours = semantic_cache(redis)
    await ours.put(CONTROL, entry("Who drives truck T-12?"), vector(1), [])
    assert await ours.find_exact(other, "Who drives truck T-12?") is None
    assert await ours.find_similar(other, "Who drives truck T-12?", vector(1)) is None


async def test_a_near_question_hits_only_when_it_is_the_same(redis: Redis) -> None:
    ours = semantic_cache(redis)
    await ours.put(CONTROL, entry("Who drives truck T-12?"), vector(1), [])
    await ours.put(CONTROL, entry("Who drove truck T-12?"), vector(1), [])
    same = await ours.find_similar(CONTROL, "Please tell me who drives truck T-12", vector(1))
    assert same is not None
    assert (same.match_kind, same.query) == ("similar", "Who drives truck T-12?")
    assert await ours.find_similar(CONTROL, "Who drives truck T-21?", vector(1)) is None


async def test_below_the_threshold_nothing_hits(redis: Redis) -> None:
    ours = semantic_cache(redis)
    await ours.put(CONTROL, entry("Who drives truck T-12?"), vector(1), [])
    assert await ours.find_similar(CONTROL, "who drives truck T-12", vector(2)) is None


async def test_a_changed_source_takes_its_answers_along(redis: Redis) -> None:
    ours = semantic_cache(redis)
    await ours.put(CONTROL, entry("one"), vector(1), ["trucks/T-12"])
    await ours.put(CONTROL, entry("two"), vector(2), ["trucks/T-7"])
    assert await ours.invalidate("trucks/T-12") == 1
    assert await ours.find_exact(CONTROL, "one") is None
    assert await ours.find_similar(CONTROL, "one", vector(1)) is None
    assert await ours.find_exact(CONTROL, "two") is not None
    (vectors,) = [key async for key in redis.scan_iter("*:vectors")]
    assert await redis.vset().vcard(vectors) == 1
    assert await ours.count_by_cohort() == {"control": 1}


async def test_the_oldest_leave_when_it_is_full(redis: Redis) -> None:
    ours = semantic_cache(redis, entries=3)
    for number in range(6):
        await ours.put(CONTROL, entry(f"question {number}"), vector(number), [])
    assert (await ours.stats(CONTROL))["entries"] <= 3
    assert await ours.find_exact(CONTROL, "question 0") is None
    assert await ours.find_exact(CONTROL, "question 5") is not None


async def test_an_expired_entry_is_forgotten_with_its_vector(redis: Redis) -> None:
    ours = semantic_cache(redis)
    await ours.put(CONTROL, entry("Who drives truck T-12?"), vector(1), [])
    keys = [key async for key in redis.scan_iter("*:entry:*")]
    await redis.delete(*keys)  # what EXPIRE does
    assert await ours.find_similar(CONTROL, "Who drives truck T-12?", vector(1)) is None
    assert (await ours.stats(CONTROL))["entries"] == 0


async def test_an_entry_of_an_unknown_shape_is_a_miss(redis: Redis) -> None:
    ours = semantic_cache(redis)
    await ours.put(CONTROL, entry("one"), vector(1), [])
    (key,) = [key async for key in redis.scan_iter("*:entry:*")]
    await redis.hset(key, "answer", "not json")
    assert await ours.find_exact(CONTROL, "one") is None


@pytest.mark.parametrize("limit", ["maxmemory", "bytes"])
async def test_a_full_cache_leaves_room_for_the_flags(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """A Redis filled to ``maxmemory`` by answers would refuse every write that raises a flag."""
    monkeypatch.setattr(memory_budget, "INFO_SECONDS", 0.0)
    used = int((await redis.info("memory"))["used_memory"])
    most = 3 * used + 8 * 2**20
    budget = int(most * memory_budget.SHARE_OF_MAXMEMORY)
    bytes_max = budget if limit == "bytes" else 2**40
    ours = SemanticCache(redis, "cache-test", CacheLimits(memory_bytes_max=bytes_max))
    answer = {"text": "x" * 100_000}
    try:
        await redis.config_set("maxmemory", most if limit == "maxmemory" else 0)
        for number in range(2 * budget // 100_000):
            await ours.put(CONTROL, CacheEntry(f"question {number}", answer, ""), None, [])
        assert int((await redis.info("memory"))["used_memory"]) < budget + 2**20
        assert (await FeatureFlags(redis).create_flag("f", rollout_percentage=5)).name == "f"
        assert await ours.find_exact(CONTROL, "question 0") is None, "the oldest answers went"
    finally:
        await redis.config_set("maxmemory", 0)
