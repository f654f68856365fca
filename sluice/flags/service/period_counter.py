"""Users of one period: of the epoch (until the percentage changes), or of the hour.

A record per user lies in Redis. Counting does not delay or fail a query: requests wait in memory and go
to Redis together. They are dropped, and counted as dropped, where that does not work.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice.flags.service.counted_user import SLOTS, Cohort, CountedUser
from sluice.flags.service.user_means import (
    LOG_TIME,
    REWARD,
    UserMean,
)
from sluice.flags.service.user_record import (
    HOURLY_REQUESTS_COUNTED_MAX,
    REQUESTS_COUNTED_MAX,
    CountedRequest,
    FailureHistory,
    UserIncrements,
    UserRecord,
    count_requests,
)

Since = Literal["step", "hour"]
MeanKind = Literal["log_time", "reward"]
FLUSH_TIMEOUT_SECONDS = 2.0
USERS_PER_CALL = 500
LASTING_TTL_SECONDS = 60 * 24 * 3600
"""Users ever seen, and their past, live as long after their last change."""
PENDING_MAX = 20_000
COUNT_USERS = (Path(__file__).parent / "count_users.lua").read_text(encoding="utf-8")
DROP_REASONS = ("queue_full", "redis", "lost")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Period:
    """A period in which each user's first requests count, `requests_max` at most.

    `seconds`: its length, or None where only a change of the percentage begins the next one.
    `record_ttl_seconds`: how long the records outlive their last change.
    """

    since: Since
    seconds: int | None
    requests_max: int
    record_ttl_seconds: int

    def number(self, now: float) -> int:
        """Return the number of the period since 1970; 0 where it has no length."""
        return int(now // self.seconds) if self.seconds else 0


PERIODS = (
    Period("step", None, REQUESTS_COUNTED_MAX, LASTING_TTL_SECONDS),
    Period("hour", 3600, HOURLY_REQUESTS_COUNTED_MAX, 2 * 3600),
)


class UserMetrics(Protocol):
    """Counters of users, by cohort; `since` names the period that their first requests belong to."""

    def count_seen(self, cohort: Cohort, *, new: bool) -> None:
        """Count a user's first request in the epoch; `new`: the first one ever."""

    def count_requests(self, cohort: Cohort, since: Since, increments: UserIncrements) -> None:
        """Count failures, slow answers, and requests of users at risk of them."""

    def count_mean(
        self, kind: MeanKind, cohort: Cohort, since: Since, increments: Sequence[float]
    ) -> None:
        """Add to the sums over users' means; `increments` in the order of `user_means.SUMS`."""

    def count_rated(self, cohort: Cohort, since: Since, score: float) -> None:
        """Count a user's first score, 0 to 1."""

    def set_counted_since(self, seconds: float) -> None:
        """Note the time since which users are counted: each counts again from then on."""

    def count_dropped(self, reason: str, users: int) -> None:
        """Count users that were not counted, by one of `DROP_REASONS`."""


@dataclass(slots=True)
class PendingUser:
    """A user's requests since the last flush."""

    cohort: Cohort
    lasting_slot: int
    requests: list[CountedRequest] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)

    def arguments(self, slot: int, *, counts_seen: bool) -> list[int | str]:
        """Return the user's arguments of `count_users.lua`."""
        return [
            slot,
            self.lasting_slot,
            int(counts_seen and bool(self.requests)),
            len(self.requests),
            sum(request.failed for request in self.requests),
            max((request.slow_edges for request in self.requests), default=0),
            *(",".join(map(str, values)) for _, _, values in self.values()),
        ]

    def values(self) -> tuple[tuple[MeanKind, UserMean, list[int]], ...]:
        """Return the user's log times (answers that no cache gave) and rewards, as Redis keeps them."""
        log_times = [request.log_steps for request in self.requests if request.seconds is not None]
        rewards = [reward_steps(reward) for reward in self.rewards]
        return ("log_time", LOG_TIME, log_times), ("reward", REWARD, rewards)


def reward_steps(reward: float) -> int:
    """Return the reward in thousandths."""
    return round(reward * REWARD.steps)


def past_keys(prefix: str) -> list[str]:
    """Return the keys of users' values before the rollout, and of their totals."""
    return [f"{prefix}:past", f"{prefix}:past:totals"]


Row = Sequence[int]
"""What `count_users.lua` returns of one user."""
Totals = Sequence[str | bytes | None]
"""Of all users before the rollout: numbers and sums of log times and rewards, requests, failures."""


