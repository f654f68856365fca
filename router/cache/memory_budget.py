"""The memory that cached answers may take from the Redis that they share with the flags."""

import time
from dataclasses import dataclass

from redis.asyncio import Redis

INFO_SECONDS = 1.0
SHARE_OF_MAXMEMORY = 0.6
"""The rest is for flags, feedback and counters: a full Redis refuses writes that raise a flag."""
EVICTING_POLICY_PREFIX = "allkeys"


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """Limits: ``entries_max`` per scope; ``threshold`` is a cosine; ``memory_bytes_max`` is of all Redis."""

    threshold: float = 0.95
    ttl_seconds: int = 3600
    entries_max: int = 100_000
    memory_bytes_max: int = 2**30


class MemoryBudget:
    """The limit up to which the cache may fill Redis, measured at most once a second.

    The budget is ``bytes_max`` of Redis' whole memory, and at most 60 % of its ``maxmemory``. A Redis
    that evicts keys of any kind (``allkeys-…``) is one of the cache's own, and needs no budget.
    """

    def __init__(self, redis: Redis, bytes_max: int) -> None:
        self._redis = redis
        self._bytes_max = bytes_max
        self._next_info_at = 0.0
        self._is_exceeded = False

    async def is_exceeded(self) -> bool:
        """Return True when no answer may be added.

        Raises:
            redis.RedisError: Redis gives no answer, or refuses INFO.
        """
        if time.monotonic() >= self._next_info_at:
            self._next_info_at = time.monotonic() + INFO_SECONDS
            self._is_exceeded = await self._measure()
        return self._is_exceeded

    async def _measure(self) -> bool:
        memory = await self._redis.info("memory")
        if str(memory.get("maxmemory_policy", "")).startswith(EVICTING_POLICY_PREFIX):
            return False
        limit = int(memory.get("maxmemory", 0))
        budget = min(self._bytes_max, limit * SHARE_OF_MAXMEMORY) if limit else self._bytes_max
        return int(memory["used_memory"]) >= budget
