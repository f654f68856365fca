"""The hours that a statistical gate needs to detect a fault, computed from the expected traffic."""

import math

from sluice.rollout.analysis.sequential_gate import PLAN_ONLY_FIELDS
from sluice.rollout.analysis.statistic import (
    AffectedUsers,
    AnyStatistic,
    EventRate,
    LatencyTail,
    MeanValue,
    SlowUsers,
)
from sluice.rollout.analysis.stats.affected_users import AffectedUsersTest
from sluice.rollout.analysis.stats.counts import CountTest
from sluice.rollout.analysis.stats.latency_tail import LatencyTailTest
from sluice.rollout.analysis.stats.means import MeanTest
from sluice.rollout.analysis.stats.power import (
    CohortRates,
    TrafficForecast,
    hours_to_detect,
    hours_to_detect_affected,
    hours_to_detect_mean,
)
from sluice.rollout.analysis.stats.slow_users import SlowUsersTest
from sluice.rollout.plan.schema import ExpectedTraffic

SLOW_RATE = 0.01
"""The share of slow requests in control that the figure assumes: beyond the p99."""


def time_to_detect(
    statistic: AnyStatistic | None, share: float, traffic: ExpectedTraffic, alpha: float
) -> tuple[str, float] | None:
    """Return a typical fault in words and the hours until the gate detects it.

    ``share`` is the treatment's part of all users. None: this statistic has no such figure.
    """
    comes = TrafficForecast(per_hour=traffic.queries_per_day / 24, share=share)
    people = comes.model_copy(update={"users": traffic.users or math.inf})
    doubled = CohortRates(control=traffic.error_rate, treatment=min(2 * traffic.error_rate, 0.99))
    match statistic:
        case EventRate() as rate:
            test = CountTest(margin=rate.margin)
            hours = hours_to_detect(test, comes, doubled, alpha)
            return f"a doubling of a {traffic.error_rate:.2%} error rate", hours
        case LatencyTail() as tail:
            edge = LatencyTailTest(edges=tail.edges, margin=tail.margin).edge_test(tail.edges[-1])
            slow = CohortRates(control=SLOW_RATE, treatment=3 * SLOW_RATE)
            hours = hours_to_detect(edge, comes, slow, alpha / len(tail.edges))
            return "three times as many of the slowest 1 %", hours
        case MeanValue() as mean:
            lost = MeanTest(**mean.model_dump(exclude=PLAN_ONLY_FIELDS))
            rates = {"per_hour": comes.per_hour * traffic.feedback_share}
            rated = (people if mean.per_user else comes).model_copy(update=rates)
            worse_by = mean.margin + mean.tolerance
            change = f"a mean worse by {worse_by:g}"
            return change, hours_to_detect_mean(lost, rated, worse_by, alpha)
        case AffectedUsers() as affected:
            users = AffectedUsersTest(margin=affected.margin)
            hours = hours_to_detect_affected(users, people, doubled, alpha)
            return f"a doubling of a {traffic.error_rate:.2%} error rate", hours
        case SlowUsers() as waits:
            first = SlowUsersTest(edges=waits.edges, margin=waits.margin).edge_test(waits.edges[-1])
            slow = CohortRates(control=SLOW_RATE, treatment=3 * SLOW_RATE)
            hours = hours_to_detect_affected(first, people, slow, alpha / len(waits.edges))
            return "three times as many of the slowest 1 %", hours
        case _:
            return None
