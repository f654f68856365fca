"""Asking Prometheus: each expression once per moment, side by side, all within one limit."""

import asyncio
from datetime import datetime

from activities.errors import MetricsUnreachableError
from activities.ports import Metrics, Remembering


class Asking:
    """Answers by expression and time. Made inside a running event loop.

    Queries run on threads, so a slow one delays none of the others, and all of them end
    ``seconds_max`` after this was made.
    """

    def __init__(self, metrics: Metrics, seconds_max: float) -> None:
        self._metrics = metrics
        self._memory = metrics if isinstance(metrics, Remembering) else None
        self._seconds_max = seconds_max
        self._deadline = asyncio.get_running_loop().time() + seconds_max
        self._asked: dict[tuple[str, datetime], asyncio.Task[float | None]] = {}

    async def value(self, promql: str, at: datetime) -> float | None:
        """The value at ``at``; None is no data.

        Raises:
            MetricsUnreachableError, MetricsQueryError: as the port's, or when time is up.
        """
        if self._memory is not None and (known := self._memory.remembered(promql, at)):
            return known[0]
        key = (promql, at)
        if key not in self._asked:
            self._asked[key] = asyncio.create_task(self._ask(promql, at))
        return await self._asked[key]

    async def _ask(self, promql: str, at: datetime) -> float | None:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await asyncio.to_thread(self._metrics.query, promql, at)
        except TimeoutError:
            raise MetricsUnreachableError(
                f"measuring took longer than {self._seconds_max:g} s"
            ) from None
