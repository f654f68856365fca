"""The task that keeps a process's snapshot current, by pushed changes and by a poll."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from router.learning.errors import LearningError
from router.learning.options import LearningKeys, LearningOptions
from router.learning.snapshot import LearningSnapshot
from router.learning.store import LearningStore


class WeightsSync:
    """A dedicated task that reads the weights again after every (re)subscription."""

    def __init__(
        self,
        redis: Redis,
        store: LearningStore,
        snapshot: LearningSnapshot,
        keys: LearningKeys,
        options: LearningOptions,
    ) -> None:
        self._redis = redis
        self._store = store
        self._snapshot = snapshot
        self._channel = keys.changes
        self._options = options

    async def run(self, refresh: Callable[[], Awaitable[object]]) -> None:
        """Run until cancelled; ``refresh`` loads the stored weights into the snapshot."""
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
                    await subscription.subscribe(self._channel)
                    await self._sync(subscription, refresh)
            except (RedisError, OSError, LearningError) as error:
                self._snapshot.record_error("follow", error)
            except Exception as error:  # noqa: BLE001 - a process whose sync task ends serves old weights until a restart
                self._snapshot.record_error("follow", error)
            await asyncio.sleep(self._options.retry_seconds)

    async def _sync(self, subscription: PubSub, refresh: Callable[[], Awaitable[object]]) -> None:
        next_poll = 0.0
        while True:
            now = time.monotonic()
            if now >= next_poll:
                await self._poll(refresh)
                next_poll = now + self._options.poll_seconds
            wait = max(0.01, next_poll - time.monotonic())
            if await subscription.get_message(timeout=wait) is not None:
                await self._poll(refresh)

    async def _poll(self, refresh: Callable[[], Awaitable[object]]) -> None:
        state = await self._store.queue_state()
        published = self._snapshot
        published.queue_size = state.queue_size
        published.dead_letters = state.dead_letters
        published.counters = state.counters
        published.stored_version = state.version
        if state.version > published.weights.version or state.version == 0:
            await refresh()
