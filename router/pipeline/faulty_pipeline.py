"""Fault injection around the pipeline, a decorator that only the demo's assembly adds."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, Protocol

from router.answer import Answer
from router.phases.fault_injection import FaultWatcher, inject
from router.pipeline.query_request import QueryRequest
from router.pipeline.retrieval import Retrieval, RetrievalRequest, RetrievalResult, SubQuery


class AnsweringPipeline(Protocol):
    """A pipeline, or a decorator of one."""

    def answer(self, request: QueryRequest) -> Coroutine[Any, Any, Answer]: ...


class FaultyPipeline:
    """A pipeline that applies the watcher's fault to the cohort's queries."""

    def __init__(
        self,
        pipeline: AnsweringPipeline,
        uncached: AnsweringPipeline,
        irrelevant: AnsweringPipeline,
        watcher: FaultWatcher,
    ) -> None:
        """Answer with ``pipeline`` without a fault, else with one of the others.

        ``uncached`` keeps answers under a fault out of the cache. ``irrelevant`` returns the
        records that are least similar to the question.
        """
        self._pipeline = pipeline
        self._uncached = uncached
        self._irrelevant = irrelevant
        self._watcher = watcher

    async def answer(self, request: QueryRequest) -> Answer:
        """Answer like the pipeline. Raises InjectedFault, and all that the pipeline raises."""
        fault = self._watcher.for_cohort(request.cohort)
        if fault is None:
            return await self._pipeline.answer(request)
        started = time.perf_counter()
        async with asyncio.timeout(request.seconds):
            await inject(fault)
            is_irrelevant = fault.kind == "reward" and fault.applies()
            pipeline = self._irrelevant if is_irrelevant else self._uncached
            answer = await pipeline.answer(request)
        return replace(answer, latency_ms=round((time.perf_counter() - started) * 1000, 3))


class InvertedRetrieval(Retrieval):
    """Retrieval of the records least similar to the question, without correction."""

    async def retrieve(self, request: RetrievalRequest) -> RetrievalResult:
        """Search Qdrant with the negated vectors."""
        inverted = tuple(SubQuery(part.text, -part.embedding) for part in request.sub_queries)
        return await super().retrieve(replace(request, sub_queries=inverted, arms=("qdrant",)))

    def correction_reason(self, result: RetrievalResult, attempt: int) -> str | None:
        """Return None: a correction would undo the fault."""
        return None
