"""Puts a router together from clients, settings and features: its composition root."""

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from redis.asyncio import Redis

from router.analytics import DecisionLog
from router.backends.base import Backend
from router.backends.graphiti import GraphitiBackend, GraphitiService
from router.backends.postgres import PostgresBackend
from router.backends.postgres_pool import PostgresPool
from router.backends.qdrant import QdrantBackend
from router.backends.resilient_backend import ResilientBackend
from router.cache import CacheLimits, SemanticCache
from router.embedding import Embedder, LocalEmbedder
from router.errors import RouterSettingsError
from router.features import Features
from router.intent import INTENTS, IntentClassifier, IntentModelError, LLMEscalation
from router.learning import DIMENSION, OnlineLearningRouter
from router.llm import ClosableModel, LanguageModel, create_language_model
from router.llm.resilient_model import ResilientModel, usage_counter
from router.observability.metrics import RouterMetrics
from router.overload.timeouts import wait_within
from router.phases.fault_injection import FaultWatcher
from router.phases.gauges import GaugeUpdater
from router.phases.phase_switches import PhaseController
from router.pipeline import probes
from router.pipeline.arm_selection import ARMS, ArmSelector, warm_started_bandit
from router.pipeline.cached_answers import AnswerCache
from router.pipeline.pipeline import Pipeline, PipelineDeps
from router.pipeline.probes import Prober
from router.pipeline.query_understanding import LocalModels, QueryUnderstanding
from router.pipeline.retrieval import Retrieval
from router.rewrite import QueryRewriter, RewriteSettings
from router.settings import Settings
from router.store_clients import (
    StoreClients,
    open_neo4j,
    open_postgres,
    open_redis,
    open_vectors,
    server_vector_store,
)
from sluice.flags import FeatureFlags, FlagReader
from sluice.flags.service.unique_users import UniqueUserCounter

if TYPE_CHECKING:
    from neo4j import AsyncDriver
    from qdrant_client import AsyncQdrantClient

CLOSE_SECONDS = 3.0
logger = structlog.get_logger(__name__)
LLM_SLACK_SECONDS = 0.5
"""The watched model ends a wait itself, and counts it, before those who wait for it do."""


@dataclass(frozen=True, slots=True)
class SuppliedClients:
    """Clients the caller passed in and keeps."""

    neo4j_driver: "AsyncDriver | None" = None
    postgres_conn: PostgresPool | None = None
    qdrant_client: "AsyncQdrantClient | None" = None
    redis_client: Redis | None = None
    embedding_service: Embedder | None = None
    graphiti_service: GraphitiService | None = None


@dataclass(frozen=True, slots=True)
class RouterComponents:
    """A router's parts, as long as it lives."""

    redis: Redis
    reader: FlagReader
    phases: PhaseController
    faults: FaultWatcher
    retrieval: Retrieval
    pipeline: Pipeline
    prober: Prober
    gauges: GaugeUpdater
    user_counter: UniqueUserCounter
    metrics: RouterMetrics
    answer_cache: AnswerCache
    understanding: QueryUnderstanding
    stores: StoreClients
    llm_client: ClosableModel | None
    decision_log: DecisionLog | None
    supplied: SuppliedClients

    async def close(self) -> None:
        """Close what the router opened, not what it was given; nothing holds this up for long."""
        self.reader.stop()
        self.understanding.close()
        for closing in self._close_steps():
            try:
                await wait_within(CLOSE_SECONDS, closing)
            except Exception:
                logger.exception("not_closed")

    def _close_steps(self) -> Iterator[Coroutine[Any, Any, object]]:
        """In this order: what still writes before what it writes to."""
        given, stores = self.supplied, self.stores
        yield self.answer_cache.close()
        if self.decision_log is not None:
            yield self.decision_log.close()
        yield self.phases.stop()
        yield stores.close(
            neo4j=given.neo4j_driver is None,
            postgres=given.postgres_conn is None,
            vectors=given.qdrant_client is None,
        )
        if self.llm_client is not None:
            yield self.llm_client.aclose()
        if given.redis_client is None:
            yield self.redis.aclose()


