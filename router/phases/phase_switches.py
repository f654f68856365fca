"""Phase 4 live: who is treated right now, and whether the online learner runs.

A switch is on when the constructor or the pushed flag document says so. Who is treated fails closed
(a stale document treats nobody); the learner keeps running through a short loss of Redis.
"""

import asyncio
import time
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from router.answer import Cohort
from router.features import Features
from router.learning import LearningError, OnlineLearningRouter
from router.observability.metrics import RouterMetrics
from sluice.flag_rules import FULL_PERCENTAGE
from sluice.flags import FeatureFlags
from sluice.flags.service.counted_user import (
    OTHER_TRAFFIC,
    CountedUser,
    counted_user,
    is_compared,
)

PHASE4_FLAG = "phase4_online_learning"
POLL_SECONDS = 0.25
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EffectiveSwitches:
    """Phase 4's two, as in the guide."""

    flags: bool
    learning: bool


@dataclass(frozen=True, slots=True)
class Assignment:
    """A query's cohort; ``counted_user`` is None if the user takes no part in the comparison.

    ``is_compared`` is False for whitelisted users and queries without a user id while the flag splits
    users: metrics count them under a cohort label of their own.
    """

    cohort: Cohort
    counted_user: CountedUser | None = None
    is_compared: bool = True

    @property
    def label(self) -> str:
        """The cohort label of the query's metrics."""
        return self.cohort if self.is_compared else OTHER_TRAFFIC


CONTROL = Assignment("control")


class PhaseController:
    """Holds flags and learner; ``run`` starts and stops the learner as the switches say."""

    def __init__(
        self,
        flags: FeatureFlags,
        learner: OnlineLearningRouter,
        features: Features,
        metrics: RouterMetrics,
    ) -> None:
        self.flags = flags
        self._learner = learner
        self._features = features
        self._metrics = metrics
        self._running = False

    @property
    def learner(self) -> OnlineLearningRouter | None:
        """The online learner while it runs."""
        return self._learner if self._running else None

    @property
    def learner_client(self) -> OnlineLearningRouter:
        """Takes feedback of treated queries, also while this process's learner is stopped."""
        return self._learner

    def effective_switches(self) -> EffectiveSwitches:
        """As of the last accepted document, stale or not."""
        phases = self.flags.reader.snapshot().phases
        return self._combine_with_features(
            phases.enable_feature_flags, phases.enable_online_learning
        )

    def assign(self, user_id: str | None) -> Assignment:
        """Treat when the flag says so, or when phase 4 is permanent and not killed. No I/O."""
        phases = self.flags.reader.phases()
        now = self._combine_with_features(
            phases["enable_feature_flags"], phases["enable_online_learning"]
        )
        if not now.flags:
            is_treated = now.learning and self._running and not self._is_killed
            return Assignment("treatment" if is_treated else "control")
        started = time.perf_counter()
        answer = self.flags.evaluate(PHASE4_FLAG, user_id or "")
        self._metrics.flag_evaluation_seconds.observe(time.perf_counter() - started)
        place = (self.flags.reader, PHASE4_FLAG, answer, user_id)
        user = counted_user(*place)
        if not (now.learning and self._running):
            is_before = user is not None and not user.epoch
            return Assignment("control", user if is_before else None)
        cohort: Cohort = "treatment" if answer.enabled else "control"
        return Assignment(cohort, user, is_compared(*place))

    @property
    def _is_killed(self) -> bool:
        flag = self.flags.reader.snapshot().flags.get(PHASE4_FLAG)
        return flag is not None and flag.killed

    @property
    def splits_users(self) -> bool:
        """Return True while some users are treated and others are not."""
        flag = self.flags.reader.snapshot().flags.get(PHASE4_FLAG)
        return flag is not None and 0 < flag.rollout_percentage < FULL_PERCENTAGE

    @property
    def counted_epoch(self) -> int:
        """The epoch in which users are counted now; 0 at 0 % and without a flag."""
        flag = self.flags.reader.snapshot().flags.get(PHASE4_FLAG)
        return flag.epoch if flag and flag.rollout_percentage else 0

    def _combine_with_features(self, flags: bool, learning: bool) -> EffectiveSwitches:
        return EffectiveSwitches(
            flags or self._features.enable_feature_flags,
            learning or self._features.enable_online_learning,
        )

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self.reconcile()
            await asyncio.sleep(POLL_SECONDS)

    async def reconcile(self) -> None:
        """Bring the learner to where the switches are; what fails is tried again next time."""
        should_run = self.effective_switches().learning
        if should_run == self._running:
            return
        if not should_run:
            await self.stop()
            return
        try:
            await self._learner.start()
        except (RedisError, OSError, LearningError) as error:
            self._metrics.learner_errors.inc()
            logger.warning("learner_not_started", why=str(error))
            return
        self._running = True
        logger.info("learner_started")

    async def stop(self) -> None:
        """Stop the learner; its queue stays in Redis."""
        if self._running:
            self._running = False
            await self._learner.stop()
            logger.info("learner_stopped")
