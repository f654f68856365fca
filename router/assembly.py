"""Puts a router together from clients, settings and features: its composition root."""

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from redis.asyncio import Redis

from router import probes
from router.analytics import DecisionLog
from router.backends.base import Backend
from router.backends.graphiti import GraphitiBackend, GraphitiService
from router.backends.guard import Guard
from router.backends.pool import Pool
from router.backends.postgres import PostgresBackend
from router.backends.qdrant import QdrantBackend
from router.cache import CacheLimits, SemanticCache
from router.cached import Answers
from router.decisions import ARMS, Chooser, warm_start
from router.embedding import Embedder, LocalEmbedder
from router.errors import SettingsError
from router.faults import Faults
from router.flags import FeatureFlags, FlagReader
from router.intent import INTENTS, Escalation, IntentClassifier, IntentModelError
from router.learning import DIMENSION, OnlineLearningRouter
from router.llm import LanguageModel, OwnModel, from_settings
from router.llm.watched import WatchedModel, counting
from router.metrics import Metrics
from router.options import Features
from router.patience import within
from router.phases import Phases
from router.pipeline import Parts as PipelineParts
from router.pipeline import Pipeline
from router.probes import Prober
from router.retrieval import Retrieval
from router.rewrite import QueryRewriter, RewriteSettings
from router.settings import Settings
from router.stores import (
    StoreClients,
    open_neo4j,
    open_postgres,
    open_redis,
    open_vectors,
    serve_from,
)
from router.understanding import Models, Understanding
from router.users import UserCounts
from router.vitals import Vitals

if TYPE_CHECKING:
    from neo4j import AsyncDriver
    from qdrant_client import AsyncQdrantClient

CLOSE_SECONDS = 3.0
logger = structlog.get_logger(__name__)
LLM_SLACK_SECONDS = 0.5
"""The watched model ends a wait itself, and counts it, before those who wait for it do."""


@dataclass(frozen=True, slots=True)
class Given:
    """Clients the caller passed in and keeps."""

    neo4j_driver: "AsyncDriver | None" = None
    postgres_conn: Pool | None = None
    qdrant_client: "AsyncQdrantClient | None" = None
    redis_client: Redis | None = None
    embedding_service: Embedder | None = None
    graphiti_service: GraphitiService | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """A router's parts, as long as it lives."""

    redis: Redis
    reader: FlagReader
    phases: Phases
    faults: Faults
    retrieval: Retrieval
    pipeline: Pipeline
    prober: Prober
    vitals: Vitals
    users: UserCounts
    metrics: Metrics
    answers: Answers
    understanding: Understanding
    stores: StoreClients
    model: OwnModel | None
    log: DecisionLog | None
    given: Given

    async def close(self) -> None:
        """Close what the router opened, not what it was given; nothing holds this up for long."""
        self.reader.stop()
        self.understanding.close()
        for closing in self._closing():
            try:
                await within(CLOSE_SECONDS, closing)
            except Exception:
                logger.exception("not_closed")

    def _closing(self) -> Iterator[Coroutine[Any, Any, object]]:
        """In this order: what still writes before what it writes to."""
        given, stores = self.given, self.stores
        yield self.answers.close()
        if self.log is not None:
            yield self.log.close()
        yield self.phases.stop()
        yield stores.close(
            neo4j=given.neo4j_driver is None,
            postgres=given.postgres_conn is None,
            vectors=given.qdrant_client is None,
        )
        if self.model is not None:
            yield self.model.aclose()
        if given.redis_client is None:
            yield self.redis.aclose()


async def assemble(given: Given, settings: Settings, features: Features, metrics: Metrics) -> Parts:
    """Contacts nobody; loads the local models. Raises SettingsError."""
    golden = probes.read(settings.probes.path) if settings.probes.path else []
    llm, model = _llm(settings, metrics)
    models = _models(given, settings, llm)  # may refuse: before anything is opened
    stores = await _stores(given, settings)
    redis = given.redis_client or open_redis(settings.stores.redis_url)
    reader = FlagReader(settings.stores.redis_url, environment=settings.environment)
    phases = Phases(
        FeatureFlags(redis, environment=settings.environment, reader=reader),
        _learner(redis, settings, features),
        features,
        metrics,
    )
    chooser = Chooser(
        warm_start(features.bandit_alpha) if features.enable_adaptive_routing else None
    )
    limits = settings.limits
    postgres = PostgresBackend(stores.postgres)
    guards = [
        Guard(each, metrics, limits.backend_seconds)
        for each in _backends(given, stores, features, postgres)
    ]
    retrieval = Retrieval(guards, features)
    understanding = Understanding(models, features, retrieval.nearest, limits.known_cosine)
    answers = Answers(_cache(redis, settings, features), metrics, limits.cache_seconds)
    parts = PipelineParts(
        understanding, _rewriter(llm, settings, postgres), chooser, retrieval, answers, phases
    )
    return Parts(
        redis=redis,
        reader=reader,
        phases=phases,
        faults=Faults(redis, settings.environment),
        retrieval=retrieval,
        pipeline=Pipeline(parts, features, limits, metrics),
        prober=Prober(golden, understanding, chooser, phases, metrics),
        vitals=Vitals(phases, metrics),
        users=UserCounts(redis, settings.environment, metrics),
        metrics=metrics,
        answers=answers,
        understanding=understanding,
        stores=stores,
        model=model,
        log=_log(stores, settings, features, metrics),
        given=given,
    )


