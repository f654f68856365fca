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
from rollout.stats.evidence import Bets, Share
from rollout.stats.means import MeanTest, log_mixture

HOURS_MAX = 24 * 365.0
_BISECTIONS = 60
_HOURS_A_DAY = 24
_WORTH_A_DAY = 48


class Traffic(Model):
    """Expected units (requests or users) per hour of both cohorts, and the treatment's share."""

    per_hour: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    share: Share


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
    """The same for newly affected users; exact only while most users are still unaffected."""
    paid = affected_ratios(
        np.array(traffic.per_hour * traffic.share * rates.treatment),
        np.array(traffic.per_hour * (1 - traffic.share) * rates.control),
        np.array(traffic.share),
        test,
    )
    return _hours(float(paid.max()), test.bets, alpha)


def hours_to_detect_mean(test: MeanTest, traffic: Traffic, worse_by: float, alpha: float) -> float:
    """The same for a mean that is worse by ``worse_by`` (in the metric's unit, positive)."""
    weight = traffic.per_hour * traffic.share * (1 - traffic.share)
    lost = worse_by - test.margin
    if lost <= 0 or _mean_log_e(test, weight * HOURS_MAX, lost) < -math.log(alpha):
        return math.inf
    first = test.units_min / (traffic.per_hour * min(traffic.share, 1 - traffic.share))
    low, high = 0.0, HOURS_MAX
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        enough = _mean_log_e(test, weight * middle, lost) >= -math.log(alpha)
        low, high = (low, middle) if enough else (middle, high)
    return max(high, first)


def _mean_log_e(test: MeanTest, weight: float, lost: float) -> float:
    spread = np.array(weight * test.deviation**2)
    return float(log_mixture(np.array(weight * lost), spread, test.widths))


def _hours(growth_per_hour: float, bets: Bets, alpha: float) -> float:
    needed = -math.log(alpha) - math.log((1 - bets.reserve) / len(bets.odds))
    hours = needed / growth_per_hour if growth_per_hour > 0 else math.inf
    return hours if hours <= HOURS_MAX else math.inf


def format_hours(hours: float) -> str:
    """``7 hours``, ``9 days``: rounded up."""
    if hours <= 1:
        return "1 hour"
    if hours < _WORTH_A_DAY:
        return f"{math.ceil(hours)} hours"
    return f"{math.ceil(hours / _HOURS_A_DAY)} days"
