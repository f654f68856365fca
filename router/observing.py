"""Counts one query: its outcome and its time, whatever happens to it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from router.answers import Answer, Cohort
from router.errors import InvalidQuestion
from router.metrics import Metrics
from router.trace import PHASES, Trace

PHASES_SET = frozenset(PHASES)
UNKNOWN_INTENT = "unknown"


@dataclass(slots=True)
class Observed:
    """What is known of the query so far."""

    cohort: Cohort
    metrics: Metrics
    trace: Trace
    started: float = field(default_factory=time.perf_counter)

    def answered(self, answer: Answer) -> None:
        self.metrics.queries.labels(self.cohort, answer.intent, answer.outcome).inc()

    def failed(self) -> None:
        self.metrics.queries.labels(self.cohort, UNKNOWN_INTENT, "error").inc()

    def timed(self) -> None:
        elapsed = time.perf_counter() - self.started
        self.metrics.query_seconds.labels(self.cohort).observe(elapsed)
        for name in self.trace.seconds.keys() & PHASES_SET:
            seconds = self.trace.seconds[name]
            self.metrics.phase_seconds.labels(name).observe(seconds)


@contextmanager
def observe(metrics: Metrics, cohort: Cohort, trace: Trace) -> Iterator[Observed]:
    """Errors count as errors, the caller's own mistakes do not count at all."""
    observed = Observed(cohort, metrics, trace)
    try:
        yield observed
    except InvalidQuestion:
        raise
    except Exception:
        observed.failed()
        observed.timed()
        raise
    observed.timed()
