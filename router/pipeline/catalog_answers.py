"""A question over the catalogue as the pipeline answers it: read, choose, search."""

from dataclasses import dataclass
from datetime import UTC, datetime

from router.answer import Answer
from router.catalog_search.search import (
    CatalogAnswer,
    CatalogQuestion,
    CatalogSearch,
    QuestionPlan,
)
from router.learning import Choice
from router.observability import trace
from router.pipeline.arm_selection import RoutingPlan
from router.pipeline.query_request import QueryRequest
from router.pipeline.query_understanding import AnalyzedQuery, QueryUnderstanding

_INTENTS = {"postgres": "metadata", "graph": "graph", "qdrant": "semantic", "none": "out_of_scope"}


@dataclass(frozen=True, slots=True)
class CatalogAnswers:
    """One request's way through the catalogue."""

    search: CatalogSearch
    understanding: QueryUnderstanding

    async def read(
        self, request: QueryRequest, understood: AnalyzedQuery
    ) -> tuple[CatalogQuestion, QuestionPlan]:
        """Read the question on the models' thread, and by a language model where that is unsure."""
        today = datetime.now(UTC).date()
        caller = {"tenant": request.tenant, "user": request.user_id}
        question = CatalogQuestion(
            understood.text, understood.vector, understood.intent, request.limit, today, caller
        )
        plan = await self.understanding.run(
            lambda: self.search.plan(understood.text, understood.intent, today, caller)
        )
        return question, await self.search.read_with_model(understood.text, plan)

    async def answer(
        self, question: CatalogQuestion, plan: QuestionPlan, routing: RoutingPlan
    ) -> tuple[Answer, Choice]:
        """Answer by evidence; where that is unsure, by what intent and bandit chose.

        Raises StoreUnavailable where every store that was asked failed.
        """
        source = plan.choice.source
        if not plan.choice.sure:
            source = "text" if routing.choice.arm == "qdrant" else "rows"
        evidence = {"evidence": plan.choice.source, "sure": plan.choice.sure}
        trace.add_note("store", {"source": source, **evidence})
        answer = await self.search.answer(question, plan, source)
        choice = routing.choice
        if choice.arm != answer.store:  # the evidence chose: nothing was drawn
            choice = Choice(answer.store if answer.store != "none" else "qdrant", 1.0, {})
        return _answer(question, answer), choice


def cache_tenant(search: CatalogSearch | None, request: QueryRequest) -> str:
    """Return who shares answers: a tenant, or one user where the catalogue's rights need that."""
    if search is None or not search.rights_use_user:
        return request.tenant
    return f"{request.tenant}\n{request.user_id}"


def _answer(question: CatalogQuestion, catalog_answer: CatalogAnswer) -> Answer:
    return Answer(
        query_id="",
        query=question.text,
        intent=_INTENTS[catalog_answer.store],
        confidence=catalog_answer.confidence,
        tier="catalog",
        cohort="control",
        backends=(catalog_answer.store,) if catalog_answer.store != "none" else (),
        results=catalog_answer.hits,
        left_out=catalog_answer.left_out,
        interpretation=catalog_answer.interpretation,
        value=catalog_answer.value,
        failures=catalog_answer.failures,
    )
