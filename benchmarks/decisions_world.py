"""Traffic for ``decisions.py``: hours of two cohorts, drawn once and shown to every judge.

Per run: users with an activity, an error rate, a speed and a taste; each is in the treatment with
probability ``share``, for good. ``even`` users are alike, ``sticky`` ones heavy-tailed: 1 % of them
send a fifth of the requests, and most errors hit few users. Errors are drawn one by one, so requests
that failed and users who failed for the first time come from the same events.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Fired = NDArray[np.bool_]

USERS = 5_000
REQUESTS_PER_HOUR = 1_200
FEEDBACK_SHARE = 0.2
ERROR_RATE = 0.005
MEDIAN_SECONDS = 0.2
SIGMA = 0.6
REWARD = 0.65
REWARD_SIGMA = 0.2
OUTAGE_ERROR_RATE = 0.3
OUTAGE_HOURS = 3
TAIL = 0.03
EDGES = np.array([round(0.001 * 1.25**step, 6) for step in range(20, 40)])
USER_EDGES = EDGES[1::3][:6]
SPEEDS = np.linspace(-3, 3, 25)
"""Classes of users' speeds, in standard deviations."""


@dataclass(frozen=True)
class Scenario:
    """What differs with treatment. ``users``: even or sticky; ``outage``: hits both cohorts."""

    name: str
    users: str = "sticky"
    error_rate: float = ERROR_RATE
    slower: float = 1.0
    tail_slower: float = 1.0
    reward: float = 0.0
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
    slower: Array
    first_slower: Array
    rated: Array
    mean_reward: Array


@dataclass(frozen=True)
class World:
    share: float
    hours: int
    treatment: Cohort
    control: Cohort


@dataclass(frozen=True)
class People:
    """Shape (runs, users). ``activity`` adds up to 1 per run."""

    activity: Array
    error_rate: Array
    speed: NDArray[np.int64]
    taste: Array
    treated: NDArray[np.bool_]


@dataclass(frozen=True)
class Clock:
    """How many times the mean traffic each hour has, and when everything fails."""

    rhythm: Array
    cumulative: Array
    outage: NDArray[np.int64]

    @classmethod
    def of(cls, hours: int, scenario: Scenario, rng: np.random.Generator) -> "Clock":
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


