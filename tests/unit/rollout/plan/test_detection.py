"""Times to detection follow from the statistic, its margin and the expected traffic."""

import math

import pytest

from sluice.rollout.analysis.statistic import (
    AnyStatistic,
    MeanValue,
    SampleRatio,
    UserHazards,
    UserMeans,
)
from sluice.rollout.plan.detection import hours_to_show_non_inferiority, time_to_detect
from sluice.rollout.plan.schema import ExpectedTraffic

ALPHA = 0.01
REWARD = MeanValue(
    units='reward_count{c=~"$cohort"}',
    total='reward_sum{c=~"$cohort"}',
    squares='reward_squares{c=~"$cohort"}',
    tolerance=0.05,
)
USERS = UserMeans(sums='w{c=~"$cohort",sum="$sum"}', tolerance=0.05)
SLOW_USERS = UserHazards(
    users='slow{c=~"$cohort",edge="$stratum"}',
    at_risk='slow_at_risk{c=~"$cohort",edge="$stratum"}',
    strata=("0.8", "1.6"),
)


def traffic(per_day: float, users: float | None = None) -> ExpectedTraffic:
    return ExpectedTraffic(queries_per_day=per_day, users=users, feedback_share=0.2)


def hours(statistic: AnyStatistic, per_day: float, users: float | None = None) -> float:
    detection = time_to_detect(statistic, 0.25, traffic(per_day, users), ALPHA)
    assert detection is not None
    return detection[1]


@pytest.mark.parametrize("statistic", [REWARD, SLOW_USERS], ids=["mean", "slow users"])
def test_more_traffic_detects_sooner(statistic: AnyStatistic) -> None:
    assert 0 < hours(statistic, 1e6) < hours(statistic, 1e5) < math.inf


def test_a_users_own_values_end_with_the_users() -> None:
    """Each user is one value, so more queries of the same few users add nothing."""
    per_user = REWARD.model_copy(update={"per_user": True})
    assert hours(per_user, 1e5, users=50) == math.inf
    assert hours(per_user, 1e5) == hours(REWARD, 1e5) < math.inf


def test_slow_answers_are_named_as_the_typical_fault_of_slow_users() -> None:
    detection = time_to_detect(SLOW_USERS, 0.25, traffic(1e6), ALPHA)
    assert detection is not None
    assert detection[0] == "three times as many of the slowest 1 %"


def test_soundness_is_shown_by_means_alone() -> None:
    for mean in (REWARD, USERS):
        shown = hours_to_show_non_inferiority(mean, 0.25, traffic(1e6), ALPHA)
        later = hours_to_show_non_inferiority(mean, 0.25, traffic(1e5), ALPHA)
        assert 0 < shown < later < math.inf
    for statistic in (None, SampleRatio(users='u{c=~"$cohort"}')):
        assert hours_to_show_non_inferiority(statistic, 0.25, traffic(1e6), ALPHA) == math.inf


def test_a_time_without_ratings_is_a_value_of_each_request() -> None:
    """Feedback comes for a part of the requests; a time comes with each of them."""
    seconds = MeanValue(units="n", total="s", squares="q", higher_is_better=False, tolerance=0.05)
    assert hours(seconds, 1e5) < hours(REWARD, 1e5)
