"""Composition root: build a router's components from clients, settings and features."""

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
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
from router.overload.admission import AdmissionControl
from router.overload.timeouts import wait_within
from router.phases.fault_injection import FaultWatcher
from router.phases.gauges import GaugeUpdater
from router.phases.phase_switches import PhaseController
from router.pipeline import probes
from router.pipeline.arm_selection import ARMS, ArmSelector, warm_started_bandit
from router.pipeline.cached_answers import AnswerCache
from router.pipeline.faulty_pipeline import AnsweringPipeline, FaultyPipeline, InvertedRetrieval
from router.pipeline.pipeline import Pipeline, PipelineDeps
from router.pipeline.probes import Prober
from router.pipeline.query_understanding import LocalModels, QueryUnderstanding
from router.pipeline.retrieval import Retrieval
from router.rewrite import QueryRewriter, RewriteSettings
from router.settings import Limits, Settings
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
"""Callers of the language model wait this much longer than the model's own timeout."""


@dataclass(frozen=True, slots=True)
class SuppliedClients:
    """Clients that the caller passed in and closes."""

    neo4j_driver: "AsyncDriver | None" = None
    postgres_conn: PostgresPool | None = None
    qdrant_client: "AsyncQdrantClient | None" = None
    redis_client: Redis | None = None
    embedding_service: Embedder | None = None
    graphiti_service: GraphitiService | None = None


