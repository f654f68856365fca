"""Users' failures before a rollout, in a real Redis: they put each user into a group."""

import pytest
from redis.asyncio import Redis

from sluice.flags.service.counted_user import CountedUser
from sluice.flags.service.user_record import FAILURE_GROUPS
from tests.integration.flags.test_unique_users import CountingProcess, user_member

pytestmark = pytest.mark.integration


async def test_users_are_grouped_by_their_failures_before_the_rollout(redis_url: str) -> None:
    """Of users who asked as much, who failed before is known, and stays known at a higher share."""
    async with Redis.from_url(redis_url) as redis:
        process = CountingProcess.connect(redis)
        for number, failures in ((1, 0), (2, 6)):
            before = CountedUser.before_rollout(f"user-{number}")
            for request in range(120):
                process.counts.record_query(before, "control", 0.1, failed=request < failures)
        await process.counts.flush()
        for number in (1, 2, 3):
            process.counts.record_query(user_member(number), "control", 0.1, failed=True)
        await process.counts.flush()
        stored = await redis.execute_command(  # type: ignore[no-untyped-call]
            *("BITFIELD", "sluice:users-test:users:past", "GET", "u10", before.slot * 64 + 48),
            *("GET", "u6", before.slot * 64 + 58),
        )
    assert stored == [120, 6]
    for name in ("failed", "failed_at_risk"):
        counted = {
            group: process.read(f"router_users_{name}_total", cohort="control", nth="1", past=group)
            for group in FAILURE_GROUPS
        }
        assert counted == {"few": 1, "usual": 1, "many": 1}


async def test_requests_before_a_rollout_are_kept_within_their_bits(redis_url: str) -> None:
    """The earlier ones count half, and a bot's failures end at the most that is kept."""
    async with Redis.from_url(redis_url) as redis:
        process = CountingProcess.connect(redis)
        before = CountedUser.before_rollout("user-1")
        for _ in range(5):
            for _ in range(400):
                process.counts.record_query(before, "control", None, failed=True)
            await process.counts.flush()
        requests, failures = await redis.execute_command(  # type: ignore[no-untyped-call]
            *("BITFIELD", "sluice:users-test:users:past", "GET", "u10", before.slot * 64 + 48),
            *("GET", "u6", before.slot * 64 + 58),
        )
    assert 500 <= requests <= 1000
    assert failures == 63
