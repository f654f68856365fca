"""The record of one user in an epoch or an hour, and the counts that more requests add. Pure.

A user's own number of requests is the clock (survival analysis): only the first ones count, so a user
who asks more is not counted more often, and a heavy user does not outweigh others. Failures and slow
answers are here, means of values in `user_means`. `docs/statistics.md` says which test reads which counter.
"""

import math
from bisect import bisect, bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sluice.flags.service.user_means import LOG_TIME

LATENCY_BUCKETS_SECONDS = tuple(round(0.001 * 1.25**exponent, 6) for exponent in range(46))
"""Bucket edges from 1 ms to 23 s, a factor of 1.25 apart: coarser ones hide changes of the tail."""
USER_EDGES_SECONDS = LATENCY_BUCKETS_SECONDS[21:37:3]
"""Edges at which a user counts as slow: 0.11 to 3.1 s, around a p99 of 1 s."""
USER_FAILURE_STRATA = (1, 2, 4, 8)
"""Which failures of a user count; a user is at risk of each from the one before."""
FAILURE_GROUPS = ("few", "usual", "many")
"""Users by what their failures before the rollout forecast, against all users' rate."""
FEW_BELOW, MANY_FROM = 0.6, 1.2
FORECAST_SHAPE = 0.3
"""Of the gamma distribution of users' rates: the smaller, the fewer users have most of the failures."""
REQUESTS_COUNTED_MAX = 128
"""Requests of a user that count in an epoch."""
HOURLY_REQUESTS_COUNTED_MAX = 16
"""Requests of a user that count in an hour."""


@dataclass(frozen=True, slots=True)
class CountedRequest:
    """One request: whether it failed, and its time in seconds unless the cache answered it."""

    failed: bool
    seconds: float | None

    @property
    def log_steps(self) -> int:
        """The logarithm of its milliseconds, at least 0, in hundredths."""
        return round(LOG_TIME.steps * math.log(max((self.seconds or 0.0) * 1000, 1.0)))

    @property
    def slow_edges(self) -> int:
        """The number of edges it exceeded."""
        return bisect_left(USER_EDGES_SECONDS, self.seconds) if self.seconds is not None else 0


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user so far; `slow_edges`: how many edges an answer exceeded."""

    requests: int = 0
    failures: int = 0
    slow_edges: int = 0


@dataclass(frozen=True, slots=True)
class FailureHistory:
    """Requests and failures before the rollout, of one user or of all."""

    requests: int = 0
    failures: int = 0

    def group(self, everyone: "FailureHistory") -> str:
        """Return the user's group among `FAILURE_GROUPS`; without a past it is the usual one."""
        usual = self.requests * everyone.failures / max(everyone.requests, 1)
        forecast = (self.failures + FORECAST_SHAPE) / (usual + FORECAST_SHAPE)
        return FAILURE_GROUPS[bisect((FEW_BELOW, MANY_FROM), forecast)]


def _zeros(strata: Sequence[object]) -> list[int]:
    return [0] * len(strata)


@dataclass(slots=True)
class UserIncrements:
    """Increases of the counters, one number for each stratum. `group`: the user's, of `FAILURE_GROUPS`."""

    group: str = "usual"

    failed: list[int] = field(default_factory=lambda: _zeros(USER_FAILURE_STRATA))
    failed_at_risk: list[int] = field(default_factory=lambda: _zeros(USER_FAILURE_STRATA))
    slow: list[int] = field(default_factory=lambda: _zeros(USER_EDGES_SECONDS))
    slow_at_risk: list[int] = field(default_factory=lambda: _zeros(USER_EDGES_SECONDS))


def count_requests(
    record: UserRecord, requests: Iterable[CountedRequest], requests_max: int
) -> UserIncrements:
    """Count requests in their order, as far as they are among the user's first ones."""
    counted, failures, slow_edges = UserIncrements(), record.failures, record.slow_edges
    for _, request in zip(range(record.requests, requests_max), requests, strict=False):
        failures = _count_failure(failures, request.failed, counted)
        if request.seconds is not None:
            _count_answer(slow_edges, request.slow_edges, counted)
            slow_edges = max(slow_edges, request.slow_edges)
    return counted


def _count_failure(failures: int, failed: bool, counted: UserIncrements) -> int:
    """Count a request of a user, who is at risk of the next failure of the strata."""
    stratum = bisect_left(USER_FAILURE_STRATA, failures + 1)
    if stratum < len(USER_FAILURE_STRATA):
        counted.failed_at_risk[stratum] += 1
        counted.failed[stratum] += failed and failures + 1 == USER_FAILURE_STRATA[stratum]
    return failures + failed


def _count_answer(slow_edges: int, exceeded: int, counted: UserIncrements) -> None:
    """Count an answer at every edge that no earlier answer of the user exceeded."""
    for edge in range(slow_edges, len(USER_EDGES_SECONDS)):
        counted.slow_at_risk[edge] += 1
        counted.slow[edge] += edge < exceeded
