"""QueryRouter: the rollout guide's entry point. Constructor parameters are the guide's own."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Unpack

import structlog
from redis.asyncio import Redis

from router.analytics import Logged, PhaseLatency, latency_breakdown
from router.answers import Answer
from router.assembly import Given, Parts, assemble
from router.backends.graphiti import GraphitiService
from router.backends.pool import Pool
from router.embedding import Embedder
from router.errors import NotReady, StoreUnavailable
from router.faults import Fault
from router.feedback import Recording, record
from router.flags import FeatureFlags
from router.lag import Lag
from router.learning import OnlineLearningRouter, Receipt, UserFeedback
from router.metrics import UNREAD, Metrics
from router.observing import observe
from router.options import FeatureParameters, Features
from router.patience import end
from router.pipeline import Request
from router.settings import Addresses, Settings
from router.trace import tracing
from router.turns import Gate

if TYPE_CHECKING:
    from neo4j import AsyncDriver
    from qdrant_client import AsyncQdrantClient

FLAGS_SECONDS = 3.0
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
        postgres_conn: Pool | None = None,
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
        metrics: Metrics | None = None,
        **features: Unpack[FeatureParameters],
    ) -> None:
        self.metrics = metrics or Metrics()
        self.settings = (settings or Settings.from_environment()).with_addresses(
            Addresses(
                postgres_dsn=postgres_dsn,
                neo4j_uri=neo4j_uri,
                neo4j_user=neo4j_user,
                neo4j_password=neo4j_password,
                openai_api_key=openai_api_key,
                anthropic_api_key=anthropic_api_key,
            )
        )
        self._features = Features(**features)
        self._given = Given(
            neo4j_driver=neo4j_driver,
            postgres_conn=postgres_conn,
            qdrant_client=qdrant_client,
            redis_client=redis_client,
            embedding_service=embedding_service,
            graphiti_service=graphiti_service,
        )
        self._gate = Gate(self.settings.limits.in_flight)
        self._lag = Lag()
        self._parts: Parts | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def initialize(self) -> None:
        """Load the models, follow the flags, start the background tasks.

        A store that is away does not stop this: answers are degraded until it is back.

        Raises:
            SettingsError: an address or the probe file can't be used.
        """
        if self._parts is not None:
            return
        parts = await assemble(self._given, self.settings, self._features, self.metrics)
        self._parts = parts
        parts.reader.start()
        ready = await asyncio.to_thread(parts.reader.wait_ready, FLAGS_SECONDS)
        if not ready:
            logger.warning("flags_not_read", why="treatments stay off until Redis answers")
        await parts.phases.apply()
        self._run("lag", self._lag.run(self._adapt))
        self._run("phases", parts.phases.run())
        if parts.log is not None:
            self._run("analytics", parts.log.run())
        self._run("users", parts.users.run())
        self._run("vitals", parts.vitals.run())
        self._run("probes", parts.prober.run(self.settings.probes.interval_seconds))
        if self.settings.fault_injection:
            self._run("faults", parts.faults.run(self._on_fault))

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
        parts = self._ready()
        assigned = parts.phases.assign(user_id)
        fault = parts.faults.for_cohort(assigned.cohort)
        request = Request(query, user_id, session_id, limit, tenant, seconds, assigned.member)
        with (
            tracing() as trace,
            observe(self.metrics, parts.users, assigned, trace, seconds) as observed,
            self._gate.entered(),
        ):
            answer = await parts.pipeline.answer(request, assigned.cohort, fault)
            observed.answered(answer)
        if parts.log is not None:
            parts.log.decided(Logged(answer, tenant))
        return answer

    def refuses(self) -> bool:
        """Whether to turn a query away unread, which costs next to nothing, and count that."""
        if not self._lag.refuses():
            return False
        self.metrics.refused.labels(UNREAD, "overload").inc()
        return True

    async def record_feedback(self, feedback: UserFeedback, *, complaint: bool = False) -> Receipt:
        """Take what a user made of an answer; durable when it returns.

        Raises UnknownDecision, Overloaded, NotReady.
        """
        parts = self._ready()
        recorded = await record(
            feedback,
            Recording(parts.phases.epoch, parts.phases.feedback_queue, parts.users, self.metrics),
            complaint=complaint,
        )
        if parts.log is not None and recorded.news:
            parts.log.came_of_it(recorded.outcome(feedback))
        return recorded.receipt

    async def get_latency_breakdown(
        self, *, hours: float = 24.0, cohort: str | None = None
    ) -> dict[str, PhaseLatency]:
        """Where the time of recent queries went, phase by phase, over all router processes.

        Raises what the database's driver raises; empty when nothing was logged.
        """
        pool = self._ready().stores.postgres
        return await latency_breakdown(
            pool, self.settings.environment, seconds=hours * 3600, cohort=cohort
        )

    async def close(self) -> None:
        """Stop the background tasks and close what this router opened."""
        await end(self._tasks)
        self._tasks = []
        parts, self._parts = self._parts, None
        if parts is not None:
            await parts.close()

    async def health(self) -> dict[str, str]:
        """Each store's state: ``ok`` or why not."""
        backends = self._ready().retrieval.backends

        async def state(name: str) -> str:
            try:
                await backends[name].health()
            except StoreUnavailable as error:
                return error.why
            return "ok"

        states = await asyncio.gather(*(state(name) for name in backends))
        return dict(zip(backends, states, strict=True))

    @property
    def feature_flags(self) -> FeatureFlags | None:
        """The guide's flag manager; None while feature flags are off (stage 1)."""
        parts = self._parts
        return parts.phases.flags if parts and parts.phases.switches().flags else None

    @property
    def online_learning_router(self) -> OnlineLearningRouter | None:
        """The online learner while it runs (from stage 3 on)."""
        return self._parts.phases.learner if self._parts else None

    @property
    def parts(self) -> Parts:
        """The assembled parts, for the service. Raises NotReady before ``initialize``."""
        return self._ready()

    def _ready(self) -> Parts:
        if self._parts is None:
            raise NotReady("the router is not initialised: await router.initialize()")
        return self._parts

    def _on_fault(self, fault: Fault | None) -> None:
        """The learner really stops consuming under the fault ``queue``."""
        queue = self._ready().phases.feedback_queue
        if fault is not None and fault.kind == "queue":
            queue.pause()
        else:
            queue.resume()

    def _adapt(self) -> None:
        self.metrics.loop_lag_seconds.set(self._lag.seconds)
        turns = self.parts.pipeline.turns
        turns.adapt(busy=self._lag.busy)
        self.metrics.searches_allowed.set(turns.allowed)

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=f"router-{name}"))
