"""Traffic for ``decisions.py``: users one by one, and every counter that a gate could read.

Per run: users with an activity, an error rate, a speed and a taste (``gates_traffic``). Events of a
user are drawn in time; the counters of requests, of first events and of users at risk come from the
same draw, so today's gates and earlier ones see the same rollout.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.support.gates_edges import SPEEDS, Array, share_above_edges
from benchmarks.support.gates_traffic import (
    ERROR_RATE,
    FEEDBACK_SHARE,
    REQUESTS_PER_HOUR,
    REWARD,
    REWARD_SIGMA,
    USER_EDGES,
    HourlyPattern,
    SimulatedUsers,
    TrafficScenario,
    draw_users,
)
from sluice.flags.service.user_record import (
    BATCH_SIZES,
    REQUESTS_COUNTED_MAX,
    USER_FAILURE_STRATA,
    shrinkage,
)

LOG_TIME_SPREAD, USER_SPEED_SPREAD = 0.52, 0.3
"""Standard deviations of log time: of one user's answers, and of users."""
WHITELIST_SHARE, WHITELIST_FAILURES = 0.02, 0.05


@dataclass(frozen=True)
class World:
    """A team's traffic, and the treatment's effect on it.

    ``bot_share``: of all traffic, by one treated user whose requests all fail. ``asks``: how many
    times as much treated users ask. ``missed``: shares of answers not from the cache (treatment,
    control). ``thumbs_up``: rewards are 0 or 1, this share of them 1. ``harmed_share``: of users,
    who alone have the additional errors. ``counts_lost``: how often a day Redis loses its data.
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


@dataclass(frozen=True)
class CohortCounters:
    """One cohort by run and hour: shape (runs, hours, …); the last axis is stratum or moment."""

    requests: Array
    errors: Array
    seen: Array
    first_failures: Array
    failures: Array
    failure_risk: Array
    first_slow: Array
    slow: Array
    slow_risk: Array
    log_times: Array
    rewards: Array


@dataclass(frozen=True)
class RolloutCounters:
    """Both cohorts of one batch of rollouts."""

    share: float
    treatment: CohortCounters
    control: CohortCounters


def draw_rollouts(
    rng: np.random.Generator, world: World, share: float, size: tuple[int, int]
) -> RolloutCounters:
    """Draw ``size`` = (runs, hours) of the world."""
    runs, hours = size
    users = draw_users(rng, runs, share, "sticky")
    clock = HourlyPattern.draw(hours, TrafficScenario(""), rng)
    draw = _Rollouts(rng, world, users, clock)
    return RolloutCounters(share, draw.cohort(treated=True), draw.cohort(treated=False))


class _Rollouts:
    """One batch: every user's events in time, counted by cohort."""

    def __init__(
        self, rng: np.random.Generator, world: World, users: SimulatedUsers, clock: HourlyPattern
    ) -> None:
        self._rng, self._world, self._clock = rng, world, clock
        self._treated = users.treated.copy()
        rate = REQUESTS_PER_HOUR * users.activity
        failing = users.error_rate.copy()
        if world.bot_share:
            self._treated[:, 0], failing[:, 0] = True, 1.0
            rate[:, 0] = REQUESTS_PER_HOUR * world.bot_share
        self._rate = np.where(self._treated, world.asks, 1.0) * rate
        harmed = self._treated & (rng.random(rate.shape) < world.harmed_share)
        added = (world.error_rate - ERROR_RATE) / world.harmed_share
        self._failing = np.minimum(failing + np.where(harmed, added, 0.0), 1.0)
        self._answered = self._rate * np.where(self._treated, *world.missed)
        self._users = users

    def cohort(self, *, treated: bool) -> CohortCounters:
        """Count one cohort."""
        self._mask = self._treated == treated
        errors = self._count_requests(self._rate * self._failing)
        requests = errors + self._count_requests(self._rate * (1 - self._failing))
        if self._world.whitelist and treated:
            mean = REQUESTS_PER_HOUR * WHITELIST_SHARE * self._clock.relative_traffic
            more = self._rng.poisson(mean, requests.shape)
            requests, errors = (
                requests + more,
                errors + self._rng.binomial(more, WHITELIST_FAILURES),
            )
        failures, risk = self._failures()
        first_slow, slow, slow_risk = self._slow(treated=treated)
        return CohortCounters(
            requests=requests,
            errors=errors,
            seen=self._per_hour(self._wait(self._rate)),
            first_failures=failures[..., 0],
            failures=failures,
            failure_risk=risk,
            first_slow=first_slow,
            slow=slow,
            slow_risk=slow_risk,
            log_times=self._log_times(),
            rewards=self._rewards(treated=treated),
        )

    def _wait(self, rate: Array, events: float = 1.0) -> Array:
        """Return the time, in hours of mean traffic, until so many events."""
        with np.errstate(divide="ignore"):
            return np.asarray(self._rng.standard_gamma(events, rate.shape) / rate)

    def _count_requests(self, rate: Array) -> Array:
        total = np.where(self._mask, rate, 0).sum(axis=1)
        mean = total[:, None] * self._clock.relative_traffic
        return np.asarray(self._rng.poisson(mean), dtype=np.float64)

    def _per_hour(self, when: Array, values: Array | None = None) -> Array:
        """Events of the cohort's users by run and hour, or the sum of their values."""
        runs, hours = len(when), len(self._clock.cumulative)
        hour = np.where(self._mask, np.searchsorted(self._clock.cumulative, when), hours)
        place = np.arange(runs)[:, None] * (hours + 1) + hour
        flat = np.bincount(
            place.ravel(),
            None if values is None else values.ravel(),
            minlength=runs * (hours + 1),
        )
        return flat.reshape(runs, hours + 1)[:, :hours].astype(float)

    def _at_risk(self, enter: Array, leave: Array, rate: Array) -> Array:
        """Return requests without the event, of users between entering and leaving, by run and hour."""
        ends = self._clock.cumulative
        passed = [
            ends * np.cumsum(self._per_hour(when, rate), axis=1)
            - np.cumsum(self._per_hour(when, rate * np.where(np.isfinite(when), when, 0)), axis=1)
            for when in (enter, leave)
        ]
        inside = np.diff(passed[0] - passed[1], axis=1, prepend=0.0)
        return self._rng.poisson(np.maximum(inside, 0)).astype(float)

    def _failures(self) -> tuple[Array, Array]:
        """Users at their first, second, fourth and eighth failure, and requests at risk."""
        hits, risks, since, before = [], [], np.zeros(self._rate.shape), 0
        limit = self._wait(self._rate, REQUESTS_COUNTED_MAX)
        for number in USER_FAILURE_STRATA:
            event = since + self._wait(self._rate * self._failing, number - before)
            hits.append(self._per_hour(np.where(event <= limit, event, np.inf)))
            fine = self._rate * (1 - self._failing)
            enter, leave = np.minimum(since, limit), np.minimum(event, limit)
            risks.append(hits[-1] + self._at_risk(enter, leave, fine))
            since, before = event, number
        return np.stack(hits, axis=-1), np.stack(risks, axis=-1)

    def _slow(self, *, treated: bool) -> tuple[Array, Array, Array]:
        """First answers slower than each edge: all, those of users at risk, requests at risk."""
        factors = (self._world.latency_factor, self._world.tail_factor) if treated else (1.0, 1.0)
        above = share_above_edges(USER_EDGES, factors)
        limit = self._wait(self._answered, REQUESTS_COUNTED_MAX)
        first, before = np.full(limit.shape, np.inf), np.zeros(len(SPEEDS))
        everyone, hits, risks = [], [], []
        for edge in range(len(USER_EDGES) - 1, -1, -1):
            rate = self._answered * (above[:, edge] - before)[self._users.speed]
            first, before = np.minimum(first, self._wait(rate)), above[:, edge]
            everyone.append(self._per_hour(first))
            hits.append(self._per_hour(np.where(first <= limit, first, np.inf)))
            fine = self._answered * (1 - above[:, edge])[self._users.speed]
            leave = np.minimum(first, limit)
            risks.append(hits[-1] + self._at_risk(np.zeros(first.shape), leave, fine))
        found = [np.stack(one[::-1], axis=-1) for one in (everyone, hits, risks)]
        return found[0], found[1], found[2]

    def _log_times(self) -> Array:
        """Moments of users' log times at doubling numbers of uncached answers."""
        speed = SPEEDS[self._users.speed] * USER_SPEED_SPREAD
        speed = speed + np.where(self._treated, np.log(self._world.latency_factor), 0.0)
        draws = self._rng.standard_normal((len(BATCH_SIZES), *speed.shape))
        means = [
            speed + LOG_TIME_SPREAD * z / np.sqrt(n)
            for z, n in zip(draws, BATCH_SIZES, strict=True)
        ]
        return self._batch_moments(means, self._answered)

    def _rewards(self, *, treated: bool) -> Array:
        """Moments of users' first rewards."""
        taste = self._users.mean_reward - REWARD + self._mean_reward(treated=treated)
        if self._world.thumbs_up is None:
            value = np.asarray(
                np.clip(taste + REWARD_SIGMA * self._rng.standard_normal(taste.shape), 0, 1)
            )
        else:
            thumbs = self._rng.random(taste.shape) < self._mean_reward(treated=treated)
            value = thumbs.astype(np.float64)
        when = self._wait(self._rate * FEEDBACK_SHARE)
        moments = (None, value, value**2)
        return np.stack([self._per_hour(when, one) for one in moments], axis=-1)

    def _mean_reward(self, *, treated: bool) -> float:
        usual = REWARD if self._world.thumbs_up is None else self._world.thumbs_up
        return usual + (self._world.reward_change if treated else 0.0)

    def _batch_moments(self, means: list[Array], rate: Array) -> Array:
        """Units, sum and sum of squares of the batches' values, each at its last answer."""
        found = np.zeros((*rate.shape[:1], len(self._clock.cumulative), 3))
        when: Array = np.zeros(rate.shape)
        total: Array = np.zeros(rate.shape)
        answers = 0
        for mean, size in zip(means, BATCH_SIZES, strict=True):
            when = when + self._wait(rate, size)
            past = np.asarray(total / max(answers, 1))
            weight = shrinkage(answers)
            value = (mean - weight * past) / (1 - weight)  # as router.users.user_record
            for number, one in enumerate((None, value, value**2)):
                found[..., number] += self._per_hour(when, one)
            total, answers = np.asarray(total + size * mean), answers + size
        return found
