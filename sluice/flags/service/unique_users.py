"""Unique users: what the statistical gates count, over all processes.

Requests of one user are alike, so a test that counts requests is misled by a few heavy users. Here a
user counts with the first requests only: since the percentage of the flag changed, and again since the
hour began. The first counter sees small harm in the long run, the second one sees harm that begins late.
Before a rollout, at 0 %, users' log times and rewards are kept to predict those that follow.
"""

import asyncio

from redis.asyncio import Redis

from sluice.flags.service.counted_user import Cohort, CountedUser
from sluice.flags.service.past_counter import PastCounter
from sluice.flags.service.period_counter import PERIODS, PeriodCounter, UserMetrics
from sluice.flags.service.user_record import CountedRequest

FLUSH_SECONDS = 0.25


class UniqueUserCounter:
    """Counts users since the epoch began, and since the hour did. One loop calls it: the router's own."""

    def __init__(self, redis: Redis, environment: str, metrics: UserMetrics) -> None:
        prefix = f"sluice:{environment}:users"
        self._counters = [PeriodCounter(redis, prefix, metrics, period) for period in PERIODS]
        self._past = PastCounter(redis, prefix, metrics)

    def record_query(
        self, user: CountedUser, cohort: Cohort, seconds: float | None, *, failed: bool
    ) -> None:
        """Note a query; `seconds` None: answered by the cache. Never waits, never raises."""
        if not user.epoch:
            self._past.record_query(user, CountedRequest(failed, seconds))
            return
        for counter in self._counters:
            counter.record_query(user, cohort, CountedRequest(failed, seconds))

    def record_reward(self, user: CountedUser, cohort: Cohort, reward: float) -> None:
        """Note the reward of a feedback, 0 to 1; a user's first ones count.

        `user` must be of the flag's epoch: query ids come back from outside.
        """
        if not user.epoch:
            self._past.record_reward(user, reward)
            return
        for counter in self._counters:
            counter.record_reward(user, cohort, reward)

    async def run(self) -> None:
        """Flush until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Add everything pending to the records and count what is new; what fails is dropped."""
        await self._past.flush()
        for counter in self._counters:
            await counter.flush()
