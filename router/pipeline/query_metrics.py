"""Counts one query: its outcome, its time and its user, whatever happens to it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from router.answer import Answer, Cohort
from router.errors import DeadlineExceeded, InvalidQuestion, Overloaded, StoreUnavailable
from router.observability.metrics import RouterMetrics
from router.observability.trace import PHASES, Trace
from router.phases.phase_switches import Assignment
from sluice.flags.service.unique_users import UniqueUserCounter

PHASES_SET = frozenset(PHASES)
UNKNOWN_INTENT = "unknown"
P99_TARGET_SECONDS = 1.0
"""The guide's P99. Who gives the router less has chosen to be answered in part or not at all; who
gives it as much and gets nothing met an error, which red flags must see."""
DEADLINE_MARGIN_SECONDS = 0.1
"""A failure with more time left than this was not the deadline's."""


@dataclass(slots=True)
class QueryOutcome:
    """What is known of the query so far."""

    assignment: Assignment
    metrics: RouterMetrics
    user_counter: UniqueUserCounter
    trace: Trace
    started: float = field(default_factory=time.perf_counter)

    def record_answer(self, answer: Answer) -> None:
        self.metrics.queries.labels(self.cohort, answer.intent, answer.outcome).inc()
        self._record_end(failed=False)

    def record_error(self) -> None:
        self.metrics.queries.labels(self.cohort, UNKNOWN_INTENT, "error").inc()
        self._record_end(failed=True)

    def record_refusal(self, reason: str) -> None:
        """By no fault of the router: neither an error, nor a time to be judged by."""
        self.metrics.refused.labels(self.cohort, reason).inc()

    @property
    def cohort(self) -> Cohort:
        return self.assignment.cohort

    def _record_end(self, *, failed: bool) -> None:
        elapsed = time.perf_counter() - self.started
        if (member := self.assignment.counted_user) is not None:
            self.user_counter.record_query(member, self.cohort, elapsed, failed=failed)
        self.metrics.query_seconds.labels(self.cohort).observe(elapsed)
        for name in self.trace.seconds.keys() & PHASES_SET:
            seconds = self.trace.seconds[name]
            self.metrics.phase_seconds.labels(name).observe(seconds)


@contextmanager
def observe_query(
    metrics: RouterMetrics,
    user_counter: UniqueUserCounter,
    assignment: Assignment,
    trace: Trace,
    seconds: float | None = None,
) -> Iterator[QueryOutcome]:
    """Errors count as errors, the caller's own mistakes do not count at all.

    ``seconds`` is the caller's own deadline. Raises Late in place of what a short one led to.
    """
    observed = QueryOutcome(assignment, metrics, user_counter, trace)
    try:
        yield observed
    except InvalidQuestion:
        raise
    except Overloaded:
        observed.record_refusal("overload")
        raise
    except Exception as error:
        if seconds is not None and _is_caller_deadline(error, seconds, trace):
            observed.record_refusal("deadline")
            raise DeadlineExceeded(f"no answer within the {seconds:g} s of the request") from error
        observed.record_error()
        raise


def _is_caller_deadline(error: Exception, seconds: float, trace: Trace) -> bool:
    late = isinstance(error, TimeoutError | StoreUnavailable)
    left = trace.deadline - time.monotonic()
    return late and seconds < P99_TARGET_SECONDS and left < DEADLINE_MARGIN_SECONDS
