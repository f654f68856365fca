"""One query from question to answer, as one sequence of stages.

normalise → cache → search slot → analyze → choose arms → rewrite → fan out → fuse → correct → store
the decision. A failing optional stage is skipped and counted. Only an invalid question, an overload,
a deadline, and the loss of every store end a query without an answer.
"""

import asyncio
import math
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from redis.exceptions import RedisError

from router.answer import Answer
from router.catalog_search.search import CatalogSearch
from router.errors import InvalidQuestion
from router.features import Features
from router.learning import Decision, LearningError
from router.observability import trace
from router.observability.metrics import RouterMetrics
from router.observability.trace import Trace, time_phase
from router.overload.admission import AdmissionControl
from router.phases.phase_switches import PhaseController
from router.pipeline.arm_selection import DEFAULT_ARM, ArmSelector, RoutingPlan, explain_plan
from router.pipeline.cached_answers import AnswerCache, CachedAnswer, CacheSession
from router.pipeline.catalog_answers import CatalogAnswers, cache_tenant
from router.pipeline.query_request import QueryRequest
from router.pipeline.query_understanding import AnalyzedQuery, QueryUnderstanding
from router.pipeline.retrieval import Retrieval, RetrievalRequest, RetrievalResult, SubQuery
from router.rewrite import QueryRewriter, strip_markup
from router.settings import Limits
from router.users.query_ids import QueryIdSigner

_CONTROL_CHARS = re.compile(r"[\x00-\x1f\x7f]")
CORRECTION_SECONDS_MIN = 0.1
"""With less than this left of the query's time, no further attempt starts."""
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
    query_ids: QueryIdSigner
    admission: AdmissionControl
    metrics: RouterMetrics
    catalog: CatalogSearch | None = None


