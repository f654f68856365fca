"""The Prometheus metrics of a service that uses a flag, each by flag and cohort."""

from __future__ import annotations

from typing import ClassVar
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

from sluice.flags.service.unique_users import (
    DROP_REASONS,
    LATENCY_BUCKETS_SECONDS,
    USER_EDGES_SECONDS,
    Cohort,
)
from sluice.flags.view import FlagView

COHORTS: tuple[Cohort, ...] = ("control", "treatment")
OUTCOMES = ("ok", "error")


class ServiceMetrics:
    """The metric families of one registry; `of` shares them between flags."""

    _by_registry: ClassVar[WeakKeyDictionary[CollectorRegistry, ServiceMetrics]] = (
        WeakKeyDictionary()
    )

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "sluice_requests", "Requests", ["flag", "cohort", "outcome"], registry=registry
        )
        self.request_seconds = Histogram(
            "sluice_request_duration_seconds",
            "Time of a request",
            ["flag", "cohort"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self._add_user_metrics(registry)
        self.lease_age = Gauge(
            "sluice_flag_lease_age_seconds",
            "Since the flags were last confirmed",
            registry=registry,
        )

    def _add_user_metrics(self, registry: CollectorRegistry) -> None:
        """Add the counters of users, each user once in an epoch of the flag."""
        labels = ["flag", "cohort"]
        self.users = Counter("sluice_users", "Users seen", labels, registry=registry)
        self.users_failed = Counter(
            "sluice_users_failed", "Users with a failed request", labels, registry=registry
        )
        self.users_slow = Counter(
            "sluice_users_slow",
            "Users with a request slower than edge",
            [*labels, "edge"],
            registry=registry,
        )
        self.users_score = Summary(
            "sluice_users_score", "Users' first score, 0 to 1", labels, registry=registry
        )
        self.users_score_squares = Counter(
            "sluice_users_score_squares", "Squares of users' first score", labels, registry=registry
        )
        self.users_dropped = Counter(
            "sluice_users_dropped", "Marks of users lost", ["flag", "reason"], registry=registry
        )

    @classmethod
    def of(cls, registry: CollectorRegistry) -> ServiceMetrics:
        """Return the registry's families; create them at the first call."""
        if registry not in cls._by_registry:
            cls._by_registry[registry] = cls(registry)
        return cls._by_registry[registry]


class FlagMetrics:
    """One flag's series; all exist from the start, at zero. A `UserMetrics`."""

    def __init__(self, families: ServiceMetrics, flag: str, view: FlagView) -> None:
        self._families = families
        self._flag = flag
        families.lease_age.set_function(view.lease_age_seconds)
        for reason in DROP_REASONS:
            families.users_dropped.labels(flag, reason)
        for cohort in COHORTS:
            self._initialize_series(cohort)

    def _initialize_series(self, cohort: Cohort) -> None:
        families, flag = self._families, self._flag
        for metric in (
            families.request_seconds,
            families.users,
            families.users_failed,
            families.users_score,
            families.users_score_squares,
        ):
            metric.labels(flag, cohort)
        for outcome in OUTCOMES:
            families.requests.labels(flag, cohort, outcome)
        for edge in USER_EDGES_SECONDS:
            families.users_slow.labels(flag, cohort, f"{edge:g}")

    def count_request(self, cohort: Cohort, seconds: float, *, failed: bool) -> None:
        """Count one request and its time."""
        outcome = "error" if failed else "ok"
        self._families.requests.labels(self._flag, cohort, outcome).inc()
        self._families.request_seconds.labels(self._flag, cohort).observe(seconds)

    def count_seen(self, cohort: Cohort) -> None:
        """Count a user's first request."""
        self._families.users.labels(self._flag, cohort).inc()

    def count_failed(self, cohort: Cohort) -> None:
        """Count a user's first failed request."""
        self._families.users_failed.labels(self._flag, cohort).inc()

    def count_slow(self, cohort: Cohort, edge: str) -> None:
        """Count a user's first request slower than `edge` seconds."""
        self._families.users_slow.labels(self._flag, cohort, edge).inc()

    def count_rated(self, cohort: Cohort, score: float) -> None:
        """Count a user's first score, 0 to 1."""
        self._families.users_score.labels(self._flag, cohort).observe(score)
        self._families.users_score_squares.labels(self._flag, cohort).inc(score**2)

    def count_dropped(self, reason: str, marks: int) -> None:
        """Count marks that were lost."""
        self._families.users_dropped.labels(self._flag, reason).inc(marks)
