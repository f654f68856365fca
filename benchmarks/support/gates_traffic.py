"""Traffic for ``decisions.py``: hours of two cohorts, drawn once and shown to every judge.

Per run: users with an activity, an error rate, a speed and a taste; each is in the treatment with
probability ``share``, for good. ``even`` users are alike, ``sticky`` ones heavy-tailed: 1 % of them
send a fifth of the requests, and most errors hit few users. Errors are drawn one by one, so requests
that failed and users who failed for the first time come from the same events.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.gates_edges import SPEEDS, Array, draw_above_edges, share_above_edges

Fired = NDArray[np.bool_]

USERS = 5_000
REQUESTS_PER_HOUR = 1_200
FEEDBACK_SHARE = 0.2
ERROR_RATE = 0.005
REWARD = 0.65
REWARD_SIGMA = 0.2
OUTAGE_ERROR_RATE = 0.3
OUTAGE_HOURS = 3
EDGES = np.array([round(0.001 * 1.25**step, 6) for step in range(20, 40)])
USER_EDGES = EDGES[1::3][:6]


@dataclass(frozen=True)
class TrafficScenario:
    """The difference of the treatment. ``users``: even or sticky; ``outage``: in both cohorts."""

    name: str
    users: str = "sticky"
    error_rate: float = ERROR_RATE
    latency_factor: float = 1.0
    tail_latency_factor: float = 1.0
    reward_change: float = 0.0
    outage: bool = False


@dataclass(frozen=True)
class Cohort:
    """Per run and hour: shape (runs, hours), ``slower`` with edges, ``rated`` with moments (…, 3).

    ``first_slower`` has the users' edges, ``USER_EDGES``.
    """

    errors: Array
    requests: Array
    first_errors: Array
    first_seen: Array
    requests_above_edge: Array
    first_above_edge: Array
    reward_moments: Array
    mean_reward: Array


@dataclass(frozen=True)
class SimulatedTraffic:
    share: float
    hours: int
    treatment: Cohort
    control: Cohort


@dataclass(frozen=True)
class SimulatedUsers:
    """Shape (runs, users). ``activity`` adds up to 1 per run."""

    activity: Array
    error_rate: Array
    speed: NDArray[np.int64]
    mean_reward: Array
    treated: NDArray[np.bool_]


@dataclass(frozen=True)
class HourlyPattern:
    """Return each hour's traffic relative to the mean, and the outages."""

    relative_traffic: Array
    cumulative: Array
    outage_hours: NDArray[np.int64]

    @classmethod
    def draw(
        cls, hours: int, scenario: TrafficScenario, rng: np.random.Generator
    ) -> "HourlyPattern":
        """Even users come evenly, others by day and week. An outage is the same for everybody."""
        hour = np.arange(hours)
        begin = int(rng.integers(hours // 4, hours // 2))
        outage = hour[begin : begin + OUTAGE_HOURS] if scenario.outage else hour[:0]
        if scenario.users == "even":
            return cls(np.ones(hours), np.cumsum(np.ones(hours)), outage)
        rhythm = 1 + 0.6 * np.sin(2 * np.pi * (hour % 24 - 9) / 24)
        rhythm = rhythm * np.where(hour // 24 % 7 >= 5, 0.6, 1.0)  # noqa: PLR2004  the weekend
        rhythm = rhythm / rhythm.mean()
        return cls(rhythm, np.cumsum(rhythm), outage)


def draw_users(rng: np.random.Generator, runs: int, share: float, users: str) -> SimulatedUsers:
    shape = (runs, USERS)
    treated = rng.random(shape) < share
    if users == "even":
        alike = np.full(shape, 1 / USERS)
        middle = np.full(shape, len(SPEEDS) // 2)
        return SimulatedUsers(
            alike, np.full(shape, ERROR_RATE), middle, np.full(shape, REWARD), treated
        )
    activity = np.minimum(1 + rng.pareto(1.3, shape), 200)
    rate = np.minimum(rng.gamma(0.3, ERROR_RATE / 0.3, shape), 0.5)
    speed = np.abs(SPEEDS[:, None] - rng.normal(size=USERS)[None]).argmin(axis=0)
    taste = REWARD + 0.1 * rng.normal(size=shape)
    activity /= activity.sum(axis=1, keepdims=True)
    rate *= ERROR_RATE / (rate * activity).sum(axis=1, keepdims=True)
    return SimulatedUsers(
        activity, rate, rng.permuted(np.tile(speed, (runs, 1)), axis=1), taste, treated
    )


def draw_traffic(
    rng: np.random.Generator, scenario: TrafficScenario, share: float, size: tuple[int, int]
) -> SimulatedTraffic:
    """Draw ``size`` = (runs, hours) of the scenario."""
    runs, hours = size
    crowd = draw_users(rng, runs, share, scenario.users)
    clock = HourlyPattern.draw(hours, scenario, rng)
    cohorts = [_draw_cohort(rng, crowd, clock, scenario, treated=which) for which in (True, False)]
    return SimulatedTraffic(share, hours, *cohorts)


def _draw_cohort(
    rng: np.random.Generator,
    crowd: SimulatedUsers,
    clock: HourlyPattern,
    scenario: TrafficScenario,
    *,
    treated: bool,
) -> Cohort:
    inside = crowd.treated == treated
    activity = np.where(inside, crowd.activity, 0)
    extra = scenario.error_rate - ERROR_RATE if treated else 0.0
    errors, first_errors = _draw_errors(
        rng, activity, np.minimum(crowd.error_rate + extra, 1), clock
    )
    part = activity.sum(axis=1)
    fine = rng.poisson(
        REQUESTS_PER_HOUR * part[:, None] * clock.relative_traffic * (1 - ERROR_RATE - extra)
    )
    requests = errors + fine
    seen, _ = _first_events(rng, REQUESTS_PER_HOUR * activity, clock)
    shift = scenario.reward_change if treated else 0.0
    return Cohort(
        errors=errors,
        requests=requests,
        first_errors=first_errors,
        first_seen=seen,
        requests_above_edge=draw_above_edges(
            rng, requests, _survival(crowd, activity, _latency_factors(scenario, treated))
        ),
        first_above_edge=_draw_first_above_edge(
            rng, crowd, activity, (clock, _latency_factors(scenario, treated))
        ),
        reward_moments=_draw_reward_moments(
            rng, FEEDBACK_SHARE * REQUESTS_PER_HOUR * activity, crowd.mean_reward + shift, clock
        ),
        mean_reward=_draw_mean_reward(
            rng, requests, (activity * crowd.mean_reward).sum(axis=1) / part + shift
        ),
    )


def _draw_errors(
    rng: np.random.Generator, activity: Array, rate: Array, clock: HourlyPattern
) -> tuple[Array, Array]:
    """Failed requests, and users who failed for the first time."""
    runs, hours = len(activity), len(clock.relative_traffic)
    mean = REQUESTS_PER_HOUR * activity * rate
    run, user, hour = _draw_events(rng, mean * hours, np.arange(hours), clock.relative_traffic)
    if (out := clock.outage_hours).size:
        more = REQUESTS_PER_HOUR * activity * OUTAGE_ERROR_RATE * clock.relative_traffic[out].sum()
        found = _draw_events(rng, more, out, clock.relative_traffic[out])
        run, user, hour = (
            np.concatenate(two) for two in zip((run, user, hour), found, strict=True)
        )
    errors = np.bincount(run * hours + hour, minlength=runs * hours).reshape(runs, hours)
    first = np.full(runs * USERS, hours)
    np.minimum.at(first, run * USERS + user, hour)
    return errors.astype(float), _per_hour(first.reshape(runs, USERS), hours)


def _draw_events(
    rng: np.random.Generator, mean: Array, hours: NDArray[np.int64], rhythm: Array
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Draw runs, users and hours of single events, ``mean`` per run and user."""
    counts = rng.poisson(mean)
    run, user = np.nonzero(counts)
    times = counts[run, user]
    hour = rng.choice(hours, size=int(times.sum()), p=rhythm / rhythm.sum())
    return np.repeat(run, times), np.repeat(user, times), hour


def _first_events(
    rng: np.random.Generator, rate: Array, clock: HourlyPattern
) -> tuple[Array, NDArray[np.int64]]:
    """Return the number of first events in each hour, and every user's hour."""
    with np.errstate(divide="ignore"):
        when = rng.exponential(size=rate.shape) / rate
    hour = np.searchsorted(clock.cumulative, when)
    return _per_hour(hour, len(clock.relative_traffic)), hour


def _per_hour(hour: NDArray[np.int64], hours: int, weights: Array | None = None) -> Array:
    runs = len(hour)
    place = np.arange(runs)[:, None] * (hours + 1) + hour
    flat = None if weights is None else weights.ravel()
    found = np.bincount(place.ravel(), flat, minlength=runs * (hours + 1))
    return found.reshape(runs, hours + 1)[:, :hours].astype(float)


def _draw_reward_moments(
    rng: np.random.Generator, rate: Array, taste: Array, clock: HourlyPattern
) -> Array:
    """Moments of users' first rewards: how many, sum, sum of squares."""
    count, hour = _first_events(rng, rate, clock)
    value = np.clip(taste + REWARD_SIGMA * rng.normal(size=taste.shape), 0, 1)
    hours = len(clock.relative_traffic)
    return np.stack(
        [count, _per_hour(hour, hours, value), _per_hour(hour, hours, value**2)], axis=-1
    )


def _draw_mean_reward(rng: np.random.Generator, requests: Array, mean: Array) -> Array:
    """Return the hour's mean reward over all feedback, as a dashboard shows it."""
    rated = np.maximum(rng.binomial(requests.astype(int), FEEDBACK_SHARE), 1)
    return mean[:, None] + REWARD_SIGMA * rng.normal(size=rated.shape) / np.sqrt(rated)


def _latency_factors(scenario: TrafficScenario, treated: bool) -> tuple[float, float]:
    """By how much everything, and the slowest 3 %, take longer."""
    return (scenario.latency_factor, scenario.tail_latency_factor) if treated else (1.0, 1.0)


def _draw_first_above_edge(
    rng: np.random.Generator,
    crowd: SimulatedUsers,
    activity: Array,
    when: tuple[HourlyPattern, tuple[float, float]],
) -> Array:
    """Users who exceed each of ``USER_EDGES`` for the first time, shape (runs, hours, edges).

    The slowest edge is drawn first; the lower ones add the requests between two edges to it.
    """
    clock, latency = when
    above = share_above_edges(USER_EDGES, latency)
    first = np.full(activity.shape, np.inf)
    found, before = [], np.zeros(len(SPEEDS))
    for edge in range(len(USER_EDGES) - 1, -1, -1):
        rate = REQUESTS_PER_HOUR * activity * (above[:, edge] - before)[crowd.speed]
        with np.errstate(divide="ignore"):
            first = np.minimum(first, rng.exponential(size=rate.shape) / rate)
        before = above[:, edge]
        found.append(
            _per_hour(np.searchsorted(clock.cumulative, first), len(clock.relative_traffic))
        )
    return np.stack(found[::-1], axis=-1)


def _survival(crowd: SimulatedUsers, activity: Array, latency: tuple[float, float]) -> Array:
    """P(slower than the edge) in this cohort, shape (runs, edges)."""
    runs = len(activity)
    place = np.arange(runs)[:, None] * len(SPEEDS) + crowd.speed
    flat = np.bincount(place.ravel(), activity.ravel(), minlength=runs * len(SPEEDS))
    weights: Array = flat.reshape(runs, -1) / activity.sum(axis=1, keepdims=True)
    return np.asarray(weights @ share_above_edges(EDGES, latency))
