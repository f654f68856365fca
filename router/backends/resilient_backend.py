"""A deadline and a circuit breaker around a backend, so that a frozen store costs little.

After a few failures in a row the store is left alone for two seconds; then one search may try it
again. It comes back without a restart.
"""

import time
from dataclasses import dataclass, field

import structlog

from router.backends.base import Backend, SearchRequest, SearchResult
from router.errors import StoreUnavailable
from router.observability import trace
from router.observability.metrics import RouterMetrics
from router.overload.circuit_breaker import FAILURES_MAX, CircuitBreaker
from router.overload.timeouts import wait_within

FUSION_RESERVE_SECONDS = 0.05
"""Kept back from the query's deadline, so that a late store leaves time for a partial answer."""
logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class ResilientBackend:
    """Raises StoreUnavailable whatever else the backend raises; ``seconds`` is the deadline.

    What a driver says goes to the log and no further: it names addresses.
    """

    backend: Backend
    metrics: RouterMetrics
    timeout_seconds: float
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)

    @property
    def name(self) -> str:
        return self.backend.name

    async def search(self, search: SearchRequest, *, share: float = 1.0) -> SearchResult:
        """``share`` of the time that the query has left is for this search."""
        if not self.breaker.allows_request():
            raise StoreUnavailable(self.name, "left alone after repeated failures")
        seconds = min(
            self.timeout_seconds,
            max(0.0, trace.remaining_seconds() - FUSION_RESERVE_SECONDS) * share,
        )
        started = time.perf_counter()
        try:
            searched = await wait_within(seconds, self.backend.search(search))
        except StoreUnavailable as error:
            self._record_failure(str(error))
            raise StoreUnavailable(self.name, error.reason) from error
        except TimeoutError:
            reason = f"no answer within {seconds:.3g} s"
            if seconds == self.timeout_seconds:  # a hurried query says nothing of the store
                self._record_failure(reason)
            raise StoreUnavailable(self.name, reason) from None
        except Exception as error:
            # A driver bug or garbage from a store must not fail the query.
            self._record_failure(repr(error))
            raise StoreUnavailable(self.name, type(error).__name__) from error
        finally:
            elapsed = time.perf_counter() - started
            self.metrics.backend_seconds.labels(self.name).observe(elapsed)
            trace.add_phase_seconds(f"search.{self.name}", elapsed)
        self.breaker.record_success()
        return searched

    async def health(self) -> None:
        try:
            await wait_within(self.timeout_seconds, self.backend.health())
        except TimeoutError:
            raise StoreUnavailable(
                self.name, f"no answer within {self.timeout_seconds} s"
            ) from None
        except StoreUnavailable as error:
            raise StoreUnavailable(self.name, error.reason) from error

    def _record_failure(self, reason: str) -> None:
        self.breaker.record_failure()
        if (in_a_row := self.breaker.consecutive_failures) in (1, FAILURES_MAX):
            logger.warning("backend_failed", backend=self.name, why=reason, in_a_row=in_a_row)