@dataclass(frozen=True, slots=True)
class RouterComponents:
    """Components of one router, from ``assemble`` to ``close``."""

    settings: Settings
    supplied: SuppliedClients
    redis: Redis
    stores: StoreClients
    reader: FlagReader
    phases: PhaseController
    admission: AdmissionControl
    retrieval: Retrieval
    pipeline: AnsweringPipeline
    prober: Prober
    gauges: GaugeUpdater
    user_counter: UniqueUserCounter
    answer_cache: AnswerCache
    understanding: QueryUnderstanding
    llm_client: ClosableModel | None
    decision_log: DecisionLog | None
    faults: FaultWatcher | None

    def background_work(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Yield the name and the work of each background task."""
        yield "admission", self.admission.run()
        yield "phases", self.phases.run()
        yield "users", self.user_counter.run()
        yield "gauges", self.gauges.run()
        yield "probes", self.prober.run(self.settings.probes.interval_seconds)
        if self.decision_log is not None:
            yield "analytics", self.decision_log.run()
        if self.faults is not None:
            yield "faults", self.faults.run()

    async def close(self) -> None:
        """Close what the router opened, each within ``CLOSE_SECONDS``."""
        self.reader.stop()
        self.understanding.close()
        for step in self._close_steps():
            try:
                await wait_within(CLOSE_SECONDS, step)
            except Exception:
                logger.exception("not_closed")

    def _close_steps(self) -> Iterator[Coroutine[Any, Any, object]]:
        """Yield the writers before the clients that they write to."""
        supplied = self.supplied
        yield self.answer_cache.close()
        if self.decision_log is not None:
            yield self.decision_log.close()
        yield self.phases.stop()
        yield self.stores.close(
            neo4j=supplied.neo4j_driver is None,
            postgres=supplied.postgres_conn is None,
            vectors=supplied.qdrant_client is None,
        )
        if self.llm_client is not None:
            yield self.llm_client.aclose()
        if supplied.redis_client is None:
            yield self.redis.aclose()


async def assemble(
    supplied: SuppliedClients, settings: Settings, features: Features, metrics: RouterMetrics
) -> RouterComponents:
    """Build the components; this loads the local models and contacts no store.

    Raises:
        RouterSettingsError: a setting is unusable.
    """
    golden = probes.read_golden_questions(settings.probes.path) if settings.probes.path else []
    llm, llm_client = _build_llm(settings, metrics)
    models = _build_models(supplied, settings, llm)  # may raise: before any client is open
    stores = await _open_stores(supplied, settings)
    redis = supplied.redis_client or open_redis(settings.stores.redis_url)
    reader = FlagReader(settings.stores.redis_url, environment=settings.environment)
    phases = PhaseController(
        FeatureFlags(redis, environment=settings.environment, reader=reader),
        _build_learner(redis, settings, features),
        features,
        metrics,
    )
    limits = settings.limits
    admission = AdmissionControl(limits, metrics)
    postgres = PostgresBackend(stores.postgres)
    backends = [
        ResilientBackend(each, metrics, limits.backend_seconds)
        for each in _build_backends(supplied, stores, features, postgres)
    ]
    retrieval = Retrieval(backends, features)
    deps = PipelineDeps(
        understanding=QueryUnderstanding(
            models, features, retrieval.nearest_cosine, limits.known_cosine
        ),
        rewriter=_build_rewriter(llm, settings, postgres),
        arm_selector=_build_arm_selector(features),
        retrieval=retrieval,
        answer_cache=AnswerCache(
            _build_cache(redis, settings, features), metrics, limits.cache_seconds
        ),
        phases=phases,
        admission=admission,
        metrics=metrics,
    )
    faults = (
        FaultWatcher(redis, settings.environment, phases.learner_client)
        if settings.fault_injection
        else None
    )
    return RouterComponents(
        settings=settings,
        supplied=supplied,
        redis=redis,
        stores=stores,
        reader=reader,
        phases=phases,
        admission=admission,
        retrieval=retrieval,
        pipeline=_build_pipeline(deps, features, limits, faults),
        prober=Prober(golden, deps.understanding, deps.arm_selector, phases, metrics),
        gauges=GaugeUpdater(phases, metrics),
        user_counter=UniqueUserCounter(redis, settings.environment, metrics),
        answer_cache=deps.answer_cache,
        understanding=deps.understanding,
        llm_client=llm_client,
        decision_log=_build_decision_log(stores, settings, features, metrics),
        faults=faults,
    )


def _build_pipeline(
    deps: PipelineDeps, features: Features, limits: Limits, faults: FaultWatcher | None
) -> AnsweringPipeline:
    """Return the pipeline; with a fault watcher, decorated for the demo."""
    pipeline = Pipeline(deps, features, limits)
    if faults is None:
        return pipeline
    uncached = replace(deps, answer_cache=AnswerCache(None, deps.metrics, limits.cache_seconds))
    inverted = InvertedRetrieval(tuple(deps.retrieval.backends.values()), features)
    irrelevant = replace(uncached, retrieval=inverted)
    return FaultyPipeline(
        pipeline,
        Pipeline(uncached, features, limits),
        Pipeline(irrelevant, features, limits),
        faults,
    )


def _build_arm_selector(features: Features) -> ArmSelector:
    bandit = (
        warm_started_bandit(features.bandit_alpha) if features.enable_adaptive_routing else None
    )
    return ArmSelector(bandit, multi_arm=features.enable_multi_router)


async def _open_stores(supplied: SuppliedClients, settings: Settings) -> StoreClients:
    stores = settings.stores
    vectors = (
        server_vector_store(supplied.qdrant_client)
        if supplied.qdrant_client
        else open_vectors(stores)
    )
    return StoreClients(
        neo4j=supplied.neo4j_driver or open_neo4j(stores),
        neo4j_database=stores.neo4j_database,
        postgres=supplied.postgres_conn or await open_postgres(stores),
        vectors=vectors,
    )


def _build_backends(
    supplied: SuppliedClients, stores: StoreClients, features: Features, postgres: PostgresBackend
) -> Iterator[Backend]:
    if features.enable_graphrag:
        from router.backends.graph import GraphBackend  # noqa: PLC0415 - optional

        yield GraphBackend(stores.neo4j, stores.neo4j_database)
    if supplied.graphiti_service is not None:
        yield GraphitiBackend(supplied.graphiti_service)
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
    """Return the resilient model and the client to close; both None without an API key."""
    model = create_language_model(settings.llm, on_usage=usage_counter(metrics))
    return (ResilientModel(model, metrics, settings.llm.timeout) if model else None), model


def _build_rewriter(
    llm: ResilientModel | None, settings: Settings, postgres: PostgresBackend
) -> QueryRewriter:
    rewrite_settings = RewriteSettings(
        timeout=settings.llm.timeout + LLM_SLACK_SECONDS,
        lexicon=postgres.lexicon,
        on_fallback=llm.count_unfaithful if llm else None,
    )
    return QueryRewriter(llm, settings=rewrite_settings)


def _build_models(
    supplied: SuppliedClients, settings: Settings, llm: LanguageModel | None
) -> LocalModels:
    embedder = supplied.embedding_service or LocalEmbedder()
    escalation = (
        LLMEscalation(llm, timeout=settings.llm.timeout + LLM_SLACK_SECONDS) if llm else None
    )
    classifier = _load_classifier(embedder, settings.intent_model, escalation)
    return LocalModels(embedder, classifier, has_llm=llm is not None)


def _load_classifier(
    embedder: Embedder, path: Path | None, escalation: LLMEscalation | None
) -> IntentClassifier:
    """Load the configured intent model; its labels must be the router's intents."""
    try:
        classifier = IntentClassifier.load(embedder, path, escalation=escalation)
    except IntentModelError as error:
        raise RouterSettingsError(f"SLUICE_INTENT_MODEL: {error}") from error
    unknown = sorted(set(classifier.intents) - set(INTENTS))
    if unknown:
        raise RouterSettingsError(
            f"SLUICE_INTENT_MODEL: {path} has the label {unknown[0]!r}; the router's labels are "
            f"{', '.join(INTENTS)}: train without --own-labels"
        )
    return classifier
