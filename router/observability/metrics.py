"""The router's Prometheus metrics: exactly the names and labels of docs/metrics.md.

One registry per process (or per test), so two routers in one interpreter do not share counters.
"""

from itertools import product

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    Summary,
)

from router.observability.trace import PHASES
from sluice.flags.service.user_metrics import LabeledUserMetrics, UserFamilies
from sluice.flags.service.user_record import LATENCY_BUCKETS_SECONDS

COHORTS = ("control", "treatment")
INTENTS = ("graph", "temporal", "semantic", "metadata", "out_of_scope")
OUTCOMES = ("ok", "degraded", "error")
REFUSAL_REASONS = ("overload", "quota", "deadline")
UNKNOWN_COHORT = "unknown"
"""Cohort of a query that was refused before its user was read."""
TENANTS_MAX = 100
OTHER_TENANT = "other"
"""The label of all tenants after the first ``TENANTS_MAX``: a label must not grow without bound."""
CACHE_RESULTS = ("exact", "similar", "miss", "bypass", "error")
LLM_OUTCOMES = (
    "ok",
    "timeout",
    "rate_limited",
    "unavailable",
    "rejected",
    "refused",
    "truncated",
    "invalid",
    "unfaithful",
    "skipped",
)
ANALYTICS_DROP_REASONS = ("queue_full", "postgres")
LLM_TOKENS = ("input", "output", "cache_read", "cache_write")
FLAG_BUCKETS_SECONDS = (1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2)


