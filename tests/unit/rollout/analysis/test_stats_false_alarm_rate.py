"""Type-I error by simulation: a look after every block, and false alarms within the stated α."""

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import pytest

from sluice.rollout.analysis.stats.bounded_means import BoundedMeanBlock, BoundedMeanTest
from sluice.rollout.analysis.stats.counts import CountBlock, Counts, CountTest
from sluice.rollout.analysis.stats.e_process import Array
from sluice.rollout.analysis.stats.latency_tail import (
    LatencyTailBlock,
    LatencyTailCounts,
    LatencyTailTest,
)
from sluice.rollout.analysis.stats.means import MeanBlock, MeanTest, Moments
from sluice.rollout.analysis.stats.sample_ratio import SampleRatioBlock, SampleRatioTest
from sluice.rollout.analysis.stats.user_hazards import HazardBlock, HazardCounts, UserHazardTest
from tests.lazy_import import LazyModule

reference = LazyModule("scipy.stats")

ALPHA, RUNS, LOOKS_PER_RUN = 0.05, 300, 40
DrawBlock = Callable[[np.random.Generator], Any]


def moments(values: Array) -> Moments:
    return Moments(units=len(values), total=values.sum(), squares=(values**2).sum())


def _count_block(rng: np.random.Generator) -> CountBlock:
    rate = rng.choice([0.004, 0.02, 0.3], p=[0.8, 0.15, 0.05])  # slow Mondays, outages of both
    made = [Counts(units=n, events=rng.binomial(n, rate)) for n in (60, 1140)]
    return CountBlock(treatment=made[0], control=made[1])


def _tail_block(rng: np.random.Generator) -> LatencyTailBlock:
    test = LatencyTailTest()
    made = []
    for n in (60, 540):
        seconds = rng.lognormal(math.log(0.2), 0.6, n)
        slower = tuple(float((seconds > edge).sum()) for edge in test.edges)
        made.append(LatencyTailCounts(slower=slower, requests=n))
    return LatencyTailBlock(treatment=made[0], control=made[1])


def _mean_block(rng: np.random.Generator) -> MeanBlock:
    made = [moments(np.clip(rng.normal(0.65, 0.25, n), 0, 1)) for n in (40, 360)]
    return MeanBlock(treatment=made[0], control=made[1])


def _user_split(rng: np.random.Generator) -> tuple[int, int]:
    users = rng.poisson(12)
    treatment = int(rng.binomial(users, 0.25))
    return treatment, users - treatment


def _thumbs_block(rng: np.random.Generator) -> BoundedMeanBlock:
    """Few values, nearly all alike: where a normal approximation fails."""
    made = [moments((rng.random(n) < 0.95).astype(np.float64)) for n in (5, 95)]
    return BoundedMeanBlock(treatment=made[0], control=made[1], share=0.05)


def _hazard_block(rng: np.random.Generator) -> HazardBlock:
    made = []
    for n in (60, 540):
        at_risk = (n, n // 10)
        made.append(HazardCounts(users=tuple(rng.binomial(at_risk, (0.02, 0.2))), at_risk=at_risk))
    return HazardBlock(treatment=made[0], control=made[1])


def _group_block(rng: np.random.Generator) -> HazardBlock:
    """Users with and without failures before, and the second failures of both."""
    made = []
    for n in (60, 540):
        at_risk = (n, n // 8, n // 10)
        users = tuple(rng.binomial(at_risk, (0.005, 0.1, 0.2)))
        made.append(HazardCounts(users=users, at_risk=at_risk))
    return HazardBlock(treatment=made[0], control=made[1])


def _ratio_block(rng: np.random.Generator) -> SampleRatioBlock:
    treatment, control = _user_split(rng)
    return SampleRatioBlock(treatment=treatment, control=control, share=0.25)


CASES: dict[str, tuple[Any, DrawBlock]] = {
    "counts": (CountTest(), _count_block),
    "tail": (LatencyTailTest(), _tail_block),
    "means": (MeanTest(), _mean_block),
    "hazards": (UserHazardTest(strata=("1", "2")), _hazard_block),
    "groups": (UserHazardTest(strata=("1", "2"), groups=(0.3, 3.0)), _group_block),
    "thumbs": (BoundedMeanTest(), _thumbs_block),
    "ratio": (SampleRatioTest(), _ratio_block),
}


def _numbers(state: object) -> list[float]:
    if isinstance(state, dict):
        return [number for value in state.values() for number in _numbers(value)]
    if isinstance(state, tuple):
        return [number for value in state for number in _numbers(value)]
    assert isinstance(state, float)
    return [state]


@pytest.mark.parametrize("case", CASES)
def test_many_blocks_at_once_are_the_same_blocks_one_by_one(case: str) -> None:
    """Two weeks of hours, an outage of the treatment among them, from a state that has seen some."""
    test, draw = CASES[case]
    rng = np.random.default_rng(20261128)
    blocks = [draw(rng) for _ in range(336)]
    swapped = blocks[200].model_copy(
        update={"treatment": blocks[200].control, "control": blocks[200].treatment}
    )
    blocks[200:203] = [swapped] * 3
    seen = test.update(test.start(), *blocks[:5])
    singly = reduce(test.update, blocks[5:], seen)
    at_once = test.update(seen, *blocks[5:])
    assert _numbers(at_once.model_dump()) == pytest.approx(_numbers(singly.model_dump()), rel=1e-9)


@pytest.mark.parametrize(
    ("test", "draw", "runs"),
    [
        # At margin 1 the null is exact, so the bound is as tight as it gets.
        (CountTest(margin=1.0), _count_block, 120),
        (LatencyTailTest(margin=1.0), _tail_block, 30),
        (MeanTest(), _mean_block, 100),
        (UserHazardTest(strata=("1", "2")), _hazard_block, 100),
        (UserHazardTest(strata=("1", "2"), groups=(0.3, 3.0)), _group_block, 60),
        (BoundedMeanTest(), _thumbs_block, 60),
        (SampleRatioTest(), _ratio_block, RUNS),
    ],
    ids=["counts", "tail", "means", "hazards", "groups", "thumbs", "ratio"],
)
def test_the_false_alarm_rate_stays_within_alpha(
    test: Any,  # noqa: ANN401  each has its own block and state
    draw: DrawBlock,
    runs: int,
) -> None:
    """Type-I error with a look after every block (its peak is kept): inside the binomial interval of α (99.9 %)."""
    rng = np.random.default_rng(20261124)
    fired = 0
    for _ in range(runs):
        state = test.update(test.start(), *(draw(rng) for _look in range(LOOKS_PER_RUN)))
        judged = test.harm if isinstance(test, MeanTest | BoundedMeanTest) else test.result
        fired += judged(state, ALPHA).rejected
    assert fired <= reference.binom.ppf(0.999, runs, ALPHA), f"{fired} of {runs}"
