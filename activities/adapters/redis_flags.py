"""The flags port on Redis, where the routers read their flags, and on the routers themselves."""

import asyncio
import time
from typing import Self

import httpx
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from activities.adapters.stored_flags import StoredFlags, store_errors
from activities.contract.models import Confirmation, ConfirmRequest
from sluice.flags import FeatureFlags, FlagDocument, FlagState
from sluice.flags.redis.process_polling import poll_processes, verify
from sluice.flags.redis.process_registry import live_processes
from sluice.flags.redis.urls import connect

COMMAND_SECONDS_MAX = 2.5
POLL_SECONDS = 0.05


class RedisFlags(StoredFlags):
    """The flag store of every environment in one Redis. Connects at first use."""

    def __init__(self, redis: Redis, http: httpx.AsyncClient) -> None:
        self._redis = redis
        self._http = http

    @classmethod
    def from_url(cls, redis_url: str) -> Self:
        """Make one with the limits that a rollback needs: 2.5 s a command, one reconnect."""
        redis = connect(
            redis_url,
            socket_timeout=COMMAND_SECONDS_MAX,
            socket_connect_timeout=COMMAND_SECONDS_MAX,
            retry=Retry(NoBackoff(), 1),
        )
        # Router processes are neighbours: a proxy of the environment is not for them.
        return cls(redis, httpx.AsyncClient(trust_env=False))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._redis.aclose()

    async def confirm(self, request: ConfirmRequest) -> Confirmation:
        """Ask every live router process, every 50 ms, until none can serve more than asked for.

        A process that can't be asked counts as expired once the lease is over that the flags give
        it: from then on it has read the write, or serves the treatment to nobody.
        """
        started = time.monotonic()
        while True:
            seconds = time.monotonic() - started
            async with store_errors():
                document = await self.environment(request.environment).document()
                processes = await live_processes(self._redis, request.environment)
            views = await poll_processes(processes, self._http)
            wanted = _permitted_flag(document, request)
            result = verify(views, wanted, acknowledged_seconds_ago=seconds)
            # An older document means that the store lost the write: nothing is confirmed then.
            if result.is_verified and document.version >= request.version:
                return Confirmation(
                    processes=len(result.by_answer),
                    expired=len(result.by_lease),
                    seconds=time.monotonic() - started,
                )
            await asyncio.sleep(POLL_SECONDS)

    def environment(self, name: str) -> FeatureFlags:
        """Return the flags of one environment."""
        return FeatureFlags(self._redis, environment=name)


def _permitted_flag(document: FlagDocument, request: ConfirmRequest) -> FlagState:
    """Return the upper limit for every process: the stored flag, capped at the request's percentage."""
    stored = document.flags.get(request.flag) or FlagState(name=request.flag)
    percentage = min(request.percentage, stored.rollout_percentage)
    return stored.model_copy(update={"rollout_percentage": percentage})
