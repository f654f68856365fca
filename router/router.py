"""QueryRouter: the rollout guide's entry point. Constructor parameters are the guide's own."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Unpack

import structlog
from redis.asyncio import Redis

from router.analytics import DecisionRow, PhaseLatency, fetch_latency_breakdown
from router.answer import Answer
from router.assembly import RouterComponents, SuppliedClients, assemble
from router.backends.graphiti import GraphitiService
from router.backends.postgres_pool import PostgresPool
from router.embedding import Embedder
from router.errors import NotReady, StoreUnavailable
from router.features import FeatureParameters, Features
from router.learning import FeedbackReceipt, OnlineLearningRouter, UserFeedback
from router.observability.metrics import UNKNOWN_COHORT, RouterMetrics
from router.observability.trace import open_trace
from router.overload.admission import InFlightLimit
from router.overload.event_loop_lag import EventLoopLag
from router.overload.timeouts import cancel_all
from router.phases.fault_injection import FaultSpec
from router.pipeline.feedback import FeedbackSinks, record_feedback
from router.pipeline.query_metrics import observe_query
from router.pipeline.query_request import QueryRequest
from router.settings import AddressOverrides, Settings
from sluice.flags import FeatureFlags

if TYPE_CHECKING:
    from neo4j import AsyncDriver
    from qdrant_client import AsyncQdrantClient

FLAGS_READY_SECONDS = 3.0
logger = structlog.get_logger(__name__)


class QueryRouter:
    """Routes questions to the stores that can answer them.

    Every parameter is optional: clients that are not passed in are made from ``settings`` (by
    default the process's environment) and closed by ``close``; clients passed in stay the caller's.
    The switches and figures of phases 1 to 4 are those of ``Features``, by the guide's names.
    """

    def __init__(  # noqa: PLR0913 - the guide's own parameters, by its own names
        self,
        *,
        neo4j_driver: "AsyncDriver | None" = None,
        postgres_conn: PostgresPool | None = None,
        qdrant_client: "AsyncQdrantClient | None" = None,
        redis_client: Redis | None = None,
        embedding_service: Embedder | None = None,
        graphiti_service: GraphitiService | None = None,
        openai_api_key: str | None = None,
        anthropic_api_key: str | None = None,
        postgres_dsn: str | None = None,
        neo4j_uri: str | None = None,
        neo4j_user: str | None = None,
        neo4j_password: str | None = None,
        settings: Settings | None = None,
        metrics: RouterMetrics | None = None,
        **features: Unpack[FeatureParameters],
    ) -> None:
        self.metrics = metrics or RouterMetrics()
        self.settings = (settings or Settings.from_environment()).with_overrides(
            AddressOverrides(
                postgres_dsn=postgres_dsn,
                neo4j_uri=neo4j_uri,
                neo4j_user=neo4j_user,
                neo4j_password=neo4j_password,
                openai_api_key=openai_api_key,
                anthropic_api_key=anthropic_api_key,
            )
        )
        self._features = Features(**features)
        self._supplied = SuppliedClients(
            neo4j_driver=neo4j_driver,
            postgres_conn=postgres_conn,
            qdrant_client=qdrant_client,
            redis_client=redis_client,
            embedding_service=embedding_service,
            graphiti_service=graphiti_service,
        )
        self._in_flight = InFlightLimit(self.settings.limits.in_flight)
        self._lag = EventLoopLag()
        self._components: RouterComponents | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def initialize(self) -> None:
        """Load the models, follow the flags, start the background tasks.

        A store that is away does not stop this: answers are degraded until it is back.

        Raises:
            SettingsError: an address or the probe file can't be used.
        """
        if self._components is not None:
            return
        parts = await assemble(self._supplied, self.settings, self._features, self.metrics)
        self._components = parts
        parts.reader.start()
        ready = await asyncio.to_thread(parts.reader.wait_ready, FLAGS_READY_SECONDS)
        if not ready:
            logger.warning("flags_not_read", why="treatments stay off until Redis answers")
        await parts.phases.reconcile()
        self._start_task("lag", self._lag.run(self._adapt_limits))
        self._start_task("phases", parts.phases.run())
        if parts.decision_log is not None:
            self._start_task("analytics", parts.decision_log.run())
        self._start_task("users", parts.user_counter.run())
        self._start_task("vitals", parts.gauges.run())
        self._start_task("probes", parts.prober.run(self.settings.probes.interval_seconds))
        if self.settings.fault_injection:
            self._start_task("faults", parts.faults.run(self._on_fault))

    async def query(  # noqa: PLR0913 - the guide's four and two of the service's
        self,
        query: str,
        user_id: str | None = None,
        session_id: str | None = None,
        limit: int = 10,
        *,
        tenant: str = "default",
        seconds: float | None = None,
    ) -> Answer:
        """Answer a question with at most ``limit`` results, within ``seconds`` if given.

        Raises InvalidQuestion, StoreUnavailable (every store failed), TimeoutError, Late (``seconds``
        was short), Overloaded, NotReady.
        """
        parts = self._require_components()
        assigned = parts.phases.assign(user_id)
        fault = parts.faults.for_cohort(assigned.cohort)
        request = QueryRequest(
            query, user_id, session_id, limit, tenant, seconds, assigned.counted_user
        )
        with (
            open_trace() as trace,
            observe_query(self.metrics, parts.user_counter, assigned, trace, seconds) as observed,
            self._in_flight.admit(),
        ):
            answer = await parts.pipeline.answer(request, assigned.cohort, fault)
            observed.record_answer(answer)
        if parts.decision_log is not None:
            parts.decision_log.record_decision(DecisionRow(answer, tenant))
        return answer

    def should_shed(self) -> bool:
        """Whether to turn a query away unread, which costs next to nothing, and count that."""
        if not self._lag.should_shed():
            return False
        self.metrics.refused.labels(UNKNOWN_COHORT, "overload").inc()
        return True

    async def record_feedback(
        self, feedback: UserFeedback, *, complaint: bool = False
    ) -> FeedbackReceipt:
        """Take what a user made of an answer; durable when it returns.

        Raises UnknownDecision, Overloaded, NotReady.
        """
        parts = self._require_components()
        recorded = await record_feedback(
            feedback,
            FeedbackSinks(
                parts.phases.epoch, parts.phases.learner_client, parts.user_counter, self.metrics
            ),
            complaint=complaint,
        )
        if parts.decision_log is not None and recorded.is_new:
            parts.decision_log.record_outcome(recorded.to_logged_outcome(feedback))
        return recorded.receipt

    async def get_latency_breakdown(
        self, *, hours: float = 24.0, cohort: str | None = None
    ) -> dict[str, PhaseLatency]:
        """Where the time of recent queries went, phase by phase, over all router processes.

        Raises what the database's driver raises; empty when nothing was logged.
        """
        pool = self._require_components().stores.postgres
        return await fetch_latency_breakdown(
            pool, self.settings.environment, seconds=hours * 3600, cohort=cohort
        )

    async def close(self) -> None:
        """Stop the background tasks and close what this router opened."""
        await cancel_all(self._tasks)
        self._tasks = []
        parts, self._components = self._components, None
        if parts is not None:
            await parts.close()

    async def health(self) -> dict[str, str]:
        """Each store's state: ``ok`` or why not."""
        backends = self._require_components().retrieval.backends

        async def state(name: str) -> str:
            try:
                await backends[name].health()
            except StoreUnavailable as error:
                return error.reason
            return "ok"

        states = await asyncio.gather(*(state(name) for name in backends))
        return dict(zip(backends, states, strict=True))

    @property
    def feature_flags(self) -> FeatureFlags | None:
        """The guide's flag manager; None while feature flags are off (stage 1)."""
        parts = self._components
        return parts.phases.flags if parts and parts.phases.effective_switches().flags else None

    @property
    def online_learning_router(self) -> OnlineLearningRouter | None:
        """The online learner while it runs (from stage 3 on)."""
        return self._components.phases.learner if self._components else None

    @property
    def components(self) -> RouterComponents:
        """The assembled parts, for the service. Raises NotReady before ``initialize``."""
        return self._require_components()

    def _require_components(self) -> RouterComponents:
        if self._components is None:
            raise NotReady("the router is not initialised: await router.initialize()")
        return self._components

    def _on_fault(self, fault: FaultSpec | None) -> None:
        """The learner really stops consuming under the fault ``queue``."""
        queue = self._require_components().phases.learner_client
        if fault is not None and fault.kind == "queue":
            queue.pause()
        else:
            queue.resume()

    def _adapt_limits(self) -> None:
        self.metrics.loop_lag_seconds.set(self._lag.seconds)
        turns = self.components.pipeline.limiter
        turns.adapt(busy=self._lag.is_busy)
        self.metrics.searches_allowed.set(turns.capacity)

    def _start_task(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=f"router-{name}"))
