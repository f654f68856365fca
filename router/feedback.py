"""Feedback on answers: counted for both cohorts, learned from only for the treatment."""

from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from router.answers import Cohort
from router.errors import NotReady, Overloaded, UnknownDecision
from router.learning import OnlineLearningRouter, QueueFullError, Receipt, UserFeedback
from router.metrics import Metrics
from router.pipeline import cohort_of, member_of
from router.users import UserCounts

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recording:
    """Where feedback goes: the learner's queue, the counts of users and the metrics.

    ``epoch`` is the flag's: later feedback on queries of an earlier one counts for no user.
    """

    epoch: int
    queue: OnlineLearningRouter
    users: UserCounts
    metrics: Metrics


async def record(feedback: UserFeedback, to: Recording, *, complaint: bool) -> Receipt:
    """Durable when it returns.

    Raises UnknownDecision (no such query), Overloaded (the queue is full: send it again later),
    NotReady (Redis did not take it: send it again, it cannot count twice).
    """
    cohort = cohort_of(feedback.query_id)
    if cohort is None:
        raise UnknownDecision(f"query_id {feedback.query_id!r} was not given out by this router")
    receipt = await _counted_once(feedback, cohort, to)
    if complaint:
        to.metrics.complaints.labels(cohort).inc()
    if receipt.outcome in ("accepted", "observed") and receipt.reward is not None:
        to.metrics.feedback.labels(cohort).inc()
        to.metrics.feedback_reward.labels(cohort).observe(receipt.reward)
        member = member_of(feedback.query_id)
        if member is not None and member.epoch == to.epoch:
            to.users.rated(member, cohort, receipt.reward)
    return receipt


async def _counted_once(feedback: UserFeedback, cohort: Cohort, to: Recording) -> Receipt:
    """Both cohorts alike: a client's retries must not weigh on one side of the comparison."""
    queue = to.queue
    try:
        if cohort == "treatment":
            receipt = await queue.record_feedback(feedback)
        else:
            receipt = await queue.observe_feedback(feedback, cohort)
    except QueueFullError as error:
        logger.warning("feedback_refused", why=str(error))
        why = f"{queue.options.queue_max} signals wait to be learned from"
        raise Overloaded(why, retry_after_seconds=5) from error
    except (RedisError, OSError) as error:
        to.metrics.redis_errors.inc()
        raise NotReady(f"feedback could not be stored: {error!r}") from error
    if receipt.outcome == "unknown":
        raise UnknownDecision(f"query_id {feedback.query_id!r} is unknown or too old")
    return receipt
