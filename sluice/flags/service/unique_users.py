"""Count each user once: seen, failed, slow beyond an edge, rated.

Requests of one user resemble each other, so a test that counts requests is misled by a few heavy
users (Deng et al., "Applying the delta method in metric analytics", KDD 2018). A user counts once in
each *epoch* of the flag (until its percentage changes), over all processes: one bit of a Redis
bitmap per user and mark. Users sometimes share a slot. The collision does not depend on the cohort,
so tests stay exact and lose a little power. Marks wait in memory and go to Redis in one round trip.
A failed flush drops its marks and counts them as dropped; no request waits for it or fails with it.
"""

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError
from xxhash import xxh3_64_intdigest

from sluice.flags.evaluation import Evaluation, Reason
from sluice.flags.view import FlagView

Cohort = Literal["control", "treatment"]
LATENCY_BUCKETS_SECONDS = tuple(round(0.001 * 1.25**exponent, 6) for exponent in range(46))
"""Bucket edges from 1 ms to 23 s, a factor of 1.25 apart: coarser ones hide changes of the tail."""
USER_EDGES_SECONDS = LATENCY_BUCKETS_SECONDS[21:37:3]
"""Edges at which a user counts as slow: 0.11 to 3.1 s, around a p99 of 1 s."""
SLOTS = 2**22
"""Bits of one bitmap (0.5 MB). A million users lose an eighth of themselves to shared slots."""
FLUSH_SECONDS = 0.25
FLUSH_TIMEOUT_SECONDS = 2.0
PENDING_MAX = 20_000
BITMAP_TTL_SECONDS = 60 * 24 * 3600
"""Time that a bitmap outlives its last mark: longer than any step."""
FULL_PERCENTAGE = 100
DROP_REASONS = ("queue_full", "redis")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CountedUser:
    """A user in one epoch, reduced to a slot that does not identify the person."""

    epoch: int
    slot: int

    @classmethod
    def from_user_id(cls, epoch: int, user_id: str) -> "CountedUser":
        return cls(epoch, xxh3_64_intdigest(f"{epoch}/{user_id}".encode()) % SLOTS)

    @property
    def token(self) -> str:
        """Return the short text that a request id carries, so that later feedback finds its user."""
        return f"{self.epoch:x}.{self.slot:x}"

    @classmethod
    def parse(cls, text: str) -> "CountedUser | None":
        """Parse a token; return None for any other text."""
        try:
            epoch, slot = (int(part, 16) for part in text.split("."))
        except ValueError:
            return None
        return cls(epoch, slot) if epoch > 0 and 0 <= slot < SLOTS else None


def counted_user(
    view: FlagView, flag_name: str, evaluation: Evaluation, user_id: str | None
) -> CountedUser | None:
    """Return the user to count for `evaluation`; None where the user takes no part.

    Only users that the percentage alone assigned are comparable: a whitelist selects its users.
    """
    snapshot = view.snapshot()
    flag = snapshot.flags.get(flag_name)
    if not user_id or flag is None or not flag.epoch or evaluation.version != snapshot.version:
        return None
    is_random = evaluation.reason in (Reason.SPLIT, Reason.DEFAULT)
    if not is_random or not 0 < flag.rollout_percentage < FULL_PERCENTAGE:
        return None
    return CountedUser.from_user_id(flag.epoch, user_id)


class UserMetrics(Protocol):
    """Counters of users, by cohort."""

    def count_seen(self, cohort: Cohort) -> None:
        """Count a user's first request."""

    def count_failed(self, cohort: Cohort) -> None:
        """Count a user's first failed request."""

    def count_slow(self, cohort: Cohort, edge: str) -> None:
        """Count a user's first request that took longer than `edge` (seconds, as a label)."""

    def count_rated(self, cohort: Cohort, score: float) -> None:
        """Count a user's first score, 0 to 1."""

    def count_dropped(self, reason: str, marks: int) -> None:
        """Count marks that were lost, by one of `DROP_REASONS`."""


Mark = tuple[str, int]
"""One bit of the present epoch: the kind of event, and the user's slot."""
SLOW_MARKS = tuple(f"slow{number}" for number in range(len(USER_EDGES_SECONDS)))
MarkValue = tuple[Cohort, float]
"""The cohort and the score to count if the bit was not set before."""


