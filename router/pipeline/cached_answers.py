"""The answer cache as the pipeline uses it: short waits, no failed query, one count per lookup."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from router.answer import Answer
from router.backends.base import Vector
from router.cache import CACHE_FAILURES, CacheEntry, CacheScope, SemanticCache
from router.learning import Decision, LearningError
from router.observability import trace
from router.observability.metrics import RouterMetrics
from router.overload.circuit_breaker import FAILURES_MAX, CircuitBreaker
from router.phases.phase_switches import Assignment

WRITES_MAX = 64  # concurrent writes; above this an answer is not cached
WRITE_SECONDS = 2.0

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """An answer from the cache, with the routing decision that produced it."""

    answer: Answer
    decision: Decision
    match_type: str


class AnswerCache:
    """The answer cache of a process, with a deadline and a circuit breaker."""

    def __init__(self, cache: SemanticCache | None, metrics: RouterMetrics, seconds: float) -> None:
        """Wait at most ``seconds`` per lookup; without a ``cache`` every query bypasses it."""
        self._cache = cache
        self._metrics = metrics
        self._seconds = seconds
        self._writes: set[asyncio.Task[None]] = set()
        self.breaker = CircuitBreaker()

    def session(self, tenant: str, assignment: Assignment, limit: int) -> "CacheSession":
        """Return the cache for one query, limited to its tenant and cohort."""
        cache = self._cache
        if cache is not None and not self.breaker.allows_request():
            trace.record_failure("cache", "skipped after repeated failures")
            cache = None
        return CacheSession(
            self, cache, CacheScope(tenant, assignment.cohort, limit, assignment.label)
        )

    async def warm(self, query: str, vector: Vector) -> None:
        """Look a question up without counting it. Raises the errors of Redis."""
        if self._cache is not None:
            scope = CacheScope("", "control", 1)
            await self._cache.find_exact(scope, query)
            await self._cache.find_similar(scope, query, vector)

    async def close(self) -> None:
        """Wait for the pending writes."""
        await asyncio.gather(*self._writes, return_exceptions=True)

    def count_result(self, scope: CacheScope, result: str) -> None:
        self._metrics.cache_requests.labels(scope.label, result).inc()

    def record_failure(self, scope: CacheScope, error: Exception) -> None:
        self.count_result(scope, "error")
        self._metrics.redis_errors.inc()
        self.breaker.record_failure()
        if self.breaker.consecutive_failures in (1, FAILURES_MAX):
            logger.warning(
                "cache_failed",
                reason=repr(error),
                consecutive_failures=self.breaker.consecutive_failures,
            )

    async def run_lookup(self, lookup: Coroutine[Any, Any, CacheEntry | None]) -> CacheEntry | None:
        async with asyncio.timeout(self._seconds):  # Redis' driver ends at once when cancelled
            return await lookup

    def write_in_background(self, write: Coroutine[Any, Any, None]) -> None:
        """Write outside of the query; drop the write above ``WRITES_MAX``."""
        if len(self._writes) >= WRITES_MAX:
            write.close()
            return
        task = asyncio.create_task(write)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)


class CacheSession:
    """One query's lookups; it counts one result: exact, similar, miss, bypass or error."""

    def __init__(
        self, answer_cache: AnswerCache, cache: SemanticCache | None, scope: CacheScope
    ) -> None:
        self._answer_cache = answer_cache
        self._cache = cache
        self._scope = scope
        if cache is None:
            answer_cache.count_result(scope, "bypass")

    async def find_exact(self, query: str) -> CachedAnswer | None:
        """Return the answer to the same question, if it is cached."""
        if self._cache is None:
            return None
        return await self._look_up(self._cache.find_exact(self._scope, query), last=False)

    async def find_similar(self, query: str, vector: Vector) -> CachedAnswer | None:
        """Return the answer to an equivalent question, if one is cached."""
        if self._cache is None:
            return None
        return await self._look_up(self._cache.find_similar(self._scope, query, vector), last=True)

    def put(self, answer: Answer, decision: Decision, vector: Vector) -> None:
        """Store the answer in the background; a failure is only counted."""
        if self._cache is None:
            return
        entry = CacheEntry(answer.query, answer.to_json(), decision.to_json())
        sources = [hit.source for hit in answer.results]
        self._answer_cache.write_in_background(self._put(self._cache, entry, vector, sources))

    def put_exact(self, key: str, answer: Answer, decision: Decision) -> None:
        """Store the answer under a key of its own, such as a question's form."""
        if self._cache is None:
            return
        entry = CacheEntry(key, answer.to_json(), decision.to_json())
        sources = [hit.source for hit in answer.results]
        self._answer_cache.write_in_background(self._put(self._cache, entry, None, sources))

    async def _look_up(
        self, lookup: Coroutine[Any, Any, CacheEntry | None], *, last: bool
    ) -> CachedAnswer | None:
        try:
            entry = await self._answer_cache.run_lookup(lookup)
        except CACHE_FAILURES as error:
            self._cache = None  # this query continues without the cache, and counts once
            self._answer_cache.record_failure(self._scope, error)
            trace.record_failure("cache", type(error).__name__)
            return None
        self._answer_cache.breaker.record_success()
        cached = _parse_entry(entry)
        if cached is not None or last:
            self._answer_cache.count_result(self._scope, cached.match_type if cached else "miss")
        return cached

    async def _put(
        self, cache: SemanticCache, entry: CacheEntry, vector: Vector | None, sources: list[str]
    ) -> None:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await cache.put(self._scope, entry, vector, sources)
        except CACHE_FAILURES as error:
            self._answer_cache.record_failure(self._scope, error)


def _parse_entry(entry: CacheEntry | None) -> CachedAnswer | None:
    """Return None also for an entry that another version of the router wrote."""
    if entry is None:
        return None
    try:
        return CachedAnswer(
            Answer.from_json(entry.answer), Decision.from_json(entry.decision), entry.match_kind
        )
    except (TypeError, KeyError, LearningError):
        return None