def people(rng: np.random.Generator, runs: int, share: float, users: str) -> People:
    shape = (runs, USERS)
    treated = rng.random(shape) < share
    if users == "even":
        alike = np.full(shape, 1 / USERS)
        middle = np.full(shape, len(SPEEDS) // 2)
        return People(alike, np.full(shape, ERROR_RATE), middle, np.full(shape, REWARD), treated)
    activity = np.minimum(1 + rng.pareto(1.3, shape), 200)
    rate = np.minimum(rng.gamma(0.3, ERROR_RATE / 0.3, shape), 0.5)
    speed = np.abs(SPEEDS[:, None] - rng.normal(size=USERS)[None]).argmin(axis=0)
    taste = REWARD + 0.1 * rng.normal(size=shape)
    activity /= activity.sum(axis=1, keepdims=True)
    rate *= ERROR_RATE / (rate * activity).sum(axis=1, keepdims=True)
    return People(activity, rate, rng.permuted(np.tile(speed, (runs, 1)), axis=1), taste, treated)


def world(
    rng: np.random.Generator, scenario: Scenario, share: float, size: tuple[int, int]
) -> World:
    """Draw ``size`` = (runs, hours) of the scenario."""
    runs, hours = size
    crowd = people(rng, runs, share, scenario.users)
    clock = Clock.of(hours, scenario, rng)
    cohorts = [_cohort(rng, crowd, clock, scenario, treated=which) for which in (True, False)]
    return World(share, hours, *cohorts)


def _cohort(
    rng: np.random.Generator, crowd: People, clock: Clock, scenario: Scenario, *, treated: bool
) -> Cohort:
    inside = crowd.treated == treated
    activity = np.where(inside, crowd.activity, 0)
    extra = scenario.error_rate - ERROR_RATE if treated else 0.0
    errors, first_errors = _errors(rng, activity, np.minimum(crowd.error_rate + extra, 1), clock)
    part = activity.sum(axis=1)
    fine = rng.poisson(REQUESTS_PER_HOUR * part[:, None] * clock.rhythm * (1 - ERROR_RATE - extra))
    requests = errors + fine
    seen, _ = _first(rng, REQUESTS_PER_HOUR * activity, clock)
    shift = scenario.reward if treated else 0.0
    return Cohort(
        errors=errors,
        requests=requests,
        first_errors=first_errors,
        first_seen=seen,
        slower=_slower(rng, requests, _survival(crowd, activity, _latency(scenario, treated))),
        first_slower=_first_slower(rng, crowd, activity, (clock, _latency(scenario, treated))),
        rated=_rated(
            rng, FEEDBACK_SHARE * REQUESTS_PER_HOUR * activity, crowd.taste + shift, clock
        ),
        mean_reward=_mean_reward(
            rng, requests, (activity * crowd.taste).sum(axis=1) / part + shift
        ),
    )


def _errors(
    rng: np.random.Generator, activity: Array, rate: Array, clock: Clock
) -> tuple[Array, Array]:
    """Failed requests, and users who failed for the first time."""
    runs, hours = len(activity), len(clock.rhythm)
    mean = REQUESTS_PER_HOUR * activity * rate
    run, user, hour = _events(rng, mean * hours, np.arange(hours), clock.rhythm)
    if (out := clock.outage).size:
        more = REQUESTS_PER_HOUR * activity * OUTAGE_ERROR_RATE * clock.rhythm[out].sum()
        found = _events(rng, more, out, clock.rhythm[out])
        run, user, hour = (
            np.concatenate(two) for two in zip((run, user, hour), found, strict=True)
        )
    errors = np.bincount(run * hours + hour, minlength=runs * hours).reshape(runs, hours)
    first = np.full(runs * USERS, hours)
    np.minimum.at(first, run * USERS + user, hour)
    return errors.astype(float), _per_hour(first.reshape(runs, USERS), hours)


def _events(
    rng: np.random.Generator, mean: Array, hours: NDArray[np.int64], rhythm: Array
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Runs, users and hours of single events, ``mean`` of them for each run and user."""
    counts = rng.poisson(mean)
    run, user = np.nonzero(counts)
    times = counts[run, user]
    hour = rng.choice(hours, size=int(times.sum()), p=rhythm / rhythm.sum())
    return np.repeat(run, times), np.repeat(user, times), hour


def _first(rng: np.random.Generator, rate: Array, clock: Clock) -> tuple[Array, NDArray[np.int64]]:
    """How many users have their first event in each hour, and every user's hour."""
    with np.errstate(divide="ignore"):
        when = rng.exponential(size=rate.shape) / rate
    hour = np.searchsorted(clock.cumulative, when)
    return _per_hour(hour, len(clock.rhythm)), hour


def _per_hour(hour: NDArray[np.int64], hours: int, weights: Array | None = None) -> Array:
    runs = len(hour)
    place = np.arange(runs)[:, None] * (hours + 1) + hour
    flat = None if weights is None else weights.ravel()
    found = np.bincount(place.ravel(), flat, minlength=runs * (hours + 1))
    return found.reshape(runs, hours + 1)[:, :hours].astype(float)


def _rated(rng: np.random.Generator, rate: Array, taste: Array, clock: Clock) -> Array:
    """Moments of users' first rewards: how many, sum, sum of squares."""
    count, hour = _first(rng, rate, clock)
    value = np.clip(taste + REWARD_SIGMA * rng.normal(size=taste.shape), 0, 1)
    hours = len(clock.rhythm)
    return np.stack(
        [count, _per_hour(hour, hours, value), _per_hour(hour, hours, value**2)], axis=-1
    )


def _mean_reward(rng: np.random.Generator, requests: Array, mean: Array) -> Array:
    """The hour's mean reward over all feedback, as a dashboard shows it."""
    rated = np.maximum(rng.binomial(requests.astype(int), FEEDBACK_SHARE), 1)
    return mean[:, None] + REWARD_SIGMA * rng.normal(size=rated.shape) / np.sqrt(rated)


def _latency(scenario: Scenario, treated: bool) -> tuple[float, float]:
    """By how much everything, and the slowest 3 %, take longer."""
    return (scenario.slower, scenario.tail_slower) if treated else (1.0, 1.0)


def _first_slower(
    rng: np.random.Generator,
    crowd: People,
    activity: Array,
    when: tuple[Clock, tuple[float, float]],
) -> Array:
    """Users who exceed each of ``USER_EDGES`` for the first time, shape (runs, hours, edges).

    The slowest edge is drawn first; the lower ones add the requests between two edges to it.
    """
    clock, latency = when
    above = _above_with(USER_EDGES, latency)
    first = np.full(activity.shape, np.inf)
    found, before = [], np.zeros(len(SPEEDS))
    for edge in range(len(USER_EDGES) - 1, -1, -1):
        rate = REQUESTS_PER_HOUR * activity * (above[:, edge] - before)[crowd.speed]
        with np.errstate(divide="ignore"):
            first = np.minimum(first, rng.exponential(size=rate.shape) / rate)
        before = above[:, edge]
        found.append(_per_hour(np.searchsorted(clock.cumulative, first), len(clock.rhythm)))
    return np.stack(found[::-1], axis=-1)


def _survival(crowd: People, activity: Array, latency: tuple[float, float]) -> Array:
    """P(slower than the edge) in this cohort, shape (runs, edges)."""
    runs = len(activity)
    place = np.arange(runs)[:, None] * len(SPEEDS) + crowd.speed
    flat = np.bincount(place.ravel(), activity.ravel(), minlength=runs * len(SPEEDS))
    weights: Array = flat.reshape(runs, -1) / activity.sum(axis=1, keepdims=True)
    return np.asarray(weights @ _above_with(EDGES, latency))


def _above_with(edges: Array, latency: tuple[float, float]) -> Array:
    """P(slower than the edge) per class of users when everything, or the tail, takes longer."""
    slower, tail_slower = latency
    found = _above(edges / slower)
    if tail_slower > 1:
        found = np.maximum(found, np.minimum(TAIL, _above(edges / tail_slower)))
    return found


def _above(seconds: Array) -> Array:
    """P(slower than ``seconds``) for each class of users, shape (speeds, edges)."""
    spread = 0.3
    own = np.sqrt(SIGMA**2 - spread**2)
    score = (np.log(seconds / MEDIAN_SECONDS)[None] - spread * SPEEDS[:, None]) / own
    # Φ by its logistic approximation (error below 0.0002, Bowling et al. 2009): the shape matters.
    return np.asarray(1 / (1 + np.exp(0.07056 * score**3 + 1.5976 * score)))


def _slower(rng: np.random.Generator, requests: Array, survival: Array) -> Array:
    """Requests above each edge: one draw after the other, from the slower of the last edge."""
    found, left = [], requests.astype(int)
    before = np.ones(len(survival))
    for edge in range(survival.shape[1]):
        part = np.clip(survival[:, edge] / np.maximum(before, 1e-12), 0, 1)
        left = rng.binomial(left, part[:, None])
        found.append(left.astype(float))
        before = survival[:, edge]
    return np.stack(found, axis=-1)
