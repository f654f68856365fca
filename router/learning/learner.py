"""The one learner: holds the lock, gathers a batch, learns it, publishes it in one atomic step.

Exactly once, whatever dies: entries stay pending in the queue until the step that also replaces
the weights. A learner that lost its lock, or raced with a rollback, is refused there, forgets what
it gathered and reads again from Redis.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from redis.exceptions import RedisError, ResponseError

from router.learning.batch import Entry, learn
from router.learning.errors import LearningError
from router.learning.options import LearningOptions
from router.learning.published import Published
from router.learning.store import LearningStore
from router.learning.weights import Weights

BLOCK_SECONDS = 0.25
"""The longest wait for an entry before looking at the lock, the pause and the clock again."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A batch is learned when it holds ``size`` entries, or ``seconds`` after its first."""

    size: int
    seconds: float


class Learner:
    """Stands by until the lock is free, then learns for as long as it keeps it."""

    def __init__(
        self,
        store: LearningStore,
        published: Published,
        limits: BatchLimits,
        options: LearningOptions,
        base: Callable[[], Awaitable[Weights]],
    ) -> None:
        """``base`` reads the stored weights, or stores this process's own where there are none."""
        self._store = store
        self._published = published
        self._limits = limits
        self._options = options
        self._base = base
        self._token: str | None = None

    async def run(self, owner: str) -> None:
        """For ever; every failure is counted and tried again."""
        while True:
            try:
                await self._stand_by_or_lead(owner)
            except (RedisError, OSError, LearningError) as error:
                self._published.failed("learn", error)
                await asyncio.sleep(self._options.retry_seconds)
            except Exception as error:  # noqa: BLE001 - a crashed learner is the guide's red flag: count, go on
                self._published.failed("learn", error)
                await asyncio.sleep(self._options.retry_seconds)

    async def _stand_by_or_lead(self, owner: str) -> None:
        if self._published.paused:
            await asyncio.sleep(BLOCK_SECONDS)
            return
        token = self._token = await self._store.lock(owner)
        self._published.beat()
        if token is None:
            await asyncio.sleep(self._options.lease_seconds / 3)
            return
        renewal = asyncio.create_task(self._renew(token))
        self._published.learner = True
        try:
            await self._lead(token)
        finally:
            self._published.learner = False
            self._token = None  # ends the renewal even where its cancellation gets lost
            renewal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewal
            await self._give_up(token)

    async def _renew(self, token: str) -> None:
        """Failures to reach Redis are the leading task's to report; the lock decides."""
        while self._token == token:
            await asyncio.sleep(self._options.lease_seconds / 3)
            with contextlib.suppress(RedisError, OSError):
                if not await self._store.renew(token):
                    self._token = None

    async def _give_up(self, token: str) -> None:
        with contextlib.suppress(RedisError, OSError):  # the lease ends it where this can't
            await self._store.unlock(token)

    def _leads(self, token: str) -> bool:
        return self._token == token and not self._published.paused

    async def _lead(self, token: str) -> None:
        await self._store.ensure_group()
        while self._leads(token):
            self._published.beat()
            entries = await self._gather(token)
            if entries and self._leads(token) and not await self._publish(entries, token):
                return

    async def _gather(self, token: str) -> list[Entry]:
        """A batch: first what an earlier learner left, then what is new."""
        try:
            entries = await self._store.read_pending(self._limits.size)
            first_at = time.monotonic()
            while self._leads(token) and len(entries) < self._limits.size:
                left = BLOCK_SECONDS
                if entries:
                    left = min(left, first_at + self._limits.seconds - time.monotonic())
                    if left <= 0:
                        break
                wanted = self._limits.size - len(entries)
                fresh = await self._store.read_new(wanted, int(left * 1_000))
                if fresh and not entries:
                    first_at = time.monotonic()
                entries += fresh
                self._published.beat()
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self._store.ensure_group()  # Redis was emptied: start the queue again
            return []
        return entries

    async def _publish(self, entries: list[Entry], token: str) -> bool:
        """False when this process is no longer the learner."""
        stored = await self._base()
        batch = await asyncio.to_thread(learn, stored, entries, self._options.teaching_cohorts)
        # Above every version this process has seen: a Redis restored from an old copy must not
        # hand out numbers that the others would take for old.
        version = max(stored.version, self._published.weights.version) + 1
        batch.weights = replace(batch.weights, version=version)
        outcome = await self._store.publish(stored.version, batch, token)
        if outcome == "ok":
            self._published.offer(batch.weights)
            self._published.last_batch_timestamp = time.time()
            self._published.observer.batch(batch.learned, version)
        return outcome != "fenced"
