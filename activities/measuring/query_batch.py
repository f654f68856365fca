"""Asking Prometheus: each expression once per moment, side by side, all within one limit."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from activities.contract.errors import MetricsUnreachableError
from activities.contract.ports import CachedMetrics, MetricsProvider, SharedMetrics


class QueryBatch:
    """Answers by expression and time. Made inside a running event loop.

    Queries run on threads, so a slow one delays none of the others, and all of them end
    ``seconds_max`` after this was made.
    """

    def __init__(self, metrics: MetricsProvider, seconds_max: float) -> None:
        self._metrics = metrics
        self._cache = metrics if isinstance(metrics, CachedMetrics) else None
        self._shared = metrics if isinstance(metrics, SharedMetrics) else None
        self._seconds_max = seconds_max
        self._deadline = asyncio.get_running_loop().time() + seconds_max
        self._tasks: dict[tuple[str, datetime], asyncio.Task[float | None]] = {}

    async def query(self, promql: str, at: datetime) -> float | None:
        """Return the value at ``at``; None means no data.

        Raises:
            MetricsUnreachableError, MetricsQueryError: as the port's, or when time is up.
        """
        return (await self.query_many((promql,), at))[0]

    async def query_many(self, promqls: Sequence[str], at: datetime) -> list[float | None]:
        """Return the value of each expression at ``at``, in their order. Errors are those of ``query``."""
        answers = [self._cached_or_task(promql, at) for promql in promqls]
        if tasks := [answer for answer in answers if not isinstance(answer, tuple)]:
            await asyncio.gather(*tasks)
        return [one[0] if isinstance(one, tuple) else one.result() for one in answers]

    def _cached_or_task(
        self, promql: str, at: datetime
    ) -> "tuple[float | None] | asyncio.Task[float | None]":
        if self._cache is not None and (cached := self._cache.cached(promql, at)):
            return cached
        key = (promql, at)
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._run_query(promql, at))
        return self._tasks[key]

    async def _run_query(self, promql: str, at: datetime) -> float | None:
        try:
            async with asyncio.timeout_at(self._deadline):
                if self._shared is not None:
                    return await self._shared.query_shared(promql, at)
                return await asyncio.to_thread(self._metrics.query, promql, at)
        except TimeoutError:
            raise MetricsUnreachableError(
                f"measuring took longer than {self._seconds_max:g} s"
            ) from None