class RouterMetrics:
    """Every metric of one process. Series of known labels exist from the start, at zero."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._add_query_metrics()
        self._add_flag_metrics()
        self._add_user_metrics()
        self._add_learning_metrics()
        self._add_llm_and_analytics_metrics()
        self._initialize_series()

    def _add_query_metrics(self) -> None:
        r = self.registry
        self.queries = Counter(
            "router_queries", "Queries answered", ["cohort", "intent", "outcome"], registry=r
        )
        self.tenant_queries = Counter(
            "router_tenant_queries",
            "Queries answered, by tenant",
            ["cohort", "tenant", "outcome"],
            registry=r,
        )
        self._tenants: set[str] = set()
        self.refused = Counter(
            "router_refused",
            "Queries refused without an error of the router",
            ["cohort", "reason"],
            registry=r,
        )
        self.loop_lag_seconds = Gauge(
            "router_event_loop_lag_seconds", "How late the event loop is", registry=r
        )
        self.searches_allowed = Gauge(
            "router_searches_allowed", "Searches that may run at once", registry=r
        )
        self.query_seconds = Histogram(
            "router_query_duration_seconds",
            "Time of a query in the router",
            ["cohort"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=r,
        )
        self.phase_seconds = Histogram(
            "router_phase_duration_seconds",
            "Time of one phase of a query",
            ["phase"],
            buckets=LATENCY_BUCKETS_SECONDS[::3],
            registry=r,
        )
        self.backend_seconds = Histogram(
            "router_backend_duration_seconds",
            "Time of one search in one backend",
            ["backend"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=r,
        )
        self.cache_requests = Counter(
            "router_cache_requests", "Cache lookups", ["cohort", "result"], registry=r
        )
        self.probes = Counter(
            "router_probe", "Golden questions asked", ["kind", "correct", "cohort"], registry=r
        )
        self.complaints = Counter(
            "router_complaints", "Complaints by users", ["cohort"], registry=r
        )

    def count_query(self, cohort: str, intent: str, tenant: str, outcome: str) -> None:
        """Count a query by its intent, and by its tenant."""
        self.queries.labels(cohort, intent, outcome).inc()
        if tenant not in self._tenants:
            if len(self._tenants) >= TENANTS_MAX:
                tenant = OTHER_TENANT
            else:
                self._tenants.add(tenant)
                self._initialize_tenant(tenant)
        self.tenant_queries.labels(cohort, tenant, outcome).inc()

    def _initialize_tenant(self, tenant: str) -> None:
        """Add the tenant's series at zero, so that its first error counts as an increase later."""
        for cohort, outcome in product(COHORTS, OUTCOMES):
            self.tenant_queries.labels(cohort, tenant, outcome)

    def _add_flag_metrics(self) -> None:
        r = self.registry
        self.flag_evaluation_seconds = Histogram(
            "router_flag_evaluation_seconds",
            "Time to evaluate one flag",
            buckets=FLAG_BUCKETS_SECONDS,
            registry=r,
        )
        self.flag_lease_age_seconds = Gauge(
            "router_flag_lease_age_seconds", "Since flags were last confirmed", registry=r
        )
        self.flag_percentage = Gauge(
            "router_flag_rollout_percentage",
            "Percentage as this process sees it",
            ["flag"],
            registry=r,
        )
        self.redis_errors = Counter(
            "router_redis_errors", "Failed Redis operations of the router", registry=r
        )
        self.redis_memory_bytes = Gauge(
            "router_redis_memory_bytes", "Memory that the flags' Redis uses", registry=r
        )
        self.redis_memory_max_bytes = Gauge(
            "router_redis_memory_max_bytes", "maxmemory of the flags' Redis; 0: none", registry=r
        )

    def _add_user_metrics(self) -> None:
        """Add counters of users' first requests since the flag's percentage last changed."""
        families = UserFamilies(self.registry, "router", ("cohort",), "reward")
        self.users = LabeledUserMetrics(families, redis_errors=self.redis_errors)

    def _add_learning_metrics(self) -> None:
        r = self.registry
        self.feedback = Counter("router_feedback", "Feedback received", ["cohort"], registry=r)
        self.feedback_reward = Summary(
            "router_feedback_reward", "Reward of feedback received, 0 to 1", ["cohort"], registry=r
        )
        self.feedback_queue_size = Gauge(
            "router_feedback_queue_size", "Feedback not yet learned from", registry=r
        )
        self.learner_last_batch = Gauge(
            "router_learner_last_batch_timestamp_seconds", "Last batch learned", registry=r
        )
        self.learner_heartbeat = Gauge(
            "router_learner_heartbeat_timestamp_seconds", "Learner last alive", registry=r
        )
        self.learner_errors = Counter(
            "router_learner_errors", "Errors of the learner task", registry=r
        )
        self.learner_weights_version = Gauge(
            "router_learner_weights_version", "Version of the weights in use", registry=r
        )

    def _add_llm_and_analytics_metrics(self) -> None:
        """Parts a router may run without: the language model and the decision log."""
        r = self.registry
        self.llm_requests = Counter(
            "router_llm_requests", "Requests to the language model", ["outcome"], registry=r
        )
        self.llm_seconds = Histogram(
            "router_llm_duration_seconds",
            "Time of one request to the language model, retries included",
            buckets=LATENCY_BUCKETS_SECONDS[::3],
            registry=r,
        )
        self.llm_tokens = Counter("router_llm_tokens", "Tokens used", ["kind"], registry=r)
        self.llm_cost = Counter(
            "router_llm_cost_usd", "Cost of the language model in US dollars", registry=r
        )
        self.analytics_written = Counter(
            "router_analytics_written", "Decisions written to Postgres", registry=r
        )
        self.analytics_dropped = Counter(
            "router_analytics_dropped", "Decisions dropped, by reason", ["reason"], registry=r
        )
        self.analytics_queue_size = Gauge(
            "router_analytics_queue_size", "Decisions waiting to be written", registry=r
        )

    def _initialize_series(self) -> None:
        for metric, labels in (
            (self.phase_seconds, PHASES),
            (self.llm_requests, LLM_OUTCOMES),
            (self.llm_tokens, LLM_TOKENS),
            (self.analytics_dropped, ANALYTICS_DROP_REASONS),
        ):
            for label in labels:
                metric.labels(label)
        for cohort, reason in product((*COHORTS, UNKNOWN_COHORT), REFUSAL_REASONS):
            self.refused.labels(cohort, reason)
        for cohort in COHORTS:
            self.query_seconds.labels(cohort)
            self.feedback.labels(cohort)
            self.feedback_reward.labels(cohort)
            self.complaints.labels(cohort)
            for result in CACHE_RESULTS:
                self.cache_requests.labels(cohort, result)
            for intent in INTENTS:
                for outcome in OUTCOMES:
                    self.queries.labels(cohort, intent, outcome)
