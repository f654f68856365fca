"""One query from question to answer: the order of DESIGN.md section 7, in one place.

normalise → cache → take a turn → classify → rewrite → complexity → choose → fan out → fuse → check and correct →
remember. Every optional stage that fails is skipped and counted; only the question's own errors,
an injected fault, and the loss of every store end a query.
"""

import asyncio
import math
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from redis.exceptions import RedisError

from router.answer import Answer, Cohort
from router.errors import InvalidQuestion
from router.features import Features
from router.learning import Decision, LearningError
from router.observability import trace
from router.observability.metrics import RouterMetrics
from router.observability.trace import Trace, time_phase
from router.overload.admission import AdaptiveLimiter
from router.phases.fault_injection import FaultSpec, inject
from router.phases.phase_switches import PhaseController
from router.pipeline.arm_selection import (
    DEFAULT_ARM,
    ArmSelector,
    QueryFeatures,
    RoutingPlan,
    explain_plan,
)
from router.pipeline.cached_answers import AnswerCache, CachedAnswer, CacheSession
from router.pipeline.fanout import FanoutResult
from router.pipeline.query_request import QueryRequest
from router.pipeline.query_understanding import AnalyzedQuery, QueryUnderstanding
from router.pipeline.retrieval import (
    Retrieval,
    RetrievalRequest,
    RetrievalResult,
    SubQuery,
)
from router.rewrite import QueryRewriter, strip_markup
from router.settings import Limits
from router.users.query_ids import new_query_id

CONFIDENCE_LOW = 0.75
"""Below this confidence of the intent other arms are asked as well."""
_CONTROL_CHARS = re.compile(r"[\x00-\x1f\x7f]")
CORRECTION_SECONDS_MIN = 0.1
"""With less than this left of the query's time no other try is begun."""
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PipelineDeps:
    """The pipeline's collaborators."""

    understanding: QueryUnderstanding
    rewriter: QueryRewriter
    arm_selector: ArmSelector
    retrieval: Retrieval
    answer_cache: AnswerCache
    phases: PhaseController


