"""The queries of all watches on one worker, in few requests.

A watch asks six queries for three red flags every few seconds. Two hundred watches would send 240
requests a second, which costs a core more than their answers do.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from activities.contract.errors import (
    EffectError,
    MetricsQueryError,
    MetricsTimedOutError,
)
from activities.contract.ports import BatchMetrics
from sluice.rollout.analysis.promql import gives_vector

GATHER_SECONDS = 0.02
"""Time in which queries of the same moment join one request."""
BATCH_MAX = 60
THREADS_MAX = 16
KEEP_SECONDS = 2.0
"""Time for which an answer is kept: a query of the same moment may come a little later."""

_Question = tuple[str, datetime]


class SharedQueries:
    """A metrics provider that sends the queries of one moment together, each of them once.

    A query that Prometheus refuses or is slow to answer is asked by itself from then on, so that it
    costs the others one request at most. Use one instance in one event loop.
    """

    def __init__(self, metrics: BatchMetrics) -> None:
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="prometheus")
        self._answers: dict[_Question, asyncio.Future[float | None]] = {}
        self._waiting: dict[datetime, list[str]] = {}
        self._asked_alone: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def query(self, promql: str, at: datetime) -> float | None:
        """Evaluate by itself; see ``activities.contract.ports.MetricsProvider``."""
        return self._metrics.query(promql, at)

    async def query_shared(self, promql: str, at: datetime) -> float | None:
        """Evaluate with others; see ``activities.contract.ports.SharedMetrics``."""
        question = promql, at
        if question not in self._answers:
            loop = asyncio.get_running_loop()
            self._answers[question] = answer = loop.create_future()
            answer.add_done_callback(lambda future: future.cancelled() or future.exception())
            self._enqueue(promql, at)
        return await asyncio.shield(self._answers[question])

    def _enqueue(self, promql: str, at: datetime) -> None:
        if promql in self._asked_alone or not gives_vector(promql):
            self._start_asking([promql], at)
            return
        waiting = self._waiting.setdefault(at, [])
        waiting.append(promql)
        if len(waiting) == 1:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._send, at)
        elif len(waiting) == BATCH_MAX:
            self._send(at)

    def _send(self, at: datetime) -> None:
        if promqls := self._waiting.pop(at, None):
            self._start_asking(promqls, at)

    def _start_asking(self, promqls: Sequence[str], at: datetime) -> None:
        task = asyncio.create_task(self._ask(promqls, at))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, promqls: Sequence[str], at: datetime) -> None:
        loop = asyncio.get_running_loop()
        if len(promqls) == 1:
            await self._ask_alone(promqls[0], at)
            return
        work = loop.run_in_executor(self._threads, self._metrics.query_many, promqls, at)
        try:
            answers = await work
        except MetricsQueryError:
            await asyncio.gather(*(self._ask_alone(promql, at) for promql in promqls))
        except EffectError as error:
            if isinstance(error, MetricsTimedOutError):
                self._asked_alone.update(promqls)
            for promql in promqls:
                self._resolve((promql, at), error)
        else:
            for promql, answer in zip(promqls, answers, strict=True):
                self._resolve((promql, at), answer)

    async def _ask_alone(self, promql: str, at: datetime) -> None:
        loop = asyncio.get_running_loop()
        answer: float | EffectError | None
        try:
            answer = await loop.run_in_executor(self._threads, self._metrics.query, promql, at)
            self._asked_alone.discard(promql)
        except EffectError as error:
            answer = error
            if isinstance(error, MetricsQueryError | MetricsTimedOutError):
                self._asked_alone.add(promql)
        self._resolve((promql, at), answer)

    def _resolve(self, question: _Question, answer: float | EffectError | None) -> None:
        future = self._answers[question]
        if isinstance(answer, EffectError):
            future.set_exception(answer)
        else:
            future.set_result(answer)
        asyncio.get_running_loop().call_later(KEEP_SECONDS, self._answers.pop, question, None)