class Pipeline:
    """Answers to requests; one instance serves all queries of a process."""

    def __init__(self, deps: PipelineDeps, features: Features, limits: Limits) -> None:
        self._deps = deps
        self._features = features
        self._limits = limits

    async def answer(self, request: QueryRequest) -> Answer:
        """Answer within the request's deadline and the router's.

        Raises:
            InvalidQuestion: the question is empty or too long.
            Overloaded: no search slot in time.
            StoreUnavailable: every queried store failed.
            TimeoutError: the deadline passed.
        """
        started = time.perf_counter()
        seconds = min(request.seconds or math.inf, self._limits.query_seconds)
        with trace.open_trace() as open_trace:
            open_trace.deadline = time.monotonic() + seconds
            async with asyncio.timeout(seconds):
                answer = await self._answer_with_cache(self._normalize(request))
        return _with_trace(answer, open_trace, time.perf_counter() - started)

    def _normalize(self, request: QueryRequest) -> QueryRequest:
        # Control characters carry no meaning, and Postgres rejects NUL.
        text = strip_markup(_CONTROL_CHARS.sub(" ", request.query))
        if not text:
            raise InvalidQuestion("query is empty: send a question")
        if len(text) > self._limits.question_chars:
            raise InvalidQuestion(
                f"query has {len(text)} characters: send at most {self._limits.question_chars}"
            )
        return replace(request, query=text)

    async def _answer_with_cache(self, request: QueryRequest) -> Answer:
        tenant = cache_tenant(self._deps.catalog, request)
        cache = self._deps.answer_cache.session(tenant, request.assignment, request.limit)
        hit = await _find_exact(cache, request)
        if hit is None:
            async with self._deps.admission.search_slot(request.tenant) as waited:
                # The same question may have been answered during the wait.
                hit = await _find_exact(cache, request) if waited else None
                if hit is None:
                    return await self._compute_answer(request, cache)
        return await self._reuse_cached_answer(request, hit)

    async def _compute_answer(self, request: QueryRequest, cache: CacheSession) -> Answer:
        with time_phase("understand"):
            query = await self._deps.understanding.analyze(request.query)
        trace.set_attributes(intent=query.intent.intent)  # for a failure, which has no answer
        with time_phase("cache"):
            hit = await cache.find_similar(request.query, query.vector)
        if hit is not None:
            return await self._reuse_cached_answer(request, hit)
        if self._deps.catalog is not None:
            catalog = CatalogAnswers(self._deps.catalog, self._deps.understanding)
            return await self._answer_from_catalog(catalog, request, query, cache)
        query_id = self._issue_query_id(request)
        if query.intent.intent == "out_of_scope":
            return _build_answer(query_id, query, request, RetrievalResult())
        with time_phase("choose"):
            plan = self._plan_routing(query, request)
        retrieved = await self._retrieve(request, query, plan)
        answer = _build_answer(query_id, query, request, retrieved)
        decision = Decision.from_choice(plan.context, plan.choice, request.cohort)
        await self._store_decision(query_id, decision)
        if answer.results and not answer.degraded and not trace.failures():
            cache.put(answer, decision, query.vector)
        return answer

    async def _answer_from_catalog(
        self,
        catalog: CatalogAnswers,
        request: QueryRequest,
        query: AnalyzedQuery,
        cache: CacheSession,
    ) -> Answer:
        with time_phase("read"):
            question, plan = await catalog.read(request, query)
        if plan.form_key is not None:
            hit = await _find_exact(cache, replace(request, query=plan.form_key))
            if hit is not None:
                return await self._reuse_cached_answer(request, hit)
        routing = self._plan_routing(query, request)
        with time_phase("search"):
            answer, choice = await catalog.answer(question, plan, routing)
        answer = replace(answer, query_id=self._issue_query_id(request), cohort=request.cohort)
        decision = Decision.from_choice(routing.context, choice, request.cohort)
        await self._store_decision(answer.query_id, decision)
        if not answer.degraded and not trace.failures():
            cache.put(answer, decision, query.vector)
            if plan.form_key is not None:
                cache.put_exact(plan.form_key, answer, decision)
        return answer

    def _issue_query_id(self, request: QueryRequest) -> str:
        return self._deps.query_ids.issue(
            request.tenant, request.cohort, request.user_id, request.counted_user
        )

    async def _reuse_cached_answer(self, request: QueryRequest, hit: CachedAnswer) -> Answer:
        query_id = self._issue_query_id(request)
        trace.add_note("cache", hit.match_type)
        await self._store_decision(query_id, hit.decision)
        return replace(hit.answer, query_id=query_id, query=request.query, cached=True)

    def _plan_routing(self, query: AnalyzedQuery, request: QueryRequest) -> RoutingPlan:
        plan = self._deps.arm_selector.plan(query, request.cohort, self._deps.phases.learner)
        trace.add_note("complexity", list(query.complexity.reasons))
        trace.add_note("choice", explain_plan(plan, query.intent.intent))
        return plan

    async def _retrieve(
        self, request: QueryRequest, query: AnalyzedQuery, plan: RoutingPlan
    ) -> RetrievalResult:
        with time_phase("rewrite"):
            sub_queries = await self._rewrite(query)
        retrieval_request = RetrievalRequest(
            sub_queries=sub_queries,
            intent=query.intent.intent,
            arms=plan.arms,
            limit=request.limit,
            today=datetime.now(UTC).date(),
        )
        with time_phase("search"):
            result = await self._deps.retrieval.retrieve(retrieval_request)
        with time_phase("correct"):
            result = await self._correct(retrieval_request, result)
        self._deps.retrieval.require_answer(result)
        return result

    async def _correct(self, request: RetrievalRequest, result: RetrievalResult) -> RetrievalResult:
        retrieval = self._deps.retrieval
        for attempt in range(self._features.max_correction_retries + 1):
            reason = retrieval.correction_reason(result, attempt)
            if reason is None or trace.remaining_seconds() < CORRECTION_SECONDS_MIN:
                break
            if attempt > 0:  # the first attempt queries other stores with the user's own words
                request = await self._improve(request, reason)
            corrected = await retrieval.correct(request, result)
            if corrected is None:
                break
            result = corrected
        return result

    async def _rewrite(self, query: AnalyzedQuery) -> tuple[SubQuery, ...]:
        undivided = SubQuery(query.text, query.vector)
        if not self._features.enable_query_rewriting:
            return (undivided,)
        rewrite = await self._deps.rewriter.rewrite(query.text, query.intent)
        trace.add_note(
            "rewrite", {"text": rewrite.text, "parts": list(rewrite.parts), "by": rewrite.by}
        )
        if len(rewrite.parts) > 1 and query.complexity.level != "simple":
            parts = await self._deps.understanding.analyze_many(rewrite.parts)
            return tuple([_sub_query(part) for part in parts])
        if rewrite.text == query.text:
            return (undivided,)
        vectors = await self._deps.understanding.embed([rewrite.text])
        return (SubQuery(rewrite.text, vectors[0]),)

    async def _improve(self, request: RetrievalRequest, reason: str) -> RetrievalRequest:
        """Add a rewording for the next attempt; the original stays first, to keep its names."""
        if not self._features.enable_query_improvement:
            return request
        text = await self._deps.rewriter.improve(request.sub_queries[0].text, reason)
        if text in {part.text for part in request.sub_queries}:
            return request
        vectors = await self._deps.understanding.embed([text])
        return replace(request, sub_queries=(*request.sub_queries, SubQuery(text, vectors[0])))

    async def _store_decision(self, query_id: str, decision: Decision) -> None:
        """Store the treatment's decisions, the only ones that the learner uses."""
        if decision.cohort != "treatment":
            return
        try:
            with time_phase("store_decision"):
                await self._deps.phases.learner_client.store_decisions({query_id: decision})
        except (RedisError, OSError, LearningError) as error:
            self._deps.metrics.redis_errors.inc()
            logger.warning("decision_not_stored", reason=repr(error))


def _sub_query(query: AnalyzedQuery) -> SubQuery:
    return SubQuery(query.text, query.vector, DEFAULT_ARM[query.intent.intent])


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


def _build_answer(
    query_id: str, query: AnalyzedQuery, request: QueryRequest, retrieved: RetrievalResult
) -> Answer:
    return Answer(
        query_id=query_id,
        query=query.text,
        intent=query.intent.intent,
        confidence=query.intent.confidence,
        tier=query.intent.tier,
        cohort=request.cohort,
        backends=retrieved.fanout.backends,
        results=retrieved.hits,
        complexity=query.complexity.level,
        corrections=retrieved.corrections,
        left_out=retrieved.left_out,
        failures=retrieved.fanout.failures,
    )
