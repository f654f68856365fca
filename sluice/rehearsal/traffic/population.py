"""Users: a few ask most of the questions, they come in spells, and each stays in its cohort.

Request-level statistics break on such users (DESIGN.md §6), so a rehearsal has to have them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.rehearsal.arrays import Floats

_PARETO_SHAPE = 1.5  # Pareto exponent of how much a user asks
_LARGEST_SHARE = 0.01
_BURSTINESS = 0.5  # gamma shape of a user's activity in one spell: below 1, mostly nothing
_ERROR_SPREAD, _SLOW_SPREAD = 0.5, 0.12


@dataclass(frozen=True)
class CohortTraffic:
    """One cohort by spell: its share of all traffic, and what its active users are like.

    ``errors`` and ``slow`` are relative to the average user: a factor, and a shift of log time.
    """

    volume: Floats
    error_factor: Floats
    latency_shift: Floats
    active_users: Floats


@dataclass(frozen=True)
class UserActivity:
    """How much of all traffic each user is in each spell, and whether with treatment."""

    volume: Floats
    treated: NDArray[np.bool_]

    def slice_windows(self, begin: int, end: int) -> "UserActivity":
        """The spells from ``begin`` to before ``end``."""
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
        """Control and treatment in spells whose percentages are given: monotone, as the flag is."""
        activity = rng.gamma(_BURSTINESS, 1 / _BURSTINESS, (len(percentages), len(self._weight)))
        asked = activity * self._weight
        treated = self._bucket < percentages[:, None]
        control, treatment = (self._aggregate(asked * one, activity) for one in (~treated, treated))
        return control, treatment, UserActivity(asked, treated)

    def _aggregate(self, asked: Floats, activity: Floats) -> CohortTraffic:
        volume = asked.sum(axis=1)
        safe = np.maximum(volume, 1e-12)
        busy = (asked > 0) & (activity > 0.05)  # noqa: PLR2004  less than a question in a spell
        return CohortTraffic(
            volume=volume,
            error_factor=asked @ self.error_factors / safe,
            latency_shift=asked @ self.latency_shifts / safe,
            active_users=busy.sum(axis=1).astype(float),
        )
