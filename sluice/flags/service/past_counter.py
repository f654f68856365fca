"""Users' values and failures before a rollout: what predicts them afterwards.

They are written at 0 % only, where every user has the control, so no treatment has touched them.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice.flags.service.counted_user import CountedUser
from sluice.flags.service.period_counter import (
    FLUSH_TIMEOUT_SECONDS,
    LASTING_TTL_SECONDS,
    PENDING_MAX,
    USERS_PER_CALL,
    UserMetrics,
    past_keys,
    reward_steps,
)
from sluice.flags.service.user_record import CountedRequest

COUNT_PAST = (Path(__file__).parent / "count_past.lua").read_text(encoding="utf-8")
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _PendingValues:
    """A user's values since the last flush, in the units of the records."""

    log_times: list[int] = field(default_factory=list)
    rewards: list[int] = field(default_factory=list)
    requests: int = 0
    failures: int = 0

    def arguments(self, slot: int) -> list[int | str]:
        """Return the user's arguments of `count_past.lua`."""
        values = (",".join(map(str, one)) for one in (self.log_times, self.rewards))
        return [slot, *values, self.requests, self.failures]


class PastCounter:
    """Keeps what each user's log times, rewards and failures were before the rollout."""

    def __init__(self, redis: Redis, prefix: str, metrics: UserMetrics) -> None:
        self._count_past = redis.register_script(COUNT_PAST)
        self._keys = past_keys(prefix)
        self._metrics = metrics
        self._pending: dict[int, _PendingValues] = {}
        self._pending_count = 0

    def record_query(self, user: CountedUser, request: CountedRequest) -> None:
        """Note a request, and the time of an uncached answer. Never waits, never raises."""
        if (values := self._values(user)) is None:
            return
        values.requests += 1
        values.failures += request.failed
        if request.seconds is not None:
            values.log_times.append(request.log_steps)

    def record_reward(self, user: CountedUser, reward: float) -> None:
        """Note the reward of a feedback, 0 to 1. Never waits, never raises."""
        if (values := self._values(user)) is not None:
            values.rewards.append(reward_steps(reward))

    def _values(self, user: CountedUser) -> _PendingValues | None:
        if self._pending_count >= PENDING_MAX:
            self._metrics.count_dropped("queue_full", 1)
            return None
        self._pending_count += 1
        return self._pending.setdefault(user.slot, _PendingValues())

    async def flush(self) -> None:
        """Add everything pending; what fails is dropped, and counted as dropped."""
        batch, self._pending, self._pending_count = list(self._pending.items()), {}, 0
        for start in range(0, len(batch), USERS_PER_CALL):
            await self._flush_users(batch[start : start + USERS_PER_CALL])

    async def _flush_users(self, batch: list[tuple[int, _PendingValues]]) -> None:
        arguments: list[int | str] = [LASTING_TTL_SECONDS]
        for slot, values in batch:
            arguments += values.arguments(slot)
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_SECONDS):
                await self._count_past(keys=self._keys, args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._metrics.count_dropped("redis", len(batch))
            logger.warning("the past of %d users was not kept: %r", len(batch), error)
