"""Composition root: build a router's components from clients, settings and features."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from redis.asyncio import Redis

from router.analytics import DecisionLog
from router.backends.base import Backend
from router.backends.graphiti import GraphitiBackend
from router.backends.postgres import PostgresBackend
from router.backends.qdrant import QdrantBackend
from router.backends.resilient_backend import ResilientBackend
from router.cache import CacheLimits, SemanticCache
from router.catalog_search.search import CatalogSearch
from router.catalog_search.stores import open_catalog_stores
from router.components import RouterComponents, SuppliedClients
from router.embedding import Embedder, LocalEmbedder
from router.errors import RouterSettingsError
from router.features import Features
from router.intent import INTENTS, IntentClassifier, IntentModelError, LLMEscalation
from router.learning import DIMENSION, OnlineLearningRouter
from router.llm import ClosableModel, LanguageModel, create_language_model
from router.llm.resilient_model import ResilientModel, usage_counter
from router.observability.metrics import RouterMetrics
from router.overload.admission import AdmissionControl, AdmissionLimits
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
from router.pipeline.warm_up import WarmUp, warm_up_steps
from router.rewrite import QueryRewriter, RewriteSettings
from router.settings import Limits, Settings
from router.store_clients import (
    StoreClients,
    open_neo4j,
    open_postgres,
    open_redis_clients,
    open_vectors,
    server_vector_store,
)
from router.users.query_ids import QueryIdSigner
from sluice.flags import FeatureFlags, FlagReader
from sluice.flags.service.unique_users import UniqueUserCounter

LLM_SLACK_SECONDS = 0.5
"""Callers of the language model wait this much longer than the model's own timeout."""


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
    redis, cache_redis = open_redis_clients(supplied.redis_client, settings.stores)
    keys, address = settings.flags_public_keys, settings.stores.redis_url
    reader = FlagReader(address, environment=settings.environment, public_keys=keys)
    phases = _build_phases((redis, reader), settings, features, metrics)
    postgres = PostgresBackend(stores.postgres)
    catalog = await open_catalog_stores(settings, stores, models.embedder, redis)
    backends = (
        catalog.backends if catalog else _build_backends(supplied, stores, features, postgres)
    )
    retrieval = _build_retrieval(backends, settings, features, metrics)
    known = settings.limits.known_cosine
    understanding = QueryUnderstanding(models, features, retrieval.nearest_cosine, known)
    deps = PipelineDeps(
        understanding=understanding,
        rewriter=_build_rewriter(llm, settings, postgres),
        arm_selector=_build_arm_selector(features),
        retrieval=retrieval,
        answer_cache=_build_answer_cache(cache_redis or redis, settings, features, metrics),
        phases=phases,
        query_ids=QueryIdSigner(settings.access.query_id_key),
        admission=_build_admission(settings.limits, metrics, understanding),
        metrics=metrics,
        catalog=CatalogSearch(catalog.reader, retrieval.backends, llm) if catalog else None,
    )
    faults = _build_fault_watcher(redis, settings, phases)
    return RouterComponents(
        settings=settings,
        supplied=supplied,
        redis=redis,
        cache_redis=cache_redis,
        stores=stores,
        reader=reader,
        phases=phases,
        admission=deps.admission,
        query_ids=deps.query_ids,
        retrieval=retrieval,
        pipeline=_build_pipeline(deps, features, settings.limits, faults),
        prober=Prober(golden, deps.understanding, deps.arm_selector, phases, metrics),
        gauges=GaugeUpdater(phases, metrics),
        user_counter=UniqueUserCounter(redis, settings.environment, metrics.users),
        answer_cache=deps.answer_cache,
        understanding=deps.understanding,
        llm_client=llm_client,
        decision_log=_build_decision_log(stores, settings, features, metrics),
        faults=faults,
        warm_up=WarmUp(warm_up_steps(deps)),
        catalog_stores=catalog,
    )


def _build_phases(
    clients: tuple[Redis, FlagReader],
    settings: Settings,
    features: Features,
    metrics: RouterMetrics,
) -> PhaseController:
    redis, reader = clients
    return PhaseController(
        FeatureFlags(redis, environment=settings.environment, reader=reader),
        _build_learner(redis, settings, features),
        features,
        metrics,
    )


def _build_retrieval(
    backends: Iterable[Backend], settings: Settings, features: Features, metrics: RouterMetrics
) -> Retrieval:
    seconds = settings.limits.backend_seconds
    return Retrieval(
        [ResilientBackend(backend, metrics, seconds) for backend in backends], features
    )


def _build_fault_watcher(
    redis: Redis, settings: Settings, phases: PhaseController
) -> FaultWatcher | None:
    if not settings.fault_injection:
        return None
    return FaultWatcher(redis, settings.environment, phases.learner_client)


def _build_admission(
    limits: Limits, metrics: RouterMetrics, understanding: QueryUnderstanding
) -> AdmissionControl:
    of_process = AdmissionLimits(
        limits.in_flight,
        limits.concurrent_searches,
        limits.wait_seconds,
        limits.tenant_queries_per_second,
    )
    return AdmissionControl(of_process, metrics, understanding.take_longest_wait)


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
        else open_vectors(stores, required=settings.catalog is None)
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
    if not features.enable_analytics or settings.catalog is not None:
        return None  # a catalogue's Postgres is the team's: nothing is written there
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


def _build_answer_cache(
    redis: Redis, settings: Settings, features: Features, metrics: RouterMetrics
) -> AnswerCache:
    """Return the cache; ``redis``: its own, or the one of the flags."""
    limits = settings.limits
    if not features.enable_semantic_cache:
        return AnswerCache(None, metrics, limits.cache_seconds)
    cache_limits = CacheLimits(
        threshold=features.cache_similarity_threshold,
        ttl_seconds=limits.cache_ttl_seconds,
        entries_max=limits.cache_entries,
        memory_bytes_max=limits.cache_memory_bytes,
    )
    cache = SemanticCache(redis, settings.environment, cache_limits)
    return AnswerCache(cache, metrics, limits.cache_seconds)


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
