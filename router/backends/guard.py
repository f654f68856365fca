"""A deadline and a circuit breaker around a backend, so that a frozen store costs little.

After ``FAILURES_MAX`` failures in a row the store is left alone for ``OPEN_SECONDS``; then one
search may try it again. It comes back without a restart.
"""

import asyncio
import time
from dataclasses import dataclass

import structlog

from router.backends.base import Backend, Hit, Search
from router.errors import StoreUnavailable
from router.metrics import Metrics

FAILURES_MAX = 5
OPEN_SECONDS = 2.0
logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class Guard:
    """Raises StoreUnavailable whatever else the backend raises; ``seconds`` is the deadline."""

    backend: Backend
    metrics: Metrics
    seconds: float
    _failures: int = 0
    _closed_until: float = 0.0

    @property
    def name(self) -> str:
        return self.backend.name

    async def search(self, search: Search) -> list[Hit]:
        if time.monotonic() < self._closed_until:
            raise StoreUnavailable(self.name, "left alone after repeated failures")
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self.seconds):
                hits = await self.backend.search(search)
        except StoreUnavailable as error:
            self._failed(error.why)
            raise
        except TimeoutError:
            self._failed(f"no answer within {self.seconds} s")
            raise StoreUnavailable(self.name, f"no answer within {self.seconds} s") from None
        except Exception as error:
            # A driver bug or garbage from a store must not fail the query.
            self._failed(repr(error))
            raise StoreUnavailable(self.name, repr(error)) from error
        finally:
            elapsed = time.perf_counter() - started
            self.metrics.backend_seconds.labels(self.name).observe(elapsed)
        self._failures = 0
        return hits

    async def health(self) -> None:
        try:
            async with asyncio.timeout(self.seconds):
                await self.backend.health()
        except TimeoutError:
            raise StoreUnavailable(self.name, f"no answer within {self.seconds} s") from None

    def _failed(self, why: str) -> None:
        self._failures += 1
        if self._failures >= FAILURES_MAX:
            self._closed_until = time.monotonic() + OPEN_SECONDS
        if self._failures in (1, FAILURES_MAX):
            logger.warning("backend_failed", backend=self.name, why=why, in_a_row=self._failures)
