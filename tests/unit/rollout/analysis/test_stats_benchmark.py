"""The benchmark's vectorised judge gives what the tests' own ``update`` gives, hour by hour."""

import numpy as np
import pytest

from benchmarks.gates import NULLS
from benchmarks.support import gates_sluice as ours
from benchmarks.support.gates_traffic import SimulatedTraffic, draw_traffic
from sluice.rollout.analysis.stats.affected_users import AffectedUsersBlock
from sluice.rollout.analysis.stats.counts import CountBlock, Counts
from sluice.rollout.analysis.stats.means import MeanBlock, Moments
from sluice.rollout.analysis.stats.slow_users import SlowUsersBlock

RUN, HOURS = 1, 30


@pytest.fixture(scope="module")
def benchmark_world() -> SimulatedTraffic:
    return draw_traffic(np.random.default_rng(5), NULLS[1], 0.25, (2, HOURS))


def test_errors_of_users_match_the_reference_update(benchmark_world: SimulatedTraffic) -> None:
    state, found = ours.AFFECTED.start(), ours.affected_evidence(benchmark_world)
    for hour in range(HOURS):
        t, c = (
            cohort.first_errors[RUN, hour]
            for cohort in (benchmark_world.treatment, benchmark_world.control)
        )
        block = AffectedUsersBlock(treatment=t, control=c, share=benchmark_world.share)
        state = ours.AFFECTED.update(state, block)
        assert state.wealth.log_e == pytest.approx(found[RUN, hour], abs=1e-9)


def test_errors_of_requests_match_the_reference_update(benchmark_world: SimulatedTraffic) -> None:
    state, found = ours.ERRORS.start(), ours.request_evidence(benchmark_world)
    for hour in range(HOURS):
        t, c = (
            Counts(events=cohort.errors[RUN, hour], units=cohort.requests[RUN, hour])
            for cohort in (benchmark_world.treatment, benchmark_world.control)
        )
        state = ours.ERRORS.update(state, CountBlock(treatment=t, control=c))
        assert state.wealth.log_e == pytest.approx(found[RUN, hour], abs=1e-9)


def test_slow_users_match_the_reference_update(benchmark_world: SimulatedTraffic) -> None:
    state, found = ours.SLOW.start(), ours.slow_evidence(benchmark_world)
    for hour in range(HOURS):
        t, c = (
            tuple(cohort.first_above_edge[RUN, hour])
            for cohort in (benchmark_world.treatment, benchmark_world.control)
        )
        state = ours.SLOW.update(
            state, SlowUsersBlock(treatment=t, control=c, share=benchmark_world.share)
        )
        assert ours.SLOW.log_e(state) == pytest.approx(found[RUN, hour], abs=1e-9)


def test_rewards_match_the_reference_update(benchmark_world: SimulatedTraffic) -> None:
    state, found = ours.REWARD.start(), ours.reward_evidence(benchmark_world)
    for hour in range(HOURS):
        t, c = (
            Moments(units=n, total=total, squares=squares)
            for n, total, squares in (
                cohort.reward_moments[RUN, hour]
                for cohort in (benchmark_world.treatment, benchmark_world.control)
            )
        )
        state = ours.REWARD.update(state, MeanBlock(treatment=t, control=c))
        assert ours.REWARD.log_e_harm(state) == pytest.approx(found[RUN, hour], abs=1e-6)
