"""Users: a few ask most of the questions, they come in spells, and each stays in its cohort.

Request-level statistics break on such users (DESIGN.md §6), so a rehearsal has to have them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rehearsal.arrays import Floats

_TAIL = 1.5  # Pareto exponent of how much a user asks
_LARGEST_SHARE = 0.01
_BURSTINESS = 0.5  # gamma shape of a user's activity in one spell: below 1, mostly nothing
_ERROR_SPREAD, _SLOW_SPREAD = 0.5, 0.12


@dataclass(frozen=True)
class Mix:
    """One cohort by spell: its share of all traffic, and what its active users are like.

    ``errors`` and ``slow`` are relative to the average user: a factor, and a shift of log time.
    """

    volume: Floats
    errors: Floats
    slow: Floats
    active_users: Floats


@dataclass(frozen=True)
class Asked:
    """How much of all traffic each user is in each spell, and whether with treatment."""

    volume: Floats
    treated: NDArray[np.bool_]

    def between(self, begin: int, end: int) -> "Asked":
        """The spells from ``begin`` to before ``end``."""
        return Asked(self.volume[begin:end], self.treated[begin:end])


class Crowd:
    """A population; the same seed gives the same users in the same buckets."""

    def __init__(self, users: int, rng: np.random.Generator) -> None:
        weight = rng.pareto(_TAIL, users) + 1
        weight = np.minimum(weight / weight.sum(), _LARGEST_SHARE)
        self._weight = weight / weight.sum()
        self._bucket = rng.permutation(users) * 100 / users
        self.errors = rng.lognormal(-(_ERROR_SPREAD**2) / 2, _ERROR_SPREAD, users)
        self.slow = rng.normal(0, _SLOW_SPREAD, users)

    def mixes(self, rng: np.random.Generator, percentages: Floats) -> tuple[Mix, Mix, Asked]:
        """Control and treatment in spells whose percentages are given: monotone, as the flag is."""
        activity = rng.gamma(_BURSTINESS, 1 / _BURSTINESS, (len(percentages), len(self._weight)))
        asked = activity * self._weight
        treated = self._bucket < percentages[:, None]
        control, treatment = (self._mix(asked * one, activity) for one in (~treated, treated))
        return control, treatment, Asked(asked, treated)

    def _mix(self, asked: Floats, activity: Floats) -> Mix:
        volume = asked.sum(axis=1)
        safe = np.maximum(volume, 1e-12)
        busy = (asked > 0) & (activity > 0.05)  # noqa: PLR2004  less than a question in a spell
        return Mix(
            volume=volume,
            errors=asked @ self.errors / safe,
            slow=asked @ self.slow / safe,
            active_users=busy.sum(axis=1).astype(float),
        )
