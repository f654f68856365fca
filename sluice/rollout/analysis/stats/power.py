"""What a test can see in which time: computed from the plan and the expected traffic, for lint.

At the true rates a bet's wealth grows by a known number per hour on average; the time until the
mixture reaches 1/α follows (Wald's equation; Grünwald, de Heide and Koolen, "Safe testing", JRSS-B
2024). The figure is near the median of simulations (docs/statistics.md).
"""

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.stats.affected_users import AffectedUsersTest
from sluice.rollout.analysis.stats.affected_users import affected_log_ratios as affected_ratios
from sluice.rollout.analysis.stats.counts import CountTest, count_log_ratios
from sluice.rollout.analysis.stats.e_process import Array, BettingStrategy, Share
from sluice.rollout.analysis.stats.means import MeanTest, log_mixture

HOURS_MAX = 24 * 365.0
_BISECTIONS = 60
_GRID_POINTS, _SECONDS_PER_HOUR = 2_000, 3600


class TrafficForecast(Model):
    """Expected requests per hour of both cohorts, and the treatment's share of users.

    ``users`` is who they come from: each counts once, so in the end there is nobody left to count.
    """

    per_hour: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    share: Share
    users: Annotated[float, Field(gt=0)] = math.inf

    def users_with_event(self, rate: float, part: float, hours: Array) -> Array:
        """How many users of a ``part`` of all have met an event of ``rate`` after ``hours``."""
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
    return _hours_to_reach(float(paid.max()), test.bets, alpha)


def hours_to_detect_affected(
    test: AffectedUsersTest, traffic: TrafficForecast, rates: CohortRates, alpha: float
) -> float:
    """The same for users, each counted at the first event; infinite when too few are left for it."""
    hours = np.concatenate([[0.0], np.geomspace(1 / _SECONDS_PER_HOUR, HOURS_MAX, _GRID_POINTS)])
    treatment = np.diff(traffic.users_with_event(rates.treatment, traffic.share, hours))
    control = np.diff(traffic.users_with_event(rates.control, 1 - traffic.share, hours))
    share = np.full(len(treatment), traffic.share)
    wealth = np.cumsum(affected_ratios(treatment, control, share, test), axis=0).max(axis=1)
    enough = np.flatnonzero(wealth >= _required_log_growth(test.bets, alpha))
    return float(hours[enough[0] + 1]) if len(enough) else math.inf


def hours_to_detect_mean(
    test: MeanTest, traffic: TrafficForecast, worse_by: float, alpha: float
) -> float:
    """The same for a mean that is worse by ``worse_by`` (in the metric's unit, positive)."""
    lost, share = worse_by - test.margin, traffic.share

    def shown(hours: float) -> bool:
        units = float(traffic.users_with_event(1.0, 1.0, np.array(hours)))
        few = units * min(share, 1 - share) < test.units_min
        enough = _mean_log_e(test, units * share * (1 - share), lost) >= -math.log(alpha)
        return enough and not few

    if lost <= 0 or not shown(HOURS_MAX):
        return math.inf
    low, high = 0.0, HOURS_MAX
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high


def _mean_log_e(test: MeanTest, weight: float, lost: float) -> float:
    spread = np.array(weight * test.deviation**2)
    return float(log_mixture(np.array(weight * lost), spread, test.widths))


def _hours_to_reach(growth_per_hour: float, bets: BettingStrategy, alpha: float) -> float:
    hours = _required_log_growth(bets, alpha) / growth_per_hour if growth_per_hour > 0 else math.inf
    return hours if hours <= HOURS_MAX else math.inf


def _required_log_growth(bets: BettingStrategy, alpha: float) -> float:
    """By how much, as a logarithm, the best alternative's stake must grow."""
    return -math.log(alpha) - math.log((1 - bets.reserve) / len(bets.odds))
