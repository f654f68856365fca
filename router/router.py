"""QueryRouter, the entry point of the library. Its constructor parameters are those of docs/guide.md."""

import asyncio
from typing import TYPE_CHECKING, Unpack

import structlog
from redis.asyncio import Redis

from router.analytics import DecisionRow, PhaseLatency, fetch_latency_breakdown
from router.answer import Answer
from router.assembly import assemble
from router.backends.graphiti import GraphitiService
from router.backends.postgres_pool import PostgresPool
from router.components import RouterComponents, SuppliedClients
from router.embedding import Embedder
from router.errors import NotReady, StoreUnavailable
from router.features import FeatureParameters, Features
from router.learning import FeedbackReceipt, OnlineLearningRouter, UserFeedback
from router.observability.metrics import RouterMetrics
from router.observability.trace import open_trace
from router.overload.timeouts import cancel_all
from router.pipeline.feedback import FeedbackSinks, feedback_age_max_seconds, record_feedback
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
    """Router of questions to the stores that can answer them.

    Every parameter is optional. Clients that are not passed in are created from ``settings`` (by
    default the process's environment) and closed by ``close``; clients passed in stay the caller's.
    ``features`` are the switches and figures of phases 1 to 4, with the guide's names.
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
        self._components: RouterComponents | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def initialize(self) -> None:
        """Load the models, follow the flags, and start the background tasks.

        An unavailable store does not stop this: answers are degraded until it returns.

        Raises:
            RouterSettingsError: an address or the probe file is unusable.
        """
        if self._components is not None:
            return
        components = await assemble(self._supplied, self.settings, self._features, self.metrics)
        self._components = components
        components.reader.start()
        ready = await asyncio.to_thread(components.reader.wait_ready, FLAGS_READY_SECONDS)
        if not ready:
            logger.warning("flags_not_read", reason="treatments stay off until Redis answers")
        await components.phases.reconcile()
        self._tasks = [
            asyncio.create_task(work, name=f"router-{name}")
            for name, work in components.background_work()
        ]

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

        Raises:
            InvalidQuestion: the question is empty or too long.
            DeadlineExceeded: no answer within ``seconds``.
            Overloaded: too many queries.
            StoreUnavailable: every queried store failed.
            TimeoutError: no answer within the router's own deadline.
            NotReady: the router is not initialised.
        """
        components = self._require_components()
        if seconds is not None and seconds >= self.settings.limits.query_seconds:
            seconds = None  # the router's own deadline is earlier
        assignment = components.phases.assign(user_id)
        request = QueryRequest(query, user_id, assignment, limit, tenant, seconds)
        with (
            open_trace() as trace,
            observe_query(self.metrics, components.user_counter, request, trace) as outcome,
            components.admission.admit(),
        ):
            answer = await components.pipeline.answer(request)
            outcome.record_answer(answer)
        if components.decision_log is not None:
            components.decision_log.record_decision(DecisionRow(answer, tenant))
        return answer

    async def record_feedback(
        self, feedback: UserFeedback, *, complaint: bool = False, tenant: str = "default"
    ) -> FeedbackReceipt:
        """Record a user's signals about an answer; they are durable when it returns.

        Raises:
            UnknownQueryId: the query id was not issued to ``tenant``, or too long ago.
            Overloaded: the feedback queue is full.
            NotReady: Redis did not take the feedback, or the router is not initialised.
        """
        components = self._require_components()
        phases = components.phases
        sinks = FeedbackSinks(phases, components.user_counter, self.metrics)
        age_max_seconds = feedback_age_max_seconds(phases.learner_client)
        query_id = components.query_ids.verify(feedback.query_id, tenant, age_max_seconds)
        result = await record_feedback(feedback, query_id, sinks, complaint=complaint)
        if components.decision_log is not None and result.is_new:
            components.decision_log.record_outcome(result.to_logged_outcome(feedback, tenant))
        return result.receipt

    async def get_latency_breakdown(
        self, *, hours: float = 24.0, cohort: str | None = None
    ) -> dict[str, PhaseLatency]:
        """Return the time per phase of recent queries of all processes; empty without a log.

        Raises:
            Exception: the error of the Postgres driver, as it is.
        """
        pool = self._require_components().stores.postgres
        return await fetch_latency_breakdown(
            pool, self.settings.environment, seconds=hours * 3600, cohort=cohort
        )

    async def close(self) -> None:
        """Stop the background tasks and close what this router opened."""
        await cancel_all(self._tasks)
        self._tasks = []
        components, self._components = self._components, None
        if components is not None:
            await components.close()

    async def health(self) -> dict[str, str]:
        """Return ``ok`` or the failure's reason for each store."""
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
        if self._components is None or not self._components.phases.effective_switches().flags:
            return None
        return self._components.phases.flags

    @property
    def online_learning_router(self) -> OnlineLearningRouter | None:
        """The online learner while it runs (from stage 3 on)."""
        return self._components.phases.learner if self._components else None

    @property
    def components(self) -> RouterComponents:
        """The assembled components, for the HTTP service. Raises NotReady before ``initialize``."""
        return self._require_components()

    def _require_components(self) -> RouterComponents:
        if self._components is None:
            raise NotReady("the router is not initialised: await router.initialize()")
        return self._components
