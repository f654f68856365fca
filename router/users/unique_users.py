"""Users, each counted once: who was seen, failed, waited long or rated for the first time.

Requests of one user are alike, so a test that counts requests is misled by a few heavy users
(DESIGN.md section 6). Here a user counts once in each *epoch* of the flag, that is until its
percentage changes, over all processes: one bit of a Redis bitmap per user and mark. Users share a
slot now and then; which ones do has nothing to do with their cohort, so tests stay exact and only
lose a little power. Nothing here delays or fails a query: marks wait in memory, go to Redis in one
round trip, and are dropped, and counted as dropped, where that does not work.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from xxhash import xxh3_64_intdigest

from router.answer import Cohort
from router.observability.metrics import USER_EDGES_SECONDS, RouterMetrics

SLOTS = 2**22
"""Half a megabyte of Redis for each mark and epoch; a million users lose an eighth of themselves."""
FLUSH_SECONDS = 0.25
FLUSH_TIMEOUT_SECONDS = 2.0
PENDING_MAX = 20_000
BITMAP_TTL_SECONDS = 60 * 24 * 3600
"""How long an epoch's bitmaps outlive their last mark: longer than any step."""
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CountedUser:
    """A user in one epoch, as far as counting goes; the slot does not tell who it is."""

    epoch: int
    slot: int

    @classmethod
    def from_user_id(cls, epoch: int, user_id: str) -> "CountedUser":
        return cls(epoch, xxh3_64_intdigest(f"{epoch}/{user_id}".encode()) % SLOTS)

    @property
    def token(self) -> str:
        """Short, for a query id: so that feedback finds its user wherever it arrives."""
        return f"{self.epoch:x}.{self.slot:x}"

    @classmethod
    def parse(cls, text: str) -> "CountedUser | None":
        """The member whose ``text`` this is; None for anything else."""
        try:
            epoch, slot = (int(part, 16) for part in text.split("."))
        except ValueError:
            return None
        return cls(epoch, slot) if epoch > 0 and 0 <= slot < SLOTS else None


Mark = tuple[str, int]
"""A bit to be set in the present epoch: what happened, and the slot of whom it happened to."""
SLOW_MARKS = tuple(f"slow{number}" for number in range(len(USER_EDGES_SECONDS)))
MarkValue = tuple[Cohort, float]
"""What is counted once the bit turns out to be new: the cohort, and the value of a reward."""


class UniqueUserCounter:
    """Counts users of the epoch that is live. One loop calls it: the router's own."""

    def __init__(self, redis: Redis, environment: str, metrics: RouterMetrics) -> None:
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
        """Note a query that took ``seconds``. Never waits, never raises."""
        slower = SLOW_MARKS[: bisect_left(USER_EDGES_SECONDS, seconds)]
        for what in ("seen", *slower, *(("failed",) if failed else ())):
            self._add_mark(what, user, (cohort, 0.0))

    def record_reward(self, user: CountedUser, cohort: Cohort, reward: float) -> None:
        """Note the reward of a feedback, 0 to 1; a user's first one counts.

        ``member`` must be of the flag's epoch: query ids come back from outside.
        """
        self._add_mark("rated", user, (cohort, reward))

    async def run(self) -> None:
        """Tell Redis of the marks, for ever."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Set every pending bit and count those that were new; what fails is dropped.

        What was noted before is done when it returns, also by a flush that was under way.
        """
        async with self._flush_lock:
            await self._flush()

    async def _flush(self) -> None:
        batch, self._pending, epoch = self._pending, {}, self._epoch
        if not batch:
            return
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_SECONDS):
                before = await self._set_bits(list(batch), epoch)
        except (RedisError, OSError, TimeoutError) as error:
            # Some bits may have been set: their users are lost, in both cohorts alike.
            self._metrics.redis_errors.inc()
            self._metrics.users_dropped.labels("redis").inc(len(batch))
            logger.warning("users_not_counted", marks=len(batch), why=repr(error))
            return
        if epoch != self._epoch:  # the percentage changed meanwhile: these belong to other shares
            return
        for (mark, noted), known in zip(batch.items(), before, strict=True):
            self._cache_mark(mark)
            if not known:
                self._count(mark[0], *noted)

    def _add_mark(self, what: str, member: CountedUser, noted: MarkValue) -> None:
        epoch, slot = member.epoch, member.slot
        if epoch > self._epoch:  # what is left of the last one belongs to other shares
            self._epoch, self._known_bits, self._pending = epoch, {}, {}
        bits = self._known_bits.get(what)
        if epoch < self._epoch or (bits is not None and bits[slot >> 3] & 1 << (slot & 7)):
            return
        if len(self._pending) < PENDING_MAX:
            self._pending.setdefault((what, slot), noted)
        elif (what, slot) not in self._pending:
            self._metrics.users_dropped.labels("queue_full").inc()

    async def _set_bits(self, marks: Sequence[Mark], epoch: int) -> list[int]:
        """Whether each bit was set before."""
        pipeline = self._redis.pipeline(transaction=False)
        keys = {what: f"{self._prefix}:{epoch}:{what}" for what, _ in marks}
        for what, slot in marks:
            pipeline.setbit(keys[what], slot, 1)
        for key in keys.values():
            pipeline.expire(key, BITMAP_TTL_SECONDS)
        answers: list[int] = await pipeline.execute()
        return answers[: len(marks)]

    def _cache_mark(self, mark: Mark) -> None:
        """A bit that is set need not be asked for again."""
        what, slot = mark
        bits = self._known_bits.setdefault(what, bytearray(SLOTS // 8))
        bits[slot >> 3] |= 1 << (slot & 7)

    def _count(self, what: str, cohort: Cohort, value: float) -> None:
        metrics = self._metrics
        if what == "seen":
            metrics.users.labels(cohort).inc()
        elif what == "failed":
            metrics.users_failed.labels(cohort).inc()
        elif what == "rated":
            metrics.users_reward.labels(cohort).observe(value)
            metrics.users_reward_squares.labels(cohort).inc(value**2)
        else:
            edge = USER_EDGES_SECONDS[SLOW_MARKS.index(what)]
            metrics.users_slow.labels(cohort, f"{edge:g}").inc()
