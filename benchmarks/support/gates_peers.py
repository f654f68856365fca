"""Decisions of other tools on the same hours: their published rules, vectorised.

* fixed thresholds: the last hour's error rate above 1 %, p99 above 1 s, mean reward below 0.5 (the
  guide's numbers), at least 20 requests; Argo rolls back at the first failure (``failureLimit`` 0),
  Flagger after five failed checks that success does not reset (``threshold: 5``).
* Kayenta (NetflixACAJudge): Mann–Whitney at 98 % on the last 24 hourly points, "High" when the
  interval's lower end is above 0.25 × |Hodges–Lehmann estimate| (mirrored for reward), outliers kept,
  any metric out of order fails the score (three equal weights: 67 < 75); repeated hourly.
* GrowthBook (gbstats SequentialTwoSidedTTest with its defaults: α = 0.05, tuning parameter 5,000,
  relative difference), per user: share of users with an error, first reward. It has no sequential
  test of quantiles, so latency is left out.
"""

import numpy as np

from benchmarks.support.gates_edges import Array
from benchmarks.support.gates_traffic import EDGES, Cohort, Fired, SimulatedTraffic

SAMPLES_MIN = 20
ERROR_RATE_MAX = 0.01
P99_MAX_SECONDS = 1.0
REWARD_MIN = 0.5
FLAGGER_THRESHOLD = 5
KAYENTA_POINTS = 24
KAYENTA_TOLERANCE = 0.25
Z_98 = 2.3263478740408408
GROWTHBOOK_ALPHA = 0.05
GROWTHBOOK_TUNING = 5_000


def p99(cohort: Cohort) -> Array:
    """``histogram_quantile(0.99, …)`` of each hour: interpolated within the bucket."""
    above = cohort.requests_above_edge / np.maximum(cohort.requests, 1)[..., None]
    rank = (above > 0.01).sum(axis=-1)  # noqa: PLR2004  the p99
    upper = np.minimum(rank, len(EDGES) - 1)
    lower = np.maximum(upper - 1, 0)
    at_upper = np.take_along_axis(above, upper[..., None], -1)[..., 0]
    at_lower = np.where(rank > 0, np.take_along_axis(above, lower[..., None], -1)[..., 0], 1.0)
    part = np.clip((at_lower - 0.01) / np.maximum(at_lower - at_upper, 1e-12), 0, 1)
    start = np.where(rank > 0, EDGES[lower], 0.0)
    return np.asarray(start + part * (EDGES[upper] - start))


def error_rate(cohort: Cohort) -> Array:
    return np.asarray(cohort.errors / np.maximum(cohort.requests, 1))


def argo(traffic: SimulatedTraffic) -> dict[str, Fired]:
    cohort = traffic.treatment
    enough = cohort.requests >= SAMPLES_MIN
    return {
        "errors": enough & (error_rate(cohort) > ERROR_RATE_MAX),
        "latency": enough & (p99(cohort) > P99_MAX_SECONDS),
        "reward": enough & (cohort.mean_reward < REWARD_MIN),
    }


def flagger(traffic: SimulatedTraffic) -> dict[str, Fired]:
    return {
        metric: np.cumsum(failed, axis=1) >= FLAGGER_THRESHOLD
        for metric, failed in argo(traffic).items()
    }


def kayenta(traffic: SimulatedTraffic) -> dict[str, Fired]:
    t, c = traffic.treatment, traffic.control
    return {
        "errors": _mann_whitney_high(error_rate(t), error_rate(c)),
        "latency": _mann_whitney_high(p99(t), p99(c)),
        "reward": _mann_whitney_high(-t.mean_reward, -c.mean_reward),
    }


def _mann_whitney_high(experiment: Array, control: Array) -> Fired:
    """Is the shift's whole 98 % interval above the tolerance? False until there are 24 points."""
    n = KAYENTA_POINTS
    found = np.zeros(experiment.shape, dtype=bool)
    rank = int(np.floor(n * n / 2 - Z_98 * np.sqrt(n * n * (2 * n + 1) / 12)))
    middle = n * n // 2
    for hour in range(n - 1, experiment.shape[1]):
        window = slice(hour - n + 1, hour + 1)
        shifts = experiment[:, window, None] - control[:, None, window]
        flat = shifts.reshape(len(shifts), -1)
        maybe = np.flatnonzero((flat <= 0).sum(axis=1) < rank)  # spares sorting the others
        ranked = np.partition(flat[maybe], (rank - 1, middle), axis=1)
        high = ranked[:, rank - 1] > KAYENTA_TOLERANCE * np.abs(ranked[:, middle])
        found[maybe, hour] = high
    return found


def growthbook(traffic: SimulatedTraffic) -> dict[str, Fired]:
    t, c = traffic.treatment, traffic.control
    users = [np.cumsum(cohort.first_seen, axis=1) for cohort in (t, c)]
    hit = [np.cumsum(cohort.first_errors, axis=1) for cohort in (t, c)]
    rated = [np.cumsum(cohort.reward_moments, axis=1) for cohort in (t, c)]
    shares = [
        _moments(n, np.minimum(k, n), np.minimum(k, n)) for n, k in zip(users, hit, strict=True)
    ]
    rewards = [_moments(*np.moveaxis(cohort, -1, 0)) for cohort in rated]
    return {
        "errors": _sequential_low(shares[0], shares[1]) > 0,
        "reward": _sequential_low(rewards[0], rewards[1], sign=-1) > 0,
    }


Moments = tuple[Array, Array, Array]
"""Units, mean and variance."""


def _moments(units: Array, total: Array, squares: Array) -> Moments:
    safe = np.maximum(units, 2)
    mean = total / safe
    return units, mean, np.maximum(squares - safe * mean**2, 0) / (safe - 1)


def _sequential_low(treatment: Moments, control: Moments, sign: int = 1) -> Array:
    """Lower end of ``sign`` × the relative difference; minus infinity where gbstats says nothing."""
    (n_t, mean_t, var_t), (n_c, mean_c, var_c) = treatment, control
    silent = (mean_c == 0) | (var_t <= 0) | (var_c <= 0) | (n_t < 2) | (n_c < 2)  # noqa: PLR2004
    base = np.where(silent, 1.0, mean_c)
    change = sign * (mean_t - base) / base
    variance = var_c * mean_t**2 / (np.maximum(n_c, 1) * base**4)
    variance = variance + var_t / (np.maximum(n_t, 1) * base**2)
    units = np.maximum(n_t + n_c, 1)
    log_alpha = np.log(GROWTHBOOK_ALPHA)
    rho2 = (-2 * log_alpha + np.log(1 - 2 * log_alpha)) / GROWTHBOOK_TUNING
    grown = units * rho2 + 1
    half = np.sqrt(
        variance * 2 * grown * np.log(np.sqrt(grown) / GROWTHBOOK_ALPHA) / (units * rho2)
    )
    return np.where(silent, -np.inf, change - half)
