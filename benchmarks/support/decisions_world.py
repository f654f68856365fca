"""The worlds of ``decisions.py``, and the counters that a gate could read there."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.gates_edges import Array
from benchmarks.support.gates_traffic import ERROR_RATE
from sluice.flags.service.user_record import (
    FAILURE_GROUPS,
    FEW_BELOW,
    FORECAST_SHAPE,
    MANY_FROM,
)

WEEK_HOURS, DAY_HOURS = 168.0, 24


@dataclass(frozen=True)
class World:
    """A team's traffic, and the treatment's effect on it.

    ``bot_share``: of all traffic, by one treated user whose requests all fail. ``asks``: how many
    times as much treated users ask. ``missed``: shares of answers not from the cache (treatment,
    control). ``thumbs_up``: rewards are 0 or 1, this share of them 1. ``harmed_share``: of users,
    who alone have the additional errors. ``past_hours``: before the rollout, in which users' values
    were kept. ``returns``: how much more those ask whom an earlier step treated. ``resets_daily``:
    the processes restart once a day. ``recounts_daily``: Redis loses the records each day, or a person
    lowers the flag and sets it back. ``resumes_daily``: a person resumes, so the gates begin again.
    """

    name: str
    bot_share: float = 0.0
    whitelist: bool = False
    asks: float = 1.0
    missed: tuple[float, float] = (1.0, 1.0)
    thumbs_up: float | None = None
    error_rate: float = ERROR_RATE
    harmed_share: float = 1.0
    latency_factor: float = 1.0
    tail_factor: float = 1.0
    reward_change: float = 0.0
    past_hours: float = WEEK_HOURS
    returns: float = 1.0
    resets_daily: bool = False
    recounts_daily: bool = False
    resumes_daily: bool = False


@dataclass(frozen=True)
class CohortCounters:
    """One cohort by run and hour: shape (runs, hours, …); the last axis is stratum or moment."""

    requests: Array
    errors: Array
    seen: Array
    new: Array
    first_failures: Array
    failures: Array
    failure_risk: Array
    first_slow: Array
    slow: Array
    slow_risk: Array
    rewards: Array
    mean_log_times: Array
    mean_rewards: Array

    def between(self, first: int, end: int | None) -> "CohortCounters":
        """Return the hours from ``first`` to before ``end``."""
        return CohortCounters(**{f.name: getattr(self, f.name)[:, first:end] for f in fields(self)})


@dataclass(frozen=True)
class RolloutCounters:
    """Both cohorts of one batch of rollouts."""

    share: float
    treatment: CohortCounters
    control: CohortCounters

    def until(self, hour: int) -> "RolloutCounters":
        """Return the hours before ``hour``."""
        cohorts = [one.between(0, hour) for one in (self.treatment, self.control)]
        return RolloutCounters(self.share, *cohorts)


def draw_groups(
    rng: np.random.Generator, mean_requests: Array, failing: Array
) -> NDArray[np.bool_]:
    """Draw the past of users, of shape (runs, users); return a mask of users for each group."""
    failures = rng.poisson(mean_requests * failing)
    requests = failures + rng.poisson(mean_requests * (1 - failing))
    everyone = failures.sum(axis=1) / np.maximum(requests.sum(axis=1), 1)
    usual = requests * everyone[:, None]
    forecast = (failures + FORECAST_SHAPE) / (usual + FORECAST_SHAPE)
    number = np.digitize(forecast, (FEW_BELOW, MANY_FROM))
    return np.stack([number == group for group in range(len(FAILURE_GROUPS))])
