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

from router import trace
from router.answers import Answer, Cohort
from router.cached import Answers, Kept, Session
from router.decisions import DEFAULT_ARM, Chooser, Plan, Question, told
from router.errors import InvalidQuestion
from router.fanout import Found
from router.faults import Fault, suffer
from router.learning import Decision, LearningError
from router.metrics import Metrics
from router.options import Features
from router.phases import Phases
from router.query_ids import new_query_id
from router.retrieval import Part, Retrieval, Retrieved, Wanted
from router.rewrite import QueryRewriter, plain
from router.settings import Limits
from router.trace import Trace, phase
from router.turns import Turns
from router.understanding import Understanding, Understood
from router.users import Member

UNSURE = 0.75
"""Below this confidence of the intent other arms are asked as well."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
RETRY_SECONDS = 0.1
"""With less than this left of the query's time no other try is begun."""
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, by whom. ``user_id`` decides the cohort; without one it is control.

    ``member`` is the user as the comparison of both cohorts counts them, if it does.
    """

    query: str
    user_id: str | None = None
    session_id: str | None = None
    limit: int = 10
    tenant: str = "default"
    seconds: float | None = None  # the caller's own deadline, when shorter than the router's
    member: Member | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """The pipeline's collaborators."""

    understanding: Understanding
    rewriter: QueryRewriter
    chooser: Chooser
    retrieval: Retrieval
    answers: Answers
    phases: Phases


