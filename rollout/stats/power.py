"""What a test can see in which time: computed from the plan and the expected traffic, for lint.

At the true rates a bet's wealth grows by a known number per hour on average; the time until the
mixture reaches 1/α follows (Wald's equation; Grünwald, de Heide and Koolen, "Safe testing", JRSS-B
2024). The figure is near the median of simulations (docs/statistics.md).
"""

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from rollout.gate import Model
from rollout.stats.affected import AffectedTest
from rollout.stats.affected import log_ratios as affected_ratios
from rollout.stats.counts import CountTest, log_ratios
from rollout.stats.evidence import Array, Bets, Share
from rollout.stats.means import MeanTest, log_mixture

HOURS_MAX = 24 * 365.0
_BISECTIONS = 60
_MOMENTS, _PER_HOUR = 2_000, 3600
_HOURS_A_DAY = 24
_WORTH_A_DAY = 48


class Traffic(Model):
    """Expected requests per hour of both cohorts, and the treatment's share of users.

    ``users`` is who they come from: each counts once, so in the end there is nobody left to count.
    """

    per_hour: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    share: Share
    users: Annotated[float, Field(gt=0)] = math.inf

    def hit(self, rate: float, part: float, hours: Array) -> Array:
        """How many users of a ``part`` of all have met an event of ``rate`` after ``hours``."""
        events = self.per_hour * part * rate * hours
        if math.isinf(self.users):
            return events
        users = self.users * part
        return np.asarray(-users * np.expm1(-events / users))


class Rates(Model):
    """The control's rate, and the treatment's that is to be seen."""

    control: Share
    treatment: Share


def hours_to_detect(test: CountTest, traffic: Traffic, rates: Rates, alpha: float) -> float:
    """About how many hours until the test rejects; infinite when the margin hides the fault."""
    units = (traffic.per_hour * traffic.share, traffic.per_hour * (1 - traffic.share))
    paid = log_ratios(
        (np.array(units[0] * rates.treatment), np.array(units[0])),
        (np.array(units[1] * rates.control), np.array(units[1])),
        np.array(rates.control),
        test,
    )
    return _hours(float(paid.max()), test.bets, alpha)


def hours_to_detect_affected(
    test: AffectedTest, traffic: Traffic, rates: Rates, alpha: float
) -> float:
    """The same for users, each counted at the first event; infinite when too few are left for it."""
    hours = np.concatenate([[0.0], np.geomspace(1 / _PER_HOUR, HOURS_MAX, _MOMENTS)])
    treatment = np.diff(traffic.hit(rates.treatment, traffic.share, hours))
    control = np.diff(traffic.hit(rates.control, 1 - traffic.share, hours))
    share = np.full(len(treatment), traffic.share)
    wealth = np.cumsum(affected_ratios(treatment, control, share, test), axis=0).max(axis=1)
    enough = np.flatnonzero(wealth >= _needed(test.bets, alpha))
    return float(hours[enough[0] + 1]) if len(enough) else math.inf


def hours_to_detect_mean(test: MeanTest, traffic: Traffic, worse_by: float, alpha: float) -> float:
    """The same for a mean that is worse by ``worse_by`` (in the metric's unit, positive)."""
    lost, share = worse_by - test.margin, traffic.share

    def shown(hours: float) -> bool:
        units = float(traffic.hit(1.0, 1.0, np.array(hours)))
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


def _hours(growth_per_hour: float, bets: Bets, alpha: float) -> float:
    hours = _needed(bets, alpha) / growth_per_hour if growth_per_hour > 0 else math.inf
    return hours if hours <= HOURS_MAX else math.inf


def _needed(bets: Bets, alpha: float) -> float:
    """By how much, as a logarithm, the best alternative's stake must grow."""
    return -math.log(alpha) - math.log((1 - bets.reserve) / len(bets.odds))


def format_hours(hours: float) -> str:
    """``7 hours``, ``9 days``: rounded up."""
    if hours <= 1:
        return "1 hour"
    if hours < _WORTH_A_DAY:
        return f"{math.ceil(hours)} hours"
    return f"{math.ceil(hours / _HOURS_A_DAY)} days"
