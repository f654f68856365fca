"""Chances that a sliding window holds too many events, when a rule is looked at all the time. Pure.

Looks at a sliding window depend on each other, so chances per look cannot be multiplied. The rate at
which a window's count rises to a limit is that of scan statistics: Alm, "On the distribution of scan
statistics of a Poisson process" (1983); for means, its normal limit.
"""

import math

NODES = (
    (-2.856970, 0.01125741),
    (-1.355626, 0.22207592),
    (0.0, 0.53333333),
    (1.355626, 0.22207592),
    (2.856970, 0.01125741),
)
"""Points and weights of Gauss and Hermite for an average over a normal distribution."""
_NEGLIGIBLE = 1e-12


def poisson_at(count: int, mean: float) -> float:
    """Return P(N = count)."""
    if mean <= 0:
        return float(count == 0)
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


def poisson_at_least(count: int, mean: float) -> float:
    """Return P(N ≥ count), summed from the limit outwards until terms are negligible."""
    if count <= 0:
        return 1.0
    above = count > mean
    number = count if above else count - 1
    term = total = poisson_at(number, mean)
    while term > _NEGLIGIBLE * total and number > 0:
        term *= mean / (number + 1) if above else number / mean
        number += 1 if above else -1
        total += term
    return min(1.0, total) if above else max(0.0, 1 - total)


def normal_beyond(z: float) -> float:
    """Return P(Z ≥ z)."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def count_crossings(limit: int, mean: float, window_hours: float) -> float:
    """Return how often an hour a window with ``mean`` events reaches ``limit`` of them."""
    if limit <= 0 or mean >= limit:
        return math.inf
    rate = mean / window_hours
    return (limit - mean) / limit * rate * poisson_at(limit - 1, mean)


def mean_crossings(deviations: float, window_hours: float) -> float:
    """Return how often an hour a window's mean crosses a limit so many standard errors away."""
    if deviations <= 0:
        return math.inf
    density = math.exp(-(deviations**2) / 2) / math.sqrt(2 * math.pi)
    return deviations * density / window_hours