class Pipeline:
    """Answers requests; safe for many at once."""

    def __init__(
        self, deps: PipelineDeps, features: Features, limits: Limits, metrics: RouterMetrics
    ) -> None:
        self._deps = deps
        self._features = features
        self._limits = limits
        self._metrics = metrics
        self.limiter = AdaptiveLimiter(limits.concurrent_searches, limits.wait_seconds)

    async def answer(
        self, request: QueryRequest, cohort: Cohort, fault: FaultSpec | None
    ) -> Answer:
        """Raises InvalidQuestion, InjectedFault, Overloaded, StoreUnavailable, TimeoutError."""
        started = time.perf_counter()
        seconds = min(request.seconds or math.inf, self._limits.query_seconds)
        with trace.open_trace() as open_trace:
            open_trace.deadline = time.monotonic() + seconds
            async with asyncio.timeout(seconds):
                await inject(fault)
                answer = await self._answer_with_cache(self._normalize(request), cohort, fault)
        return _with_trace(answer, open_trace, time.perf_counter() - started)

    def _normalize(self, request: QueryRequest) -> QueryRequest:
        # Control characters mean nothing to a reader, and Postgres takes no NUL.
        text = strip_markup(_CONTROL_CHARS.sub(" ", request.query))
        if not text:
            raise InvalidQuestion("query is empty: ask something")
        if len(text) > self._limits.question_chars:
            raise InvalidQuestion(f"query is longer than {self._limits.question_chars} characters")
        return replace(request, query=text)

    async def _answer_with_cache(
        self, request: QueryRequest, cohort: Cohort, fault: FaultSpec | None
    ) -> Answer:
        # Under a fault nothing is read from or written to the cache: bad answers must not stay.
        cache = self._deps.answer_cache.session(
            request.tenant, cohort, request.limit, bypass=bool(fault)
        )
        hit = await _find_exact(cache, request)
        if hit is None:
            async with self.limiter.acquire() as waited:
                # The same question may have been answered while this one waited.
                hit = await _find_exact(cache, request) if waited else None
                if hit is None:
                    return await self._compute_answer(request, cohort, fault, cache)
        return await self._reuse_cached_answer(request, cohort, hit)

    async def _compute_answer(
        self, request: QueryRequest, cohort: Cohort, fault: FaultSpec | None, cache: CacheSession
    ) -> Answer:
        with time_phase("understand"):
            understood = await self._deps.understanding.analyze(request.query)
        with time_phase("cache"):
            hit = await cache.find_similar(request.query, understood.vector)
        if hit is not None:
            return await self._reuse_cached_answer(request, cohort, hit)
        query_id = new_query_id(cohort, request.counted_user)
        if understood.intent.intent == "out_of_scope":
            return _build_answer(query_id, understood, cohort, RetrievalResult((), FanoutResult()))
        with time_phase("choose"):
            plan = self._plan_routing(understood, cohort)
        retrieved = await self._retrieve(request, understood, plan, fault)
        answer = _build_answer(query_id, understood, cohort, retrieved)
        decision = Decision.from_choice(plan.context, plan.choice, cohort)
        await self._store_decision(query_id, decision)
        if answer.results and not answer.degraded and not trace.failures():
            cache.put(answer, decision, understood.vector)
        return answer

    async def _reuse_cached_answer(
        self, request: QueryRequest, cohort: Cohort, hit: CachedAnswer
    ) -> Answer:
        query_id = new_query_id(cohort, request.counted_user)
        trace.add_note("cache", hit.match_type)
        await self._store_decision(query_id, hit.decision)
        return replace(hit.answer, query_id=query_id, query=request.query, cached=True)

    def _plan_routing(self, understood: AnalyzedQuery, cohort: Cohort) -> RoutingPlan:
        unsure = understood.intent.confidence < CONFIDENCE_LOW
        hard = understood.complexity.level != "simple" or unsure
        question = QueryFeatures(
            embedding=understood.vector,
            intent=understood.intent.intent,
            confidence=understood.intent.confidence,
            complexity=understood.complexity.score,
            multi_arm=self._features.enable_multi_router and hard,
        )
        plan = self._deps.arm_selector.plan(question, cohort, self._deps.phases.learner)
        trace.add_note("complexity", list(understood.complexity.reasons))
        trace.add_note("choice", explain_plan(plan, question.intent))
        return plan

    async def _retrieve(
        self,
        request: QueryRequest,
        understood: AnalyzedQuery,
        plan: RoutingPlan,
        fault: FaultSpec | None,
    ) -> RetrievalResult:
        with time_phase("rewrite"):
            parts = await self._rewrite(understood)
        wanted = RetrievalRequest(
            sub_queries=parts,
            intent=understood.intent.intent,
            arms=plan.arms,
            limit=request.limit,
            today=datetime.now(UTC).date(),
        )
        retrieval = self._deps.retrieval
        if fault is not None and fault.kind == "reward" and fault.applies():
            return await retrieval.retrieve(_invert_query(wanted))
        with time_phase("search"):
            retrieved = await retrieval.retrieve(wanted)
        with time_phase("correct"):
            retrieved = await self._correct(wanted, retrieved)
        retrieval.require_answer(retrieved)
        return retrieved

    async def _correct(
        self, wanted: RetrievalRequest, retrieved: RetrievalResult
    ) -> RetrievalResult:
        retrieval = self._deps.retrieval
        for attempt in range(self._features.max_correction_retries + 1):
            why = retrieval.correction_reason(retrieved, attempt)
            if why is None or trace.remaining_seconds() < CORRECTION_SECONDS_MIN:
                break
            if attempt > 0:  # first other stores, with the user's own words
                wanted = await self._improve(wanted, why)
            corrected = await retrieval.correct(wanted, retrieved)
            if corrected is None:
                break
            retrieved = corrected
        return retrieved

    async def _rewrite(self, understood: AnalyzedQuery) -> tuple[SubQuery, ...]:
        whole = SubQuery(understood.text, understood.vector)
        if not self._features.enable_query_rewriting:
            return (whole,)
        rewrite = await self._deps.rewriter.rewrite(understood.text, understood.intent)
        trace.add_note(
            "rewrite", {"text": rewrite.text, "parts": list(rewrite.parts), "by": rewrite.by}
        )
        if len(rewrite.parts) > 1 and understood.complexity.level != "simple":
            return tuple(
                [
                    _sub_query(one)
                    for one in await self._deps.understanding.analyze_many(rewrite.parts)
                ]
            )
        if rewrite.text == understood.text:
            return (whole,)
        vectors = await self._deps.understanding.embed([rewrite.text])
        return (SubQuery(rewrite.text, vectors[0]),)

    async def _improve(self, wanted: RetrievalRequest, why: str) -> RetrievalRequest:
        """Other words for the next try; the original stays in front, for names must not get lost."""
        if not self._features.enable_query_improvement:
            return wanted
        first = wanted.sub_queries[0]
        text = await self._deps.rewriter.improve(first.text, why)
        if text in {part.text for part in wanted.sub_queries}:
            return wanted
        vectors = await self._deps.understanding.embed([text])
        return replace(wanted, sub_queries=(*wanted.sub_queries, SubQuery(text, vectors[0])))

    async def _store_decision(self, query_id: str, decision: Decision) -> None:
        """Only the treatment's decisions are learned from (guide: feedback count 0 at 0 %)."""
        if decision.cohort != "treatment":
            return
        try:
            with time_phase("store_decision"):
                await self._deps.phases.learner_client.store_decisions({query_id: decision})
        except (RedisError, OSError, LearningError) as error:
            self._metrics.redis_errors.inc()
            logger.warning("decision_not_remembered", why=repr(error))


def _sub_query(understood: AnalyzedQuery) -> SubQuery:
    return SubQuery(understood.text, understood.vector, DEFAULT_ARM[understood.intent.intent])


async def _find_exact(cache: CacheSession, request: QueryRequest) -> CachedAnswer | None:
    with time_phase("cache"):
        return await cache.find_exact(request.query)


def _with_trace(answer: Answer, open_trace: Trace, seconds: float) -> Answer:
    return replace(
        answer,
        latency_ms=round(seconds * 1000, 3),
        phases_ms=open_trace.milliseconds,
        explanation=open_trace.notes,
        failures={**answer.failures, **open_trace.failures},
        trace_id=open_trace.id,
    )


def _invert_query(wanted: RetrievalRequest) -> RetrievalRequest:
    """Fault injection: the records that have least to do with the question."""
    parts = tuple(SubQuery(part.text, -part.embedding) for part in wanted.sub_queries)
    return replace(wanted, sub_queries=parts, arms=("qdrant",))


def _build_answer(
    query_id: str, understood: AnalyzedQuery, cohort: Cohort, retrieved: RetrievalResult
) -> Answer:
    return Answer(
        query_id=query_id,
        query=understood.text,
        intent=understood.intent.intent,
        confidence=understood.intent.confidence,
        tier=understood.intent.tier,
        cohort=cohort,
        backends=retrieved.fanout.backends,
        results=retrieved.hits,
        complexity=understood.complexity.level,
        corrections=retrieved.corrections,
        left_out=retrieved.left_out,
        failures=retrieved.fanout.failures,
    )
