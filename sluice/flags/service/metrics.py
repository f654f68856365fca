"""The Prometheus metrics of a service that uses a flag, each by flag and cohort."""

from __future__ import annotations

from typing import ClassVar
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sluice.flags.errors import InvalidFlagError
from sluice.flags.service.cohort_labels import CohortLabels
from sluice.flags.service.counted_user import OTHER_TRAFFIC, Cohort
from sluice.flags.service.user_metrics import LabeledUserMetrics, UserFamilies
from sluice.flags.service.user_record import LATENCY_BUCKETS_SECONDS
from sluice.flags.view import FlagView

OUTCOMES = ("ok", "error")


class ServiceMetrics:
    """The metric families of one registry; `of` shares them between flags.

    `cohort_label` is the label of the cohort.
    """

    _by_registry: ClassVar[WeakKeyDictionary[CollectorRegistry, ServiceMetrics]] = (
        WeakKeyDictionary()
    )

    def __init__(self, registry: CollectorRegistry, cohort_label: str) -> None:
        self.cohort_label = cohort_label
        self.requests = Counter(
            "sluice_requests", "Requests", ["flag", cohort_label, "outcome"], registry=registry
        )
        self.request_seconds = Histogram(
            "sluice_request_duration_seconds",
            "Time of a request",
            ["flag", cohort_label],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self.users = UserFamilies(registry, "sluice", ("flag", cohort_label), "score")
        self.lease_age = Gauge(
            "sluice_flag_lease_age_seconds",
            "Since the flags were last confirmed",
            registry=registry,
        )

    @classmethod
    def of(cls, registry: CollectorRegistry, cohort_label: str) -> ServiceMetrics:
        """Return the registry's families; create them at the first call.

        Raises:
            InvalidFlagError: another flag of the registry has another label for its cohorts.
        """
        if registry not in cls._by_registry:
            cls._by_registry[registry] = cls(registry, cohort_label)
        families = cls._by_registry[registry]
        if families.cohort_label != cohort_label:
            raise InvalidFlagError(
                f"cohort label {cohort_label!r}: the metrics of this registry have "
                f"{families.cohort_label!r}; give each flag the same label, or a registry of its own"
            )
        return families


class FlagMetrics:
    """One flag's series; all exist from the start, at zero. `users`: those of users."""

    def __init__(
        self, families: ServiceMetrics, flag: str, view: FlagView, cohorts: CohortLabels
    ) -> None:
        self.users = LabeledUserMetrics(families.users, (flag,), cohorts)
        self._cohorts = cohorts
        self._families = families
        self._flag = flag
        families.lease_age.set_function(view.lease_age_seconds)
        for cohort in (cohorts.control, cohorts.treatment):
            families.request_seconds.labels(flag, cohort)
            for outcome in OUTCOMES:
                families.requests.labels(flag, cohort, outcome)

    def count_request(self, cohort: Cohort | None, seconds: float, *, failed: bool) -> None:
        """Count one request and its time; None: the request is in no comparison."""
        outcome = "error" if failed else "ok"
        label = OTHER_TRAFFIC if cohort is None else self._cohorts.value(cohort)
        self._families.requests.labels(self._flag, label, outcome).inc()
        self._families.request_seconds.labels(self._flag, label).observe(seconds)
