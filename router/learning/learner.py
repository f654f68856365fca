"""The one learner: it holds the lock, collects a batch, learns it and publishes it atomically.

Each entry is learned exactly once, even if a process dies. Entries stay pending in the queue until
the step that also replaces the weights. That step refuses a learner that lost its lock or raced
with a rollback; the learner then drops its batch and reads again from Redis.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from redis.exceptions import RedisError, ResponseError

from router.learning.batch import FeedbackEntry, learn
from router.learning.errors import LearningError
from router.learning.options import LearningOptions
from router.learning.snapshot import LearningSnapshot
from router.learning.store import LearningStore
from router.learning.weights import Weights

POLL_SECONDS_MAX = 0.25
"""The longest wait for an entry before the next check of the lock, the pause and the clock."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A batch is learned when it holds ``size`` entries, or ``seconds`` after its first."""

    size: int
    seconds: float


class Learner:
    """A candidate for the lock; it learns for as long as it holds the lock."""

    def __init__(
        self,
        store: LearningStore,
        snapshot: LearningSnapshot,
        limits: BatchLimits,
        options: LearningOptions,
        load_weights: Callable[[], Awaitable[Weights]],
    ) -> None:
        """Take the collaborators.

        ``load_weights`` returns the stored weights. If none are stored, it stores this process's own.
        """
        self._store = store
        self._snapshot = snapshot
        self._limits = limits
        self._options = options
        self._load_weights = load_weights
        self._token: str | None = None

    async def run(self, owner: str) -> None:
        """Run until cancelled; count each failure and retry."""
        while True:
            try:
                await self._try_to_lead(owner)
            except (RedisError, OSError, LearningError) as error:
                self._snapshot.record_error("learn", error)
                await asyncio.sleep(self._options.retry_seconds)
            except Exception as error:  # noqa: BLE001 - a crashed learner is the guide's red flag: count and continue
                self._snapshot.record_error("learn", error)
                await asyncio.sleep(self._options.retry_seconds)

    async def _try_to_lead(self, owner: str) -> None:
        if self._snapshot.is_paused:
            await asyncio.sleep(POLL_SECONDS_MAX)
            return
        token = self._token = await self._store.acquire_lock(owner)
        self._snapshot.record_heartbeat()
        if token is None:
            await asyncio.sleep(self._options.lease_seconds / 3)
            return
        renewal = asyncio.create_task(self._renew_lock(token))
        self._snapshot.is_learner = True
        try:
            await self._lead(token)
        finally:
            self._snapshot.is_learner = False
            self._token = None  # ends the renewal even where its cancellation gets lost
            renewal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewal
            await self._release_lock(token)

    async def _renew_lock(self, token: str) -> None:
        """Renew the lock until it is lost; the leading task reports failures to reach Redis."""
        while self._token == token:
            await asyncio.sleep(self._options.lease_seconds / 3)
            with contextlib.suppress(RedisError, OSError):
                if not await self._store.renew_lock(token):
                    self._token = None

    async def _release_lock(self, token: str) -> None:
        with contextlib.suppress(RedisError, OSError):  # on failure the lease expires
            await self._store.release_lock(token)

    def _is_leader(self, token: str) -> bool:
        return self._token == token and not self._snapshot.is_paused

    async def _lead(self, token: str) -> None:
        await self._store.ensure_group()
        while self._is_leader(token):
            self._snapshot.record_heartbeat()
            entries = await self._collect_batch(token)
            if entries and self._is_leader(token) and not await self._publish(entries, token):
                return

    async def _collect_batch(self, token: str) -> list[FeedbackEntry]:
        """Collect a batch: first the entries that an earlier learner left, then new ones."""
        try:
            entries = await self._store.read_pending(self._limits.size)
            first_at = time.monotonic()
            while self._is_leader(token) and len(entries) < self._limits.size:
                remaining = POLL_SECONDS_MAX
                if entries:
                    remaining = min(remaining, first_at + self._limits.seconds - time.monotonic())
                    if remaining <= 0:
                        break
                free = self._limits.size - len(entries)
                fresh = await self._store.read_new(free, int(remaining * 1_000))
                if fresh and not entries:
                    first_at = time.monotonic()
                entries += fresh
                self._snapshot.record_heartbeat()
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self._store.ensure_group()  # Redis was emptied: start the queue again
            return []
        return entries

    async def _publish(self, entries: list[FeedbackEntry], token: str) -> bool:
        """Learn and publish a batch; return false when this process is no longer the learner."""
        stored = await self._load_weights()
        batch = await asyncio.to_thread(learn, stored, entries, self._options.training_cohorts)
        # The version exceeds every version this process has seen. A Redis restored from an old copy
        # would otherwise give out numbers that other processes take for old.
        version = max(stored.version, self._snapshot.weights.version) + 1
        batch.weights = replace(batch.weights, version=version)
        outcome = await self._store.publish(stored.version, batch, token)
        if outcome == "ok":
            self._snapshot.install_if_newer(batch.weights)
            self._snapshot.last_batch_timestamp = time.time()
            self._snapshot.observer.on_batch(batch.update_count, version)
        return outcome != "fenced"
