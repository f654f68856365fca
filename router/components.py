"""Components of an assembled router, and their end."""

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from redis.asyncio import Redis

from router.analytics import DecisionLog
from router.backends.graphiti import GraphitiService
from router.backends.postgres_pool import PostgresPool
from router.catalog_search.stores import CatalogStores
from router.embedding import Embedder
from router.llm import ClosableModel
from router.overload.admission import AdmissionControl
from router.overload.timeouts import wait_within
from router.phases.fault_injection import FaultWatcher
from router.phases.gauges import GaugeUpdater
from router.phases.phase_switches import PhaseController
from router.pipeline.cached_answers import AnswerCache
from router.pipeline.faulty_pipeline import AnsweringPipeline
from router.pipeline.probes import Prober
from router.pipeline.query_understanding import QueryUnderstanding
from router.pipeline.retrieval import Retrieval
from router.pipeline.warm_up import WarmUp
from router.settings import Settings
from router.store_clients import StoreClients
from router.users.query_ids import QueryIdSigner
from sluice.flags import FlagReader
from sluice.flags.service.unique_users import UniqueUserCounter

if TYPE_CHECKING:
    from neo4j import AsyncDriver
    from qdrant_client import AsyncQdrantClient

CLOSE_SECONDS = 3.0
logger = structlog.get_logger(__name__)


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
    cache_redis: Redis | None
    stores: StoreClients
    reader: FlagReader
    phases: PhaseController
    admission: AdmissionControl
    query_ids: QueryIdSigner
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
    warm_up: WarmUp
    catalog_stores: CatalogStores | None = None

    def background_work(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Yield the name and the work of each background task."""
        yield "warm_up", self.warm_up.run()
        yield "admission", self.admission.run()
        yield "query_ids", self.query_ids.run(self.redis, self.settings.environment)
        yield "phases", self.phases.run()
        yield "users", self.user_counter.run()
        yield "gauges", self.gauges.run()
        yield "probes", self.prober.run(self.settings.probes.interval_seconds)
        if self.decision_log is not None:
            yield "analytics", self.decision_log.run()
        if self.catalog_stores is not None:
            yield "catalog", self.catalog_stores.reader.run()
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
        if self.catalog_stores is not None:
            yield self.catalog_stores.close()
        if self.llm_client is not None:
            yield self.llm_client.aclose()
        if self.cache_redis is not None:
            yield self.cache_redis.aclose()
        if supplied.redis_client is None:
            yield self.redis.aclose()
