"""A deadline and a circuit breaker around a backend, so that a frozen store costs little.

After a few failures in a row the store is left alone for two seconds; then one search may try it
again. It comes back without a restart.
"""

import time
from dataclasses import dataclass, field

import structlog

from router import trace
from router.backends.base import Backend, Search, Searched
from router.breaker import FAILURES_MAX, Breaker
from router.errors import StoreUnavailable
from router.metrics import Metrics
from router.patience import within

FUSION_SECONDS = 0.05
"""Kept back from the query's deadline, so that a late store leaves time for a partial answer."""
logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class Guard:
    """Raises StoreUnavailable whatever else the backend raises; ``seconds`` is the deadline.

    What a driver says goes to the log and no further: it names addresses.
    """

    backend: Backend
    metrics: Metrics
    seconds: float
    breaker: Breaker = field(default_factory=Breaker)

    @property
    def name(self) -> str:
        return self.backend.name

    async def search(self, search: Search, *, share: float = 1.0) -> Searched:
        """``share`` of the time that the query has left is for this search."""
        if not self.breaker.admits():
            raise StoreUnavailable(self.name, "left alone after repeated failures")
        seconds = min(self.seconds, max(0.0, trace.remaining() - FUSION_SECONDS) * share)
        started = time.perf_counter()
        try:
            searched = await within(seconds, self.backend.search(search))
        except StoreUnavailable as error:
            self._failed(str(error))
            raise StoreUnavailable(self.name, error.why) from error
        except TimeoutError:
            why = f"no answer within {seconds:.3g} s"
            if seconds == self.seconds:  # a hurried query says nothing of the store
                self._failed(why)
            raise StoreUnavailable(self.name, why) from None
        except Exception as error:
            # A driver bug or garbage from a store must not fail the query.
            self._failed(repr(error))
            raise StoreUnavailable(self.name, type(error).__name__) from error
        finally:
            elapsed = time.perf_counter() - started
            self.metrics.backend_seconds.labels(self.name).observe(elapsed)
            trace.spent(f"search.{self.name}", elapsed)
        self.breaker.succeeded()
        return searched

    async def health(self) -> None:
        try:
            await within(self.seconds, self.backend.health())
        except TimeoutError:
            raise StoreUnavailable(self.name, f"no answer within {self.seconds} s") from None
        except StoreUnavailable as error:
            raise StoreUnavailable(self.name, error.why) from error

    def _failed(self, why: str) -> None:
        self.breaker.failed()
        if (in_a_row := self.breaker.in_a_row) in (1, FAILURES_MAX):
            logger.warning("backend_failed", backend=self.name, why=why, in_a_row=in_a_row)