class Pipeline:
    """Answers requests; safe for many at once."""

    def __init__(self, parts: Parts, features: Features, limits: Limits, metrics: Metrics) -> None:
        self._parts = parts
        self._features = features
        self._limits = limits
        self._metrics = metrics
        self.turns = Turns(limits.searching, limits.wait_seconds)

    async def answer(self, request: Request, cohort: Cohort, fault: Fault | None) -> Answer:
        """Raises InvalidQuestion, InjectedFault, Overloaded, StoreUnavailable, TimeoutError."""
        started = time.perf_counter()
        seconds = min(request.seconds or math.inf, self._limits.query_seconds)
        with trace.tracing() as open_trace:
            open_trace.deadline = time.monotonic() + seconds
            async with asyncio.timeout(seconds):
                await suffer(fault)
                answer = await self._answer(self._checked(request), cohort, fault)
        return _finished(answer, open_trace, time.perf_counter() - started)

    def _checked(self, request: Request) -> Request:
        # Control characters mean nothing to a reader, and Postgres takes no NUL.
        text = plain(_CONTROL.sub(" ", request.query))
        if not text:
            raise InvalidQuestion("query is empty: ask something")
        if len(text) > self._limits.question_chars:
            raise InvalidQuestion(f"query is longer than {self._limits.question_chars} characters")
        return replace(request, query=text)

    async def _answer(self, request: Request, cohort: Cohort, fault: Fault | None) -> Answer:
        # Under a fault nothing is read from or written to the cache: bad answers must not stay.
        cache = self._parts.answers.session(request.tenant, cohort, request.limit, off=bool(fault))
        hit = await _asked_before(cache, request)
        if hit is None:
            async with self.turns.turn() as waited:
                # The same question may have been answered while this one waited.
                hit = await _asked_before(cache, request) if waited else None
                if hit is None:
                    return await self._found(request, cohort, fault, cache)
        return await self._kept(request, cohort, hit)

    async def _found(
        self, request: Request, cohort: Cohort, fault: Fault | None, cache: Session
    ) -> Answer:
        with phase("understand"):
            understood = await self._parts.understanding.of(request.query)
        with phase("cache"):
            hit = await cache.similar(request.query, understood.vector)
        if hit is not None:
            return await self._kept(request, cohort, hit)
        query_id = new_query_id(cohort, request.member)
        if understood.intent.intent == "out_of_scope":
            return _answer(query_id, understood, cohort, Retrieved((), Found()))
        with phase("choose"):
            plan = self._plan(understood, cohort)
        retrieved = await self._retrieve(request, understood, plan, fault)
        answer = _answer(query_id, understood, cohort, retrieved)
        decision = Decision.of(plan.context, plan.choice, cohort)
        await self._remember(query_id, decision)
        if answer.results and not answer.degraded and not trace.failures():
            cache.put(answer, decision, understood.vector)
        return answer

    async def _kept(self, request: Request, cohort: Cohort, hit: Kept) -> Answer:
        query_id = new_query_id(cohort, request.member)
        trace.note("cache", hit.how)
        await self._remember(query_id, hit.decision)
        return replace(hit.answer, query_id=query_id, query=request.query, cached=True)

    def _plan(self, understood: Understood, cohort: Cohort) -> Plan:
        unsure = understood.intent.confidence < UNSURE
        hard = understood.complexity.level != "simple" or unsure
        question = Question(
            embedding=understood.vector,
            intent=understood.intent.intent,
            confidence=understood.intent.confidence,
            complexity=understood.complexity.score,
            several=self._features.enable_multi_router and hard,
        )
        plan = self._parts.chooser.plan(question, cohort, self._parts.phases.learner)
        trace.note("complexity", list(understood.complexity.reasons))
        trace.note("choice", told(plan, question.intent))
        return plan

    async def _retrieve(
        self, request: Request, understood: Understood, plan: Plan, fault: Fault | None
    ) -> Retrieved:
        with phase("rewrite"):
            parts = await self._rewritten(understood)
        wanted = Wanted(
            parts=parts,
            intent=understood.intent.intent,
            arms=plan.arms,
            limit=request.limit,
            today=datetime.now(UTC).date(),
        )
        retrieval = self._parts.retrieval
        if fault is not None and fault.kind == "reward" and fault.strikes():
            return await retrieval.once(_wrong(wanted))
        with phase("search"):
            retrieved = await retrieval.once(wanted)
        with phase("correct"):
            retrieved = await self._corrected(wanted, retrieved)
        retrieval.require_any(retrieved)
        return retrieved

    async def _corrected(self, wanted: Wanted, retrieved: Retrieved) -> Retrieved:
        retrieval = self._parts.retrieval
        for attempt in range(self._features.max_correction_retries + 1):
            why = retrieval.reason_to_correct(retrieved, attempt)
            if why is None or trace.remaining() < RETRY_SECONDS:
                break
            if attempt > 0:  # first other stores, with the user's own words
                wanted = await self._improved(wanted, why)
            corrected = await retrieval.again(wanted, retrieved)
            if corrected is None:
                break
            retrieved = corrected
        return retrieved

    async def _rewritten(self, understood: Understood) -> tuple[Part, ...]:
        whole = Part(understood.text, understood.vector)
        if not self._features.enable_query_rewriting:
            return (whole,)
        rewrite = await self._parts.rewriter.rewrite(understood.text, understood.intent)
        trace.note(
            "rewrite", {"text": rewrite.text, "parts": list(rewrite.parts), "by": rewrite.by}
        )
        if len(rewrite.parts) > 1 and understood.complexity.level != "simple":
            return tuple(
                [_part(one) for one in await self._parts.understanding.each(rewrite.parts)]
            )
        if rewrite.text == understood.text:
            return (whole,)
        vectors = await self._parts.understanding.vectors([rewrite.text])
        return (Part(rewrite.text, vectors[0]),)

    async def _improved(self, wanted: Wanted, why: str) -> Wanted:
        """Other words for the next try; the original stays in front, for names must not get lost."""
        if not self._features.enable_query_improvement:
            return wanted
        first = wanted.parts[0]
        text = await self._parts.rewriter.improve(first.text, why)
        if text in {part.text for part in wanted.parts}:
            return wanted
        vectors = await self._parts.understanding.vectors([text])
        return replace(wanted, parts=(*wanted.parts, Part(text, vectors[0])))

    async def _remember(self, query_id: str, decision: Decision) -> None:
        """Only the treatment's decisions are learned from (guide: feedback count 0 at 0 %)."""
        if decision.cohort != "treatment":
            return
        try:
            with phase("remember"):
                await self._parts.phases.feedback_queue.remember_many({query_id: decision})
        except (RedisError, OSError, LearningError) as error:
            self._metrics.redis_errors.inc()
            logger.warning("decision_not_remembered", why=repr(error))


def _part(understood: Understood) -> Part:
    return Part(understood.text, understood.vector, DEFAULT_ARM[understood.intent.intent])


async def _asked_before(cache: Session, request: Request) -> Kept | None:
    with phase("cache"):
        return await cache.exact(request.query)


def _finished(answer: Answer, open_trace: Trace, seconds: float) -> Answer:
    return replace(
        answer,
        latency_ms=round(seconds * 1000, 3),
        phases_ms=open_trace.milliseconds,
        explanation=open_trace.notes,
        failures={**answer.failures, **open_trace.failures},
        trace_id=open_trace.id,
    )


def _wrong(wanted: Wanted) -> Wanted:
    """Fault injection: the records that have least to do with the question."""
    parts = tuple(Part(part.text, -part.embedding) for part in wanted.parts)
    return replace(wanted, parts=parts, arms=("qdrant",))


def _answer(query_id: str, understood: Understood, cohort: Cohort, retrieved: Retrieved) -> Answer:
    return Answer(
        query_id=query_id,
        query=understood.text,
        intent=understood.intent.intent,
        confidence=understood.intent.confidence,
        tier=understood.intent.tier,
        cohort=cohort,
        backends=retrieved.found.backends,
        results=retrieved.hits,
        complexity=understood.complexity.level,
        corrections=retrieved.corrections,
        left_out=retrieved.left_out,
        failures=retrieved.found.failures,
    )
