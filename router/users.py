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

from router.answers import Cohort
from router.metrics import USER_EDGES_SECONDS, Metrics

SLOTS = 2**22
"""Half a megabyte of Redis for each mark and epoch; a million users lose an eighth of themselves."""
FLUSH_SECONDS = 0.25
FLUSH_LIMIT_SECONDS = 2.0
PENDING_MAX = 20_000
KEPT_SECONDS = 60 * 24 * 3600
"""How long an epoch's bitmaps outlive their last mark: longer than any step."""
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """A user in one epoch, as far as counting goes; the slot does not tell who it is."""

    epoch: int
    slot: int

    @classmethod
    def of(cls, epoch: int, user_id: str) -> "Member":
        return cls(epoch, xxh3_64_intdigest(f"{epoch}/{user_id}".encode()) % SLOTS)

    @property
    def text(self) -> str:
        """Short, for a query id: so that feedback finds its user wherever it arrives."""
        return f"{self.epoch:x}.{self.slot:x}"

    @classmethod
    def parse(cls, text: str) -> "Member | None":
        """The member whose ``text`` this is; None for anything else."""
        try:
            epoch, slot = (int(part, 16) for part in text.split("."))
        except ValueError:
            return None
        return cls(epoch, slot) if epoch > 0 and 0 <= slot < SLOTS else None


@dataclass(frozen=True, slots=True)
class Mark:
    """A bit to be set: what happened to whom. ``slow`` is one mark for each edge."""

    what: str
    member: Member


@dataclass(frozen=True, slots=True)
class Noted:
    """What is counted once the bit turns out to be new."""

    cohort: Cohort
    value: float = 0.0


class UserCounts:
    """Counts users of the epoch that is live. One loop calls it: the router's own."""

    def __init__(self, redis: Redis, environment: str, metrics: Metrics) -> None:
        self._redis = redis
        self._prefix = f"sluice:{environment}:users"
        self._metrics = metrics
        self._pending: dict[Mark, Noted] = {}
        self._known: dict[str, bytearray] = {}
        self._epoch = 0

    def asked(self, member: Member, cohort: Cohort, seconds: float, *, failed: bool) -> None:
        """Note a query that took ``seconds``. Never waits, never raises."""
        self._note(Mark("seen", member), Noted(cohort))
        if failed:
            self._note(Mark("failed", member), Noted(cohort))
        for number in range(bisect_left(USER_EDGES_SECONDS, seconds)):
            self._note(Mark(f"slow{number}", member), Noted(cohort))

    def rated(self, member: Member, cohort: Cohort, reward: float) -> None:
        """Note the reward of a feedback, 0 to 1; a user's first one counts.

        ``member`` must be of the flag's epoch: query ids come back from outside.
        """
        self._note(Mark("rated", member), Noted(cohort, reward))

    async def run(self) -> None:
        """Tell Redis of the marks, for ever."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Set every pending bit and count those that were new; what fails is dropped."""
        batch, self._pending = self._pending, {}
        if not batch:
            return
        marks = list(batch)
        try:
            async with asyncio.timeout(FLUSH_LIMIT_SECONDS):
                before = await self._set(marks)
        except (RedisError, OSError, TimeoutError) as error:
            # Some bits may have been set: their users are lost, in both cohorts alike.
            self._metrics.redis_errors.inc()
            self._metrics.users_dropped.labels("redis").inc(len(marks))
            logger.warning("users_not_counted", marks=len(marks), why=repr(error))
            return
        for mark, known in zip(marks, before, strict=True):
            self._remember(mark)
            if not known:
                self._count(mark.what, batch[mark])

    def _note(self, mark: Mark, noted: Noted) -> None:
        epoch = mark.member.epoch
        if epoch > self._epoch:  # what is left of the last one belongs to other shares
            self._epoch, self._known, self._pending = epoch, {}, {}
        if epoch < self._epoch or mark in self._pending or self._is_known(mark):
            return
        if len(self._pending) >= PENDING_MAX:
            self._metrics.users_dropped.labels("queue_full").inc()
            return
        self._pending[mark] = noted

    async def _set(self, marks: Sequence[Mark]) -> list[int]:
        """Whether each bit was set before."""
        pipeline = self._redis.pipeline(transaction=False)
        for mark in marks:
            pipeline.setbit(self._key(mark), mark.member.slot, 1)
        for key in {self._key(mark) for mark in marks}:
            pipeline.expire(key, KEPT_SECONDS)
        answers: list[int] = await pipeline.execute()
        return answers[: len(marks)]

    def _key(self, mark: Mark) -> str:
        return f"{self._prefix}:{mark.member.epoch}:{mark.what}"

    def _is_known(self, mark: Mark) -> bool:
        bits = self._known.get(mark.what)
        return bool(bits and bits[mark.member.slot >> 3] & 1 << (mark.member.slot & 7))

    def _remember(self, mark: Mark) -> None:
        """A bit that is set need not be asked for again."""
        if mark.member.epoch == self._epoch:
            bits = self._known.setdefault(mark.what, bytearray(SLOTS // 8))
            bits[mark.member.slot >> 3] |= 1 << (mark.member.slot & 7)

    def _count(self, what: str, noted: Noted) -> None:
        metrics, cohort = self._metrics, noted.cohort
        if what == "seen":
            metrics.users.labels(cohort).inc()
        elif what == "failed":
            metrics.users_failed.labels(cohort).inc()
        elif what == "rated":
            metrics.users_reward.labels(cohort).observe(noted.value)
            metrics.users_reward_squares.labels(cohort).inc(noted.value**2)
        else:
            edge = USER_EDGES_SECONDS[int(what.removeprefix("slow"))]
            metrics.users_slow.labels(cohort, f"{edge:g}").inc()