class PeriodCounter:
    """Counts users of the period that is live."""

    def __init__(self, redis: Redis, prefix: str, metrics: UserMetrics, period: Period) -> None:
        self._count_users = redis.register_script(COUNT_USERS)
        self._prefix = prefix
        self._metrics = metrics
        self._period = period
        self._flush_lock = asyncio.Lock()
        self._start((0, 0))

    def _start(self, key: tuple[int, int]) -> None:
        self._key = key  # the epoch, and the number of the period
        self._pending: dict[int, PendingUser] = {}
        self._pending_count = 0
        self._counted_since = 0.0  # 0: this process has not seen the records
        self._is_lost = False
        self._counted_requests = bytearray(SLOTS) if key[0] else bytearray()

    def record_query(self, user: CountedUser, cohort: Cohort, request: CountedRequest) -> None:
        """Note a query. Never waits, never raises."""
        if not self._accepts(user):
            return
        if self._counted_requests[user.slot] >= self._period.requests_max:
            return
        self._pending_count += 1
        self._counted_requests[user.slot] += 1
        self._pending_user(user, cohort).requests.append(request)

    def record_reward(self, user: CountedUser, cohort: Cohort, reward: float) -> None:
        """Note the reward of a feedback, 0 to 1; a user's first ones count."""
        if self._accepts(user):
            self._pending_count += 1
            self._pending_user(user, cohort).rewards.append(reward)

    def _pending_user(self, user: CountedUser, cohort: Cohort) -> PendingUser:
        return self._pending.setdefault(user.slot, PendingUser(cohort, user.lasting_slot))

    def _accepts(self, user: CountedUser) -> bool:
        key = (user.epoch, self._period.number(time.time()))
        if key > self._key:  # what is left of the last one belongs to other shares
            self._start(key)
        if user.epoch < self._key[0] or self._is_lost:
            return False
        if self._pending_count >= PENDING_MAX:
            self._metrics.count_dropped("queue_full", 1)
            return False
        return True

    async def flush(self) -> None:
        """Add everything pending to the records and count what is new; what fails is dropped.

        What was noted before is done when it returns, also by a flush that was under way.
        """
        async with self._flush_lock:
            batch, self._pending, self._pending_count = list(self._pending.items()), {}, 0
            for start in range(0, len(batch), USERS_PER_CALL):
                await self._flush_users(batch[start : start + USERS_PER_CALL])

    async def _flush_users(self, batch: Sequence[tuple[int, PendingUser]]) -> None:
        key = self._key
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_SECONDS):
                counted_since, totals, *rows = await self._add_to_records(batch, key)
        except (RedisError, OSError, TimeoutError) as error:
            # Some may have been added: their users are lost, in both cohorts alike.
            self._metrics.count_dropped("redis", len(batch))
            logger.warning("requests of %d users were not counted: %r", len(batch), error)
            return
        if key != self._key:  # the percentage changed meanwhile: these belong to other shares
            return
        if not self._continues(float(counted_since) / 1e6):
            self._metrics.count_dropped("lost", len(batch))
            return
        for (_, pending), row in zip(batch, rows, strict=True):
            self._count_firsts(pending, row, totals)
            self._count_means(pending, row[4:], totals)

    def _continues(self, counted_since: float) -> bool:
        """Take the time since which the records count; return False if the hour can't go on.

        Records that Redis has lost begin again: every user counts once more, in a new track.
        """
        if self._counted_since and counted_since != self._counted_since:
            logger.error("Redis lost the users of epoch %d: each counts again", self._key[0])
            self._counted_requests = bytearray(SLOTS)
            self._is_lost = self._period.seconds is not None
        self._counted_since = counted_since
        if self._period.seconds is None:
            self._metrics.set_counted_since(counted_since)
        return not self._is_lost

    async def _add_to_records(
        self, batch: Sequence[tuple[int, PendingUser]], key: tuple[int, int]
    ) -> tuple[str, Totals, *tuple[Row, ...]]:
        """Return the time since which the records count, the past's totals, and each record before."""
        arguments: list[int | str] = [self._period.record_ttl_seconds, LASTING_TTL_SECONDS]
        for slot, pending in batch:
            arguments += pending.arguments(slot, counts_seen=self._period.seconds is None)
        epoch, number = key
        name = f"{self._prefix}:{epoch}" + (f":{number}" if self._period.seconds else "")
        keys = [
            f"{name}:records",
            f"{name}:since",
            f"{self._prefix}:ever",
            *past_keys(self._prefix),
        ]
        since, totals, *rows = await self._count_users(keys=keys, args=arguments)
        return (since.decode() if isinstance(since, bytes) else since, totals, *rows)

    def _count_firsts(self, pending: PendingUser, row: Row, totals: Totals) -> None:
        requests, failures, slow_edges, ever_seen, _, _, rewards, *_ = row
        metrics, cohort, since = self._metrics, pending.cohort, self._period.since
        if pending.requests and not requests and self._period.seconds is None:
            metrics.count_seen(cohort, new=not ever_seen)
        record = UserRecord(requests, failures, slow_edges)
        increments = count_requests(record, pending.requests, self._period.requests_max)
        everyone = FailureHistory(*(int(total or 0) for total in totals[4:6]))
        increments.group = FailureHistory(*row[12:14]).group(everyone)
        metrics.count_requests(cohort, since, increments)
        if pending.rewards and not rewards:
            metrics.count_rated(cohort, since, pending.rewards[0])

    def _count_means(self, pending: PendingUser, sums: Row, totals: Totals) -> None:
        """Add to the sums over users' means; `sums`: numbers and sums of its values, then of its past."""
        for at, (kind, rule, values) in enumerate(pending.values()):
            count, total = sums[2 * at : 2 * at + 2]
            new = values[: max(rule.values_max - count, 0)]
            if not new:
                continue
            past = rule.observed(*sums[4 + 2 * at : 6 + 2 * at])
            past_mean = rule.observed(*(int(x or 0) for x in totals[2 * at : 2 * at + 2])).mean
            before = rule.observed(count, total)
            after = rule.observed(count + len(new), total + sum(new))
            increments = rule.increments(before, after, past, past_mean)
            self._metrics.count_mean(kind, pending.cohort, self._period.since, increments)