class UniqueUserCounter:
    """Counts users of a flag's present epoch. All calls come from one event loop."""

    def __init__(self, redis: Redis, environment: str, metrics: UserMetrics) -> None:
        self._redis = redis
        self._prefix = f"sluice:{environment}:users"
        self._metrics = metrics
        self._pending: dict[Mark, MarkValue] = {}
        self._known_bits: dict[str, bytearray] = {}
        self._epoch = 0
        self._flush_lock = asyncio.Lock()

    def record_query(
        self, user: CountedUser, cohort: Cohort, seconds: float, *, failed: bool
    ) -> None:
        """Record a request that took `seconds`. Never waits, never raises."""
        slower = SLOW_MARKS[: bisect_left(USER_EDGES_SECONDS, seconds)]
        for kind in ("seen", *slower, *(("failed",) if failed else ())):
            self._add_mark(kind, user, (cohort, 0.0))

    def record_reward(self, user: CountedUser, cohort: Cohort, score: float) -> None:
        """Record a score, 0 to 1; a user's first one counts.

        A user of another epoch than the flag's present one is ignored.
        """
        self._add_mark("rated", user, (cohort, score))

    async def run(self) -> None:
        """Flush the pending marks every `FLUSH_SECONDS` until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Set every pending bit and count those that were new; drop them when Redis fails.

        Marks recorded before the call are done when it returns, also by a concurrent flush.
        """
        async with self._flush_lock:
            await self._flush()

    async def _flush(self) -> None:
        batch, self._pending, epoch = self._pending, {}, self._epoch
        if not batch:
            return
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_SECONDS):
                were_set = await self._set_bits(list(batch), epoch)
        except (RedisError, OSError, TimeoutError) as error:
            # Some bits may be set already: their users are lost, in both cohorts alike.
            self._metrics.count_dropped("redis", len(batch))
            logger.warning("%d user marks were not counted: %r", len(batch), error)
            return
        if epoch != self._epoch:  # the percentage changed meanwhile: these are other shares
            return
        for (mark, value), was_set in zip(batch.items(), were_set, strict=True):
            self._cache_mark(mark)
            if not was_set:
                self._count(mark[0], *value)

    def _add_mark(self, kind: str, user: CountedUser, value: MarkValue) -> None:
        epoch, slot = user.epoch, user.slot
        if epoch > self._epoch:  # marks of the last epoch belong to other shares
            self._epoch, self._known_bits, self._pending = epoch, {}, {}
        bits = self._known_bits.get(kind)
        if epoch < self._epoch or (bits is not None and bits[slot >> 3] & 1 << (slot & 7)):
            return
        if len(self._pending) < PENDING_MAX:
            self._pending.setdefault((kind, slot), value)
        elif (kind, slot) not in self._pending:
            self._metrics.count_dropped("queue_full", 1)

    async def _set_bits(self, marks: Sequence[Mark], epoch: int) -> list[int]:
        """Set the bits; return the value that each had before, 0 or 1."""
        pipeline = self._redis.pipeline(transaction=False)
        keys = {kind: f"{self._prefix}:{epoch}:{kind}" for kind, _ in marks}
        for kind, slot in marks:
            pipeline.setbit(keys[kind], slot, 1)
        for key in keys.values():
            pipeline.expire(key, BITMAP_TTL_SECONDS)
        replies: list[int] = await pipeline.execute()
        return replies[: len(marks)]

    def _cache_mark(self, mark: Mark) -> None:
        """Remember a set bit: it needs no second round trip."""
        kind, slot = mark
        bits = self._known_bits.setdefault(kind, bytearray(SLOTS // 8))
        bits[slot >> 3] |= 1 << (slot & 7)

    def _count(self, kind: str, cohort: Cohort, score: float) -> None:
        if kind == "seen":
            self._metrics.count_seen(cohort)
        elif kind == "failed":
            self._metrics.count_failed(cohort)
        elif kind == "rated":
            self._metrics.count_rated(cohort, score)
        else:
            edge = USER_EDGES_SECONDS[SLOW_MARKS.index(kind)]
            self._metrics.count_slow(cohort, f"{edge:g}")
