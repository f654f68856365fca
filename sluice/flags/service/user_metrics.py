"""Prometheus counters of users, for the router and for every other service."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Summary
from prometheus_client.metrics import MetricWrapperBase

from sluice.flags.service.cohort_labels import DEFAULT_LABELS, CohortLabels
from sluice.flags.service.counted_user import Cohort
from sluice.flags.service.period_counter import DROP_REASONS, PERIODS, MeanKind, Since
from sluice.flags.service.user_means import SUMS
from sluice.flags.service.user_record import (
    FAILURE_GROUPS,
    USER_EDGES_SECONDS,
    USER_FAILURE_STRATA,
    UserIncrements,
)

COHORTS: tuple[Cohort, ...] = ("control", "treatment")
EDGE_LABELS = tuple(f"{edge:g}" for edge in USER_EDGES_SECONDS)
NTH_LABELS = tuple(f"{nth}" for nth in USER_FAILURE_STRATA)


class UserFamilies:
    """The families `<prefix>_users…`; the last of `labels` is the cohort's, `score` names the reward."""

    def __init__(
        self, registry: CollectorRegistry, prefix: str, labels: tuple[str, ...], score: str
    ) -> None:

        by_since = (*labels, "since")

        def counter(name: str, text: str, *more: str) -> Counter:
            return Counter(f"{prefix}_{name}", text, (*by_since, *more), registry=registry)

        def summary(name: str, text: str) -> Summary:
            return Summary(f"{prefix}_{name}", text, by_since, registry=registry)

        def seen(name: str, text: str) -> Counter:
            return Counter(f"{prefix}_{name}", text, labels, registry=registry)

        self.seen = seen("users", "Users seen")
        self.new = seen("users_new", "Users seen for the first time ever")
        self.failed = counter("users_failed", "Users at their nth failure", "nth", "past")
        self.failed_at_risk = counter(
            "users_failed_at_risk", "Requests of users at risk of their nth failure", "nth", "past"
        )
        self.slow = counter("users_slow", "Users who waited longer than edge", "edge")
        self.slow_at_risk = counter(
            "users_slow_at_risk", "Uncached answers to users who never waited longer", "edge"
        )
        self.means: dict[MeanKind, Counter] = {
            "log_time": counter(
                "users_mean_log_time", "Sums over users' mean log ms of uncached answers", "sum"
            ),
            "reward": counter(
                f"users_mean_{score}", f"Sums over users' mean {score}, 0 to 1", "sum"
            ),
        }
        self.score = summary(f"users_{score}", f"Users' first {score}, 0 to 1")
        self.score_squares = counter(f"users_{score}_squares", f"Squares of users' first {score}")
        self.counted_since = Gauge(
            f"{prefix}_users_counted_since_timestamp_seconds",
            "Since when users are counted; each counts again when it changes",
            labels[:-1],
            registry=registry,
        )
        self.dropped = Counter(
            f"{prefix}_users_dropped",
            "Users not counted, by reason",
            (*labels[:-1], "reason"),
            registry=registry,
        )

    def by_since(self) -> Iterator[MetricWrapperBase]:
        """Yield the families of first scores."""
        yield from (self.score, self.score_squares)


@dataclass(frozen=True)
class LabeledUserMetrics:
    """The families under fixed `labels`. A `UserMetrics`; all series exist from the start, at zero.

    `redis_errors` counts failed calls of Redis as well, where the service has such a counter.
    """

    families: UserFamilies
    labels: tuple[str, ...] = ()
    cohorts: CohortLabels = DEFAULT_LABELS
    redis_errors: Counter | None = None

    def __post_init__(self) -> None:
        families = self.families
        for reason in DROP_REASONS:
            families.dropped.labels(*self.labels, reason)
        for cohort in COHORTS:
            families.seen.labels(*self._labels_of(cohort))
            families.new.labels(*self._labels_of(cohort))
            for period in PERIODS:
                for family in families.by_since():
                    family.labels(*self._labels_of(cohort), period.since)
                for group in FAILURE_GROUPS:
                    self.count_requests(cohort, period.since, UserIncrements(group=group))
                for kind in families.means:
                    self.count_mean(kind, cohort, period.since, [0.0] * len(SUMS))

    def count_seen(self, cohort: Cohort, *, new: bool) -> None:
        """Count a user's first request in the epoch; `new`: the first one ever."""
        labels = self._labels_of(cohort)
        self.families.seen.labels(*labels).inc()
        self.families.new.labels(*labels).inc(int(new))

    def count_requests(self, cohort: Cohort, since: Since, increments: UserIncrements) -> None:
        """Count failures, slow answers, and requests of users at risk of them."""
        families, past = self.families, (increments.group,)
        for family, names, numbers, more in (
            (families.failed, NTH_LABELS, increments.failed, past),
            (families.failed_at_risk, NTH_LABELS, increments.failed_at_risk, past),
            (families.slow, EDGE_LABELS, increments.slow, ()),
            (families.slow_at_risk, EDGE_LABELS, increments.slow_at_risk, ()),
        ):
            for name, number in zip(names, numbers, strict=True):
                family.labels(*self._labels_of(cohort), since, name, *more).inc(number)

    def count_mean(
        self, kind: MeanKind, cohort: Cohort, since: Since, increments: Sequence[float]
    ) -> None:
        """Add to the sums over users' means; `increments` in the order of `SUMS`."""
        for name, increment in zip(SUMS, increments, strict=True):
            self.families.means[kind].labels(*self._labels_of(cohort), since, name).inc(increment)

    def count_rated(self, cohort: Cohort, since: Since, score: float) -> None:
        """Count a user's first score, 0 to 1."""
        self.families.score.labels(*self._labels_of(cohort), since).observe(score)
        self.families.score_squares.labels(*self._labels_of(cohort), since).inc(score**2)

    def set_counted_since(self, seconds: float) -> None:
        """Note the time since which users are counted."""
        gauge = self.families.counted_since
        (gauge.labels(*self.labels) if self.labels else gauge).set(seconds)

    def count_dropped(self, reason: str, users: int) -> None:
        """Count users that were not counted."""
        self.families.dropped.labels(*self.labels, reason).inc(users)
        if reason == "redis" and self.redis_errors is not None:
            self.redis_errors.inc()

    def _labels_of(self, cohort: Cohort) -> tuple[str, ...]:
        return (*self.labels, self.cohorts.value(cohort))
