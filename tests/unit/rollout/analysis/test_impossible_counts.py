"""Settings and counts that fit nothing are refused, and too little evidence decides nothing."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from sluice.rollout.analysis.sequential_gate import judge_blocks
from sluice.rollout.analysis.sequential_state import SequentialState
from sluice.rollout.analysis.statistic import UserHazards
from sluice.rollout.analysis.stats import bounded_means
from sluice.rollout.analysis.stats.bounded_means import BoundedMeanBlock, BoundedMeanTest
from sluice.rollout.analysis.stats.counts import Counts
from sluice.rollout.analysis.stats.e_process import BettingStrategy
from sluice.rollout.analysis.stats.latency_tail import (
    LatencyTailBlock,
    LatencyTailCounts,
    LatencyTailTest,
)
from sluice.rollout.analysis.stats.means import MeanBlock, MeanTest, Moments
from sluice.rollout.analysis.stats.user_hazards import UserHazardTest, rate_ratio_interval
from sluice.rollout.analysis.stats.user_means import UserMeansBlock, UserMeansTest, UserSums
from tests.unit.rollout.analysis.test_sequential_gate import (
    SOUND_COUNTS,
    block,
    exposure,
    gate,
    metric,
)


@pytest.mark.parametrize(
    "build",
    [
        lambda: UserHazards(users="u", at_risk="r", strata=("1", "2"), weights=(1.0,)),
        lambda: UserHazardTest(strata=("1", "2"), weights=(1.0,)),
        lambda: BettingStrategy(odds=(1.5, 2), weights=(1.0,)),
    ],
    ids=["statistic", "test", "bets"],
)
def test_weights_are_as_many_as_what_they_weigh(build: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"1 weights for 2 (strata|odds): give one"):
        build()


def test_groups_and_their_matcher_need_each_other() -> None:
    groups = [{"name": "few", "rate": 0.5}]
    grouped, plain = 'x{past=~"$group"}', "x{}"
    for users, given, words in (
        (plain, groups, "need each other"),
        (grouped, [], "need each other"),
        (grouped, groups * 2, "each may be named once"),
    ):
        with pytest.raises(ValueError, match=words):
            UserHazards.model_validate(
                {"users": users, "at_risk": grouped, "strata": ["1"], "groups": given}
            )


def test_counts_at_other_edges_than_the_tests_are_refused() -> None:
    """Counts of another plan's edges would be compared with the wrong ones."""
    test = LatencyTailTest(edges=(0.5, 1.0))
    counts = LatencyTailCounts(slower=(100.0, 50.0, 10.0), requests=500.0)
    with pytest.raises(ValueError, match="counts at 3 edges; the test has 2"):
        test.update(test.start(), LatencyTailBlock(treatment=counts, control=counts))


def test_another_share_needs_another_track() -> None:
    """Users are counted per step: the odds of the share are part of the bet."""
    test, moments = BoundedMeanTest(), Moments(units=100, total=70, squares=60)
    blocks = [BoundedMeanBlock(treatment=moments, control=moments, share=s) for s in (0.05, 0.25)]
    assert test.update(test.start()) == test.start()
    with pytest.raises(ValueError, match=r"share 0\.25 after 0\.05: start a new track"):
        test.update(test.start(), *blocks)


@pytest.mark.parametrize("units", [10.0, 1000.0], ids=["few", "all alike"])
def test_a_mean_without_a_known_spread_decides_nothing(units: float) -> None:
    """Few values, or values that never vary, have no variance to judge by."""
    test, constant = MeanTest(), Moments(units=units, total=units, squares=units)
    worse = Moments(units=units, total=0.0, squares=0.0)
    state = test.update(test.start(), MeanBlock(treatment=worse, control=constant))
    assert test.log_e_harm(state) == 0.0
    assert test.interval(state, 0.01) == (-math.inf, math.inf)


def test_a_search_that_never_meets_its_precision_ends_at_the_same_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bound of Newton's steps is reached, once for few looks and once for many."""
    test = BoundedMeanTest()
    worse, sound = (Moments(units=40, total=40 * m, squares=40 * m**2) for m in (0.3, 0.6))
    blocks = [BoundedMeanBlock(treatment=worse, control=sound, share=0.3)] * 10

    def figures() -> tuple[float, ...]:
        bounded_means._interval.cache_clear()
        state = test.update(test.start(), *blocks)
        return (state.log_peak_harm, test.log_e_harm(state), *test.interval(state, 0.01))

    before = figures()
    monkeypatch.setattr(bounded_means, "_LAST_STEP", 0.0)
    monkeypatch.setattr(bounded_means, "SLACK", 0.0)
    assert figures() == pytest.approx(before, abs=1e-5)


def test_a_rate_ratio_is_bounded_however_many_events() -> None:
    """An interval narrower than the grid's step still holds the ratio; none without events."""
    many = Counts(units=1e12, events=1e9)
    for more in (many, Counts(units=1e12, events=1.005e9)):
        low, high = rate_ratio_interval(more, many, 0.01)
        assert 0.99 < low <= high < 1.01
    nothing = Counts(units=0, events=0)
    assert rate_ratio_interval(nothing, nothing, 0.01) == (0.0, math.inf)


def test_evidence_far_below_zero_stays_finite() -> None:
    """A treatment that is much better gives tiny e-values, which have no plain exponential."""
    rng = np.random.default_rng(5)
    test = UserMeansTest(higher_is_better=True, margin=0.0)

    def sums(mean: float) -> UserSums:
        values = rng.normal(mean, 0.05, 4000)
        return UserSums(
            weight=4000.0,
            value=float(values.sum()),
            square=float((values**2).sum()),
            product=float(values.sum()),
            weight_square=4000.0,
        )

    state = test.update(test.start(), UserMeansBlock(treatment=sums(0.99), control=sums(0.01)))
    assert -math.inf < test.log_e_harm(state) < -5


def test_a_track_that_begins_again_keeps_what_is_known_of_users() -> None:
    """The next track of users' means starts from the sums at the end of the one before."""
    measured = block(SOUND_COUNTS["means"])
    _, first = judge_blocks(gate(), metric("means"), exposure(), [measured])
    again = SequentialState(earlier=first.test_state)
    verdict, _ = judge_blocks(gate(), metric("means"), exposure(again), [])
    assert (verdict.samples, verdict.value) == (500, None)  # known users, no evidence yet