async def _stores(given: Given, settings: Settings) -> StoreClients:
    stores = settings.stores
    vectors = serve_from(given.qdrant_client) if given.qdrant_client else open_vectors(stores)
    return StoreClients(
        neo4j=given.neo4j_driver or open_neo4j(stores),
        neo4j_database=stores.neo4j_database,
        postgres=given.postgres_conn or await open_postgres(stores),
        vectors=vectors,
    )


def _backends(
    given: Given, stores: StoreClients, features: Features, postgres: PostgresBackend
) -> Iterator[Backend]:
    if features.enable_graphrag:
        from router.backends.graph import GraphBackend  # noqa: PLC0415 - optional

        yield GraphBackend(stores.neo4j, stores.neo4j_database)
    if given.graphiti_service is not None:
        yield GraphitiBackend(given.graphiti_service)
    yield postgres
    yield QdrantBackend(stores.vectors)


def _log(
    stores: StoreClients, settings: Settings, features: Features, metrics: Metrics
) -> DecisionLog | None:
    if not features.enable_analytics:
        return None
    return DecisionLog(stores.postgres, settings.environment, settings.analytics, metrics)


def _learner(redis: Redis, settings: Settings, features: Features) -> OnlineLearningRouter:
    return OnlineLearningRouter(
        redis,
        redis_url=settings.stores.redis_url,
        arms=ARMS,
        dimension=DIMENSION,
        environment=settings.environment,
        batch_size=features.online_learning_batch_size,
        learning_rate=features.online_learning_rate,
        alpha=features.bandit_alpha,
        prior=warm_start(features.bandit_alpha),
    )


def _cache(redis: Redis, settings: Settings, features: Features) -> SemanticCache | None:
    if not features.enable_semantic_cache:
        return None
    limits = CacheLimits(
        threshold=features.cache_similarity_threshold,
        ttl_seconds=settings.limits.cache_ttl_seconds,
        entries=settings.limits.cache_entries,
    )
    return SemanticCache(redis, settings.environment, limits)


def _llm(settings: Settings, metrics: Metrics) -> tuple[WatchedModel | None, OwnModel | None]:
    """The watched model, and the client to close; none without a key."""
    model = from_settings(settings.llm, on_usage=counting(metrics))
    return (WatchedModel(model, metrics, settings.llm.timeout) if model else None), model


def _rewriter(
    llm: WatchedModel | None, settings: Settings, postgres: PostgresBackend
) -> QueryRewriter:
    how = RewriteSettings(
        timeout=settings.llm.timeout + LLM_SLACK_SECONDS,
        lexicon=postgres.lexicon,
        on_fallback=llm.unfaithful if llm else None,
    )
    return QueryRewriter(llm, settings=how)


def _models(given: Given, settings: Settings, llm: LanguageModel | None) -> Models:
    embedder = given.embedding_service or LocalEmbedder()
    escalation = Escalation(llm, timeout=settings.llm.timeout + LLM_SLACK_SECONDS) if llm else None
    classifier = _classifier(embedder, settings.intent_model, escalation)
    return Models(embedder, classifier, llm=llm is not None)


def _classifier(
    embedder: Embedder, path: Path | None, escalation: Escalation | None
) -> IntentClassifier:
    """The team's model where one is set; its labels must be the ones we have stores for."""
    try:
        classifier = IntentClassifier.load(embedder, path, escalation=escalation)
    except IntentModelError as error:
        raise SettingsError(f"SLUICE_INTENT_MODEL: {error}") from error
    strange = sorted(set(classifier.intents) - set(INTENTS))
    if strange:
        raise SettingsError(
            f"SLUICE_INTENT_MODEL: {path} has the label {strange[0]!r}; a router knows "
            f"{', '.join(INTENTS)}: train without --own-labels"
        )
    return classifier
