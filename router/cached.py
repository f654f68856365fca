"""Answers through the cache: never waits long, never fails a query, counts what happened."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from router import trace
from router.answers import Answer, Cohort
from router.backends.base import Vector
from router.breaker import FAILURES_MAX, Breaker
from router.cache import CACHE_FAILURES, Entry, Scope, SemanticCache
from router.learning import Decision, LearningError
from router.metrics import Metrics
from router.patience import within

WRITES_MAX = 64  # stores under way at once; beyond that an answer is not cached
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer from the cache and the routing decision it came from."""

    answer: Answer
    decision: Decision
    how: str


class Answers:
    """``cache`` None: switched off."""

    def __init__(self, cache: SemanticCache | None, metrics: Metrics, seconds: float) -> None:
        self._cache = cache
        self._metrics = metrics
        self._seconds = seconds
        self._writes: set[asyncio.Task[None]] = set()
        self.breaker = Breaker()

    def session(self, tenant: str, cohort: Cohort, limit: int, *, off: bool = False) -> "Session":
        """The cache as one query may use it; ``off`` bypasses it."""
        cache = None if off else self._cache
        if cache is not None and not self.breaker.admits():
            trace.failed("cache", "left alone after repeated failures")
            cache = None
        return Session(self, cache, Scope(tenant, cohort, limit))

    async def close(self) -> None:
        """Wait for the stores under way."""
        await asyncio.gather(*self._writes, return_exceptions=True)

    def count(self, scope: Scope, result: str) -> None:
        self._metrics.cache_requests.labels(scope.cohort, result).inc()

    def failed(self, scope: Scope, error: Exception) -> None:
        self.count(scope, "error")
        self._metrics.redis_errors.inc()
        self.breaker.failed()
        if self.breaker.in_a_row in (1, FAILURES_MAX):
            logger.warning("cache_failed", why=repr(error), in_a_row=self.breaker.in_a_row)

    async def limited(self, lookup: Coroutine[Any, Any, Entry | None]) -> Entry | None:
        return await within(self._seconds, lookup)

    def later(self, write: Coroutine[Any, Any, None]) -> None:
        """Off the hot path."""
        if len(self._writes) >= WRITES_MAX:
            write.close()
            return
        task = asyncio.create_task(write)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)


class Session:
    """Counts one result per query: exact, similar, miss, bypass or error."""

    def __init__(self, answers: Answers, cache: SemanticCache | None, scope: Scope) -> None:
        self._answers = answers
        self._cache = cache
        self._scope = scope
        if cache is None:
            answers.count(scope, "bypass")

    async def exact(self, query: str) -> Kept | None:
        """The same question, asked before."""
        if self._cache is None:
            return None
        return await self._kept(self._cache.exact(self._scope, query), last=False)

    async def similar(self, query: str, vector: Vector) -> Kept | None:
        """A question that means the same."""
        if self._cache is None:
            return None
        return await self._kept(self._cache.similar(self._scope, query, vector), last=True)

    def put(self, answer: Answer, decision: Decision, vector: Vector) -> None:
        """Store it, later and without fail for the caller."""
        if self._cache is None:
            return
        entry = Entry(answer.query, answer.to_json(), decision.to_json())
        sources = [hit.source for hit in answer.results]
        self._answers.later(self._put(self._cache, entry, vector, sources))

    async def _kept(self, lookup: Coroutine[Any, Any, Entry | None], *, last: bool) -> Kept | None:
        try:
            entry = await self._answers.limited(lookup)
        except CACHE_FAILURES as error:
            self._cache = None  # this query goes on without it, and is counted once
            self._answers.failed(self._scope, error)
            trace.failed("cache", type(error).__name__)
            return None
        self._answers.breaker.succeeded()
        kept = _read(entry)
        if kept is not None or last:
            self._answers.count(self._scope, entry.how if kept and entry else "miss")
        return kept

    async def _put(
        self, cache: SemanticCache, entry: Entry, vector: Vector, sources: list[str]
    ) -> None:
        try:
            await cache.put(self._scope, entry, vector, sources)
        except CACHE_FAILURES as error:
            self._answers.failed(self._scope, error)


def _read(entry: Entry | None) -> Kept | None:
    """None also for an entry that another version of the router wrote."""
    if entry is None:
        return None
    try:
        return Kept(Answer.from_json(entry.answer), Decision.from_json(entry.decision), entry.how)
    except (TypeError, KeyError, LearningError):
        return None
