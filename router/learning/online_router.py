"""The online learning router: it chooses by the current weights and learns from later feedback."""

import asyncio
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from router.learning.decision_record import Decision
from router.learning.errors import (
    LearningError,
    QueueFullError,
    UnknownVersionError,
    VersionConflictError,
    WeightsError,
)
from router.learning.feedback import UserFeedback, reward
from router.learning.learner import BatchLimits, Learner
from router.learning.linucb import Choice, LinUCB
from router.learning.options import LearningKeys, LearningOptions
from router.learning.snapshot import LearningObserver, LearningSnapshot, NullObserver
from router.learning.store import LearningStore, Signal
from router.learning.weights import Totals, Weights, optimistic_prior
from router.learning.weights_sync import WeightsSync
from sluice.flags.redis.urls import connect

ATTEMPTS_MAX = 5
CANCEL_RETRY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class FeedbackReceipt:
    """The outcome of one feedback.

    ``outcome``: ``accepted`` (durable; will be learned exactly once), ``observed`` (counted and not
    learned), ``duplicate``, ``late``, ``unknown`` (no such query, or its record has expired) or
    ``empty`` (no signal). ``cohort`` is empty when it is unknown.
    """

    outcome: str
    cohort: str
    reward: float | None


class OnlineLearningRouter:
    """The guide's online learner (phase 4). Every router process has one; one of them learns.

    ``learning_rate`` is the weight of one feedback against the prior. At 0.01 the warm start counts
    as a hundred feedbacks for each arm (docs/learning.md).
    """

    def __init__(  # noqa: PLR0913 - the guide's own parameters, by its own names
        self,
        redis: Redis,
        *,
        redis_url: str,
        arms: Sequence[str],
        dimension: int,
        environment: str = "default",
        batch_size: int = 100,
        batch_seconds: float = 5.0,
        learning_rate: float = 0.01,
        alpha: float = 0.5,
        observer: LearningObserver | None = None,
        prior: LinUCB | None = None,
        options: LearningOptions | None = None,
    ) -> None:
        """Check the settings and build the first weights, without I/O.

        ``redis`` serves requests; the background tasks connect to ``redis_url``. ``prior`` is the
        phase-2 bandit to start from, used only if no weights are stored yet. Raises LearningError.
        """
        if not 0.0 < learning_rate <= 1.0:
            raise LearningError(f"learning_rate is {learning_rate}; it must be in (0, 1]")
        if batch_size < 1 or batch_seconds <= 0:
            raise LearningError("batch_size must be at least 1 and batch_seconds above 0")
        self.learning_rate = learning_rate
        self.options = options or LearningOptions()
        self._arms, self._dimension, self._alpha = tuple(arms), dimension, alpha
        self._keys = LearningKeys(environment)
        self._url = redis_url
        self._limits = BatchLimits(batch_size, batch_seconds)
        self._store = LearningStore(redis, self._keys, self.options)
        model = (prior or optimistic_prior(arms, dimension)).recentre(
            alpha, 1.0 / learning_rate, self.options.epsilon
        )
        seed = Weights(0, model, note="warm start" if prior else "no prior")
        seed.require_shape(arms, dimension)
        self._snapshot = LearningSnapshot(seed, observer or NullObserver())
        self._rng = np.random.default_rng(self.options.seed)
        self._background: Redis | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # Life

    async def start(self) -> None:
        """Read (or first store) the weights and start the background tasks.

        Raises WeightsError when the stored weights are of other arms or another dimension, and
        redis.RedisError when Redis can't be reached.
        """
        if self._tasks:
            raise LearningError("already started")
        self._background = connect(
            self._url,
            socket_timeout=5.0,
            socket_connect_timeout=2.0,
            decode_responses=False,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            await self._refresh_weights()
        except BaseException:
            await self.stop()
            raise
        store = self._background_store
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        learner = Learner(store, self._snapshot, self._limits, self.options, self._refresh_weights)
        follower = WeightsSync(self._background, store, self._snapshot, self._keys, self.options)
        self._tasks = [
            asyncio.create_task(learner.run(owner), name="learning-learner"),
            asyncio.create_task(follower.run(self._refresh_weights), name="learning-follower"),
        ]

    async def stop(self) -> None:
        """Stop the tasks and release the lock; collected feedback stays queued."""
        while running := [task for task in self._tasks if not task.done()]:
            for task in running:
                task.cancel()
            # Repeat it: redis-py 8.1.0 loses a cancellation that comes as its command completes.
            await asyncio.wait(running, timeout=CANCEL_RETRY_SECONDS)
        self._tasks = []
        if self._background is not None:
            await self._background.aclose()
            self._background = None

    def pause(self) -> None:
        """Stop consuming feedback in this process (another may take over); it stays queued."""
        self._snapshot.is_paused = True

    def resume(self) -> None:
        """Undo ``pause``."""
        self._snapshot.is_paused = False

    @property
    def paused(self) -> bool:
        return self._snapshot.is_paused

    # Serving

    def select(self, context: ArrayLike) -> Choice:
        """Choose from the weights this process holds, without I/O. Raises InvalidContextError."""
        weights = self._snapshot.weights
        choice = weights.model.select(context, self._rng)
        return replace(choice, weights_version=weights.version)

    async def store_decision(
        self, query_id: str, context: ArrayLike, choice: Choice, cohort: str
    ) -> None:
        """Keep the decision until its feedback comes: one round trip."""
        await self._store.store_decision(query_id, Decision.from_choice(context, choice, cohort))

    async def store_decisions(self, decisions: Mapping[str, Decision]) -> None:
        """Store decisions by query id, in one round trip (``Decision.from_choice`` builds one)."""
        await self._store.store_decisions(decisions)

    async def load_decision(self, query_id: str) -> Decision | None:
        """Return the stored decision; None when unknown, expired, or used by its feedback."""
        return await self._store.load_decision(query_id)

    async def record_feedback(self, feedback: UserFeedback, user: str = "") -> FeedbackReceipt:
        """Queue a feedback: durable in Redis on return, applied exactly once, later.

        ``user`` is a tag of the user. Each further feedback of a user within an hour has less
        weight (1/n), so one user cannot outweigh the others. Feedback without a user has weight 1.

        Raises:
            QueueFullError: the queue is full; nothing is stored.
            redis.RedisError: unknown whether it is stored; send it again, it cannot count twice.
        """
        value = reward(feedback)
        if value is None:
            return self._report_receipt(FeedbackReceipt("empty", "", None))
        outcome, cohort = await self._store.accept_feedback(feedback, user or feedback.query_id)
        if outcome == "refused":
            raise QueueFullError(
                f"{self.options.queue_max} feedbacks wait for the learner; send it again later"
            )
        return self._report_receipt(FeedbackReceipt(outcome, cohort, value))

    async def claim_signal(self, signal: Signal, query_id: str, user: str) -> str:
        """Return ``first`` once per query and signal, else ``duplicate`` or ``capped``.

        Raises:
            redis.RedisError: unknown whether it is claimed; a retry may return ``duplicate``.
        """
        return await self._store.claim_signal(signal, query_id, user)

    def _report_receipt(self, receipt: FeedbackReceipt) -> FeedbackReceipt:
        self._snapshot.observer.on_feedback(receipt.outcome, receipt.cohort, receipt.reward)
        return receipt

    # State

    @property
    def snapshot(self) -> LearningSnapshot:
        """Return live numbers for metrics: queue size, timestamps, errors, weights. Read only."""
        return self._snapshot

    @property
    def weights(self) -> Weights:
        """Return the weights that this process serves from. Read only."""
        return self._snapshot.weights

    def get_stats(self) -> dict[str, Any]:
        """Return the guide's statistics over all processes, as of the last poll or push."""
        state, totals = self._snapshot, self._snapshot.weights.totals
        return {
            "feedback_count": totals.feedback_count,
            "batch_update_count": totals.batch_update_count,
            "avg_reward": totals.avg_reward,
            "queue_size": state.queue_size,
            "learning_rate": self.learning_rate,
            "databases": {arm: self._arm_stats(arm) for arm in self._arms},
            "weights_version": state.weights.version,
            "dead_letters": state.dead_letters,
            "refused_updates": totals.refused_updates,
            "learner": state.is_learner,
            "paused": state.is_paused,
            "errors": state.errors,
            **{f"{name}_feedback": count for name, count in state.counters.items()},
        }

    def _arm_stats(self, arm: str) -> dict[str, float]:
        totals = self._snapshot.weights.totals.arms.get(arm)
        if totals is None:
            return {"n_pulls": 0, "avg_reward": 0.0}
        return {"n_pulls": totals.n_pulls, "avg_reward": totals.reward_sum / totals.n_pulls}

    # Versions

    async def list_versions(self) -> list[int]:
        """Return the versions that ``rollback_weights`` can restore, oldest first."""
        return await self._store.list_versions()

    async def rollback_weights(self, version: int) -> int:
        """Publish the weights of an earlier version as a new one; returns the new version.

        Counters stay, since they count received feedback. Raises UnknownVersionError, WeightsError, and
        VersionConflictError when the learner kept publishing in between.
        """
        old = await self._store.load_version(version, self._alpha, self.options.epsilon)
        if old is None:
            stored = await self._store.list_versions()
            raise UnknownVersionError(f"version {version} is not stored; stored versions: {stored}")
        for _ in range(ATTEMPTS_MAX):
            expected, totals = await self._stored_totals()
            number = max(expected, self._snapshot.weights.version) + 1
            restored = Weights(number, old.model, totals, f"rollback to version {version}")
            if await self._store.replace(expected, restored):
                self._snapshot.install_if_newer(restored)
                return number
        raise VersionConflictError("the weights kept changing; pause learning or try again")

    async def _stored_totals(self) -> tuple[int, Totals]:
        """Return the stored version and counters, or ours when the stored weights cannot be read."""
        try:
            stored = await self._store.load_weights(self._alpha, self.options.epsilon)
        except WeightsError:
            return (await self._store.queue_state()).version, self._snapshot.weights.totals
        if stored is None:
            return 0, self._snapshot.weights.totals
        return stored.version, stored.totals

    @property
    def _background_store(self) -> LearningStore:
        if self._background is None:
            raise LearningError("start() first")
        return LearningStore(self._background, self._keys, self.options)

    async def _refresh_weights(self) -> Weights:
        """Load the stored weights into the snapshot; if none are stored, store ours."""
        store = self._background_store
        while True:
            stored = await store.load_weights(self._alpha, self.options.epsilon)
            if stored is not None:
                stored.require_shape(self._arms, self._dimension)
                self._snapshot.install_if_newer(stored)
                return stored
            weights = self._snapshot.weights
            await store.replace(0, replace(weights, version=weights.version + 1))
