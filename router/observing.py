"""Counts one query: its outcome, its time and its user, whatever happens to it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from router.answers import Answer, Cohort
from router.errors import InvalidQuestion, Late, Overloaded, StoreUnavailable
from router.metrics import Metrics
from router.phases import Assigned
from router.trace import PHASES, Trace
from router.users import UserCounts

PHASES_SET = frozenset(PHASES)
UNKNOWN_INTENT = "unknown"
PROMISED_SECONDS = 1.0
"""The guide's P99. Who gives the router less has chosen to be answered in part or not at all; who
gives it as much and gets nothing met an error, which red flags must see."""
USED_UP_SECONDS = 0.1
"""A failure with more time left than this was not the deadline's."""


@dataclass(slots=True)
class Observed:
    """What is known of the query so far."""

    assigned: Assigned
    metrics: Metrics
    users: UserCounts
    trace: Trace
    started: float = field(default_factory=time.perf_counter)

    def answered(self, answer: Answer) -> None:
        self.metrics.queries.labels(self.cohort, answer.intent, answer.outcome).inc()
        self._over(failed=False)

    def failed(self) -> None:
        self.metrics.queries.labels(self.cohort, UNKNOWN_INTENT, "error").inc()
        self._over(failed=True)

    def refused(self, why: str) -> None:
        """By no fault of the router: neither an error, nor a time to be judged by."""
        self.metrics.refused.labels(self.cohort, why).inc()

    @property
    def cohort(self) -> Cohort:
        return self.assigned.cohort

    def _over(self, *, failed: bool) -> None:
        elapsed = time.perf_counter() - self.started
        if (member := self.assigned.member) is not None:
            self.users.asked(member, self.cohort, elapsed, failed=failed)
        self.metrics.query_seconds.labels(self.cohort).observe(elapsed)
        for name in self.trace.seconds.keys() & PHASES_SET:
            seconds = self.trace.seconds[name]
            self.metrics.phase_seconds.labels(name).observe(seconds)


@contextmanager
def observe(
    metrics: Metrics,
    users: UserCounts,
    assigned: Assigned,
    trace: Trace,
    seconds: float | None = None,
) -> Iterator[Observed]:
    """Errors count as errors, the caller's own mistakes do not count at all.

    ``seconds`` is the caller's own deadline. Raises Late in place of what a short one led to.
    """
    observed = Observed(assigned, metrics, users, trace)
    try:
        yield observed
    except InvalidQuestion:
        raise
    except Overloaded:
        observed.refused("overload")
        raise
    except Exception as error:
        if seconds is not None and _hurried(error, seconds, trace):
            observed.refused("deadline")
            raise Late(f"no answer within the {seconds:g} s of the request") from error
        observed.failed()
        raise


def _hurried(error: Exception, seconds: float, trace: Trace) -> bool:
    late = isinstance(error, TimeoutError | StoreUnavailable)
    left = trace.deadline - time.monotonic()
    return late and seconds < PROMISED_SECONDS and left < USED_UP_SECONDS
