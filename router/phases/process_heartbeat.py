"""Reports this process as alive, so a rollback can ask each process what it sees."""

import asyncio
from contextlib import suppress
from itertools import count
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from router.observability.metrics import RouterMetrics
from sluice.flags import FlagError
from sluice.flags.keys import FlagKeys
from sluice.flags.redis.process_registry import ServiceProcess, heartbeat

INTERVAL_SECONDS = 1.0
MEMORY_BEATS = 15
"""Heartbeats from one measurement of Redis' memory to the next."""
logger = structlog.get_logger(__name__)


async def send_heartbeats(
    redis: Redis, environment: str, process: ServiceProcess, metrics: RouterMetrics
) -> None:
    """Send a heartbeat each second until cancelled, then remove the process from the list."""
    try:
        await _send_forever(redis, environment, process, metrics)
    finally:
        with suppress(RedisError, OSError):
            await cast("Any", redis.hdel(FlagKeys(environment).processes, process.id))


async def _send_forever(
    redis: Redis, environment: str, process: ServiceProcess, metrics: RouterMetrics
) -> None:
    failing = False
    for beat in count():
        try:
            await heartbeat(redis, environment, process)
            if beat % MEMORY_BEATS == 0:
                await measure_memory(redis, metrics)
            failing = False
        except (FlagError, RedisError, OSError) as error:
            metrics.redis_errors.inc()
            if not failing:
                logger.warning("process_not_reported", why=str(error))
            failing = True
        await asyncio.sleep(INTERVAL_SECONDS)


async def measure_memory(redis: Redis, metrics: RouterMetrics) -> None:
    """Put Redis' memory and its limit into the gauges.

    Raises:
        RedisError, OSError: no answer, or INFO is refused.
    """
    memory = await redis.info("memory")
    metrics.redis_memory_bytes.set(int(memory["used_memory"]))
    metrics.redis_memory_max_bytes.set(int(memory["maxmemory"]))
