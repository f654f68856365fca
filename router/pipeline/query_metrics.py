"""Metrics of one query: its outcome, its duration and its user."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from router.answer import Answer
from router.errors import DeadlineExceeded, InvalidQuestion, Overloaded, StoreUnavailable
from router.observability.metrics import RouterMetrics
from router.observability.trace import PHASES, Trace
from router.pipeline.query_request import QueryRequest
from sluice.flags.service.unique_users import UniqueUserCounter

PHASES_SET = frozenset(PHASES)
UNKNOWN_INTENT = "unknown"
"""The intent of a query that failed before it was understood."""
P99_TARGET_SECONDS = 1.0
"""The guide's P99. A caller's deadline from here on measures the router: the query took as long."""
DEADLINE_MARGIN_SECONDS = 0.1
"""A failure with more time left than this was not caused by the deadline."""


@dataclass(slots=True)
class QueryOutcome:
    """Recorder of one query's outcome."""

    request: QueryRequest
    metrics: RouterMetrics
    user_counter: UniqueUserCounter
    trace: Trace
    started: float = field(default_factory=time.perf_counter)

    @property
    def label(self) -> str:
        """The cohort label of the query's metrics."""
        return self.request.assignment.label

    def record_answer(self, answer: Answer) -> None:
        self._count(answer.intent, answer.outcome)
        self._record_duration(failed=False, cached=answer.cached)

    def record_error(self) -> None:
        self._count(str(self.trace.attributes.get("intent", UNKNOWN_INTENT)), "error")
        self._record_duration(failed=True)

    def _count(self, intent: str, outcome: str) -> None:
        self.metrics.count_query(self.label, intent, self.request.tenant, outcome)

    def record_refusal(self, reason: str) -> None:
        """Count a query that ended without an error of the router."""
        self.metrics.refused.labels(self.label, reason).inc()

    def record_caller_deadline(self, seconds: float) -> None:
        """Count a query that its caller's own deadline ended.

        It is not an error. From the guide's P99 on its duration counts, so that a release that is
        too slow for its callers fails its latency gates.
        """
        self.record_refusal("deadline")
        if seconds >= P99_TARGET_SECONDS:
            self._record_duration(failed=False)

    def _record_duration(self, *, failed: bool, cached: bool = False) -> None:
        elapsed = time.perf_counter() - self.started
        if (user := self.request.counted_user) is not None:
            seconds = None if cached or failed else elapsed
            self.user_counter.record_query(user, self.request.cohort, seconds, failed=failed)
        self.metrics.query_seconds.labels(self.label).observe(elapsed)
        for name in self.trace.seconds.keys() & PHASES_SET:
            self.metrics.phase_seconds.labels(name).observe(self.trace.seconds[name])


@contextmanager
def observe_query(
    metrics: RouterMetrics, user_counter: UniqueUserCounter, request: QueryRequest, trace: Trace
) -> Iterator[QueryOutcome]:
    """Count errors of the router as errors, and the caller's mistakes not at all.

    Raises:
        DeadlineExceeded: in place of the error that the caller's own deadline caused.
    """
    outcome = QueryOutcome(request, metrics, user_counter, trace)
    try:
        yield outcome
    except InvalidQuestion:
        raise
    except Overloaded as error:
        outcome.record_refusal(error.kind)
        raise
    except Exception as error:
        seconds = request.seconds
        if seconds is not None and _is_caller_deadline(error, trace):
            outcome.record_caller_deadline(seconds)
            raise DeadlineExceeded(f"no answer within the {seconds:g} s of the request") from error
        outcome.record_error()
        raise


def _is_caller_deadline(error: Exception, trace: Trace) -> bool:
    """Return True if the deadline that the caller set caused the error.

    The trace holds the earlier of the caller's deadline and the router's.
    """
    is_late = isinstance(error, TimeoutError | StoreUnavailable)
    return is_late and trace.deadline - time.monotonic() < DEADLINE_MARGIN_SECONDS
