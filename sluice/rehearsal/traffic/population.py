"""The population: few users send most queries, in windows of activity, and keep their cohort.

Request-level tests give false alarms on such users (docs/statistics.md), so a rehearsal needs them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.rehearsal.arrays import Floats

_PARETO_SHAPE = 1.5  # Pareto exponent of the queries per user
_LARGEST_SHARE = 0.01
_BURSTINESS = 0.5  # gamma shape of a user's activity in one window; below 1, mostly none
_ERROR_SPREAD, _SLOW_SPREAD = 0.5, 0.12


@dataclass(frozen=True)
class CohortTraffic:
    """One cohort by window: its share of traffic and the traits of its active users.

    ``latency_shift`` is a shift of log time. Both it and ``error_factor`` are relative to the average user.
    """

    volume: Floats
    error_factor: Floats
    latency_shift: Floats
    active_users: Floats


@dataclass(frozen=True)
class UserActivity:
    """Each user's share of traffic in each window, and the treatment."""

    volume: Floats
    treated: NDArray[np.bool_]

    def slice_windows(self, begin: int, end: int) -> "UserActivity":
        """Return the windows from ``begin`` to before ``end``."""
        return UserActivity(self.volume[begin:end], self.treated[begin:end])


class Population:
    """A population; the same seed gives the same users in the same buckets."""

    def __init__(self, users: int, rng: np.random.Generator) -> None:
        weight = rng.pareto(_PARETO_SHAPE, users) + 1
        weight = np.minimum(weight / weight.sum(), _LARGEST_SHARE)
        self._weight = weight / weight.sum()
        self._bucket = rng.permutation(users) * 100 / users
        self.error_factors = rng.lognormal(-(_ERROR_SPREAD**2) / 2, _ERROR_SPREAD, users)
        self.latency_shifts = rng.normal(0, _SLOW_SPREAD, users)

    def split_by_cohort(
        self, rng: np.random.Generator, percentages: Floats
    ) -> tuple[CohortTraffic, CohortTraffic, UserActivity]:
        """Return control and treatment in windows of these percentages; monotone, like the flag."""
        activity = rng.gamma(_BURSTINESS, 1 / _BURSTINESS, (len(percentages), len(self._weight)))
        demand = activity * self._weight
        treated = self._bucket < percentages[:, None]
        control, treatment = (
            self._aggregate(demand * cohort_mask, activity) for cohort_mask in (~treated, treated)
        )
        return control, treatment, UserActivity(demand, treated)

    def _aggregate(self, demand: Floats, activity: Floats) -> CohortTraffic:
        volume = demand.sum(axis=1)
        nonzero_volume = np.maximum(volume, 1e-12)
        busy = (demand > 0) & (activity > 0.05)  # noqa: PLR2004  less than a question in a spell
        return CohortTraffic(
            volume=volume,
            error_factor=demand @ self.error_factors / nonzero_volume,
            latency_shift=demand @ self.latency_shifts / nonzero_volume,
            active_users=busy.sum(axis=1).astype(float),
        )
