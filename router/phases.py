"""Phase 4 live: who is treated right now, and whether the online learner runs.

A switch is on when the constructor or the pushed flag document says so. Who is treated fails closed
(a stale document treats nobody); the learner keeps running through a short loss of Redis.
"""

import asyncio
import time
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from router.answers import Cohort
from router.flags import FeatureFlags
from router.learning import LearningError, OnlineLearningRouter
from router.metrics import Metrics
from router.options import Features

FLAG = "phase4_online_learning"
LOOK_SECONDS = 0.25
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Switches:
    """Phase 4's two, as in the guide."""

    flags: bool
    learning: bool


class Phases:
    """Holds flags and learner; ``run`` starts and stops the learner as the switches say."""

    def __init__(
        self,
        flags: FeatureFlags,
        learner: OnlineLearningRouter,
        features: Features,
        metrics: Metrics,
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
    def feedback_queue(self) -> OnlineLearningRouter:
        """Takes feedback of treated queries, also while this process's learner is stopped."""
        return self._learner

    def switches(self) -> Switches:
        """As of the last accepted document, stale or not."""
        phases = self.flags.reader.snapshot().phases
        return self._with_constructor(phases.enable_feature_flags, phases.enable_online_learning)

    def cohort(self, user_id: str | None) -> Cohort:
        """Treatment when the flag says so, or when phase 4 is permanent. No I/O."""
        phases = self.flags.reader.phases()
        now = self._with_constructor(
            phases["enable_feature_flags"], phases["enable_online_learning"]
        )
        if not now.flags:
            return "treatment" if now.learning and self._running else "control"
        started = time.perf_counter()
        enabled = self.flags.evaluate(FLAG, user_id or "").enabled
        self._metrics.flag_evaluation_seconds.observe(time.perf_counter() - started)
        return "treatment" if enabled and now.learning and self._running else "control"

    def _with_constructor(self, flags: bool, learning: bool) -> Switches:
        return Switches(
            flags or self._features.enable_feature_flags,
            learning or self._features.enable_online_learning,
        )

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.apply()
            await asyncio.sleep(LOOK_SECONDS)

    async def apply(self) -> None:
        """Bring the learner to where the switches are; what fails is tried again next time."""
        wanted = self.switches().learning
        if wanted == self._running:
            return
        if not wanted:
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
