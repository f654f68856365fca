"""Feedback on answers: counted for both cohorts, learned from only for the treatment.

Both count alike, or a client's retries and late users would weigh on one side of the comparison: the
first feedback of a query, within the hour; the first complaint, for as long as late ones are told apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from router.analytics import OutcomeRow
from router.answer import Cohort
from router.errors import NotReady, Overloaded, UnknownQueryId
from router.learning import (
    FeedbackReceipt,
    OnlineLearningRouter,
    QueueFullError,
    UserFeedback,
    reward,
)
from router.observability.metrics import RouterMetrics
from router.users.query_ids import age_seconds, parse_cohort, parse_counted_user
from sluice.flags.service.unique_users import UniqueUserCounter

CLOCK_SKEW_SECONDS = 60.0
"""How far the clock of the process that gave an id out may be ahead."""
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FeedbackSinks:
    """Where feedback goes: the learner's queue, the counts of users and the metrics.

    ``epoch`` is the flag's: later feedback on queries of an earlier one counts for no user.
    """

    epoch: int
    learner_client: OnlineLearningRouter
    users: UniqueUserCounter
    metrics: RouterMetrics


@dataclass(frozen=True, slots=True)
class FeedbackResult:
    """``complained``: this was the first complaint about the query."""

    receipt: FeedbackReceipt
    is_first_complaint: bool

    @property
    def is_new(self) -> bool:
        """Whether any of it was not told before."""
        return self.is_first_complaint or self.receipt.outcome != "duplicate"

    def to_logged_outcome(self, feedback: UserFeedback) -> OutcomeRow:
        """As it is logged: a query's reward once."""
        value = None if self.receipt.outcome == "duplicate" else self.receipt.reward
        return OutcomeRow(feedback.query_id, value, self.is_first_complaint, feedback.to_dict())


async def record_feedback(
    feedback: UserFeedback, sinks: FeedbackSinks, *, complaint: bool
) -> FeedbackResult:
    """Durable when it returns.

    Raises UnknownDecision (no such query, or too long ago), Overloaded (the queue is full: send it again
    later), NotReady (Redis did not take it: send it again, it cannot count twice).
    """
    cohort = _require_cohort(feedback.query_id, sinks)
    with _storage_errors(sinks):
        receipt = await _count_once(feedback, cohort, sinks.learner_client)
    if receipt.outcome in ("accepted", "observed") and receipt.reward is not None:
        _count_reward(feedback.query_id, cohort, receipt.reward, sinks)
    if not complaint:
        return FeedbackResult(receipt, is_first_complaint=False)
    with _storage_errors(sinks):
        first = await sinks.learner_client.claim_first("complaint", feedback.query_id)
    if first:
        sinks.metrics.complaints.labels(cohort).inc()
    elif receipt.outcome == "empty":
        receipt = FeedbackReceipt("duplicate", cohort, None)
    return FeedbackResult(receipt, is_first_complaint=first)


def _require_cohort(query_id: str, to: FeedbackSinks) -> Cohort:
    options = to.learner_client.options
    cohort, oldest = parse_cohort(query_id), options.decision_seconds + options.late_seconds
    if cohort is None or not -CLOCK_SKEW_SECONDS <= age_seconds(query_id) < oldest:
        raise _unknown_query_error(query_id)
    return cohort


def _unknown_query_error(query_id: str) -> UnknownQueryId:
    return UnknownQueryId(
        f"query_id {query_id!r} was not given out by this router, or too long ago for feedback"
    )


async def _count_once(
    feedback: UserFeedback, cohort: Cohort, queue: OnlineLearningRouter
) -> FeedbackReceipt:
    if cohort == "treatment":
        receipt = await queue.record_feedback(feedback)
        if receipt.outcome == "unknown":
            raise _unknown_query_error(feedback.query_id)
        return receipt
    value = reward(feedback)
    if value is None:
        return FeedbackReceipt("empty", cohort, None)
    if age_seconds(feedback.query_id) > queue.options.decision_seconds:
        return FeedbackReceipt("late", cohort, value)
    first = await queue.claim_first("feedback", feedback.query_id)
    return FeedbackReceipt("observed" if first else "duplicate", cohort, value)


def _count_reward(query_id: str, cohort: Cohort, value: float, to: FeedbackSinks) -> None:
    to.metrics.feedback.labels(cohort).inc()
    to.metrics.feedback_reward.labels(cohort).observe(value)
    member = parse_counted_user(query_id)
    if member is not None and member.epoch == to.epoch:
        to.users.record_reward(member, cohort, value)


@contextmanager
def _storage_errors(to: FeedbackSinks) -> Iterator[None]:
    try:
        yield
    except QueueFullError as error:
        logger.warning("feedback_refused", why=str(error))
        why = f"{to.learner_client.options.queue_max} signals wait to be learned from"
        raise Overloaded(why, retry_after_seconds=5) from error
    except (RedisError, OSError) as error:
        to.metrics.redis_errors.inc()
        logger.warning("feedback_not_stored", why=repr(error))
        why = "feedback could not be stored: Redis does not answer; send it again"
        raise NotReady(why) from error
