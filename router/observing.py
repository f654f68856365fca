"""Counts one query: its outcome, its time and its user, whatever happens to it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from router.answers import Answer, Cohort
from router.errors import InvalidQuestion
from router.metrics import Metrics
from router.phases import Assigned
from router.trace import PHASES, Trace
from router.users import UserCounts

PHASES_SET = frozenset(PHASES)
UNKNOWN_INTENT = "unknown"


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
    metrics: Metrics, users: UserCounts, assigned: Assigned, trace: Trace
) -> Iterator[Observed]:
    """Errors count as errors, the caller's own mistakes do not count at all."""
    observed = Observed(assigned, metrics, users, trace)
    try:
        yield observed
    except InvalidQuestion:
        raise
    except Exception:
        observed.failed()
        raise
