"""Feedback on answers: counted for both cohorts, learned from only for the treatment.

Both cohorts count alike, so that a client's retries and late feedback do not bias the comparison:
the first feedback of a query within the hour, and its first complaint. Limits per user keep one
user, or one bot, from deciding about a release.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from router.analytics import OutcomeRow
from router.errors import NotReady, Overloaded, UnknownQueryId
from router.learning import (
    FeedbackReceipt,
    OnlineLearningRouter,
    QueueFullError,
    UserFeedback,
    reward,
)
from router.observability.metrics import RouterMetrics
from router.phases.phase_switches import PhaseController
from router.users.query_ids import QueryId
from sluice.flags.service.counted_user import OTHER_TRAFFIC
from sluice.flags.service.unique_users import UniqueUserCounter

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FeedbackSinks:
    """Receivers of feedback: the learner's queue, the user counter and the metrics.

    Feedback on a query of an earlier epoch of the flag counts for no user.
    """

    phases: PhaseController
    users: UniqueUserCounter
    metrics: RouterMetrics

    @property
    def learner_client(self) -> OnlineLearningRouter:
        return self.phases.learner_client

    def label(self, query_id: QueryId) -> str:
        """Return the cohort label of the feedback's metrics."""
        user = query_id.counted_user
        is_compared = user is not None and user.epoch > 0
        is_other = not is_compared and self.phases.splits_users
        return OTHER_TRAFFIC if is_other else query_id.cohort


@dataclass(frozen=True, slots=True)
class FeedbackResult:
    """A receipt, and whether this was the first complaint about the query."""

    receipt: FeedbackReceipt
    is_first_complaint: bool

    @property
    def is_new(self) -> bool:
        """True if any of the signals was not recorded before."""
        return self.is_first_complaint or self.receipt.outcome != "duplicate"

    def to_logged_outcome(self, feedback: UserFeedback, tenant: str) -> OutcomeRow:
        """Return the row of the decision log; it holds a query's reward once."""
        value = None if self.receipt.outcome == "duplicate" else self.receipt.reward
        return OutcomeRow(
            feedback.query_id, value, self.is_first_complaint, feedback.to_dict(), tenant
        )


def feedback_age_max_seconds(learner_client: OnlineLearningRouter) -> float:
    """Return the age of a query from which its feedback is refused."""
    return learner_client.options.decision_seconds + learner_client.options.late_seconds


async def record_feedback(
    feedback: UserFeedback, query_id: QueryId, sinks: FeedbackSinks, *, complaint: bool
) -> FeedbackResult:
    """Record the signals about the query of a verified id; they are durable on return.

    Raises:
        UnknownQueryId: the treatment's decision is not stored.
        Overloaded: the queue is full; send it again later.
        NotReady: Redis did not take it; send it again, it cannot count twice.
    """
    with _storage_errors(sinks):
        receipt = await _count_once(feedback, query_id, sinks.learner_client)
    if receipt.outcome in ("accepted", "observed") and receipt.reward is not None:
        _count_reward(query_id, receipt.reward, sinks)
    if not complaint:
        return FeedbackResult(receipt, is_first_complaint=False)
    with _storage_errors(sinks):
        claim = await sinks.learner_client.claim_signal("complaint", query_id.text, query_id.user)
    if claim == "first":
        sinks.metrics.complaints.labels(sinks.label(query_id)).inc()
    elif receipt.outcome == "empty":
        receipt = FeedbackReceipt(claim, query_id.cohort, None)
    return FeedbackResult(receipt, is_first_complaint=claim == "first")


async def _count_once(
    feedback: UserFeedback, query_id: QueryId, learner_client: OnlineLearningRouter
) -> FeedbackReceipt:
    if query_id.cohort == "treatment":
        receipt = await learner_client.record_feedback(feedback, query_id.user)
        if receipt.outcome == "unknown":
            raise UnknownQueryId(f"the decision of query_id {query_id.text!r} is not stored")
        return receipt
    value = reward(feedback)
    if value is None:
        return FeedbackReceipt("empty", query_id.cohort, None)
    if query_id.age_seconds() > learner_client.options.decision_seconds:
        return FeedbackReceipt("late", query_id.cohort, value)
    claim = await learner_client.claim_signal("feedback", query_id.text, query_id.user)
    return FeedbackReceipt("observed" if claim == "first" else claim, query_id.cohort, value)


def _count_reward(query_id: QueryId, value: float, sinks: FeedbackSinks) -> None:
    label = sinks.label(query_id)
    sinks.metrics.feedback.labels(label).inc()
    sinks.metrics.feedback_reward.labels(label).observe(value)
    user = query_id.counted_user
    if user is not None and user.epoch == sinks.phases.counted_epoch:
        sinks.users.record_reward(user, query_id.cohort, value)


@contextmanager
def _storage_errors(sinks: FeedbackSinks) -> Iterator[None]:
    try:
        yield
    except QueueFullError as error:
        logger.warning("feedback_refused", reason=str(error))
        reason = f"{sinks.learner_client.options.queue_max} signals are queued for the learner"
        raise Overloaded(reason, retry_after_seconds=5) from error
    except (RedisError, OSError) as error:
        sinks.metrics.redis_errors.inc()
        logger.warning("feedback_not_stored", reason=repr(error))
        reason = "feedback could not be stored: Redis does not answer; send it again"
        raise NotReady(reason) from error
