"""Reports this process as alive, so a rollback can ask each process what it sees."""

import asyncio
from contextlib import suppress
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from router.observability.metrics import RouterMetrics
from sluice.flags import FlagError
from sluice.flags.keys import FlagKeys
from sluice.flags.redis.process_registry import ServiceProcess, heartbeat

INTERVAL_SECONDS = 1.0
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
    while True:
        try:
            await heartbeat(redis, environment, process)
            failing = False
        except FlagError as error:
            metrics.redis_errors.inc()
            if not failing:
                logger.warning("process_not_reported", why=str(error))
            failing = True
        await asyncio.sleep(INTERVAL_SECONDS)
