"""Forecast in which time a test sees a fault: from the plan and the expected traffic, for lint.

At the true rates a bet's wealth grows by a known number per hour on average; the time until the
mixture reaches 1/α follows (Wald's equation; Grünwald, de Heide and Koolen, "Safe testing", JRSS-B
2024). The figure is near the median of simulations (docs/statistics.md).
"""

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.stats.bounded_means import BoundedMeanTest, log_e_lower_mean
from sluice.rollout.analysis.stats.counts import CountTest, count_log_ratios
from sluice.rollout.analysis.stats.e_process import Array, BettingStrategy, Share
from sluice.rollout.analysis.stats.means import MeanTest, log_mixture
from sluice.rollout.analysis.stats.user_hazards import UserHazardTest
from sluice.rollout.analysis.stats.user_means import UserMeansTest, log_e_worse

HOURS_MAX = 24 * 365.0
REQUESTS_COUNTED_MAX = 128
"""The router counts so many requests of a user in a step (``router/users/user_record.py``)."""
REWARD_MEAN, REWARD_DEVIATION, LOG_TIME_DEVIATION = 0.65, 0.25, 0.55
_WITHIN_TO_BETWEEN = 3.0
USER_VALUES_MAX = 32
"""The router counts so many values of a user in a step (``sluice/flags/service/user_means.py``)."""
_BISECTIONS = 60
_GRID_POINTS, _SECONDS_PER_HOUR = 2_000, 3600


class TrafficForecast(Model):
    """Expected requests per hour of both cohorts, and the treatment's share of users.

    ``users``: how many send them. Each counts with its first requests, so counting ends.
    """

    per_hour: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    share: Share
    users: Annotated[float, Field(gt=0)] = math.inf

    def users_with_event(self, rate: float, part: float, hours: Array) -> Array:
        """Users of a ``part`` of all that have met an event of ``rate`` after ``hours``."""
        events = self.per_hour * part * rate * hours
        if math.isinf(self.users):
            return events
        users = self.users * part
        return np.asarray(-users * np.expm1(-events / users))


class CohortRates(Model):
    """The control's rate, and the treatment's that is to be seen."""

    control: Share
    treatment: Share


def hours_to_detect(
    test: CountTest, traffic: TrafficForecast, rates: CohortRates, alpha: float
) -> float:
    """About how many hours until the test rejects; infinite when the margin hides the fault."""
    units = (traffic.per_hour * traffic.share, traffic.per_hour * (1 - traffic.share))
    paid = count_log_ratios(
        (np.array(units[0] * rates.treatment), np.array(units[0])),
        (np.array(units[1] * rates.control), np.array(units[1])),
        np.array(rates.control),
        test,
    )
    return _hours_to_reach(paid, test.bets, alpha)


def hours_to_detect_hazard(
    test: UserHazardTest, traffic: TrafficForecast, rates: CohortRates, alpha: float
) -> float:
    """Return the same for users at risk; infinite when all of them have been counted before."""
    hours = np.concatenate([[0.0], np.geomspace(1 / _SECONDS_PER_HOUR, HOURS_MAX, _GRID_POINTS)])
    requests = traffic.per_hour * hours
    if not math.isinf(traffic.users):
        limit = traffic.users * REQUESTS_COUNTED_MAX
        requests = -limit * np.expm1(-requests / limit)
    units = [np.diff(requests) * part for part in (traffic.share, 1 - traffic.share)]
    logs = count_log_ratios(
        (units[0] * rates.treatment, units[0]),
        (units[1] * rates.control, units[1]),
        np.full(len(units[0]), rates.control),
        test.stratum_test(),
    )
    needed = _required_log_growth(test.bets, alpha) - math.log(test.parts[0])
    detections = np.flatnonzero((np.cumsum(logs, axis=0) >= needed).any(axis=1))
    return float(hours[detections[0] + 1]) if len(detections) else math.inf


def hours_to_detect_bounded_mean(
    test: BoundedMeanTest, traffic: TrafficForecast, worse_by: float, alpha: float
) -> float:
    """Return the same for users' first rewards that are worse by ``worse_by``."""
    hours = np.geomspace(1 / _SECONDS_PER_HOUR, HOURS_MAX, _GRID_POINTS)
    users = traffic.users_with_event(1.0, 1.0, hours)
    means = (REWARD_MEAN - worse_by, REWARD_MEAN)
    columns = [
        (n, n * mean, n * REWARD_DEVIATION**2)
        for n, mean in zip((users * traffic.share, users * (1 - traffic.share)), means, strict=True)
    ]
    log_es = log_e_lower_mean(columns[0], columns[1], -test.margin, traffic.share)
    detections = np.flatnonzero(log_es >= -math.log(alpha))
    return float(hours[detections[0]]) if len(detections) else math.inf


def hours_to_detect_mean(
    test: MeanTest, traffic: TrafficForecast, worse_by: float, alpha: float
) -> float:
    """Return the same for a mean that is worse by ``worse_by`` (in the metric's unit, positive)."""
    excess, share = worse_by - test.margin, traffic.share

    def is_detected_by(hours: float) -> bool:
        units = float(traffic.users_with_event(1.0, 1.0, np.array(hours)))
        too_few = units * min(share, 1 - share) < test.units_min
        is_detected = _mean_log_e(test, units * share * (1 - share), excess) >= -math.log(alpha)
        return is_detected and not too_few

    if excess <= 0 or not is_detected_by(HOURS_MAX):
        return math.inf
    low, high = 0.0, HOURS_MAX
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_detected_by(middle) else (middle, high)
    return high


def hours_to_detect_user_means(
    test: UserMeansTest, traffic: TrafficForecast, worse_by: float, alpha: float
) -> float:
    """Return the same for a mean of users' own means that is worse by ``worse_by``.

    Nothing is known of users' past. A user's own values have three times the variance between users.
    """
    hours = np.geomspace(1 / _SECONDS_PER_HOUR, HOURS_MAX, _GRID_POINTS)
    values = traffic.per_hour * hours
    users = traffic.users_with_event(1.0, 1.0, hours)
    each = np.minimum(values / users, USER_VALUES_MAX)
    spread = REWARD_DEVIATION if test.higher_is_better else LOG_TIME_DEVIATION
    of_user = spread**2 * (1 / each + 1 / _WITHIN_TO_BETWEEN)
    share = traffic.share
    information = users * share * (1 - share) / of_user
    excess = np.full(information.shape, worse_by - test.margin)
    log_es = log_e_worse(excess, information, test.effect)
    few = users * min(share, 1 - share) < test.users_min
    enough = np.flatnonzero((log_es >= -math.log(alpha)) & ~few)
    return float(hours[enough[0]]) if len(enough) else math.inf


def _mean_log_e(test: MeanTest, weight: float, excess: float) -> float:
    spread = np.array(weight * test.deviation**2)
    return float(log_mixture(np.array(weight * excess), spread, test.widths))


def _hours_to_reach(growth_per_hour: Array, bets: BettingStrategy, alpha: float) -> float:
    growth = np.maximum(growth_per_hour, 1e-12)
    hours = float((_required_log_growth(bets, alpha) / growth).min())
    return hours if hours <= HOURS_MAX else math.inf


def _required_log_growth(bets: BettingStrategy, alpha: float) -> Array:
    """By how much, as a logarithm, each alternative's stake must grow."""
    return -math.log(alpha) - np.array(bets.start().log_stakes)
