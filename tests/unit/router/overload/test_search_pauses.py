"""A tenant above its share pauses between searches while the process is late, and only then."""

import asyncio
import time

from router.overload.search_limiter import SearchLimiter
from router.overload.tenant_shares import Shares

ABUSE = Shares(active=2, above=frozenset({"abusive"}))
SEARCH_SECONDS = 0.05


async def test_a_late_process_gives_the_tenant_above_its_share_less_than_one_slot() -> None:
    limiter = _late_limiter()
    started = time.monotonic()
    await _search(limiter, "abusive")
    waiting = asyncio.create_task(_search(limiter, "abusive"))
    assert not await _search(limiter, "quiet"), "another tenant pauses too"
    while not waiting.done():
        limiter.adapt(busy=False, late=True)
        await asyncio.sleep(0.005)
    assert waiting.result(), "the search began without a pause"
    assert time.monotonic() - started > 4 * SEARCH_SECONDS


async def test_a_pause_ends_when_the_tenant_is_within_its_share() -> None:
    limiter = _late_limiter()
    await _search(limiter, "abusive")
    limiter.follow(Shares(active=2))
    assert not await _search(limiter, "abusive")


async def test_a_process_in_time_lets_a_tenant_above_its_share_search_without_pauses() -> None:
    limiter = _late_limiter()
    for _ in range(40):
        limiter.adapt(busy=False)
    await _search(limiter, "abusive")
    assert not await _search(limiter, "abusive")


def _late_limiter() -> SearchLimiter:
    limiter = SearchLimiter(4, 5.0)
    limiter.follow(ABUSE)
    for _ in range(20):
        limiter.adapt(busy=False, late=True)
    return limiter


async def _search(limiter: SearchLimiter, tenant: str) -> bool:
    """Search once; return True if the search waited for its slot."""
    async with limiter.acquire(tenant) as waited:
        await asyncio.sleep(SEARCH_SECONDS)
    return waited
