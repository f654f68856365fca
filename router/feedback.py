"""Feedback on answers: counted for both cohorts, learned from only for the treatment.

Both count alike, or a client's retries and late users would weigh on one side of the comparison: the
first feedback of a query, within the hour; the first complaint, for as long as late ones are told apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from router.analytics import Outcome
from router.answers import Cohort
from router.errors import NotReady, Overloaded, UnknownDecision
from router.learning import OnlineLearningRouter, QueueFullError, Receipt, UserFeedback, reward
from router.metrics import Metrics
from router.query_ids import age_of, cohort_of, member_of
from router.users import UserCounts

CLOCKS_APART_SECONDS = 60.0
"""How far the clock of the process that gave an id out may be ahead."""
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


@dataclass(frozen=True, slots=True)
class Recorded:
    """``complained``: this was the first complaint about the query."""

    receipt: Receipt
    complained: bool

    @property
    def news(self) -> bool:
        """Whether any of it was not told before."""
        return self.complained or self.receipt.outcome != "duplicate"

    def outcome(self, feedback: UserFeedback) -> Outcome:
        """As it is logged: a query's reward once."""
        value = None if self.receipt.outcome == "duplicate" else self.receipt.reward
        return Outcome(feedback.query_id, value, self.complained, feedback.to_dict())


async def record(feedback: UserFeedback, to: Recording, *, complaint: bool) -> Recorded:
    """Durable when it returns.

    Raises UnknownDecision (no such query, or too long ago), Overloaded (the queue is full: send it again
    later), NotReady (Redis did not take it: send it again, it cannot count twice).
    """
    cohort = _cohort(feedback.query_id, to)
    with _stored(to):
        receipt = await _counted_once(feedback, cohort, to.queue)
    if receipt.outcome in ("accepted", "observed") and receipt.reward is not None:
        _count(feedback.query_id, cohort, receipt.reward, to)
    if not complaint:
        return Recorded(receipt, complained=False)
    with _stored(to):
        first = await to.queue.first("complaint", feedback.query_id)
    if first:
        to.metrics.complaints.labels(cohort).inc()
    elif receipt.outcome == "empty":
        receipt = Receipt("duplicate", cohort, None)
    return Recorded(receipt, complained=first)


def _cohort(query_id: str, to: Recording) -> Cohort:
    options = to.queue.options
    cohort, oldest = cohort_of(query_id), options.decision_seconds + options.late_seconds
    if cohort is None or not -CLOCKS_APART_SECONDS <= age_of(query_id) < oldest:
        raise _unknown(query_id)
    return cohort


def _unknown(query_id: str) -> UnknownDecision:
    return UnknownDecision(
        f"query_id {query_id!r} was not given out by this router, or too long ago for feedback"
    )


async def _counted_once(
    feedback: UserFeedback, cohort: Cohort, queue: OnlineLearningRouter
) -> Receipt:
    if cohort == "treatment":
        receipt = await queue.record_feedback(feedback)
        if receipt.outcome == "unknown":
            raise _unknown(feedback.query_id)
        return receipt
    value = reward(feedback)
    if value is None:
        return Receipt("empty", cohort, None)
    if age_of(feedback.query_id) > queue.options.decision_seconds:
        return Receipt("late", cohort, value)
    first = await queue.first("feedback", feedback.query_id)
    return Receipt("observed" if first else "duplicate", cohort, value)


def _count(query_id: str, cohort: Cohort, value: float, to: Recording) -> None:
    to.metrics.feedback.labels(cohort).inc()
    to.metrics.feedback_reward.labels(cohort).observe(value)
    member = member_of(query_id)
    if member is not None and member.epoch == to.epoch:
        to.users.rated(member, cohort, value)


@contextmanager
def _stored(to: Recording) -> Iterator[None]:
    try:
        yield
    except QueueFullError as error:
        logger.warning("feedback_refused", why=str(error))
        why = f"{to.queue.options.queue_max} signals wait to be learned from"
        raise Overloaded(why, retry_after_seconds=5) from error
    except (RedisError, OSError) as error:
        to.metrics.redis_errors.inc()
        logger.warning("feedback_not_stored", why=repr(error))
        why = "feedback could not be stored: Redis does not answer; send it again"
        raise NotReady(why) from error
