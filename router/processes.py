"""Reports this process as alive, so a rollback can ask each process what it sees."""

import asyncio
from contextlib import suppress
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from router.flags import FlagError
from router.flags.keys import FlagKeys
from router.flags.processes import RouterProcess, announce
from router.metrics import Metrics

INTERVAL_SECONDS = 1.0
logger = structlog.get_logger(__name__)


async def report(redis: Redis, environment: str, process: RouterProcess, metrics: Metrics) -> None:
    """For ever, once a second; when it is cancelled the process is listed no more."""
    try:
        await _report(redis, environment, process, metrics)
    finally:
        with suppress(RedisError, OSError):
            await cast("Any", redis.hdel(FlagKeys(environment).processes, process.id))


async def _report(redis: Redis, environment: str, process: RouterProcess, metrics: Metrics) -> None:
    failing = False
    while True:
        try:
            await announce(redis, environment, process)
            failing = False
        except FlagError as error:
            metrics.redis_errors.inc()
            if not failing:
                logger.warning("process_not_reported", why=str(error))
            failing = True
        await asyncio.sleep(INTERVAL_SECONDS)
