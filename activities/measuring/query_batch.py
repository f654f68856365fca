"""Queries of Prometheus: each expression once per moment, side by side, all within one limit.

``QueryBatch`` serves one check or one poll of a watch. ``SharedQueries`` serves a whole worker.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from activities.contract.errors import (
    EffectError,
    MetricsQueryError,
    MetricsTimedOutError,
    MetricsUnreachableError,
)
from activities.contract.ports import BatchMetrics, CachedMetrics, MetricsProvider, SharedMetrics
from sluice.rollout.analysis.promql import gives_vector

GATHER_SECONDS = 0.02
"""Time in which queries of the same moment join one request."""
BATCH_MAX = 60
THREADS_MAX = 16
KEEP_SECONDS = 2.0
"""Time for which an answer is kept: a query of the same moment may come a little later."""

_QueryAt = tuple[str, datetime]


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
        return [answer[0] if isinstance(answer, tuple) else answer.result() for answer in answers]

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


class SharedQueries:
    """A metrics provider that sends the queries of one moment together, each of them once.

    A watch has six queries for three red flags every few seconds. Two hundred watches would send
    240 requests a second, which costs a core more than their answers do.

    A query that Prometheus refuses or is slow to answer runs by itself from then on, so that it
    costs the others one request at most. Use one instance in one event loop.
    """

    def __init__(self, metrics: BatchMetrics) -> None:
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="prometheus")
        self._answers: dict[_QueryAt, asyncio.Future[float | None]] = {}
        self._waiting: dict[datetime, list[str]] = {}
        self._lone_queries: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def query(self, promql: str, at: datetime) -> float | None:
        """Evaluate by itself; see ``activities.contract.ports.MetricsProvider``."""
        return self._metrics.query(promql, at)

    async def query_shared(self, promql: str, at: datetime) -> float | None:
        """Evaluate with others; see ``activities.contract.ports.SharedMetrics``."""
        key = promql, at
        if key not in self._answers:
            loop = asyncio.get_running_loop()
            self._answers[key] = answer = loop.create_future()
            answer.add_done_callback(lambda future: future.cancelled() or future.exception())
            self._enqueue(promql, at)
        return await asyncio.shield(self._answers[key])

    def _enqueue(self, promql: str, at: datetime) -> None:
        if promql in self._lone_queries or not gives_vector(promql):
            self._start_task([promql], at)
            return
        waiting = self._waiting.setdefault(at, [])
        waiting.append(promql)
        if len(waiting) == 1:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._send, at)
        elif len(waiting) == BATCH_MAX:
            self._send(at)

    def _send(self, at: datetime) -> None:
        if promqls := self._waiting.pop(at, None):
            self._start_task(promqls, at)

    def _start_task(self, promqls: Sequence[str], at: datetime) -> None:
        task = asyncio.create_task(self._run(promqls, at))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, promqls: Sequence[str], at: datetime) -> None:
        loop = asyncio.get_running_loop()
        if len(promqls) == 1:
            await self._run_alone(promqls[0], at)
            return
        work = loop.run_in_executor(self._threads, self._metrics.query_many, promqls, at)
        try:
            answers = await work
        except MetricsQueryError:
            await asyncio.gather(*(self._run_alone(promql, at) for promql in promqls))
        except EffectError as error:
            if isinstance(error, MetricsTimedOutError):
                self._lone_queries.update(promqls)
            for promql in promqls:
                self._resolve((promql, at), error)
        else:
            for promql, answer in zip(promqls, answers, strict=True):
                self._resolve((promql, at), answer)

    async def _run_alone(self, promql: str, at: datetime) -> None:
        loop = asyncio.get_running_loop()
        answer: float | EffectError | None
        try:
            answer = await loop.run_in_executor(self._threads, self._metrics.query, promql, at)
            self._lone_queries.discard(promql)
        except EffectError as error:
            answer = error
            if isinstance(error, MetricsQueryError | MetricsTimedOutError):
                self._lone_queries.add(promql)
        self._resolve((promql, at), answer)

    def _resolve(self, key: _QueryAt, answer: float | EffectError | None) -> None:
        future = self._answers[key]
        if isinstance(answer, EffectError):
            future.set_exception(answer)
        else:
            future.set_result(answer)
        asyncio.get_running_loop().call_later(KEEP_SECONDS, self._answers.pop, key, None)
