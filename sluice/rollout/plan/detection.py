"""The hours that a statistical gate needs to detect a fault, computed from the expected traffic."""

import math

import numpy as np

from sluice.rollout.analysis.statistic import (
    AnyStatistic,
    BoundedMean,
    EventRate,
    LatencyTail,
    MeanValue,
    UserHazards,
    UserMeans,
)
from sluice.rollout.analysis.statistic_adapters import PLAN_ONLY_FIELDS
from sluice.rollout.analysis.stats.bounded_means import BoundedMeanTest, log_e_lower_mean
from sluice.rollout.analysis.stats.counts import CountTest
from sluice.rollout.analysis.stats.latency_tail import LatencyTailTest
from sluice.rollout.analysis.stats.means import MeanTest
from sluice.rollout.analysis.stats.power import (
    HOURS_MAX,
    REWARD_DEVIATION,
    REWARD_MEAN,
    CohortRates,
    TrafficForecast,
    hours_to_detect,
    hours_to_detect_bounded_mean,
    hours_to_detect_hazard,
    hours_to_detect_mean,
    hours_to_detect_user_means,
)
from sluice.rollout.analysis.stats.user_hazards import UserHazardTest
from sluice.rollout.analysis.stats.user_means import UserMeansTest
from sluice.rollout.plan.schema import ExpectedTraffic

REWARD_CHANGE = 0.05
FAILURE_STRATA = frozenset(("1", "2", "4", "8"))
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
            mean_test = MeanTest(**mean.model_dump(exclude=PLAN_ONLY_FIELDS))
            share_rated = traffic.feedback_share if "reward" in mean.units else 1.0
            rates = {"per_hour": comes.per_hour * share_rated}
            rated = (people if mean.per_user else comes).model_copy(update=rates)
            worse_by = mean.margin + mean.tolerance
            change = f"a mean worse by {worse_by:g}"
            return change, hours_to_detect_mean(mean_test, rated, worse_by, alpha)
        case BoundedMean() as bounded:
            rewards = BoundedMeanTest(**bounded.model_dump(exclude=PLAN_ONLY_FIELDS))
            rates = {"per_hour": comes.per_hour * traffic.feedback_share}
            lost_by = bounded.margin + REWARD_CHANGE
            hours = hours_to_detect_bounded_mean(
                rewards, people.model_copy(update=rates), lost_by, alpha
            )
            return f"a mean worse by {lost_by:g}", hours
        case UserMeans() | UserHazards() as counted:
            return _time_to_detect_of_users(counted, people, traffic, alpha)
        case _:
            return None


def _time_to_detect_of_users(
    statistic: UserMeans | UserHazards,
    people: TrafficForecast,
    traffic: ExpectedTraffic,
    alpha: float,
) -> tuple[str, float]:
    if isinstance(statistic, UserMeans):
        return _time_to_detect_user_means(statistic, people, traffic.feedback_share, alpha)
    doubled = CohortRates(control=traffic.error_rate, treatment=min(2 * traffic.error_rate, 0.99))
    return _time_to_detect_hazard(statistic, people, doubled, alpha)


def _time_to_detect_user_means(
    statistic: UserMeans, traffic: TrafficForecast, feedback_share: float, alpha: float
) -> tuple[str, float]:
    """Return the figure of a mean that is worse by the effect that the test is tuned for."""
    test = UserMeansTest(**statistic.model_dump(exclude=PLAN_ONLY_FIELDS))
    part = feedback_share if statistic.higher_is_better else 1.0
    rated = traffic.model_copy(update={"per_hour": traffic.per_hour * part})
    worse_by = statistic.margin + statistic.effect
    return f"a mean worse by {worse_by:g}", hours_to_detect_user_means(test, rated, worse_by, alpha)


def _time_to_detect_hazard(
    statistic: UserHazards, traffic: TrafficForecast, doubled: CohortRates, alpha: float
) -> tuple[str, float]:
    users = UserHazardTest(
        strata=statistic.strata, weights=statistic.weights, margin=statistic.margin
    )
    if set(statistic.strata) & FAILURE_STRATA:
        hours = hours_to_detect_hazard(users, traffic, doubled, alpha)
        return f"a doubling of a {doubled.control:.2%} error rate", hours
    slow = CohortRates(control=SLOW_RATE, treatment=3 * SLOW_RATE)
    return "three times as many of the slowest 1 %", hours_to_detect_hazard(
        users, traffic, slow, alpha
    )


def hours_to_show_non_inferiority(
    statistic: AnyStatistic | None, share: float, traffic: ExpectedTraffic, alpha: float
) -> float:
    """Return the hours until the claim is shown of a treatment that equals control; else infinity."""
    if isinstance(statistic, UserMeans):
        people = TrafficForecast(
            per_hour=traffic.queries_per_day / 24, share=share, users=traffic.users or math.inf
        )
        sound = statistic.model_copy(update={"margin": 0.0, "effect": statistic.tolerance})
        return _time_to_detect_user_means(sound, people, traffic.feedback_share, alpha)[1]
    if not isinstance(statistic, MeanValue | BoundedMean):
        return math.inf
    rated = traffic.feedback_share if "reward" in statistic.units else 1.0
    comes = TrafficForecast(
        per_hour=traffic.queries_per_day / 24 * rated, share=share, users=traffic.users or math.inf
    )
    if isinstance(statistic, MeanValue):
        test = MeanTest(**statistic.model_dump(exclude=PLAN_ONLY_FIELDS))
        return hours_to_detect_mean(test, comes, test.margin + test.tolerance, alpha)
    hours = np.geomspace(1 / 60, HOURS_MAX, 1_000)
    users = comes.users_with_event(1.0, 1.0, hours)
    lost = 1 - REWARD_MEAN  # mirrored: "worse" is a higher mean of what is missing
    treatment, control = (
        (n, n * lost, n * REWARD_DEVIATION**2) for n in (users * share, users * (1 - share))
    )
    log_es = log_e_lower_mean(treatment, control, statistic.tolerance, share)
    enough = np.flatnonzero(log_es >= -math.log(alpha))
    return float(hours[enough[0]]) if len(enough) else math.inf
