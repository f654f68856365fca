"""One user's exposure to a flag, and the counting of what came of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from redis.asyncio import Redis

from sluice.flags.errors import InvalidFlagError
from sluice.flags.evaluation import Evaluation
from sluice.flags.redis.reader import FlagReader
from sluice.flags.service.counted_user import Cohort, CountedUser, counted_user, is_compared
from sluice.flags.service.metrics import FlagMetrics
from sluice.flags.service.unique_users import UniqueUserCounter


@dataclass(frozen=True, slots=True)
class Exposure:
    """The cohort that one user has for a flag, and where its outcomes are counted."""

    evaluation: Evaluation
    user: CountedUser | None
    recorder: OutcomeRecorder
    is_compared: bool = True

    @property
    def cohort(self) -> Cohort:
        """The user's cohort: `treatment` or `control`."""
        return "treatment" if self.evaluation.enabled else "control"

    def record_request(self, seconds: float, *, failed: bool) -> None:
        """Count a request and, once in an epoch, its user. Never waits."""
        cohort = self.cohort if self.is_compared else None
        self.recorder.metrics.count_request(cohort, seconds, failed=failed)
        if self.user is not None:
            answered = None if failed else seconds
            self.recorder.users.record_query(self.user, self.cohort, answered, failed=failed)

    def rate(self, score: float) -> None:
        """Count the user's score, 0 to 1; raise InvalidFlagError for any other number."""
        if not (math.isfinite(score) and 0 <= score <= 1):
            raise InvalidFlagError(f"score {score!r}: give a number from 0 to 1")
        if self.user is not None:
            self.recorder.users.record_reward(self.user, self.cohort, score)


class OutcomeRecorder:
    """Evaluates one flag and counts outcomes. Run `users.run()` in the event loop that calls it."""

    def __init__(self, flag: str, reader: FlagReader, redis: Redis, metrics: FlagMetrics) -> None:
        self.flag = flag
        self.metrics = metrics
        self.users = UniqueUserCounter(redis, reader.environment, metrics.users)
        self._view = reader

    def expose(self, user_id: str) -> Exposure:
        """Evaluate the flag for the user. No I/O, never raises."""
        evaluation = self._view.evaluate(self.flag, user_id)
        place = (self._view, self.flag, evaluation, user_id)
        return Exposure(evaluation, counted_user(*place), self, is_compared(*place))
