"""Unique users: what the statistical gates count, over all processes.

Requests of one user are alike, so a test that counts requests is misled by a few heavy users. Here a
user counts with the first requests only: since the percentage of the flag changed, and again since the
hour began. The first counter sees small harm in the long run, the second one sees harm that begins late.
"""

import asyncio

from redis.asyncio import Redis

from sluice.flags.service.counted_user import Cohort, CountedUser
from sluice.flags.service.period_counter import PERIODS, PeriodCounter, UserMetrics
from sluice.flags.service.user_record import CountedRequest

FLUSH_SECONDS = 0.25


class UniqueUserCounter:
    """Counts users since the epoch began, and since the hour did. One loop calls it: the router's own."""

    def __init__(self, redis: Redis, environment: str, metrics: UserMetrics) -> None:
        prefix = f"sluice:{environment}:users"
        self._counters = [PeriodCounter(redis, prefix, metrics, period) for period in PERIODS]

    def record_query(
        self, user: CountedUser, cohort: Cohort, seconds: float | None, *, failed: bool
    ) -> None:
        """Note a query; `seconds` None: answered by the cache. Never waits, never raises."""
        for counter in self._counters:
            counter.record_query(user, cohort, CountedRequest(failed, seconds))

    def record_reward(self, user: CountedUser, cohort: Cohort, reward: float) -> None:
        """Note the reward of a feedback, 0 to 1; a user's first one counts.

        `user` must be of the flag's epoch: query ids come back from outside.
        """
        for counter in self._counters:
            counter.record_reward(user, cohort, reward)

    async def run(self) -> None:
        """Flush until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Add everything pending to the records and count what is new; what fails is dropped."""
        for counter in self._counters:
            await counter.flush()
