"""The benchmark's vectorised judge gives what the tests' own ``update`` gives, hour by hour."""

import numpy as np
import pytest

from benchmarks import decisions_ours as ours
from benchmarks.decisions import NULLS
from benchmarks.decisions_world import World, world
from rollout.stats.affected import AffectedBlock
from rollout.stats.counts import CountBlock, Counts
from rollout.stats.means import MeanBlock, Moments
from rollout.stats.slow import SlowBlock

RUN, HOURS = 1, 30


@pytest.fixture(scope="module")
def scene() -> World:
    return world(np.random.default_rng(5), NULLS[1], 0.25, (2, HOURS))


def test_errors_of_users(scene: World) -> None:
    state, found = ours.AFFECTED.start(), ours.affected_evidence(scene)
    for hour in range(HOURS):
        t, c = (cohort.first_errors[RUN, hour] for cohort in (scene.treatment, scene.control))
        block = AffectedBlock(treatment=t, control=c, share=scene.share)
        state = ours.AFFECTED.update(state, block)
        assert state.wealth.log_e == pytest.approx(found[RUN, hour], abs=1e-9)


def test_errors_of_requests(scene: World) -> None:
    state, found = ours.ERRORS.start(), ours.request_evidence(scene)
    for hour in range(HOURS):
        t, c = (
            Counts(events=cohort.errors[RUN, hour], units=cohort.requests[RUN, hour])
            for cohort in (scene.treatment, scene.control)
        )
        state = ours.ERRORS.update(state, CountBlock(treatment=t, control=c))
        assert state.wealth.log_e == pytest.approx(found[RUN, hour], abs=1e-9)


def test_slow_users(scene: World) -> None:
    state, found = ours.SLOW.start(), ours.slow_evidence(scene)
    for hour in range(HOURS):
        t, c = (
            tuple(cohort.first_slower[RUN, hour]) for cohort in (scene.treatment, scene.control)
        )
        state = ours.SLOW.update(state, SlowBlock(treatment=t, control=c, share=scene.share))
        assert ours.SLOW.log_e(state) == pytest.approx(found[RUN, hour], abs=1e-9)


def test_rewards(scene: World) -> None:
    state, found = ours.REWARD.start(), ours.reward_evidence(scene)
    for hour in range(HOURS):
        t, c = (
            Moments(units=n, total=total, squares=squares)
            for n, total, squares in (
                cohort.rated[RUN, hour] for cohort in (scene.treatment, scene.control)
            )
        )
        state = ours.REWARD.update(state, MeanBlock(treatment=t, control=c))
        assert ours.REWARD.log_e_worse(state) == pytest.approx(found[RUN, hour], abs=1e-6)