async def assemble(
    supplied: SuppliedClients, settings: Settings, features: Features, metrics: RouterMetrics
) -> RouterComponents:
    """Contacts nobody; loads the local models. Raises SettingsError."""
    golden = probes.read_golden_questions(settings.probes.path) if settings.probes.path else []
    llm, model = _build_llm(settings, metrics)
    models = _build_models(supplied, settings, llm)  # may refuse: before anything is opened
    stores = await _open_stores(supplied, settings)
    redis = supplied.redis_client or open_redis(settings.stores.redis_url)
    reader = FlagReader(settings.stores.redis_url, environment=settings.environment)
    phases = PhaseController(
        FeatureFlags(redis, environment=settings.environment, reader=reader),
        _build_learner(redis, settings, features),
        features,
        metrics,
    )
    chooser = ArmSelector(
        warm_started_bandit(features.bandit_alpha) if features.enable_adaptive_routing else None
    )
    limits = settings.limits
    postgres = PostgresBackend(stores.postgres)
    guards = [
        ResilientBackend(each, metrics, limits.backend_seconds)
        for each in _build_backends(supplied, stores, features, postgres)
    ]
    retrieval = Retrieval(guards, features)
    understanding = QueryUnderstanding(
        models, features, retrieval.nearest_cosine, limits.known_cosine
    )
    answers = AnswerCache(_build_cache(redis, settings, features), metrics, limits.cache_seconds)
    parts = PipelineDeps(
        understanding, _build_rewriter(llm, settings, postgres), chooser, retrieval, answers, phases
    )
    return RouterComponents(
        redis=redis,
        reader=reader,
        phases=phases,
        faults=FaultWatcher(redis, settings.environment),
        retrieval=retrieval,
        pipeline=Pipeline(parts, features, limits, metrics),
        prober=Prober(golden, understanding, chooser, phases, metrics),
        gauges=GaugeUpdater(phases, metrics),
        user_counter=UniqueUserCounter(redis, settings.environment, metrics),
        metrics=metrics,
        answer_cache=answers,
        understanding=understanding,
        stores=stores,
        llm_client=model,
        decision_log=_build_decision_log(stores, settings, features, metrics),
        supplied=supplied,
    )


async def _open_stores(given: SuppliedClients, settings: Settings) -> StoreClients:
    stores = settings.stores
    vectors = (
        server_vector_store(given.qdrant_client) if given.qdrant_client else open_vectors(stores)
    )
    return StoreClients(
        neo4j=given.neo4j_driver or open_neo4j(stores),
        neo4j_database=stores.neo4j_database,
        postgres=given.postgres_conn or await open_postgres(stores),
        vectors=vectors,
    )


def _build_backends(
    given: SuppliedClients, stores: StoreClients, features: Features, postgres: PostgresBackend
) -> Iterator[Backend]:
    if features.enable_graphrag:
        from router.backends.graph import GraphBackend  # noqa: PLC0415 - optional

        yield GraphBackend(stores.neo4j, stores.neo4j_database)
    if given.graphiti_service is not None:
        yield GraphitiBackend(given.graphiti_service)
    yield postgres
    yield QdrantBackend(stores.vectors)


def _build_decision_log(
    stores: StoreClients, settings: Settings, features: Features, metrics: RouterMetrics
) -> DecisionLog | None:
    if not features.enable_analytics:
        return None
    return DecisionLog(stores.postgres, settings.environment, settings.analytics, metrics)


def _build_learner(redis: Redis, settings: Settings, features: Features) -> OnlineLearningRouter:
    return OnlineLearningRouter(
        redis,
        redis_url=settings.stores.redis_url,
        arms=ARMS,
        dimension=DIMENSION,
        environment=settings.environment,
        batch_size=features.online_learning_batch_size,
        learning_rate=features.online_learning_rate,
        alpha=features.bandit_alpha,
        prior=warm_started_bandit(features.bandit_alpha),
    )


def _build_cache(redis: Redis, settings: Settings, features: Features) -> SemanticCache | None:
    if not features.enable_semantic_cache:
        return None
    limits = CacheLimits(
        threshold=features.cache_similarity_threshold,
        ttl_seconds=settings.limits.cache_ttl_seconds,
        entries_max=settings.limits.cache_entries,
    )
    return SemanticCache(redis, settings.environment, limits)


def _build_llm(
    settings: Settings, metrics: RouterMetrics
) -> tuple[ResilientModel | None, ClosableModel | None]:
    """The watched model, and the client to close; none without a key."""
    model = create_language_model(settings.llm, on_usage=usage_counter(metrics))
    return (ResilientModel(model, metrics, settings.llm.timeout) if model else None), model


def _build_rewriter(
    llm: ResilientModel | None, settings: Settings, postgres: PostgresBackend
) -> QueryRewriter:
    how = RewriteSettings(
        timeout=settings.llm.timeout + LLM_SLACK_SECONDS,
        lexicon=postgres.lexicon,
        on_fallback=llm.count_unfaithful if llm else None,
    )
    return QueryRewriter(llm, settings=how)


def _build_models(
    given: SuppliedClients, settings: Settings, llm: LanguageModel | None
) -> LocalModels:
    embedder = given.embedding_service or LocalEmbedder()
    escalation = (
        LLMEscalation(llm, timeout=settings.llm.timeout + LLM_SLACK_SECONDS) if llm else None
    )
    classifier = _load_classifier(embedder, settings.intent_model, escalation)
    return LocalModels(embedder, classifier, has_llm=llm is not None)


def _load_classifier(
    embedder: Embedder, path: Path | None, escalation: LLMEscalation | None
) -> IntentClassifier:
    """The team's model where one is set; its labels must be the ones we have stores for."""
    try:
        classifier = IntentClassifier.load(embedder, path, escalation=escalation)
    except IntentModelError as error:
        raise RouterSettingsError(f"SLUICE_INTENT_MODEL: {error}") from error
    strange = sorted(set(classifier.intents) - set(INTENTS))
    if strange:
        raise RouterSettingsError(
            f"SLUICE_INTENT_MODEL: {path} has the label {strange[0]!r}; a router knows "
            f"{', '.join(INTENTS)}: train without --own-labels"
        )
    return classifier
